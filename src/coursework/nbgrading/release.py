"""Steps of a release: solutions are taken out as `course build` does, and cells are recorded."""

from pathlib import Path
from typing import Any

from nbgrader.api import Comment, Grade, MissingEntry
from nbgrader.preprocessors import ClearSolutions, SaveCells

from coursework.authoring.solutions import without_solution
from coursework.authoring.source import Cell


class ClearFileSolutions(ClearSolutions):  # type: ignore[misc]
    """Leave a stub with the comment mark of the file that a cell writes.

    nbgrader's own knows one stub for each kernel, and would take the `%%writefile` line away.
    """

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> tuple[Any, Any]:
        """Return the cell as a learner gets it."""
        del index
        tags = tuple(cell.metadata.get("tags", ()))
        whole = Cell(cell.cell_type, cell.source, tags)
        # The starter files lie beside the source version of the notebook.
        beside = Path(resources["metadata"]["path"]) / (whole.file or "")
        starter = {whole.file: beside.read_bytes()} if whole.file and beside.is_file() else {}
        kept = without_solution(whole, starter)
        cell.source = kept.text
        if tags != kept.tags:
            cell.metadata["tags"] = list(kept.tags)
        return cell, resources


class SaveReleasedCells(SaveCells):  # type: ignore[misc]
    """Save a module's cells, also where submissions to it were written before its release.

    nbgrader refuses cells that its submissions lack: those get them here. `course grade` knows the
    checks alone, and a class that cloned the course may be graded before anything is released.
    A cell that is gone is refused as ever, since its points would be lost.
    """

    def _create_notebook(self, nb: Any) -> None:
        try:
            notebook = self.gradebook.find_notebook(self.notebook_id, self.assignment_id)
        except MissingEntry:
            notebook = None
        if notebook is not None and notebook.submissions:
            self._bring_up_to_date(notebook)
        super()._create_notebook(nb)

    def _bring_up_to_date(self, notebook: Any) -> None:
        place, book = (self.notebook_id, self.assignment_id), self.gradebook
        kinds = (
            (notebook.grade_cells, self.new_grade_cells, book.add_grade_cell, Grade),
            (notebook.solution_cells, self.new_solution_cells, book.add_solution_cell, Comment),
            (notebook.source_cells, self.new_source_cells, book.add_source_cell, None),
        )
        known = [{cell.name for cell in cells} for cells, *_ in kinds]
        if any(names - set(new) for names, (_, new, *_) in zip(known, kinds, strict=True)):
            return
        for names, (_, new, add, part) in zip(known, kinds, strict=True):
            for name, marks in new.items():
                if name in names:
                    continue
                cell = add(name, *place, **marks)
                if part:
                    ids = [s.id for s in notebook.submissions]
                    book.db.add_all(part(cell_id=cell.id, notebook_id=i) for i in ids)
        book.db.commit()
