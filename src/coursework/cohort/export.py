"""CSV files that learning platforms import.

What their imports want is from their own sources and manuals:

- Canvas, `lib/gradebook_importer.rb` of instructure/canvas-lms: the columns begin with Student and
  ID, Section follows them, and SIS Login ID may be between; any other column is an assignment,
  found by "Title (number)" or by its title, and made where there is none. ID is the number in the
  names of Download Submissions (`submission.user_id` in `lib/content_zipper.rb`).
- Moodle, `mod/assign/feedback/offline/importgradeslib.php` of moodle/moodle, the offline grading
  worksheet: Identifier, Grade and Last modified (grade) must be there. Identifier is the word
  Participant and the number in the names of Download all submissions (`get_uniqueid_for_user` in
  both). The gradebook's own import knows learners by other numbers only.
- Blackboard, "Uploading or Downloading Grade Center Items for Working Offline" and "Upload
  Gradebook" at library.blackboard.com: a row must have the Username, each cell of a .csv is in
  quotation marks, and a column is found by the ID at the end of its name.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from coursework.cohort.forms import (
    ASKED,
    BLACKBOARD,
    BY_FILE,
    CANVAS,
    MOODLE,
    NBGRADER,
    Origin,
)
from coursework.cohort.late import Final
from coursework.cohort.tables import table

_Row = list[str]
# As after a learner's name has changed: the platform would take whichever row comes last.
_TWICE = (
    "{platform} would know two results as one learner's: delete the older one's file in results/,"
    " and type this again"
)


@dataclass(frozen=True)
class Export:
    """A file for a platform.

    Args:
        text: CSV.
        left_out: learners who are not in it, and why.
    """

    text: str
    left_out: dict[str, str]


@dataclass(frozen=True)
class _Platform:
    """How a platform wants points.

    Args:
        header: rows before the first learner's.
        known_by: columns by which it finds a learner.
        row: of a learner with points; None where the platform could not tell who that is.
        quoted: whether every cell has quotation marks.
    """

    header: Callable[[str, int], list[_Row]]
    known_by: slice
    row: Callable[[Origin, str], _Row | None]
    quoted: bool = False


def _canvas_header(column: str, max_points: int) -> list[_Row]:
    return [
        ["Student", "ID", "SIS Login ID", "Section", column],
        ["    Points Possible", "", "", "", str(max_points)],
    ]


def _canvas_row(origin: Origin, points: str) -> _Row | None:
    if origin.form == CANVAS and origin.number:
        return [origin.name, origin.number, "", "", points]
    login = _login(origin)
    return [login, "", login, "", points] if login else None


def _moodle_header(_column: str, _max_points: int) -> list[_Row]:
    return [["Identifier", "Full name", "Grade", "Last modified (grade)"]]


def _moodle_row(origin: Origin, points: str) -> _Row | None:
    if origin.form != MOODLE or not origin.number:
        return None
    return [f"Participant {origin.number}", origin.name, points, ""]


def _blackboard_header(column: str, _max_points: int) -> list[_Row]:
    return [["Username", column]]


def _blackboard_row(origin: Origin, points: str) -> _Row | None:
    login = origin.name if origin.form == BLACKBOARD else _login(origin)
    return [login, points] if login else None


def _login(origin: Origin) -> str:
    """Return the name of a folder or file, which is a login where a person chose it."""
    return origin.name if origin.form in (NBGRADER, BY_FILE, ASKED) else ""


PLATFORMS = {
    "canvas": _Platform(_canvas_header, slice(1, 3), _canvas_row),
    "moodle": _Platform(_moodle_header, slice(1), _moodle_row),
    "blackboard": _Platform(_blackboard_header, slice(1), _blackboard_row, quoted=True),
}


def export(platform: str, column: str, finals: Sequence[Final]) -> Export:
    """Return the file that a platform imports; points that are undecided are in none.

    Args:
        platform: one of PLATFORMS.
        column: what the assignment is called there.
        finals: of one module.
    """
    wanted = PLATFORMS[platform]
    max_points = max((f.result.report.max_points for f in finals), default=0)
    rows, left_out = wanted.header(column, max_points), {}
    of_class = [(f, wanted.row(f.result.origin, _written(f.points))) for f in finals]
    known = Counter(tuple(row[wanted.known_by]) for _, row in of_class if row)
    for final, row in of_class:
        learner = final.result.learner
        if final.points is None:
            left_out[learner] = "the points are undecided"
        elif row is None:
            left_out[learner] = _unknown(platform, final.result.origin)
        elif known[tuple(row[wanted.known_by])] > 1:
            left_out[learner] = _TWICE.format(platform=platform.capitalize())
        else:
            rows.append(row)
    return Export(table(rows, quoted=wanted.quoted), left_out)


def _written(points: float | None) -> str:
    return "" if points is None else f"{points:g}"


def _unknown(platform: str, origin: Origin) -> str:
    if not origin.form:
        return (
            "an older version graded it and noted no names: type course grade again,"
            " which grades nothing twice"
        )
    return f"names by {origin.form} hold nothing that {platform.capitalize()} knows a learner by"
