"""Submissions are read without being run, whatever they hold."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coursework.submissions.files import LIMIT_FILE_BYTES, LIMIT_FILES, SubmissionError
from coursework.submissions.notebook import parse_notebook, read_notebook, written_files


def code(source, **nbgrader):
    return {"cell_type": "code", "source": source, "metadata": {"nbgrader": nbgrader}}


def notebook(*cells, **changes):
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": list(cells), **changes}
    return json.dumps(content).encode()


def check_cell(name):
    return code(f'check("{name}")', grade=True, grade_id=f"check-{name.replace('_', '-')}")


def test_writefile_cells_are_the_files():
    """Each %%writefile cell is a file; other cells are none."""
    data = notebook(
        code("print('never run')"),
        code("%%writefile server.js\nlisten()\n"),
        code(["%%writefile lib/a.py\n", "x = 1"]),
        {"cell_type": "markdown", "source": "%%writefile no.txt\nno", "metadata": {}},
    )
    assert parse_notebook(data).files == {"server.js": b"listen()\n", "lib/a.py": b"x = 1\n"}


def test_a_later_cell_wins_and_append_adds():
    """A second cell of one name replaces the file; -a appends to it."""
    sources = ["%%writefile a\n1", "%%writefile a\n2", "%%writefile -a a\n3", "%%writefile -a b\n4"]
    assert written_files(sources) == {"a": b"2\n3\n", "b": b"4\n"}


def test_the_content_is_what_the_kernel_would_write(tmp_path):
    """The static reading equals what IPython itself writes."""
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    bodies = ["x", "x\n", "x\n\n", "\nx", "  indented\n\ttab", "žluťoučký 🎭"]
    for body in bodies:
        target = tmp_path / "file.txt"
        shell.run_cell(f"%%writefile {target}\n{body}")
        static = written_files([f"%%writefile file.txt\n{body}"])
        assert static["file.txt"] == target.read_bytes(), repr(body)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/etc/passwd", "absolute"),
        ("C:/x", "absolute"),
        ("../solution.md", "leaves the folder"),
        ("a/../../b", "leaves the folder"),
        ("a\\b", "backslash"),
        ("~/x", "expanded"),
        ("{name}.js", "expanded"),
        ("$HOME/x", "expanded"),
        ("x" * 300, "longer than"),
        (".", "empty"),
    ],
)
def test_a_path_outside_the_folder_is_refused(path, reason):
    """Paths that leave the folder, or that a kernel would expand, are refused with the reason."""
    with pytest.raises(SubmissionError, match="refused") as error:
        written_files([f"%%writefile '{path}'\nx"])
    assert reason in error.value.why


def test_a_magic_without_a_name_is_refused():
    """%%writefile without a name, or with several, says how to write it."""
    for arguments in ("", " -a", " a b", " 'a"):
        with pytest.raises(SubmissionError, match="refused"):
            written_files([f"%%writefile{arguments}\nx"])


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ([f"%%writefile f{i}\nx" for i in range(LIMIT_FILES + 1)], "files; at most"),
        (["%%writefile f\n" + "x" * LIMIT_FILE_BYTES], "bytes; at most"),
        ([f"%%writefile f{i}\n" + "x" * 999_000 for i in range(6)], "all files have"),
        (["%%writefile a\nx", "%%writefile a/b\nx"], "a file and a folder"),
        (["%%writefile a/b\nx", "%%writefile a\nx"], "a file and a folder"),
    ],
)
def test_too_much_is_refused(sources, reason):
    """Too many files, too large ones, too much in all: refused with the number."""
    with pytest.raises(SubmissionError) as error:
        written_files(sources)
    assert reason in error.value.why


@pytest.mark.parametrize("junk", ["\0", "\ud800"])
def test_binary_junk_is_refused(junk):
    """What is no text is refused."""
    with pytest.raises(SubmissionError, match="not text"):
        written_files([f"%%writefile f\n{junk}"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no notebook"),
        (notebook(nbformat=3), "format 3"),
        (notebook(), "no cells"),
        (notebook(cells={"a": 1}), "no cells"),
        (notebook("text"), "cell 1 is damaged"),
        (notebook({"cell_type": "code", "source": 7}), "cell 1 is damaged"),
    ],
)
def test_a_damaged_notebook_is_a_clear_message(data, message):
    """Each kind of damage has its own words, and what to do."""
    with pytest.raises(SubmissionError, match=message) as error:
        parse_notebook(data)
    assert error.value.fix


SERVER = code("%%writefile server.js\nlisten()\n")
QUICK = check_cell("quick_start")


@pytest.mark.parametrize(
    "cells",
    [
        [SERVER],
        [SERVER, QUICK, QUICK],
        [SERVER, code('check("quick_'), code('start")')],
        [SERVER, {**QUICK, "metadata": {}}],
        [{**SERVER, "metadata": []}],
    ],
    ids=["deleted", "copied", "split", "without metadata", "odd metadata"],
)
def test_check_cells_are_not_needed(cells):
    """Right files are read, however an editor left the check cells."""
    assert parse_notebook(notebook(*cells)).files == {"server.js": b"listen()\n"}


def test_a_cell_may_append_to_a_starter_file():
    """The kernel appends to the file that lies beside the notebook, and so do we."""
    data = notebook(code("%%writefile -a Dockerfile\nUSER node"))
    assert parse_notebook(data, starter={"Dockerfile": b"FROM node\n", "x": b""}).files == {
        "Dockerfile": b"FROM node\nUSER node\n"
    }


def test_what_looks_like_a_file_is_named_once_a_cell():
    """Each such cell is a warning with its number; there are at most twenty."""
    comment = code("# mine\n%%writefile a.js\nx")
    (warning,) = parse_notebook(notebook(SERVER, comment)).warnings
    assert warning.startswith("cell 2 has %%writefile a.js in line 2")
    assert len(parse_notebook(notebook(*[comment] * 50)).warnings) == 20


def test_the_notebook_names_its_module():
    """The module stands in the notebook's metadata; odd metadata is none."""
    named = notebook(code("x"), metadata={"coursework": {"module": "02-first-server"}})
    assert parse_notebook(named).module == "02-first-server"
    assert parse_notebook(notebook(code("x"), metadata=[1])).module is None


