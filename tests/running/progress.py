"""What runs, since when, and how far it is: told while nothing else is."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.running.kubernetes import Beside

_TOLD_EVERY_S = 20.0
_SHOWN = 60


class Progress:
    """Tells a line now and then, on a terminal as in a log.

    Args:
        terminal: pytest's own reporter.
        beside: what is built meanwhile.
    """

    def __init__(self, terminal: Any, beside: Beside) -> None:
        self._terminal, self._beside = terminal, beside
        self._start = time.monotonic()
        self._all, self._done = 0, 0
        self._running: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, daemon=True)

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Learn how many there are."""
        self._all = len(ids)
        if not self._thread.is_alive():
            self._thread.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Note what begins."""
        self._running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Note what has ended."""
        self._running.pop(nodeid, None)
        self._done += 1

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Iterator[None]:
        """Fall silent."""
        self._over.set()
        return (yield)

    def _tell(self) -> None:
        while not self._over.wait(_TOLD_EVERY_S):
            self._terminal.ensure_newline()
            self._terminal.write_line(self.line(), flush=True)

    def line(self) -> str:
        """Return how it is: time, tests done, what runs, and the build beside it."""
        now = time.monotonic()
        minutes, seconds = divmod(int(now - self._start), 60)
        failed = len(self._terminal.stats.get("failed", ()))
        parts = [f"{minutes}:{seconds:02} {self._done} of {self._all} tests"]
        parts += [f"{failed} failed"] if failed else []
        parts += [
            f"{_short(name)} {now - since:.0f} s"
            for name, since in sorted(self._running.items(), key=lambda item: item[1])
        ]
        if (build := self._beside.build) and not build.is_over():
            parts.append(build.last_line())
        return " · ".join(parts)


def _short(test: str) -> str:
    path, _, name = test.partition("::")
    return f"{path.rpartition('/')[2]}::{name if len(name) <= _SHOWN else name[:_SHOWN] + '…'}"
