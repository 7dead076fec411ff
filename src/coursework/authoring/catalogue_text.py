"""The catalogue as the text that people write: a new entry leaves every other line as it is."""

import itertools
import re

_ENTRY = re.compile(r"^\[\[module\]\]", re.MULTILINE)
_SLUG = re.compile(r'^slug = "(\d\d)-', re.MULTILINE)


def with_entry(text: str, entry: str, number: str) -> str:
    """Return the catalogue's text with an entry before the first one of a greater number.

    Args:
        text: of the catalogue.
        entry: begins with [[module]].
        number: two digits.
    """
    text = text.rstrip("\n") + "\n"
    starts = [match.start() for match in _ENTRY.finditer(text)]
    for start, end in itertools.pairwise([*starts, len(text)]):
        slug = _SLUG.search(text, start, end)
        if slug and slug[1] > number:
            place = _with_comments_above(text, start)
            return f"{text[:place]}{entry.strip()}\n\n{text[place:]}"
    return f"{text}\n{entry.strip()}\n"


def _with_comments_above(text: str, start: int) -> int:
    """Return where the comment lines right above an entry begin."""
    while start > 0:
        previous = text.rfind("\n", 0, start - 1) + 1
        if not text[previous:start].startswith("#"):
            break
        start = previous
    return start
