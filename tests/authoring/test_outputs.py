"""What a lesson's cells showed is kept as it was printed, and is as old as the lesson's code."""

import base64
import json
import os

import pytest

from coursework.authoring.outputs import (
    OUTPUTS,
    Picture,
    cells_digest,
    output_files,
    read_outputs,
    shown_in,
    write_outputs,
)
from coursework.authoring.source import Cell, read_cells
from tests.authoring.conftest import ALPHA, edit

SMALL, LARGE = b"\x89PNG small", os.urandom(100_001)


def notebook(*cells):
    """Return a notebook that ran, one code cell for each list of outputs."""
    text = {"cell_type": "markdown", "source": "# Words"}
    code = [{"cell_type": "code", "source": "f()", "outputs": list(outputs)} for outputs in cells]
    return json.dumps({"cells": [text, *code]}).encode()


def stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


def picture(data):
    text = base64.b64encode(data).decode()
    return {"output_type": "display_data", "data": {"image/png": text, "text/plain": "<Figure>"}}


def kept(layout, *shown):
    cells = [Cell("code", f"f({n})") for n in range(len(shown))]
    write_outputs(layout, ALPHA, cells, shown)
    return read_outputs(layout, ALPHA)


def test_outputs_of_a_cell_are_one_text_in_their_order():
    """Standard output and error are told apart by nobody who reads a page."""
    assert shown_in(notebook([stream("1\n"), stream("2\n")], [])) == (("1\n2\n",), ())


def test_a_picture_stands_between_what_was_printed_before_and_after():
    """A result with a picture is that picture, not its words."""
    shown = shown_in(notebook([stream("a"), picture(SMALL), stream("b")]))
    assert shown == (("a", Picture(SMALL), "b"),)


def test_an_error_is_its_name_and_message():
    """Its traceback names folders of this machine."""
    error = {"output_type": "error", "ename": "ValueError", "evalue": "\x1b[31mno\x1b[0m",
             "traceback": ["/home/somebody/x.py"]}  # fmt: skip
    assert shown_in(notebook([error])) == (("ValueError: no\n",),)


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("\x1b[1;32mgreen\x1b[0m", "green"),
        ("10 %\r50 %\r100 %\n", "100 %\n"),
        ("a line of HTTP\r\n", "a line of HTTP\n"),
        ("ćao 🎭\ttab", "ćao 🎭\ttab"),
    ],
)
def test_a_text_is_kept_as_a_terminal_leaves_it(printed, seen):
    """No colours, no progress bars; letters of all alphabets."""
    assert shown_in(notebook([stream(printed)])) == ((seen,),)


def test_what_is_kept_is_read_again(clone):
    """Texts with empty lines and quotes, nothing, pictures small and large."""
    shown = (('one\n\n"two"\n',), (), (Picture(SMALL), "x"), (Picture(LARGE),))
    outputs = kept(clone, *shown)
    assert outputs.cells[:3] == shown[:3]
    assert outputs.cells[3] == (Picture(LARGE, "output-4-1.png"),)
    assert output_files(clone, ALPHA) == {OUTPUTS, "output-4-1.png"}


def test_only_a_large_picture_is_a_file_and_it_goes_with_its_cell(clone):
    """Nothing stays beside the lesson that its outputs do not name."""
    folder = clone.lesson(ALPHA).parent
    kept(clone, (Picture(LARGE),))
    assert {p.name for p in folder.glob("*.png")} == {"output-1-1.png"}
    kept(clone, (Picture(SMALL),))
    assert list(folder.glob("*.png")) == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"code": "x", "cells": [{"outputs": [{"file": "../../secret"}]}]}']
)
def test_outputs_that_cannot_be_read_are_none(clone, text):
    """A file that a merge has torn is recorded again; a path leads nowhere else."""
    (clone.lesson(ALPHA).parent / OUTPUTS).write_text(text, "utf-8")
    assert read_outputs(clone, ALPHA) is None


def test_prose_changes_nothing_and_code_does(clone):
    """Headings too: they give cells their ids, and outputs do not hang on those."""
    lesson = f"course/{ALPHA}/lesson.md"
    before = cells_digest(read_cells(clone.lesson(ALPHA)))
    edit(clone, lesson, "Say what was seen", "Tell what was seen")
    edit(clone, lesson, "## A value", "## Some value")
    assert cells_digest(read_cells(clone.lesson(ALPHA))) == before
    edit(clone, lesson, "GREETING=hello", "GREETING=goodbye")
    assert cells_digest(read_cells(clone.lesson(ALPHA))) != before


def test_a_tag_is_code():
    """It decides whether a cell may fail."""
    cell = Cell("code", "f()")
    assert cells_digest([cell]) != cells_digest([Cell("code", "f()", ("raises-exception",))])
