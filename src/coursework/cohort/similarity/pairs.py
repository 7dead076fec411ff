"""Pairs of learners' files that share more than the task explains."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from coursework.cohort.similarity.fingerprint import (
    grams_of,
    language_of,
    prints_of,
    signs_of,
)

# A copy with other names has nearly all. The right answers in graders/ share less than 0.3, but
# for one that was made from another; a class, which read the same lesson, is more alike.
LEAST_SHARE = 0.5
# About eight lines: the whole of a shorter file may be the same by chance.
LEAST_SHARED = 15
# Code that most of a class has is what the task asks for; in a small class it may be a copy.
COMMON_SHARE = 0.5
COMMON_FROM = 10


@dataclass(frozen=True)
class Document:
    """One learner's file.

    Args:
        learner: whose it is.
        name: of the file.
        language: files of the same are compared.
        text: its content.
        prints: the fingerprints that count.
    """

    learner: str
    name: str
    language: str
    text: str
    prints: frozenset[int]

    @classmethod
    def of(cls, learner: str, name: str, text: str, left_out: frozenset[int]) -> "Document":
        """Return a file with its fingerprints, but for those that the course gave."""
        language = language_of(name, text)
        prints = prints_of(grams_of(signs_of(text, language)))
        return cls(learner, name, language, text, prints - left_out)


@dataclass(frozen=True)
class Pair:
    """Two learners' files.

    Args:
        left: the file of the one.
        right: the file of the other.
        shared: how many fingerprints are in both.
    """

    left: Document
    right: Document
    shared: int

    @property
    def left_share(self) -> float:
        """How much of the left file is in the right one, of 1."""
        return self.shared / len(self.left.prints)

    @property
    def right_share(self) -> float:
        """How much of the right file is in the left one, of 1."""
        return self.shared / len(self.right.prints)

    @property
    def share(self) -> float:
        """The greater of both: a copy may have got additions."""
        return max(self.left_share, self.right_share)


@dataclass(frozen=True)
class Pairs:
    """What was found.

    Args:
        found: most similar first.
        common: fingerprints that most of the class have, which were left out.
    """

    found: list[Pair]
    common: frozenset[int]


def given_grams(files: Iterable[tuple[str, str]]) -> frozenset[int]:
    """Return the hashes of all grams of files that the course gave, by name and text."""
    return frozenset(
        gram for name, text in files for gram in grams_of(signs_of(text, language_of(name, text)))
    )


def find_pairs(documents: Sequence[Document], on_file: Callable[[], None] = lambda: None) -> Pairs:
    """Compare all learners' files of the same language.

    Args:
        documents: of a class.
        on_file: is called for each file, before it is compared with the later ones.
    """
    common = _common(documents)
    of_language: dict[str, list[Document]] = {}
    for document in documents:
        if len(prints := document.prints - common) >= LEAST_SHARED:
            own = replace(document, prints=prints)
            of_language.setdefault(document.language, []).append(own)
    found = [pair for alike in of_language.values() for pair in _compared(alike, on_file)]
    found.sort(key=lambda p: (-p.share, -p.shared, p.left.learner, p.right.learner))
    return Pairs(found, common)


def _compared(alike: Sequence[Document], on_file: Callable[[], None]) -> Iterator[Pair]:
    for number, left in enumerate(alike):
        on_file()
        for right in alike[number + 1 :]:
            shared = len(left.prints & right.prints)
            if shared >= LEAST_SHARED and left.learner != right.learner:
                pair = Pair(left, right, shared)
                if pair.share >= LEAST_SHARE:
                    yield pair


def _common(documents: Sequence[Document]) -> frozenset[int]:
    of_learner: dict[str, set[int]] = {}
    for document in documents:
        of_learner.setdefault(document.learner, set()).update(document.prints)
    if len(of_learner) < COMMON_FROM:
        return frozenset()
    learners = Counter(p for prints in of_learner.values() for p in prints)
    return frozenset(p for p, n in learners.items() if n > COMMON_SHARE * len(of_learner))
