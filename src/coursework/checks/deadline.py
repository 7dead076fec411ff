"""The end of a wait, put off while an answer finds no free processor."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coursework.engine import Engine
from coursework.engine.cgroups import processor_seconds

_AT_MOST = 4
_BUSY_BELOW = 0.1


@dataclass(frozen=True)
class ProcessorTime:
    """What processors have done since some moment.

    Args:
        idle: in any unit.
        total: in the same.
    """

    idle: float
    total: float


ReadTime = Callable[[], ProcessorTime | None]


def processor_time() -> ProcessorTime | None:
    """Read it from the kernel; None where the machine does not tell.

    The first line of /proc/stat, proc(5): user nice system idle iowait irq softirq steal.
    """
    try:
        fields = Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]
    except OSError:
        return None
    numbers = [int(f) for f in fields]
    return ProcessorTime(numbers[3], sum(numbers))


def sandbox_time(engine: Engine) -> ProcessorTime | None:
    """Read it of the processors that a sandbox may take; None where nobody can look."""
    used = processor_seconds(Path(f"/proc/{engine.process}")) if engine.processors else None
    total = engine.processors * time.monotonic()
    return None if used is None else ProcessorTime(total - used, total)


# Where answers find their processors: on the machine, and in a sandbox that may take fewer.
_places: list[ReadTime] = [processor_time]


@contextmanager
def answers_run_in(engine: Engine) -> Iterator[None]:
    """Have the deadlines of this process look at an engine's sandbox as well."""
    place = partial(sandbox_time, engine)
    _places.append(place)
    try:
        yield
    finally:
        _places.remove(place)


class Deadline:
    """The moment at which an answer is late.

    On a machine, or in a sandbox, whose processors were never free in the meantime, an answer could
    not be faster: then it gets up to four times as long. Not so where it was the one that kept them
    busy.

    Args:
        seconds: that an answer has.
        used: gives the processor seconds that whoever answers has had; None where nobody knows.
        read: gives the processors' time, instead of the machine and the sandbox; for tests.

    Example:
        >>> deadline = Deadline(5.0)
        >>> while not is_there():
        ...     if deadline.has_passed():
        ...         raise Failure("it within 5 s", "nothing")

    """

    def __init__(
        self,
        seconds: float,
        used: Callable[[], float | None] = lambda: None,
        *,
        read: ReadTime | None = None,
    ) -> None:
        self._seconds = seconds
        self._used, self._used_before = used, used()
        self._start = time.monotonic()
        self._places = [(place, place()) for place in ([read] if read else _places)]

    def is_reached(self) -> bool:
        """Tell whether its seconds are over, however busy the machine was."""
        return time.monotonic() - self._start > self._seconds

    def has_passed(self) -> bool:
        """Tell whether it is over."""
        if not self.is_reached():
            return False
        waited = time.monotonic() - self._start
        if waited > _AT_MOST * self._seconds or self._was_served():
            return True
        return not any(_was_busy(before, place()) for place, before in self._places)

    def _was_served(self) -> bool:
        after = self._used()
        if self._used_before is None or after is None:
            return False
        return after - self._used_before > self._seconds


def _was_busy(before: ProcessorTime | None, after: ProcessorTime | None) -> bool:
    if before is None or after is None or after.total == before.total:
        return False
    return (after.idle - before.idle) / (after.total - before.total) < _BUSY_BELOW
