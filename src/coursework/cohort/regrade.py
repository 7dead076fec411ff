"""A class graded again beside its results: who would gain and who would lose, and then the swap."""

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from coursework.cohort.results import Result, Results
from coursework.cohort.source import HandedIn


@dataclass(frozen=True)
class Change:
    """One learner's result before and after.

    Args:
        before: None where there was none.
        after: of the second grading.
    """

    before: Result | None
    after: Result

    @property
    def is_taken(self) -> bool:
        """Whether it replaces the one before: what could not be judged replaces no verdict."""
        return self.after.is_final or self.before is None or not self.before.is_final

    @property
    def difference(self) -> int:
        """Points that it brings."""
        had = self.before.report.points if self.before else 0
        return self.after.report.points - had if self.before and self.is_taken else 0

    @property
    def checks(self) -> list[str]:
        """Names of checks whose points differ."""
        had = {c.name: c.points for c in self.before.report.checks} if self.before else {}
        got = {c.name: c.points for c in self.after.report.checks}
        return [name for name in {**got, **had} if got.get(name, 0) != had.get(name, 0)]


@dataclass(frozen=True)
class Regrade:
    """Results of a class, and newer ones that nobody has agreed to yet.

    Args:
        results: that count.
        fresh: of the second grading; they stay until they are taken, so a stop loses nothing.
    """

    results: Results
    fresh: Results

    def changes(self, submissions: Sequence[HandedIn]) -> list[Change]:
        """Return what taking the fresh results would change, by learner."""
        found = ((self.results.read(s.learner), self.fresh.read(s.learner)) for s in submissions)
        return [Change(before, after) for before, after in found if after]

    def take(self, changes: Sequence[Change]) -> None:
        """Put the fresh results in their places.

        Raises:
            CourseError: the disk is full, or the folder cannot be written.
        """
        for change in changes:
            if change.is_taken:
                self.results.write(change.after)
        shutil.rmtree(self.fresh.folder, ignore_errors=True)
        with suppress(OSError):
            self.fresh.folder.parent.rmdir()


def told_change(change: Change) -> str:
    """Return a line that says whose points change, and by which checks; empty where none do."""
    after, before = change.after, change.before
    if not change.is_taken:
        return f"! {after.learner}  could not be judged again: the points stay"
    if before is None:
        return f"+ {after.learner}  {after.report.points} of {after.report.max_points}  new"
    if not change.difference:
        return ""
    sign = "+" if change.difference > 0 else "-"
    points = f"{before.report.points} → {after.report.points} of {after.report.max_points}"
    return f"{sign} {after.learner}  {points}  {', '.join(change.checks)}"


def told_all(changes: Sequence[Change]) -> str:
    """Return how many gain, lose and stay as they are, and how many had no result before."""
    gain = sum(1 for c in changes if c.difference > 0)
    lose = sum(1 for c in changes if c.difference < 0)
    new = sum(1 for c in changes if c.before is None)
    told = f"{gain} gain, {lose} lose, {len(changes) - gain - lose - new} stay"
    return told + f", {new} new" * bool(new)
