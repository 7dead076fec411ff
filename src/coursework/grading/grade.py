"""Grading one submission: its files are built, started, probed from outside and reported on."""

import ast
import os
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursework.checks.load import call_before_release
from coursework.checks.points import marks_of
from coursework.checks.session import Session, Task
from coursework.checks.verdict import CheckResult, Report
from coursework.containers.building import Limits
from coursework.containers.cleaning import remove_ended_containers
from coursework.containers.runs import open_run
from coursework.engine import Engine
from coursework.images import ensure_images
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.submissions.files import Submission
from coursework.trouble import CourseError


@dataclass(frozen=True)
class Watcher:
    """Who is told how a grading goes on.

    Args:
        on_step: is called with a line such as a build's step.
        on_result: is called with each verdict.
    """

    on_step: Callable[[str], None] = lambda _: None
    on_result: Callable[[CheckResult], None] = lambda _: None


def _laid_files(layout: Layout, slug: str, written: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the folder that is built: starter files, then written ones, then given ones again."""
    starter, given = _folder_files(layout.starter(slug)), _folder_files(layout.given(slug))
    return {**starter, **written, **given}


def _folder_files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _base_images(dockerfile: bytes, known: tuple[str, ...]) -> list[str]:
    """Return the course's images that a Dockerfile names."""
    text = dockerfile.decode(errors="replace")
    return [name for name in known if name in text]


def grade(
    module: Module,
    files: Mapping[str, bytes],
    *,
    layout: Layout,
    engine: Engine,
    only: tuple[str, ...] = (),
    seed: int | None = None,
    keep: bool = True,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    rootless: bool = False,
    watcher: Watcher = Watcher(),
) -> Report:
    """Grade one answer to a module's exercise.

    Nothing of the submission runs in this process: it is built and started by the engine.

    Args:
        module: of the catalogue; images that it names are made where absent.
        files: what the learner wrote, by relative path.
        layout: the clone with graders and given files.
        engine: where to build and run.
        only: names of checks; with those that they need. All by default.
        seed: repeats an earlier run's random values; a new one by default.
        keep: leave the containers of failed checks up until the next check.
        limits: of each build.
        rootless: a cluster beside the answer has no root on this machine, where that can be had.
        watcher: is told how it goes on.

    Raises:
        CourseError: the engine, an image or the checks themselves are in trouble.

    """
    start = time.monotonic()
    laid = _laid_files(layout, module.slug, files)
    bases = _base_images(laid.get("Dockerfile", b""), module.images)
    ensure_images(engine, [*bases, *module.check_images], watcher.on_step)
    timings = {"images_s": time.monotonic() - start}
    task = Task(
        module, Submission(laid, module.slug), layout.work(module.slug),
        secrets.randbelow(2**32) if seed is None else seed, limits,
        watcher.on_step, watcher.on_result, rootless,
    )  # fmt: skip
    with open_run(module.slug) as run, ThreadPoolExecutor(1) as pool:
        session = Session(engine, run, task)
        if "Dockerfile" in laid and not _builds_itself(layout, module.slug):
            session.start_build()
        pool.submit(remove_ended_containers, engine.client, module.slug)
        results = _run_checks(layout, session, only, keep=keep)
    timings["build_s"] = session.builder.seconds
    timings["checks_s"] = sum(r.duration_s for r in results)
    timings["total_s"] = time.monotonic() - start
    rounded = {name: round(seconds, 3) for name, seconds in sorted(timings.items())}
    return Report(module.slug, run.run_id, task.seed, tuple(results), rounded)


def _builds_itself(layout: Layout, slug: str) -> bool:
    """Tell whether a module's checks build the image themselves, with a fixture of that name."""
    try:
        tree = ast.parse((layout.grader(slug) / "checks.py").read_text("utf-8"))
    except (OSError, SyntaxError, ValueError):
        # Whoever loads the checks says what is wrong with them.
        return False
    return any(isinstance(n, ast.FunctionDef) and n.name == "image" for n in tree.body)


def _run_checks(
    layout: Layout, session: Session, only: tuple[str, ...], *, keep: bool
) -> list[CheckResult]:
    # Imported while the build already runs.
    from coursework.checks import fixtures  # noqa: PLC0415
    from coursework.checks.plugin import CheckPlugin  # noqa: PLC0415

    slug = session.task.module.slug
    plugin = CheckPlugin(session, only)
    forget = call_before_release(session.wait_until_calm)
    interrupted = True
    try:
        status = _pytest(layout, slug, [fixtures, plugin], session.task.seed)
        interrupted = status == _INTERRUPTED
    finally:
        forget()
        session.close(keep_failed=keep and not interrupted)
    if plugin.escaped:
        raise plugin.escaped
    if plugin.trouble:
        raise CourseError(
            f"The checks of {slug} are in trouble; this is not your mistake.",
            why=plugin.trouble,
            fix=f"course audit {slug}",
        )
    # pytest calls both Ctrl-C and checks that cannot be loaded "interrupted".
    if interrupted:
        raise KeyboardInterrupt
    if session.builder.trouble:
        raise session.builder.trouble
    if not plugin.results:
        raise CourseError(
            f"{slug} has no check named {', '.join(only)}." if only else "No check ran.",
            why=f"its checks: {', '.join(c.name for c in list_checks(layout, slug))}",
        )
    return plugin.results


_INTERRUPTED = 2


def _pytest(layout: Layout, slug: str, plugins: list[Any], seed: int, *more: str) -> int:
    import pytest  # noqa: PLC0415 - 0.2 s that the build hides

    file = layout.grader(slug) / "checks.py"
    if not file.is_file():
        raise CourseError(f"{slug} has no checks.", why=f"{file} is missing", fix="course list")
    options = [str(file), "-c", os.devnull, f"--rootdir={layout.root}", "--import-mode=importlib",
               "--noconftest", "--disable-plugin-autoload", "--capture=no", "--strict-markers",
               "-o", "python_files=checks.py", "-o", "python_functions=check_*",
               *more]  # fmt: skip
    for name in ("cacheprovider", "terminal", "warnings", "faulthandler", "threadexception",
                 "unraisableexception", "logging", "doctest", "unittest", "junitxml",
                 "pastebin", "stepwise"):  # fmt: skip
        options += ["-p", f"no:{name}"]
    with _untouched_interpreter(seed):
        return int(pytest.main(options, plugins=plugins))


@contextmanager
def _untouched_interpreter(seed: int) -> Iterator[None]:
    """Leave a notebook's kernel as it was: no module of the checks, no reseeded generator."""
    modules, path, state = set(sys.modules), list(sys.path), random.getstate()
    variable = os.environ.get("PYTEST_ADDOPTS")
    os.environ.pop("PYTEST_ADDOPTS", None)
    random.seed(seed)
    try:
        yield
    finally:
        for name in set(sys.modules) - modules:
            if name.endswith(".checks") and not name.startswith("coursework"):
                del sys.modules[name]
        sys.path[:] = path
        random.setstate(state)
        if variable is not None:
            os.environ["PYTEST_ADDOPTS"] = variable


def list_checks(layout: Layout, slug: str) -> tuple[CheckResult, ...]:
    """Return a module's checks in order, as results that are all skipped.

    Raises:
        CourseError: the checks' file cannot be loaded.
    """
    collector = _Collector()
    _pytest(layout, slug, [collector], 0, "--collect-only")
    if collector.trouble:
        raise CourseError(f"The checks of {slug} cannot be loaded.", why=collector.trouble)
    return tuple(collector.checks)


class _Collector:
    """A pytest plugin that only looks at what a checks' file holds."""

    def __init__(self) -> None:
        self.checks: list[CheckResult] = []
        self.trouble = ""

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.trouble = str(report.longrepr)[-1500:]

    def pytest_collection_finish(self, session: Any) -> None:
        for item in session.items:
            marks = marks_of(item.function)
            self.checks.append(
                CheckResult(
                    name=item.name.removeprefix("check_"),
                    title=" ".join((item.function.__doc__ or "").split()),
                    verdict="skipped",
                    points=0,
                    max_points=marks.points,
                    hint=marks.hints[0] if marks.hints else "",
                    next_hint=marks.hints[1] if marks.hints[1:] else "",
                    link=marks.link,
                )
            )
