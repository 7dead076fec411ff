"""Cells of a notebook as Markdown that cannot be misread."""

import markdown
import pytest

from coursework.publishing.text import cell_markdown, fenced, spaced


def drawn(text):
    return markdown.markdown(text, extensions=["pymdownx.superfences", "tables"])


def code(source, *outputs):
    return {"cell_type": "code", "source": source, "outputs": list(outputs)}


def stream(text):
    return {"output_type": "stream", "name": "stdout", "text": text}


@pytest.mark.parametrize("text", ["plain", "```\n# no heading", "````", "<b>bold</b>", "{ .x }"])
def test_a_block_shows_its_text_whatever_it_holds(text):
    page = drawn(fenced(text, ".text"))
    assert "<h1" not in page
    assert "<b>" not in page
    assert page.count("<pre") == 1


def test_a_list_without_an_empty_line_becomes_one():
    assert drawn(spaced("Two things:\n- one\n- two")).count("<li>") == 2
    assert drawn(spaced("Steps:\n1. one\n2. two")).count("<li>") == 2


def test_lists_and_code_that_are_right_stay():
    for text in ("- one\n- two", "- one\n  more\n- two", "```\ntext\n- no list\n```", "a\n\n- b"):
        assert spaced(text) == text


def test_outputs_stand_below_their_cell_in_order():
    text = cell_markdown(code("print(1)", stream("1\n"), stream("2\n")))
    assert text.index("print(1)") < text.index("1\n2")
    assert text.count(".output") == 1


def test_an_error_shows_its_name_and_no_control_codes():
    error = {"output_type": "error", "ename": "ValueError", "evalue": "\x1b[31mno\x1b[0m"}
    assert "ValueError: no\n" in cell_markdown(code("f()", error))


def test_a_cell_that_printed_nothing_has_no_output():
    assert ".output" not in cell_markdown(code("x = 1", stream("\n")))


def test_a_long_output_says_how_much_is_cut():
    text = cell_markdown(code("f()", stream("line\n" * 500)))
    assert "more lines" in text
    assert text.count("line\n") < 200


def test_a_picture_is_shown():
    picture = {"output_type": "display_data", "data": {"image/png": "QUJD\n", "text/plain": "x"}}
    assert "data:image/png;base64,QUJD)" in cell_markdown(code("f()", picture))
