"""One writer that puts results into nbgrader's gradebook."""

from collections.abc import Iterable
from typing import Any

from coursework.cohort.results import Result
from coursework.submission import check_cell_id
from coursework.trouble import CourseError

NOTEBOOK = "exercise"


def write_gradebook(url: str, results: Iterable[Result]) -> int:
    """Write results; points given by hand stay, and what could not be judged waits for a person.

    Args:
        url: of SQLAlchemy, such as sqlite:///gradebook.db or postgresql+psycopg://…
        results: of one or several modules.

    Returns:
        How many were written.

    Raises:
        CourseError: the gradebook cannot be opened or written.
    """
    from nbgrader.api import Gradebook  # noqa: PLC0415 - slow to load
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    written = 0
    try:
        with Gradebook(url) as gradebook:
            for result in results:
                _write(gradebook, result)
                written += 1
    except (SQLAlchemyError, ModuleNotFoundError) as error:
        raise CourseError(
            "The gradebook cannot be written.",
            why=str(error).splitlines()[0][:300],
            fix="results stand in their files; try again with: course grade --resume",
        ) from error
    return written


def _write(gradebook: Any, result: Result) -> None:
    slug = result.module
    gradebook.update_or_create_assignment(slug)
    gradebook.update_or_create_notebook(NOTEBOOK, slug)
    for check in result.report.checks:
        gradebook.update_or_create_grade_cell(
            check_cell_id(check.name), NOTEBOOK, slug, max_score=check.max_points, cell_type="code"
        )
    gradebook.update_or_create_student(result.learner)
    # nbgrader builds a submission from parts that the session does not know until it is added.
    with gradebook.db.no_autoflush:
        gradebook.update_or_create_submission(slug, result.learner)
    for check in result.report.checks:
        grade = gradebook.find_grade(check_cell_id(check.name), NOTEBOOK, slug, result.learner)
        judged = check.verdict != "error"
        grade.auto_score = float(check.points) if judged else None
        grade.needs_manual_grade = not judged or grade.manual_score is not None
    gradebook.db.commit()