def test_a_notebook_that_is_not_there_is_said(tmp_path):
    """A missing file is a message, not a traceback."""
    with pytest.raises(SubmissionError, match="cannot be read"):
        read_notebook(tmp_path / "none.ipynb")


def test_a_notebook_of_another_module_says_which():
    """It is told before anything else is compared; one that names none is taken."""
    data = notebook(code("x"), metadata={"coursework": {"module": "06-databases"}})
    with pytest.raises(SubmissionError, match="answers 06-databases, not 02-first-server"):
        parse_notebook(data, module="02-first-server")
    assert parse_notebook(notebook(code("x")), module="02-first-server").module is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
cells = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "cell_type": st.sampled_from(["code", "markdown", "raw"]) | json_values,
            "source": st.text().map("%%writefile ".__add__) | st.lists(st.text()) | json_values,
            "metadata": json_values,
        },
    ),
    max_size=5,
)


@given(data=st.binary() | json_values.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_read_or_refused(data):
    """Whatever the bytes, the end is a submission or a SubmissionError."""
    try:
        parse_notebook(data)
    except SubmissionError as error:
        assert str(error)  # noqa: PT017 - either end is right here


@given(cells=cells, metadata=json_values)
def test_any_notebook_is_read_or_refused(cells, metadata):
    """Whatever stands in a notebook, files stay inside their folder."""
    data = json.dumps({"nbformat": 4, "cells": cells, "metadata": metadata}).encode()
    try:
        files = parse_notebook(data).files
    except SubmissionError:
        return
    for name in files:
        assert not name.startswith("/")
        assert ".." not in name.split("/")


@given(path=st.text(), body=st.text())
def test_any_path_and_body_are_read_or_refused(path, body):
    """Whatever a cell names and holds, nothing leads out of the folder."""
    try:
        files = written_files([f"%%writefile {path}\n{body}"])
    except SubmissionError:
        return
    for name in files:
        folder = Path("/base/folder")
        assert (folder / name).resolve().is_relative_to(folder)
