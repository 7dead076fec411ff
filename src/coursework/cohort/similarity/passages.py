"""What is the same in two files, passage by passage."""

from collections.abc import Container
from dataclasses import dataclass

from coursework.cohort.similarity.fingerprint import LENGTH, Sign, grams_of, signs_of


@dataclass(frozen=True)
class Excerpt:
    """Whole lines of a file.

    Args:
        first: number of the first line, from 1.
        text: the lines.
    """

    first: int
    text: str

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self.first + self.text.count("\n")


@dataclass(frozen=True)
class _Run:
    """So many grams that are equal one by one, from here on in the one and the other file."""

    left: int
    right: int
    grams: int


def passages(
    left: str, right: str, language: str, left_out: frozenset[int]
) -> list[tuple[Excerpt, Excerpt]]:
    """Return the passages that two files share, in the left one's order.

    Args:
        left: a file's text.
        right: the other one's.
        language: of both.
        left_out: hashes of grams that don't count.
    """
    signs = signs_of(left, language), signs_of(right, language)
    runs = _runs(grams_of(signs[0]), grams_of(signs[1]), left_out)
    return [
        (
            _excerpt(left, signs[0][run.left : run.left + run.grams + LENGTH - 1]),
            _excerpt(right, signs[1][run.right : run.right + run.grams + LENGTH - 1]),
        )
        for run in runs
    ]


def _runs(left: list[int], right: list[int], left_out: frozenset[int]) -> list[_Run]:
    places: dict[int, list[int]] = {}
    for place, gram in enumerate(right):
        if gram not in left_out:
            places.setdefault(gram, []).append(place)
    runs, at = list[_Run](), 0
    while at < len(left):
        if left[at] not in places:
            at += 1
            continue
        begin = places[left[at]][0]
        grams = _equal(left[at:], right[begin:], places)
        runs.append(_Run(at, begin, grams))
        # The last gram reaches further than its beginning, and nothing is shown twice.
        at += grams + LENGTH - 1
    return runs


def _equal(left: list[int], right: list[int], counted: Container[int]) -> int:
    """Return how many grams are equal from the first on, up to the last of them that counts."""
    grams = 1
    for number, (one, other) in enumerate(zip(left, right, strict=False), 1):
        if one != other:
            break
        # Given code within a passage is shown with it.
        if one in counted:
            grams = number
    return grams


def _excerpt(text: str, signs: list[Sign]) -> Excerpt:
    begin = text.rfind("\n", 0, signs[0].start) + 1
    end = text.find("\n", signs[-1].end)
    return Excerpt(text.count("\n", 0, begin) + 1, text[begin : end if end >= 0 else len(text)])
