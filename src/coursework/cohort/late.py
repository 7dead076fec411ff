"""What being late costs: computed from results, so nothing is graded again for another rule."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from coursework.cohort.dates import EXAMPLE, end_of, how_long, shown, time_of, zone_of
from coursework.cohort.results import Result
from coursework.cohort.tables import read_column
from coursework.trouble import CourseError

_NUMBER = r"(\d{1,3}(?:\.\d{1,3})?)"
_RULE = re.compile(
    rf"{_NUMBER} ?% ?(?:an? |per |each |every |/ ?)(day|hour)(?:, ?at most {_NUMBER} ?%)?",
    re.IGNORECASE,
)
_LENGTHS = {"day": timedelta(days=1), "hour": timedelta(hours=1)}


@dataclass(frozen=True)
class Rule:
    """What each begun day or hour costs.

    Args:
        percent: of the points to be had.
        unit: a day is 24 hours; one that has begun counts as a whole one.
        at_most: percent in all.
    """

    percent: float
    unit: str
    at_most: float = 100

    def cost(self, late: timedelta) -> float:
        """Return the percent that being late costs."""
        return min(math.ceil(late / _LENGTHS[self.unit]) * self.percent, self.at_most)


def read_rule(text: str) -> Rule:
    """Return the rule that a person typed.

    Raises:
        CourseError: it is not understood.
    """
    match = _RULE.fullmatch(text.strip())
    numbers = [float(n) for n in match.group(1, 3) if n] if match else []
    if match is None or not all(0 < n <= 100 for n in numbers):  # noqa: PLR2004 - percent
        raise CourseError(
            f"--late is not understood: {text[:80]!r}.",
            why="it says what each begun day or hour costs, between 0 and 100 % of all points",
            fix='--late "10 % a day, at most 50 %"',
        )
    return Rule(numbers[0], match[2].lower(), *numbers[1:])


@dataclass(frozen=True)
class Deadline:
    """When a class had to hand in.

    Args:
        at: the last moment that is in time.
        zone: of times that name none; None means this machine's.
        rule: what being late costs.
        extensions: later deadlines, by learner.
        handed_in: when learners handed in, by learner, where the instructor says so.
    """

    at: datetime
    zone: tzinfo | None
    rule: Rule
    extensions: Mapping[str, datetime] = field(default_factory=dict)
    handed_in: Mapping[str, datetime] = field(default_factory=dict)


def read_due(text: str) -> tuple[datetime, tzinfo | None]:
    """Return the last moment that is in time, and the zone in which times are read.

    Raises:
        CourseError: it is no date with a time.
    """
    zone = zone_of(text)
    moment = end_of(text, zone)
    if moment is None:
        raise CourseError(
            f"--due is not understood: {text[:80]!r}.",
            why="it is a date and a time; a zone may follow, else this machine's counts",
            fix=f'--due "{EXAMPLE}"',
        )
    return moment, zone


def read_times(
    path: Path,
    column: str,
    learners: Sequence[str],
    zone: tzinfo | None,
    on_unknown: Callable[[str], None],
) -> dict[str, datetime]:
    """Return the times that a CSV gives learners, by learner; an empty cell gives none.

    Args:
        path: of the file.
        column: `due`, whose minute is in time to its end, or `handed_in`.
        learners: who there are.
        zone: of times that name none; None means this machine's.
        on_unknown: is told of anybody else.

    Raises:
        CourseError: it cannot be read, names a learner twice, or a time is none.
    """
    read = end_of if column == "due" else time_of
    times = {}
    for learner, text in read_column(path, column, learners, on_unknown).items():
        moment = read(text, zone)
        if moment is None and text:
            raise CourseError(
                f"{path}: the time of {learner} is not understood: {text[:80]!r}.",
                why=f"a time is written as {EXAMPLE}; the zone may be left out",
                fix=f"correct the column {column}",
            )
        if moment:
            times[learner] = moment
    return times


def read_extensions(
    path: Path,
    at: datetime,
    learners: Sequence[str],
    zone: tzinfo | None,
    on_unknown: Callable[[str], None],
) -> dict[str, datetime]:
    """Return the later deadlines that a CSV gives learners.

    Args:
        path: of the file.
        at: the deadline of all others.
        learners: who there are.
        zone: of times that name none; None means this machine's.
        on_unknown: is told of anybody else.

    Raises:
        CourseError: it cannot be read, or an extension would make a learner late.
    """
    extensions = read_times(path, "due", learners, zone, on_unknown)
    for learner, due in extensions.items():
        if due < at:
            raise CourseError(
                f"{path}: the extension of {learner} ends before the deadline.",
                why=f"{shown(due)} is before {shown(at)}",
                fix="correct the column due",
            )
    return extensions


@dataclass(frozen=True)
class Final:
    """A result, and what it comes to.

    Args:
        result: with the points of its checks.
        due: the learner's last moment; None where no deadline counts.
        handed_in: None where nothing says when.
        late: how much; nothing where it was in time.
        lowered_by: points.
    """

    result: Result
    due: datetime | None = None
    handed_in: datetime | None = None
    late: timedelta = timedelta()
    lowered_by: float = 0

    @property
    def has_time(self) -> bool:
        """Whether it is known what being late costs; nothing less than no points can be had."""
        no_matter = self.due is None or self.result.report.points == 0
        return no_matter or self.handed_in is not None

    @property
    def points(self) -> float | None:
        """What the learner gets; None where that is undecided."""
        if not (self.has_time and self.result.is_final):
            return None
        return round(max(self.result.report.points - self.lowered_by, 0), 2)

    @property
    def told(self) -> str:
        """What the learner is told; empty where nothing is lowered."""
        if not self.lowered_by or self.due is None:
            return ""
        report = self.result.report
        return (
            f"Due {shown(self.due)}, handed in {how_long(self.late)} late: "
            f"{report.points} - {self.lowered_by:g} = {max(report.points - self.lowered_by, 0):g}"
            f" of {report.max_points}"
        )


def finals(results: Sequence[Result], deadline: Deadline | None) -> list[Final]:
    """Return what each result comes to; without a deadline, the points of its checks."""
    return [_final(r, deadline) if deadline else Final(r) for r in results]


def _final(result: Result, deadline: Deadline) -> Final:
    due = deadline.extensions.get(result.learner, deadline.at)
    said = time_of(result.origin.when, deadline.zone)
    handed_in = deadline.handed_in.get(result.learner, said)
    if handed_in is None:
        return Final(result, due)
    # In UTC: Python leaves out the hour that clocks are put forward in between two local times.
    late = max(handed_in.astimezone(UTC) - due.astimezone(UTC), timedelta())
    lowered_by = round(result.report.max_points * deadline.rule.cost(late) / 100, 2)
    return Final(result, due, handed_in, late, lowered_by)
