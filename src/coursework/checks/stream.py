"""The stream instrument: calls at a steady rate, while a check does something to what they meet."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from contextvars import copy_context
from types import TracebackType
from typing import Generic, Self, TypeVar

from coursework.checks.failure import Failure
from coursework.checks.load import IN_CROWD, wait_for_calm

Result = TypeVar("Result")

_UNDER_WAY_AT_MOST = 256


class Stream(Generic[Result]):
    """Calls of one function at a steady rate, from the block's begin to its end; see `at_rate`.

    Example:
        >>> with at_rate(lambda: server.get("/api/shows"), per_s=100) as stream:
        ...     stream.wait_for(50)
        ...     backends["b2"].die()
        ...     stream.wait_for(200)
        >>> stream.count(lambda reply: reply.status)
        Counter({200: 198, 'connection refused': 2})

    """

    def __init__(self, function: Callable[[], Result], per_s: float) -> None:
        self._function, self._pause_s = function, 1 / per_s
        self._begun = 0
        self._outcomes: list[Result | Failure] = []
        self._trouble: BaseException | None = None
        self._stopped = threading.Event()
        self._changed = threading.Condition()
        self._room = threading.Semaphore(_UNDER_WAY_AT_MOST)
        self._calls: list[threading.Thread] = []
        # What a call looks at counts as looked at by the check that made it.
        self._context = copy_context()
        self._sender = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Self:
        self._sender.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._sender.join()
        # A check that failed meanwhile need not wait: the calls have deadlines of their own.
        if error is None:
            for call in self._calls:
                call.join()
            self._raise_trouble()

    def wait_for(self, calls: int) -> None:
        """Wait until so many calls have begun, ended or not."""
        with self._changed:
            self._changed.wait_for(lambda: self._begun >= calls or self._trouble)
        self._raise_trouble()

    def outcomes(self) -> list[Result | Failure]:
        """Return what the calls that have ended returned, or the failure each met."""
        with self._changed:
            return list(self._outcomes)

    def failures(self) -> list[Failure]:
        """Return the failures of the calls that have ended."""
        return [each for each in self.outcomes() if isinstance(each, Failure)]

    def results(self) -> list[Result]:
        """Return what those calls returned that met no failure."""
        return [each for each in self.outcomes() if not isinstance(each, Failure)]

    def count(self, key: Callable[[Result], Hashable]) -> Counter[Hashable]:
        """Count the calls that have ended: results by a key, failures by what they saw.

        Args:
            key: such as a reply's status, or the backend that its body names.
        """
        return Counter(
            each.saw if isinstance(each, Failure) else key(each) for each in self.outcomes()
        )

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            # What a busy machine has missed is not made up for: a rush is another thing.
            due = max(due, time.monotonic()) + self._pause_s
            while not self._room.acquire(timeout=0.05):
                if self._stopped.is_set():
                    return
            call = threading.Thread(
                target=self._context.copy().run, args=(self._call,), daemon=True
            )
            self._calls.append(call)
            with self._changed:
                self._begun += 1
                self._changed.notify_all()
            call.start()

    def _call(self) -> None:
        IN_CROWD.set(True)
        try:
            outcome: Result | Failure = self._function()
        except Failure as failure:
            outcome = failure
        except BaseException as error:  # noqa: BLE001 - raised where the check waits
            self._trouble = error
            self._stopped.set()
            with self._changed:
                self._changed.notify_all()
            return
        finally:
            self._room.release()
        with self._changed:
            self._outcomes.append(outcome)
            self._changed.notify_all()

    def _raise_trouble(self) -> None:
        if self._trouble is not None:
            raise self._trouble


def at_rate(function: Callable[[], Result], per_s: float) -> Stream[Result]:
    """Call a function at a steady rate while a block runs, each call in a thread; see `Stream`.

    A call waits for no other one. It waits first until no container of the run is being started.

    Args:
        function: a client's request opens a connection each time.
        per_s: calls a second; fewer where the machine is too busy, never more.
    """
    wait_for_calm()
    return Stream(function, per_s)
