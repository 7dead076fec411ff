"""How much of the machine was used meanwhile, by whatever ran."""

import threading
from pathlib import Path
from typing import Self

from coursework.checks.deadline import ProcessorTime


class Memory:
    """How much less memory the machine has, at the worst, while this is open."""

    def __init__(self) -> None:
        self._before = self._least = self._available()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            self._least = min(self._least, self._available())

    @property
    def peak_mb(self) -> float:
        """In millions of bytes."""
        return (self._before - self._least) / 1e6

    @staticmethod
    def _available() -> int:
        """Read MemAvailable, proc(5): what programs could still have, in kibibytes."""
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return int(next(x for x in lines if x.startswith("MemAvailable")).split()[1]) * 1024


def busy_share(before: ProcessorTime | None, after: ProcessorTime | None) -> float:
    """Return how much of the processors' time was used between two looks."""
    if before is None or after is None:
        return 0.0
    return 1 - (after.idle - before.idle) / max(1, after.total - before.total)
