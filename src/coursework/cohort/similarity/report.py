"""What an instructor reads of similar files: a page with passages side by side, and a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice

from coursework.cohort.page import page
from coursework.cohort.similarity.pairs import (
    COMMON_FROM,
    COMMON_SHARE,
    LEAST_SHARE,
    Document,
    Pair,
    Pairs,
)
from coursework.cohort.similarity.passages import Excerpt, passages
from coursework.cohort.tables import table
from coursework.report.lines import printable

# More than anybody looks at; the table has them all.
MOST_PAIRS = 100
_MOST_PASSAGES = 40
_STYLE = """
body { max-width: 90em } .pair { table-layout: fixed; width: 100% } details { margin: 1em 0 }
summary { cursor: pointer } pre { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere }
.pair td { border-top: 1px solid #8888; font-size: 0.9em }"""


@dataclass(frozen=True)
class Similarity:
    """What was found in a class.

    Args:
        slug: of the module.
        learners: how many were compared.
        pairs: of their files.
        given: hashes of grams that the course gave.
        left_out: what wasn't compared, each with the reason.
    """

    slug: str
    learners: int
    pairs: Pairs
    given: frozenset[int]
    left_out: Sequence[str]


def similarity_table(pairs: Sequence[Pair]) -> str:
    """Return all pairs as CSV, most similar first."""
    head = ("similarity", "learner_a", "file_a", "percent_of_a", "learner_b", "file_b",
            "percent_of_b")  # fmt: skip
    rows = [
        (_percent(p.share), p.left.learner, p.left.name, _percent(p.left_share),
         p.right.learner, p.right.name, _percent(p.right_share))
        for p in pairs
    ]  # fmt: skip
    return table([head, *rows])


def similarity_page(found: Similarity) -> str:
    """Return the page of the most similar pairs; a learner's code is text in it."""
    shown = found.pairs.found[:MOST_PAIRS]
    left_out = found.given | found.pairs.common
    body = _introduction(found) + _list(shown) + _left_out(found.left_out)
    body += "".join(_pair(number, pair, left_out) for number, pair in enumerate(shown, 1))
    return page(f"{found.slug} · similar files", body, style=_STYLE)


def counted(pairs: Sequence[Pair]) -> str:
    """Return how many pairs there are, in words."""
    return f"{len(pairs)} pair{'s' * (len(pairs) != 1)}"


def _introduction(found: Similarity) -> str:
    count = len(found.pairs.found)
    told = (
        f"Files of {found.learners} learners were compared. Similar by {LEAST_SHARE:.0%} or more:"
        f" {counted(found.pairs.found)}."
    )
    if count > MOST_PAIRS:
        told += f" Here are the first {MOST_PAIRS}; the table beside this page has them all."
    common = (
        f" Neither does code that more than {COMMON_SHARE:.0%} of the class have."
        if found.learners >= COMMON_FROM
        else ""
    )
    return (
        f"<p>{told}</p><p><strong>Similar code is no proof of copying.</strong> Two learners may"
        " have learned together, followed the same tutorial or asked the same assistant, and a"
        " short task has few answers. Read both files, then talk to each learner alone, before you"
        " decide anything: ask what a passage does, and how they would change it.</p>"
        "<p>Names, texts, numbers, comments and spaces don't count. What the course gave"
        f" (given and starter files, the exercise and its lesson) doesn't count either.{common}</p>"
    )


def _list(pairs: Sequence[Pair]) -> str:
    if not pairs:
        return "<p>No pair is that similar.</p>"
    rows = "".join(
        f'<tr><td><a href="#pair-{number}">{_percent(pair.share)} %</a></td>'
        f"<td>{_whose(pair.left, pair.left_share)}</td>"
        f"<td>{_whose(pair.right, pair.right_share)}</td></tr>"
        for number, pair in enumerate(pairs, 1)
    )
    return f"<table><tr><th>similarity</th><th colspan=2>pair</th></tr>{rows}</table>"


def _left_out(lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{_text(line)}</li>" for line in lines)
    return f"<h2>Not compared</h2><ul>{items}</ul>"


def _pair(number: int, pair: Pair, left_out: frozenset[int]) -> str:
    both = passages(pair.left.text, pair.right.text, pair.left.language, left_out)
    rows = "".join(
        f"<tr>{_excerpt(left)}{_excerpt(right)}</tr>"
        for left, right in islice(both, _MOST_PASSAGES)
    )
    if len(both) > _MOST_PASSAGES:
        rows += f"<tr><td colspan=2>… and {len(both) - _MOST_PASSAGES} more passages</td></tr>"
    return (
        f'<details open id="pair-{number}"><summary>{_percent(pair.share)} %:'
        f" {_text(pair.left.learner)} and {_text(pair.right.learner)}</summary>"
        f'<table class="pair"><tr><th>{_whose(pair.left, pair.left_share)}</th>'
        f"<th>{_whose(pair.right, pair.right_share)}</th></tr>{rows}</table></details>"
    )


def _whose(document: Document, share: float) -> str:
    name = f"{document.learner}, {document.name}"
    return f"{_text(name)}: {_percent(share)} % of it"


def _excerpt(excerpt: Excerpt) -> str:
    where = f"line {excerpt.first}"
    if excerpt.last > excerpt.first:
        where = f"lines {excerpt.first} to {excerpt.last}"
    return f"<td>{where}<pre>{_text(excerpt.text)}</pre></td>"


def _percent(share: float) -> int:
    # 100 is for all of it.
    return int(share * 100)


def _text(text: str) -> str:
    return escape(printable(text))
