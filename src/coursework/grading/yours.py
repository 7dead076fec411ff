"""A learner's own answer, graded on their machine: what failed stays to be looked at."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from coursework.checks.home import Home
from coursework.checks.shell import Shell
from coursework.checks.verdict import CheckResult, Report
from coursework.engine import start_engine
from coursework.grading.engine_choice import place_for
from coursework.grading.from_files import told_by_files
from coursework.grading.grade import Watcher, grade
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.modules.module_files import module_files
from coursework.sandbox.inside import answer_folder
from coursework.trouble import CourseError


def grade_yours(
    layout: Layout,
    module: Module,
    files: Mapping[str, bytes],
    home: Home,
    *,
    tell: Callable[[str], None],
    only: tuple[str, ...] = (),
    seed: int | None = None,
    on_result: Callable[[CheckResult], None] = lambda _: None,
) -> Report:
    """Grade the answer of who sits at this machine.

    An engine that was made for the answer stays after a failure, with the answer's files in it:
    `course shell --failed` leads there.

    Args:
        layout: the clone.
        module: that is answered.
        files: of the answer, by relative path.
        home: where the learner has it.
        tell: is told each step.
        only: names of checks, with those that they need; all by default.
        seed: repeats an earlier run's random values.
        on_result: is called with each verdict.

    Raises:
        CourseError: the engine, an image or the checks themselves are in trouble.
    """
    start = time.monotonic()
    report = told_by_files(layout, module, files, home, only=only, on_result=on_result)
    if report:
        return report
    with place_for(layout, module, start_engine(tell), tell) as place:
        engine_s = time.monotonic() - start
        report = grade(
            module, files, layout=layout, engine=place.engine, only=only, seed=seed, home=home,
            watcher=Watcher(tell, on_result),
        )  # fmt: skip
        if place.engine.is_sandbox and any(c.verdict == "failed" for c in report.checks):
            # One that does not answer is thrown away: the verdicts are there.
            with suppress(CourseError):
                _lay(layout, module, files, Shell(place.engine))
                place.is_kept = True
    total_s = engine_s + report.timings["total_s"]
    timings = {**report.timings, "engine_s": round(engine_s, 3), "total_s": round(total_s, 3)}
    return replace(report, timings=timings)


def _lay(layout: Layout, module: Module, files: Mapping[str, bytes], shell: Shell) -> None:
    """Lay the answer where commands of the report are typed; what a check laid there stays."""
    folder = answer_folder(module.slug)
    if shell.finish(["test", "-d", folder], 10).exit_code:
        shell.lay(module_files(layout, module.slug).around(files), folder)
