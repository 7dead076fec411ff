"""The end of a wait, put off while the machine itself is too busy."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_AT_MOST = 4
_BUSY_BELOW = 0.1


@dataclass(frozen=True)
class ProcessorTime:
    """What the machine's processors have done since it started.

    Args:
        idle: in any unit.
        total: in the same.
    """

    idle: int
    total: int


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


class Deadline:
    """The moment at which an answer is late.

    On a machine whose processors were never free in the meantime, an answer could not be faster:
    then it gets up to four times as long. Not so where it was the one that kept them busy.

    Args:
        seconds: that an answer has.
        used: gives the processor seconds that whoever answers has had; None where nobody knows.
        read: gives the processors' time; for tests.

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
        read: Callable[[], ProcessorTime | None] = processor_time,
    ) -> None:
        self._seconds = seconds
        self._used, self._used_before = used, used()
        self._read = read
        self._start = time.monotonic()
        self._before = read()

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
        return not self._machine_was_busy()

    def _was_served(self) -> bool:
        after = self._used()
        if self._used_before is None or after is None:
            return False
        return after - self._used_before > self._seconds

    def _machine_was_busy(self) -> bool:
        after = self._read()
        if self._before is None or after is None or after.total == self._before.total:
            return False
        idle = (after.idle - self._before.idle) / (after.total - self._before.total)
        return idle < _BUSY_BELOW
