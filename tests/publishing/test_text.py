"""Cells of a notebook as Markdown that cannot be misread."""

import markdown
import pytest

from coursework.authoring.outputs import Picture
from coursework.publishing.text import cell_markdown, fenced, spaced


def drawn(text):
    return markdown.markdown(text, extensions=["pymdownx.superfences", "tables"])


def shown(source, *outputs):
    return cell_markdown({"cell_type": "code", "source": source}, outputs)


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
    text = shown("print(1)", "1\n2\n")
    assert text.index("print(1)") < text.index("1\n2")
    assert text.count(".output") == 1


def test_an_error_shows_its_name_and_no_control_codes():
    assert "ValueError: no\n" in shown("f()", "ValueError: \x1b[31mno\x1b[0m\n")


def test_a_cell_that_printed_nothing_has_no_output():
    assert ".output" not in shown("x = 1", "\n")


def test_a_long_output_says_how_much_is_cut():
    text = shown("f()", "line\n" * 500)
    assert "more lines" in text
    assert text.count("line\n") < 200


def test_a_picture_is_shown():
    assert "data:image/png;base64,QUJD)" in shown("f()", Picture(b"ABC"))
    assert "(output-1-1.png)" in shown("f()", Picture(b"ABC", "output-1-1.png"))
