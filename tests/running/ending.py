"""Ctrl-C ends the workers as if it had been typed in each: what they started is removed."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

# Clusters and engines of tests take a while.
_ENDS_WITHIN_S = 90.0


class Ending:
    """Interrupts what still runs, once, and waits for it.

    Args:
        terminal: pytest's own reporter.
    """

    def __init__(self, terminal: Any) -> None:
        self._terminal = terminal
        self._nodes: list[Any] = []

    def pytest_testnodeready(self, node: Any) -> None:
        """Note a worker."""
        self._nodes.append(node)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, exitstatus: int) -> Iterator[None]:
        """Return workers that are in the middle of a test the time to tidy up."""
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED
        working = [n for n in self._nodes if interrupted and not n.channel.isclosed()]
        if working:
            self._terminal.write_line("stopping: what the tests started is removed", flush=True)
        for node in working:
            with suppress(ProcessLookupError):
                os.killpg(process_of(node), signal.SIGINT)
        deadline = time.monotonic() + _ENDS_WITHIN_S
        for node in working:
            with suppress(OSError, EOFError, node.channel.TimeoutError, node.channel.RemoteError):
                node.channel.waitclose(max(0.0, deadline - time.monotonic()))
        return (yield)


def process_of(node: Any) -> int:
    """Return the number of a worker's process, which is that of its group."""
    return int(node.gateway._io.popen.pid)
