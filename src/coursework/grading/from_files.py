"""What the files alone tell of an answer, before an engine is started for it."""

import time
from collections.abc import Callable, Mapping

from coursework.checks.home import Home
from coursework.checks.points import Check
from coursework.checks.verdict import CheckResult, Report
from coursework.containers.building import NO_DOCKERFILE, WRITE_DOCKERFILE
from coursework.grading.grade import list_checks
from coursework.grading.warming import warming_answers
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.modules.module_files import module_files
from coursework.submissions.names import missed_files

_DOCKERFILE = "Dockerfile"


def told_by_files(
    layout: Layout,
    module: Module,
    files: Mapping[str, bytes],
    home: Home,
    *,
    only: tuple[str, ...] = (),
    on_result: Callable[[CheckResult], None] = lambda _: None,
) -> Report | None:
    """Return the report of an answer that has no Dockerfile where every check builds one.

    None where an engine is needed to tell.

    Args:
        layout: the clone with graders and given files.
        module: that is answered.
        files: of the answer, by relative path.
        home: where the learner has it.
        only: names of checks; all by default.
        on_result: is called with each verdict.

    Raises:
        CourseError: the checks or the exercise's source cannot be read.
    """
    start = time.monotonic()
    laid = module_files(layout, module.slug).around(files)
    if not module.sandbox or _DOCKERFILE in laid:
        return None
    checks = list_checks(layout, module.slug)
    asked = [check for check in checks if not only or check.name in only]
    # Right answers tell whether one is built at all, and not from a folder below.
    built = all(_DOCKERFILE in answer for answer in warming_answers(layout, module))
    if not (asked and built and all(check.needs_image for check in checks)):
        return None
    results = _results(asked, home)
    for result in results:
        on_result(result)
    seconds = round(time.monotonic() - start, 3)
    timings = {"build_s": 0.0, "checks_s": 0.0, "total_s": seconds}
    return Report(module.slug, "", 0, results, timings, tuple(missed_files(files, laid)))


def _results(checks: list[Check], home: Home) -> tuple[CheckResult, ...]:
    first, *others = checks
    failed = first.result(
        "failed",
        looked_for="an image that builds",
        saw=NO_DOCKERFILE,
        command=home.check_only(first.name),
        hint=WRITE_DOCKERFILE,
    )
    same = f"it meets the same: see {first.name}"
    return (failed, *(check.result("skipped", reason=same) for check in others))
