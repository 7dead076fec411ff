"""What a learner handed in, graded: a notebook that cannot be read is a result too."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from coursework.checks.points import Check
from coursework.checks.verdict import CheckResult, Report
from coursework.containers.building import Limits
from coursework.engine import Engine
from coursework.grading.grade import Watcher, grade, list_checks
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.submissions.files import Submission, SubmissionError
from coursework.submissions.notebook import parse_notebook, read_handed_in


def grade_handed_in(
    layout: Layout,
    module: Module,
    notebook: Path | bytes,
    engine: Callable[[], Engine],
    watcher: Watcher = Watcher(),  # noqa: B008 - frozen
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Report:
    """Grade a notebook in whatever state; nothing in it is run here.

    Args:
        layout: the clone.
        module: that it answers.
        notebook: the file, or its bytes.
        engine: gives where to build and run; asked only where there is something to.
        watcher: is told how it goes on.
        limits: of each build.

    Raises:
        CourseError: the grader itself is in trouble.
    """
    checks = list_checks(layout, module.slug)
    try:
        submission = read_submission(notebook, module.slug, [c.name for c in checks])
    except SubmissionError as error:
        return Report(module.slug, "", 0, tuple(refused(check, error) for check in checks))
    report = grade(
        module, submission.files, layout=layout, engine=engine(), keep=False, limits=limits,
        rootless=True, watcher=watcher,
    )  # fmt: skip
    # A learner's clone stands elsewhere: below its root the paths are the same.
    here = f"{layout.root}/"
    told = tuple(replace(c, command=c.command.replace(here, "")) for c in report.checks)
    return replace(report, checks=told)


def read_submission(notebook: Path | bytes, slug: str, checks: Sequence[str]) -> Submission:
    """Read a notebook that answers a module; nothing in it is run.

    Raises:
        SubmissionError: it cannot be read, is damaged, or is another module's.
    """
    data = notebook if isinstance(notebook, bytes) else read_handed_in(notebook)
    name = "the notebook" if isinstance(notebook, bytes) else notebook.name
    module = parse_notebook(data, name=name).module
    if module not in (None, slug):
        raise SubmissionError(
            f"{name} answers {str(module)[:40]}, not {slug}.",
            fix=f"hand in work/{slug}/exercise.ipynb",
        )
    return parse_notebook(data, name=name, checks=checks)


def refused(check: Check, error: SubmissionError) -> CheckResult:
    """Return the result of a check for a submission that cannot be read."""
    saw = "\n".join(text for text in (error.what, error.why) if text)
    return check.result(
        "failed", looked_for="a notebook whose files can be read", saw=saw, hint=error.fix
    )
