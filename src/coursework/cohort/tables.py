"""CSV: written so that no spreadsheet runs it, read as spreadsheets save it."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from coursework.trouble import CourseError

# Some spreadsheets also take the wide forms of these signs for the signs.
_WIDE = ("\uff1d", "\uff0b", "\uff0d", "\uff20")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *_WIDE)


# Where people write 2,5, spreadsheets part cells at semicolons, also inside our quotation marks.
_NEXT_CELL = re.compile(rf"""([;\t\r\n]"*)(?=[{re.escape("".join(_FORMULA))}])""")


def cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    text = _NEXT_CELL.sub(r"\1'", text)
    return f"'{text}" if text.startswith(_FORMULA) else text


def table(rows: Iterable[Sequence[object]], *, quoted: bool = False) -> str:
    """Return rows as CSV; texts in them are no formulas.

    Args:
        rows: the first is the header.
        quoted: put quotation marks around every cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL)
    writer.writerows([cell(c) if isinstance(c, str) else c for c in row] for row in rows)
    return text.getvalue()


def read_column(
    path: Path, column: str, learners: Sequence[str], on_unknown: Callable[[str], None]
) -> dict[str, str]:
    """Return what a CSV says of learners, by learner.

    Args:
        path: of the file, whose first line names its columns; commas or semicolons part them.
        column: beside `learner`.
        learners: who there are.
        on_unknown: is told of anybody else, who may not have handed in, or be misspelt.

    Raises:
        CourseError: it cannot be read, has no such column, or names a learner twice.
    """
    rows = _rows(path)
    header = [name.strip().lower() for name in rows[0]]
    for name in ("learner", column):
        if name not in header:
            raise CourseError(
                f"{path} has no column {name}.",
                why=f"its first line is {','.join(rows[0])[:120]!r}",
                fix=f"write learner,{column} into the first line",
            )
    # Names may come from a table that was written here.
    known = {**{cell(name): name for name in learners}, **{name: name for name in learners}}
    found: dict[str, str] = {}
    for number, row in enumerate(rows[1:], 2):
        values = dict(zip(header, row, strict=False))
        learner = unicodedata.normalize("NFC", values.get("learner", "").strip())
        if not learner:
            continue
        learner = known.get(learner, learner)
        if learner in found:
            raise CourseError(
                f"{path}, line {number}: {learner!r} is there twice.", fix="remove one of the lines"
            )
        if learner in known:
            found[learner] = values.get(column, "").strip()
        else:
            near = ", ".join(get_close_matches(learner, learners, n=3, cutoff=0.5))
            similar = f"; similar: {near}" if near else ""
            on_unknown(f"{path}, line {number}: {learner!r} has no result{similar}")
    return found


def _rows(path: Path) -> list[list[str]]:
    try:
        lines = path.read_bytes().decode("utf-8-sig").splitlines() or [""]
        by = ";" if ";" in lines[0] and "," not in lines[0] else ","
        return list(csv.reader(lines, delimiter=by)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CourseError(
            f"{path} cannot be read.", why=str(error)[:200], fix="save it as CSV in UTF-8"
        ) from error
