"""What a learner handed in, graded; a notebook that cannot be read is a result too."""

from collections.abc import Mapping
from dataclasses import replace

from coursework.checks.home import work_of
from coursework.checks.points import Check
from coursework.checks.verdict import CheckResult, Report
from coursework.containers.building import Limits
from coursework.engine import Engine
from coursework.grading.grade import grade
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.submissions.files import SubmissionError


def grade_handed_in(
    layout: Layout, module: Module, files: Mapping[str, bytes], engine: Engine, limits: Limits
) -> Report:
    """Grade somebody else's files; what they are told to type works on their own machine.

    Args:
        layout: the clone.
        module: that they answer.
        files: as their notebook writes them.
        engine: where to build and run.
        limits: of each build.

    Raises:
        CourseError: the grader itself is in trouble.
    """
    report = grade(
        module, files, layout=layout, engine=engine, keep=False, limits=limits, rootless=True
    )
    # What ran here is gone, and was on another machine: theirs checks it again.
    home = work_of(layout, module.slug)
    told = tuple(
        replace(c, command=home.check_only(c.name)) if c.command else c for c in report.checks
    )
    return replace(report, checks=told)


def refused(check: Check, error: SubmissionError) -> CheckResult:
    """Return the result of a check for a submission that cannot be read."""
    saw = "\n".join(text for text in (error.what, error.why) if text)
    return check.result(
        "failed", looked_for="a notebook whose files can be read", saw=saw, hint=error.fix
    )
