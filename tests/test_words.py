"""A text is cut between words, and its end is marked."""

import pytest

from coursework.words import shortened


@pytest.mark.parametrize(
    ("text", "limit", "cut"),
    [
        ("it is refused", 13, "it is refused"),
        ("it is refused", 12, "it is …"),
        ("it is refused", 5, "it is …"),
        ("it is refused", 6, "it is …"),
        ("refused", 3, "ref …"),
        ("", 3, ""),
    ],
)
def test_a_text_is_cut_between_words(text, limit, cut):
    """One word that is longer than the limit is cut all the same."""
    assert shortened(text, limit) == cut
