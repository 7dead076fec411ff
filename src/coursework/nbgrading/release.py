"""Taking solutions out of a source version as `course build` does."""

from typing import Any

from nbgrader.preprocessors import ClearSolutions

from coursework.authoring.solutions import without_solution
from coursework.authoring.source import Cell


class ClearFileSolutions(ClearSolutions):  # type: ignore[misc]
    """Leave a stub with the comment mark of the file that a cell writes.

    nbgrader's own knows one stub for each kernel, and would take the `%%writefile` line away.
    """

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> tuple[Any, Any]:
        """Give the cell as a learner gets it."""
        del index
        tags = tuple(cell.metadata.get("tags", ()))
        kept = without_solution(Cell(cell.cell_type, cell.source, tags))
        cell.source = kept.text
        if tags != kept.tags:
            cell.metadata["tags"] = list(kept.tags)
        return cell, resources
