"""A submission as nbgrader may keep and show it: built anew, nothing of the learner's but text.

Of each cell only the source is taken. Metadata, outputs and attachments are dropped, what is locked
is as it was released, and a learner's own prose becomes a block of plain text: feedback and
Formgrader draw Markdown with whatever HTML and script it holds.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import NotebookExporter

from coursework.report.lines import printable
from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import NotebookCell, read_notebook_cells
from coursework.trouble import CourseError

# It ships no types.
_FORMAT: Any = nbformat.v4
_SHOWN_CELLS = 300
_SHOWN_CHARACTERS = 20_000


class SubmittedNotebooks(NotebookExporter):
    """autograde's exporter: a submission is read by us, and what we wrote of it by nbconvert."""

    def from_filename(self, filename: str, resources: Any = None, **options: Any) -> Any:
        """Return a submission's text for the folder of graded ones; its content never fails this.

        Raises:
            CourseError: the module was not released.
        """
        converter: Any = self.parent
        if not converter._sanitizing:  # noqa: SLF001 - the one sign of autograde's two rounds
            return super().from_filename(filename, resources, **options)
        learner, slug = (resources["nbgrader"][name] for name in ("student", "assignment"))
        places = converter.coursedir
        notebook = Path(filename).name
        graded = Path(places.format_path(places.autograded_directory, learner, slug))
        _remove_copies(graded, notebook)
        released = Path(places.format_path(places.release_directory, ".", slug)) / notebook
        rebuilt = rebuild(Path(filename), _released(released, slug))
        return super().from_notebook_node(rebuilt, resources, **options)  # type: ignore[no-untyped-call]


def _remove_copies(folder: Path, notebook: str) -> None:
    """Take out what a learner handed in beside the notebook: nothing of it reaches feedback."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != notebook:
            path.unlink()


def _released(path: Path, slug: str) -> Any:
    try:
        return nbformat.reads(path.read_text("utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    except OSError as error:
        raise CourseError(
            f"{slug} was not released.",
            why=f"there is no {path}",
            fix=f"nbgrader generate_assignment {slug}",
        ) from error


def rebuild(path: Path, released: Any) -> Any:
    """Return a notebook that shows a submission.

    Args:
        path: what a learner handed in, in whatever state.
        released: what the learner began with; where the submission cannot be read, it is shown.
    """
    known = {_grade_id(cell): cell for cell in released.cells if _grade_id(cell)}
    try:
        submitted: Sequence[NotebookCell] = read_notebook_cells(path)
    except SubmissionError:
        submitted = [NotebookCell(c.cell_type, c.source, _grade_id(c)) for c in released.cells]
    notebook = _FORMAT.new_notebook(metadata={"kernelspec": released.metadata.kernelspec})
    notebook.cells = list(_cells(submitted, known))
    return notebook


def _grade_id(cell: Any) -> str:
    return str(cell.metadata.get("nbgrader", {}).get("grade_id", ""))


def _cells(submitted: Sequence[NotebookCell], known: dict[str, Any]) -> Iterator[Any]:
    left = dict(known)
    shown = 0
    for cell in submitted:
        released = left.pop(cell.grade_id, None)
        if released is not None:
            yield _known(released, cell.source)
        elif shown < _SHOWN_CELLS:
            shown += 1
            yield _own(cell, shown)
    # A grade is written into its cell: one that was deleted comes back.
    yield from (_known(c, c.source) for c in left.values() if c.metadata.nbgrader.grade)


def _known(released: Any, source: str) -> Any:
    marks = dict(released.metadata.nbgrader)
    text = _shown(source) if marks["solution"] else released.source
    new = _NEW[released.cell_type]
    return new(text, id=marks["grade_id"], metadata={"nbgrader": marks})


def _own(cell: NotebookCell, number: int) -> Any:
    text, name = _shown(cell.source), f"own-{number}"
    if cell.kind == "code":
        return _FORMAT.new_code_cell(text, id=name)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return _FORMAT.new_markdown_cell(f"{fence}\n{text}\n{fence}", id=name)


_NEW = {"code": _FORMAT.new_code_cell, "markdown": _FORMAT.new_markdown_cell}


def _shown(source: str) -> str:
    text = printable(source).encode(errors="replace").decode()
    more = len(text) - _SHOWN_CHARACTERS
    return f"{text[:_SHOWN_CHARACTERS]}\n… {more:,} more characters" if more > 0 else text
