"""One writer that puts results into nbgrader's gradebook: in SQLite, or in PostgreSQL."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coursework.cohort.results import Result
from coursework.files import one_at_a_time
from coursework.submissions.notebook import check_cell_id
from coursework.trouble import CourseError

# nbgrader_config.py says the same to nbgrader's own commands.
COURSE_ID = "http-to-kubernetes"
NOTEBOOK = "exercise"
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
_ANSWERS_WITHIN_S = 10
# Of the lock that writers to one PostgreSQL database share; any number does, if all have the same.
_LOCK = 0x6E62_6772

Tell = Callable[[str], None]


def default_address(room: Path) -> str:
    """Return the address of the gradebook in a clone's classroom, which is made."""
    room.mkdir(exist_ok=True)
    # A browser on Formgrader beside a running autograde: wait for SQLite's lock.
    return f"sqlite:///{room / 'gradebook.db'}?timeout=60"


def whole_address(typed: str) -> str:
    """Return a gradebook's address as SQLAlchemy wants it, from one that a person typed.

    Raises:
        CourseError: nothing here can open such an address.
    """
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - slow to load
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - as above

    try:
        url = make_url(typed)
    except (ArgumentError, ValueError) as error:
        raise _not_understood() from error
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    if url.drivername == "postgresql+psycopg":
        if "connect_timeout" not in url.query:
            url = url.update_query_dict({"connect_timeout": str(_ANSWERS_WITHIN_S)})
    elif url.drivername == "sqlite" and url.database:
        url = url.set(database=str(Path(url.database).absolute()))
    else:
        raise _not_understood()
    return url.render_as_string(hide_password=False)


def _not_understood() -> CourseError:
    return CourseError(
        "The gradebook's address is not understood.",
        why="it begins with sqlite:/// and a file, or with postgresql:// and a server",
        fix="--gradebook postgresql://USER@HOST/DATABASE",
    )


def write_gradebook(
    url: str,
    results: Iterable[Result],
    tell: Tell = lambda _: None,
    penalties: Mapping[str, float] = MappingProxyType({}),
) -> int:
    """Write results; points given by hand stay, and what could not be judged waits for a person.

    Args:
        url: such as sqlite:///gradebook.db or postgresql://grader@db.example/grades.
        results: of one or several modules.
        tell: is told each step.
        penalties: points that being late costs, by learner; those of others stay as they are.

    Returns:
        How many were written.

    Raises:
        CourseError: the gradebook cannot be opened or written.
    """
    from nbgrader.api import Gradebook  # noqa: PLC0415 - slow to load
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415 - as above

    address = whole_address(url)
    _find_alembic()
    written = 0
    laid_out: set[tuple[Any, ...]] = set()
    try:
        with _alone(address, tell), Gradebook(address, COURSE_ID) as gradebook:
            for result in results:
                tell(f"the gradebook: {result.learner}")
                layout = (result.module, *((c.name, c.max_points) for c in result.report.checks))
                if layout not in laid_out:
                    _lay_out(gradebook, result)
                    laid_out.add(layout)
                _write(gradebook, result, penalties.get(result.learner))
                written += 1
    # nbgrader's own errors, of what somebody else wrote at the same moment, are ValueErrors.
    except (SQLAlchemyError, ValueError) as error:
        raise CourseError(
            "The gradebook cannot be written.",
            why=f"{str(error).splitlines()[0][:300]}; the results are in their files",
            fix="type the command again, with --gradebook URL where its address was wrong",
        ) from error
    return written


def _find_alembic() -> None:
    """Let nbgrader find the program that tells the version of a new gradebook's tables."""
    if shutil.which("alembic") is None:
        beside = Path(sys.executable).parent
        os.environ["PATH"] = f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"


@contextmanager
def _alone(address: str, tell: Tell) -> Iterator[None]:
    """Keep other writers out: nbgrader looks first and then adds, which two cannot do at once."""
    from sqlalchemy import create_engine, func, select  # noqa: PLC0415 - slow to load

    if address.startswith("sqlite"):
        with one_at_a_time(tell, "gradebook", "writes the gradebook"):
            yield
        return
    engine = create_engine(address)
    try:
        # The server lets go when the transaction ends, and so when this process does.
        with engine.begin() as connection:
            if not connection.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
                tell("another course grade writes the gradebook: waiting for it")
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            yield
    finally:
        engine.dispose()


def _lay_out(gradebook: Any, result: Result) -> None:
    """Write what a submission's points hang on: the module, its notebook and its checks."""
    slug = result.module
    gradebook.update_or_create_assignment(slug)
    gradebook.update_or_create_notebook(NOTEBOOK, slug)
    for check in result.report.checks:
        gradebook.update_or_create_grade_cell(
            check_cell_id(check.name), NOTEBOOK, slug, max_score=check.max_points, cell_type="code"
        )


def _write(gradebook: Any, result: Result, penalty: float | None) -> None:
    slug = result.module
    gradebook.update_or_create_student(result.learner)
    # nbgrader builds a submission from parts that the session does not know until it is added.
    with gradebook.db.no_autoflush:
        submission = gradebook.update_or_create_submission(slug, result.learner)
    for notebook in submission.notebooks if penalty is not None else ():
        notebook.late_submission_penalty = penalty
    for check in result.report.checks:
        grade = _grade(gradebook, slug, result.learner, check_cell_id(check.name))
        judged = check.verdict != "error"
        grade.auto_score = float(check.points) if judged else None
        grade.needs_manual_grade = not judged or grade.manual_score is not None
    gradebook.db.commit()


def _grade(gradebook: Any, slug: str, learner: str, cell: str) -> Any:
    """Find a check's grade; a check that is newer than the submission has none yet."""
    from nbgrader.api import Grade, MissingEntry  # noqa: PLC0415 - slow to load

    try:
        return gradebook.find_grade(cell, NOTEBOOK, slug, learner)
    except MissingEntry:
        notebook = gradebook.find_submission_notebook(NOTEBOOK, slug, learner)
        cell_id = gradebook.find_grade_cell(cell, NOTEBOOK, slug).id
        grade = Grade(cell_id=cell_id, notebook_id=notebook.id)
        gradebook.db.add(grade)
        return grade
