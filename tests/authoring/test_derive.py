"""Exercises are derived to the byte, and hand out nothing of the solution."""

import json

import pytest

from coursework.authoring.derive import derive_exercise, derive_lesson
from coursework.authoring.source import SourceError
from tests.authoring.conftest import ALPHA, edit

HEAD = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Exercise

```{code-cell} python
from coursework.notebook import check, hint
```

"""
CLOSING = '```{code-cell} python\ncheck("greets")\n```\n\n```{code-cell} python\ncheck()\n```\n'


def writes(clone, *cells):
    """Return the exercise these cells; derive it and give its notebook."""
    text = "".join(f"```{{code-cell}} python\n{cell}\n```\n\n" for cell in cells)
    clone.solution(ALPHA).write_text(HEAD + text + CLOSING, "utf-8")
    return json.loads(derive_exercise(clone, ALPHA)["exercise.ipynb"])


def refused(clone, *cells):
    """Return what the derivation refuses these cells with."""
    with pytest.raises(SourceError) as error:
        writes(clone, *cells)
    return str(error.value)


def cells_by_id(notebook):
    return {cell["id"]: cell for cell in notebook["cells"]}


def test_two_derivations_are_equal_to_the_byte(clone, laid_out):
    """The same source gives the same files, wherever the clone lies."""
    assert derive_exercise(clone, ALPHA) == derive_exercise(laid_out, ALPHA)
    assert derive_lesson(clone, ALPHA) == derive_lesson(laid_out, ALPHA)


def test_line_ends_of_another_system_change_nothing(clone):
    """A source that was checked out with CRLF derives to the same bytes."""
    before = derive_exercise(clone, ALPHA)
    path = clone.solution(ALPHA)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert derive_exercise(clone, ALPHA)["exercise.ipynb"] == before["exercise.ipynb"]


def test_a_new_cell_changes_no_other_cells_id(clone):
    """Cells are graded by their ids: text added above leaves them as they are."""
    before = cells_by_id(json.loads(derive_exercise(clone, ALPHA)["exercise.ipynb"]))
    edit(
        clone,
        f"solutions/{ALPHA}/exercise.md",
        "## The contract",
        "## News\n\nA.\n\n## The contract",
    )
    after = cells_by_id(json.loads(derive_exercise(clone, ALPHA)["exercise.ipynb"]))
    assert set(before) < set(after) | {"the-contract"}
    assert {"import-check", "write-server-py", "check-greets", "check-all"} <= set(after)


def test_each_kind_of_cell_carries_its_nbgrader_marks(clone):
    """Solutions are the learner's, checks are graded and locked, all else is locked."""
    cells = cells_by_id(json.loads(derive_exercise(clone, ALPHA)["exercise.ipynb"]))
    marks = {name: cell["metadata"]["nbgrader"] for name, cell in cells.items()}
    assert marks["check-greets"] == {
        "grade": True, "grade_id": "check-greets", "locked": True, "points": 10,
        "schema_version": 3, "solution": False, "task": False,
    }  # fmt: skip
    assert marks["write-server-py"]["solution"] is True
    assert marks["write-server-py"]["locked"] is False
    assert "points" not in marks["check-all"]
    assert cells["check-all"]["metadata"]["editable"] is False
    assert cells["write-server-py"]["metadata"].get("editable", True) is True


@pytest.mark.parametrize(
    ("file", "mark", "stub"),
    [
        ("server.js", "//", "    // YOUR CODE HERE"),
        ("server.py", "#", "    # YOUR CODE HERE"),
        ("Dockerfile", "#", "    # YOUR CODE HERE"),
        ("compose.yaml", "#", "    # YOUR CODE HERE"),
        ("schema.sql", "--", "    -- YOUR CODE HERE"),
        ("pgbouncer.ini", ";", "    ; YOUR CODE HERE"),
        ("index.html", "<!--", "    <!-- YOUR CODE HERE -->"),
    ],
)
def test_a_solution_becomes_one_comment_of_its_language(clone, file, mark, stub):
    """What stands around the marks stays; the stub is indented like the mark."""
    solution = f"    {mark} BEGIN SOLUTION\n    secret\n    {mark} END SOLUTION"
    cell = f"%%writefile {file}\nbefore\n{solution}\nafter"
    written = cells_by_id(writes(clone, cell))[f"write-{file.lower().replace('.', '-')}"]
    assert "".join(written["source"]) == f"%%writefile {file}\nbefore\n{stub}\nafter"


