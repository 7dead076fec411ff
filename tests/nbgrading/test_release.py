"""What nbgrader's release leaves of a cell with a solution."""

from nbformat.v4 import new_code_cell

from coursework.nbgrading.release import ClearFileSolutions

CELL = "%%writefile server.js\n// BEGIN SOLUTION\nrepaired();\n// END SOLUTION"


def test_a_file_to_repair_begins_as_the_starter_file(tmp_path):
    """The starter files lie beside the source version; without one, a comment is left."""
    resources = {"metadata": {"path": str(tmp_path)}}
    clear = ClearFileSolutions()
    cleared, _ = clear.preprocess_cell(new_code_cell(CELL), resources, 0)
    assert cleared.source == "%%writefile server.js\n// YOUR CODE HERE"
    (tmp_path / "server.js").write_text("broken();\n", "utf-8")
    cleared, _ = clear.preprocess_cell(new_code_cell(CELL), resources, 0)
    assert cleared.source == "%%writefile server.js\nbroken();"
