"""Cell ids that come from what a cell is about, so that they stay when text around it changes."""

import re
import unicodedata
from collections.abc import Sequence

from coursework.authoring.source import Cell

# nbformat allows 64 characters; a number may follow.
_LIMIT_CHARACTERS = 58
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_FENCED = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)


def slug_of(text: str) -> str:
    """Return lower-case ASCII words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_LIMIT_CHARACTERS].strip("-")


def _name(cell: Cell) -> str:
    """Return a cell's own name; empty where it has none."""
    if cell.kind != "code":
        heading = _HEADING.search(_FENCED.sub("", cell.text))
        return slug_of(heading[1]) if heading else ""
    if cell.is_import:
        return "import-check"
    if cell.check is not None:
        return f"check-{slug_of(cell.check) or 'all'}"
    return f"write-{slug_of(cell.file)}" if cell.file else ""


def cell_ids(cells: Sequence[Cell]) -> list[str]:
    """Return each cell's id: from its own name, else from the cell before it with a number."""
    names = [_name(cell) for cell in cells]
    # Code cells are graded by their ids: a heading of the same name must not take one.
    firm = {n for n, cell in zip(names, cells, strict=True) if n and cell.kind == "code"}
    used: set[str] = set()
    ids: list[str] = []
    base = "text"
    for name, cell in zip(names, cells, strict=True):
        base = name or base
        is_free = base not in used and (base not in firm or cell.kind == "code")
        found = base if is_free else _numbered(base, used | firm)
        used.add(found)
        ids.append(found)
    return ids


def _numbered(base: str, used: set[str]) -> str:
    number = 2
    while f"{base}-{number}" in used:
        number += 1
    return f"{base}-{number}"