@pytest.mark.parametrize(
    ("first", "stub"),
    [
        ("#!/usr/bin/env node", "// YOUR CODE HERE"),
        ("#!/usr/bin/env python3", "# YOUR CODE HERE"),
        ("#!/bin/sh", "# YOUR CODE HERE"),
    ],
)
def test_a_program_without_ending_names_its_language_in_its_first_line(clone, first, stub):
    """The line stays, since it makes the file a program, and says how a comment is written."""
    mark = stub.split()[0]
    body = f"{first}\n{mark} BEGIN SOLUTION\nsecret\n{mark} END SOLUTION"
    written = cells_by_id(writes(clone, f"%%writefile migrate\n{body}"))["write-migrate"]
    assert "".join(written["source"]) == f"%%writefile migrate\n{first}\n{stub}"


def test_a_file_to_repair_begins_as_the_starter_file(clone):
    """What both have in common gives nothing away; what only the solution has is refused."""
    shared = "app.get('/api/shows', listShows);"
    repaired = "app.use(answerEveryFailure);"
    clone.starter(ALPHA).mkdir(exist_ok=True)
    (clone.starter(ALPHA) / "server.js").write_text(f"{shared}\n", "utf-8")
    cell = f"%%writefile server.js\n// BEGIN SOLUTION\n{shared}\n{repaired}\n// END SOLUTION"
    written = cells_by_id(writes(clone, cell))["write-server-js"]
    assert "".join(written["source"]) == f"%%writefile server.js\n{shared}"
    assert repaired in refused(clone, cell, f"print()\n{repaired}")


def test_a_file_without_comments_is_emptied(clone):
    """A JSON file stays valid; the tag that asked for it is not handed out."""
    cell = ':tags: [solution]\n\n%%writefile package.json\n{"dependencies": {"express": "5"}}'
    written = cells_by_id(writes(clone, cell))["write-package-json"]
    assert "".join(written["source"]) == "%%writefile package.json\n{}"
    assert "tags" not in written["metadata"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("# BEGIN SOLUTION\nsecret", "server.py: BEGIN SOLUTION without END SOLUTION"),
        ("secret\n# END SOLUTION", "server.py, line 2: '# END SOLUTION' has no partner"),
        ("# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION", "line 2: '# BEGIN SOLUTION' has no"),
    ],
)
def test_marks_that_do_not_pair_are_named(clone, body, message):
    """With file and line: an author sees where."""
    assert message in refused(clone, f"%%writefile server.py\n{body}")


def test_a_solution_outside_a_file_is_refused(clone):
    """Marks in a cell that writes nothing would hand the solution out."""
    assert "writes no file" in refused(clone, "# BEGIN SOLUTION\nsecret\n# END SOLUTION")


def test_a_marked_solution_in_json_is_refused(clone):
    """JSON has no comments: the tag is what to use."""
    cell = '%%writefile a.json\n// BEGIN SOLUTION\n{"a": 1}\n// END SOLUTION'
    assert "tag its cell" in refused(clone, cell)


def test_a_line_of_the_solution_elsewhere_is_refused(clone):
    """In another cell or in a file that is handed out: the line and its place are named."""
    line = "answer = compute_the_whole_secret(value)"
    solution = f"%%writefile server.py\n# BEGIN SOLUTION\n{line}\n# END SOLUTION"
    assert line in refused(clone, solution, f"%%writefile test.py\n{line}")
    (clone.starter(ALPHA) / "notes.txt").write_text(f"  {line}\n", "utf-8")
    assert "notes.txt" in refused(clone, solution)


def test_a_file_in_starter_and_given_is_refused(clone):
    """Nobody would ever see the one in starter/."""
    clone.given(ALPHA).mkdir()
    (clone.given(ALPHA) / "Dockerfile").write_text("FROM scratch\n", "utf-8")
    with pytest.raises(SourceError, match="Dockerfile is in starter/ and in given/"):
        derive_exercise(clone, ALPHA)


def test_a_cell_that_writes_a_given_file_is_refused(clone):
    """The given file would be laid over what the learner wrote."""
    clone.given(ALPHA).mkdir()
    (clone.given(ALPHA) / "server.py").write_text("", "utf-8")
    with pytest.raises(SourceError, match=r"a cell writes server.py, which is in given/"):
        derive_exercise(clone, ALPHA)


def test_a_check_that_is_not_there_is_refused(clone):
    """A cell that calls it would always fail."""
    edit(clone, f"solutions/{ALPHA}/exercise.md", 'check("greets")', 'check("greats")')
    with pytest.raises(SourceError, match='calls check\\("greats"\\)'):
        derive_exercise(clone, ALPHA)
