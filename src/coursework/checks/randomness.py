"""Values that nobody can type in beforehand: random in each run, and never zero, empty or equal."""

import random as generators
from collections.abc import Sequence
from typing import TypeVar

import pytest

from coursework.checks.run import CheckRun

Item = TypeVar("Item")

_CONSONANTS = "bdfgklmnprstvz"
_VOWELS = "aeiou"
_BEYOND_ASCII = "жшщюяěčśłéñß🎭🎟🌍🦉"


class Random:
    """A seeded source of values; the report names the seed, so that a run can be repeated."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = generators.Random(seed)  # noqa: S311 - for tests' values, not for secrets
        self._given: set[str] = set()

    def word(self) -> str:
        """Return a lower-case ASCII word of six letters, a new one each time."""
        while True:
            pairs = (self._random.choice(_CONSONANTS) + self._random.choice(_VOWELS)
                     for _ in range(3))  # fmt: skip
            word = "".join(pairs)
            if word not in self._given:
                self._given.add(word)
                return word

    def words(self, count: int) -> list[str]:
        """Return that many different words."""
        return [self.word() for _ in range(count)]

    def text(self, letters: int = 12) -> str:
        """Return text with letters beyond ASCII; each takes two to four bytes in UTF-8."""
        return "".join(self._random.choice(_BEYOND_ASCII) for _ in range(letters))

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return self._random.randint(low, high)

    def port(self) -> int:
        """Return a port that no server uses by habit."""
        return self._random.randint(20_000, 29_999)

    def bytes(self, count: int) -> bytes:
        """Return that many random bytes."""
        return self._random.randbytes(count)

    def hex(self, digits: int = 16) -> str:
        """Return that many hexadecimal digits."""
        return f"{self._random.getrandbits(digits * 4):0{digits}x}"

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of the items."""
        return self._random.choice(items)

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Return the items in another order than they came, where that is possible."""
        mixed = list(items)
        while len(mixed) > 1 and mixed == list(items):
            self._random.shuffle(mixed)
        return mixed


@pytest.fixture(scope="session")
def random(check_run: CheckRun) -> Random:
    """Return random values of this run."""
    return Random(check_run.task.seed)
