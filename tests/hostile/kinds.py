"""Attacks by kind: the first of each kind is made in every run, the others at night."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pytest

Kinds = Mapping[str, Sequence[str]]


def every_day(kinds: Kinds) -> list[str]:
    """Return the first of each kind."""
    return sorted(names[0] for names in kinds.values())


def at_night(kinds: Kinds) -> list[str]:
    """Return all others."""
    return sorted(name for names in kinds.values() for name in names[1:])


def batches(kinds: Kinds, at_once: int) -> list[list[str]]:
    """Return what is graded together: those of every day, then a few others at a time."""
    rest = at_night(kinds)
    return [every_day(kinds), *(rest[n : n + at_once] for n in range(0, len(rest), at_once))]


def chosen(kinds: Kinds, names: Iterable[str]) -> list[Any]:
    """Return names as parameters of a test; those of the night are marked."""
    night = set(at_night(kinds))
    return [pytest.param(n, marks=[pytest.mark.nightly] if n in night else []) for n in names]
