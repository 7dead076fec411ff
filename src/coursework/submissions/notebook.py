"""A learner's notebook: its `%%writefile` cells read as files, without running any.

A notebook is untrusted text here.
Each way in which it can be damaged or hostile ends in a SubmissionError that says what to mend.
"""

import errno
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coursework.submissions.cells import unread, written_by
from coursework.submissions.files import Files, Submission, SubmissionError

LIMIT_NOTEBOOK_BYTES = 50_000_000
_MOST_WARNINGS = 20


def written_files(
    sources: Iterable[str], starter: Mapping[str, bytes] = MappingProxyType({})
) -> dict[str, bytes]:
    """Return the files that code cells with these sources would write, in order.

    Args:
        sources: the text of each code cell.
        starter: files that lie beside the notebook: cells may append to them.

    Raises:
        SubmissionError: a path or a file is refused.
    """
    files = Files(starter)
    for source in sources:
        if written := written_by(source):
            files.write(written.path, written.text, append=written.append)
    return files.content


def _parsed(data: bytes, name: str) -> dict[str, Any]:
    fix = (
        "open it in JupyterLab and save it again, or put the original back, with yours beside it:"
        " course reset NN exercise.ipynb"
    )
    if len(data) > LIMIT_NOTEBOOK_BYTES:
        raise SubmissionError(
            f"{name} has {len(data):,} bytes; at most {LIMIT_NOTEBOOK_BYTES:,} are read.",
            fix="clear the outputs in JupyterLab: Edit, Clear Outputs of All Cells",
        )
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SubmissionError(
            f"{name} is damaged: it is not JSON.", why=str(error)[:120], fix=fix
        ) from error
    if not isinstance(notebook, dict):
        raise SubmissionError(f"{name} is no notebook.", why="its JSON is no object", fix=fix)
    if notebook.get("nbformat") != 4:  # noqa: PLR2004 - the number is the format's name
        raise SubmissionError(
            f"{name} is a notebook of format {str(notebook.get('nbformat'))[:20]}; 4 is needed.",
            fix=f"jupyter nbconvert --to notebook --nbformat 4 {name}",
        )
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not cells:
        raise SubmissionError(f"{name} has no cells.", fix=fix)
    return notebook


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def check_cell_id(check: str) -> str:
    """Return the id of the notebook cell that holds a check's points."""
    return f"check-{check.replace('_', '-')}"


@dataclass(frozen=True)
class NotebookCell:
    """One cell of an untrusted notebook, as text.

    Args:
        kind: `code`, `markdown` or what else it calls itself.
        source: its text.
        grade_id: the id by which nbgrader knows it; empty where it has none.
    """

    kind: str
    source: str
    grade_id: str


def _cells(notebook: dict[str, Any], name: str) -> Iterator[NotebookCell]:
    for number, cell in enumerate(map(_mapping, notebook["cells"]), start=1):
        source = cell.get("source")
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            raise SubmissionError(
                f"{name}: cell {number} is damaged.",
                why="its source is no text",
                fix="course reset NN exercise.ipynb",
            )
        marks = _mapping(_mapping(cell.get("metadata")).get("nbgrader"))
        yield NotebookCell(str(cell.get("cell_type")), source, str(marks.get("grade_id") or ""))


def read_notebook_cells(path: Path) -> list[NotebookCell]:
    """Return the cells of a saved notebook; nothing in it is run.

    Raises:
        SubmissionError: the notebook cannot be read or is damaged.
    """
    return list(_cells(_parsed(_content(path), path.name), path.name))


def parse_notebook(
    data: bytes,
    *,
    name: str = "the notebook",
    module: str = "",
    starter: Mapping[str, bytes] = MappingProxyType({}),
) -> Submission:
    """Read the files out of a notebook's bytes; nothing in it is run.

    Args:
        data: the notebook's file, in nbformat 4.
        name: how messages call it.
        module: that it may not name another one than.
        starter: files that lie beside it, which its cells may append to.

    Raises:
        SubmissionError: the notebook is damaged or another module's, or a file in it is refused.

    """
    notebook = _parsed(data, name)
    cells = list(_cells(notebook, name))
    course = _mapping(_mapping(notebook.get("metadata")).get("coursework"))
    named = course.get("module") if isinstance(course.get("module"), str) else None
    if module and named not in (None, module):
        raise SubmissionError(
            f"{name} answers {str(named)[:40]}, not {module}.",
            fix=f"hand in work/{module}/exercise.ipynb",
        )
    files = written_files((cell.source for cell in cells if cell.kind == "code"), starter)
    warnings = chain.from_iterable(unread(c.kind, c.source, n) for n, c in enumerate(cells, 1))
    return Submission(files, named, tuple(islice(warnings, _MOST_WARNINGS)))


def read_notebook(path: Path, starter: Mapping[str, bytes] = MappingProxyType({})) -> Submission:
    """Read the files out of a saved notebook; see `parse_notebook`."""
    return parse_notebook(_content(path), name=path.name, starter=starter)


def read_handed_in(path: Path) -> bytes:
    """Return the bytes of a file that somebody else put there: no link, no device, no pipe.

    Raises:
        SubmissionError: it is none of ours to read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return file.read(LIMIT_NOTEBOOK_BYTES + 1)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else str(error.strerror)
    else:
        why = "it is no file"
    raise SubmissionError(f"{path.name} cannot be read.", why=why, fix="hand in the notebook")


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LIMIT_NOTEBOOK_BYTES + 1)
    except OSError as error:
        raise SubmissionError(f"{path} cannot be read.", why=str(error.strerror)) from error
