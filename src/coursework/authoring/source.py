"""The author's text: MyST Markdown, read into cells."""

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import written_files
from coursework.trouble import CourseError

_CHECK = re.compile(r"check\((?:\"([a-z0-9_]+)\"|'([a-z0-9_]+)')?\)")
_IMPORT = "from coursework.notebook import check, hint"
_BEGIN, _END = "BEGIN SOLUTION", "END SOLUTION"


class SourceError(CourseError):
    """An author's text cannot be derived from as it is."""


@dataclass(frozen=True)
class Cell:
    """One cell of a lesson or of an exercise's source.

    Args:
        kind: `code` or `markdown`.
        text: its source.
        tags: its tags.
    """

    kind: str
    text: str
    tags: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """Its lines, without their ends."""
        return self.text.split("\n")

    @property
    def file(self) -> str | None:
        """The file that a `%%writefile` cell writes."""
        if self.kind != "code":
            return None
        try:
            return next(iter(written_files([self.text])), None)
        except SubmissionError as error:
            raise SourceError(error.what, why=error.why, fix=error.fix) from error

    @property
    def check(self) -> str | None:
        """The check that a cell calls; empty for all of them, None where it calls none."""
        found = _CHECK.fullmatch(self.text.strip()) if self.kind == "code" else None
        return (found[1] or found[2] or "") if found else None

    @property
    def is_import(self) -> bool:
        """Whether it is the cell that brings `check`."""
        return self.kind == "code" and self.text.strip() == _IMPORT

    @property
    def has_solution(self) -> bool:
        """Whether it holds a part of the reference solution."""
        return "solution" in self.tags or any(map(is_mark, self.lines))


def is_mark(line: str) -> bool:
    """Tell whether a line begins or ends a solution."""
    return _BEGIN in line or _END in line


def begins(line: str) -> bool:
    """Tell whether a line begins a solution."""
    return _BEGIN in line


def read_cells(path: Path) -> list[Cell]:
    """Read a lesson or an exercise's source.

    Raises:
        SourceError: it is missing, not UTF-8, or not MyST Markdown.
    """
    try:
        return list(_cells(path.read_bytes().decode("utf-8").replace("\r\n", "\n")))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be read.", why=str(error)[:300]) from error


# Rules read a text again and again; parsing it is half of their time.
@lru_cache(maxsize=128)
def _cells(text: str) -> tuple[Cell, ...]:
    import jupytext  # noqa: PLC0415 - slow to load

    return tuple(
        Cell(c.cell_type, c.source.strip("\n"), tuple(c.metadata.get("tags", ())))
        for c in jupytext.reads(text, fmt="md:myst").cells
        if c.source.strip()
    )


def reference_files(cells: list[Cell]) -> dict[str, bytes]:
    """Return the files of the reference solution, without the marks around its parts."""
    lines = (cell.lines for cell in cells if cell.kind == "code")
    return written_files("\n".join(x for x in text if not is_mark(x)) for text in lines)
