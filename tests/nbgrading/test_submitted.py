"""What nbgrader keeps of a submission has each check's cell once, however an editor left it."""

import json

import nbformat
import pytest

from coursework.authoring.derive import derive_exercise
from coursework.layout import Layout
from coursework.nbgrading.submitted import rebuild
from tests.grading.test_grade import TINY

RELEASED = derive_exercise(Layout(TINY.root), "90-tiny")["exercise.ipynb"]


def mangled(how):
    """Return the released notebook, its check cells as an editor may leave them."""
    notebook = json.loads(RELEASED)
    checks = [c for c in notebook["cells"] if c["metadata"].get("nbgrader", {}).get("grade")]
    if how == "deleted":
        notebook["cells"] = [c for c in notebook["cells"] if c not in checks]
    if how == "copied":
        notebook["cells"] += checks
    if how == "split":
        notebook["cells"] += [{**c, "metadata": {}, "source": "greets)"} for c in checks]
    if how == "without metadata":
        notebook["metadata"] = {}
        for cell in notebook["cells"]:
            cell["metadata"] = {}
    return notebook


@pytest.mark.parametrize("how", ["as released", "deleted", "copied", "split", "without metadata"])
def test_each_check_has_its_cell_once(tmp_path, how):
    """Points are written into these cells: one that is missing comes back, a copy has none."""
    (tmp_path / "exercise.ipynb").write_text(json.dumps(mangled(how)), "utf-8")
    released = nbformat.reads(RELEASED.decode(), as_version=4)
    shown = rebuild(tmp_path / "exercise.ipynb", released)
    nbformat.validate(shown)

    def graded(notebook):
        marks = [c.metadata.get("nbgrader", {}) for c in notebook.cells]
        return sorted((m["grade_id"], m["points"]) for m in marks if m.get("grade"))

    assert graded(shown) == graded(released)
    assert len(graded(shown)) == 5
