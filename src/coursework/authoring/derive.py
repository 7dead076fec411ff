"""Notebooks and folders derived from an author's text, to the byte the same on every machine."""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from coursework.authoring.solutions import refuse_leaks, without_solution
from coursework.authoring.source import Cell, SourceError, read_cells
from coursework.files import folder_files, lay_files
from coursework.layout import Layout
from coursework.modules.module_files import module_files

NOTEBOOK = "exercise.ipynb"
_VERSION = 1
_NBGRADER_SCHEMA = 3
# nbformat allows 64 characters; a number may follow.
_LIMIT_CHARACTERS = 58
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
_FENCED = re.compile(r"^(```+|~~~+).*?^\1", re.MULTILINE | re.DOTALL)


def derive_lesson(layout: Layout, slug: str) -> bytes:
    """Return a lesson's notebook.

    Raises:
        SourceError: the lesson cannot be read.
    """
    cells = read_cells(layout.lesson(slug))
    ids = cell_ids(cells)
    return _notebook(slug, [_cell(c, i, {}) for c, i in zip(cells, ids, strict=True)])


def derive_exercise(layout: Layout, slug: str) -> dict[str, bytes]:
    """Return all files of exercises/NN-slug by relative path.

    Raises:
        SourceError: the source cannot be read, or would hand out its solution.
        CourseError: the checks cannot be loaded.
    """
    return _derived(layout, slug, with_solution=False)


def derive_source(layout: Layout, slug: str) -> dict[str, bytes]:
    """Return all files of nbgrader's source version by relative path: the solution stays in.

    Raises:
        SourceError: the source cannot be read, or would hand out its solution.
        CourseError: the checks cannot be loaded.
    """
    return _derived(layout, slug, with_solution=True)


def _derived(layout: Layout, slug: str, *, with_solution: bool) -> dict[str, bytes]:
    source = read_cells(layout.solution(slug))
    files = _laid_files(layout, slug, source)
    starter = module_files(layout, slug).starter
    cells = [without_solution(cell, starter) for cell in source]
    refuse_leaks(source, cells, files)
    points = _points(layout, slug) if any(cell.check for cell in cells) else {}
    parts = zip(source, source if with_solution else cells, cell_ids(cells), strict=True)
    notebook = _notebook(slug, [_cell(c, i, _marks(s, i, points)) for s, c, i in parts])
    return {NOTEBOOK: notebook, **files}


def _laid_files(layout: Layout, slug: str, cells: list[Cell]) -> dict[str, bytes]:
    laid = module_files(layout, slug)
    if both := sorted(set(laid.starter) & set(laid.given)):
        raise SourceError(
            f"{slug}: {both[0]} is in starter/ and in given/.",
            why="given files are laid over all others: the one in starter/ is never seen",
            fix=f"rm {layout.starter(slug).relative_to(layout.root) / both[0]}",
        )
    files = laid.around({})
    for name in (NOTEBOOK, "lesson.ipynb"):
        if name in files:
            raise SourceError(f"{slug}: {name} in starter/ or given/ has the notebook's name.")
    if written := [cell.file for cell in cells if cell.file in laid.given]:
        raise SourceError(
            f"{slug}: a cell writes {written[0]}, which is in given/.",
            why="given files are laid over what a learner writes: the cell has no effect",
            fix=f"git mv the file from given/ to starter/ of solutions/{slug}",
        )
    return files


def _points(layout: Layout, slug: str) -> Mapping[str, int]:
    from coursework.grading.grade import list_checks  # noqa: PLC0415 - loads the engine's client

    return {check.name: check.points for check in list_checks(layout, slug)}


def _marks(source: Cell, cell_id: str, points: Mapping[str, int]) -> dict[str, Any]:
    """Return the metadata by which nbgrader knows a cell, and JupyterLab keeps it."""
    if source.has_solution:
        return {"deletable": False, "nbgrader": _nbgrader(cell_id, solution=True)}
    kept = {"deletable": False, "editable": False}
    if source.check:
        if source.check not in points:
            raise SourceError(
                f'The exercise calls check("{source.check}"), which checks.py does not define.',
                why=f"its checks: {', '.join(points) or 'none'}",
            )
        graded = _nbgrader(cell_id, locked=True, grade=True)
        return {**kept, "nbgrader": {**graded, "points": points[source.check]}}
    if source.kind == "markdown" or source.is_import or source.check is not None:
        return {**kept, "nbgrader": _nbgrader(cell_id, locked=True)}
    return {}


def _nbgrader(cell_id: str, **true: bool) -> dict[str, Any]:
    flags = {name: true.get(name, False) for name in ("grade", "locked", "solution", "task")}
    return {**flags, "grade_id": cell_id, "schema_version": _NBGRADER_SCHEMA}


def _cell(cell: Cell, cell_id: str, marks: dict[str, Any]) -> dict[str, Any]:
    metadata = {**marks, **({"tags": list(cell.tags)} if cell.tags else {})}
    common = {"id": cell_id, "metadata": metadata, "source": cell.text.splitlines(keepends=True)}
    if cell.kind == "code":
        return {"cell_type": "code", "execution_count": None, "outputs": [], **common}
    return {"cell_type": "markdown", **common}


def _notebook(slug: str, cells: list[dict[str, Any]]) -> bytes:
    metadata = {
        "coursework": {"module": slug, "version": _VERSION},
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    }
    notebook = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    text = json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False)
    return f"{text}\n".encode()


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
    names = (f"{base}-{number}" for number in count(2))
    return next(name for name in names if name not in used)


@dataclass(frozen=True)
class Difference:
    """A file of exercises/ that is not what its source gives.

    Args:
        path: the file.
        data: what it should hold; None where it should not be there.
        state: `missing`, `outdated` or `surplus`.
    """

    path: Path
    data: bytes | None
    state: str


def compare(layout: Layout, slug: str) -> list[Difference]:
    """Derive a module's exercise and compare it with the files that are there.

    Raises:
        CourseError: the source cannot be derived from.
    """
    folder = layout.exercise(slug).parent
    wanted, present = derive_exercise(layout, slug), folder_files(folder)
    found = [
        Difference(folder / name, data, "outdated" if name in present else "missing")
        for name, data in wanted.items()
        if present.get(name) != data
    ]
    return found + [Difference(folder / n, None, "surplus") for n in present if n not in wanted]


def write(difference: Difference) -> None:
    """Make one file what it should be."""
    path = difference.path
    if difference.data is None:
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
        return
    lay_files(path.parent, {path.name: difference.data})
