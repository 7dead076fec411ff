"""The load instrument: many calls at once, and a look at the server while they are under way."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from contextvars import ContextVar, copy_context
from types import TracebackType
from typing import Generic, Self, TypeVar

Value = TypeVar("Value")
Result = TypeVar("Result")

# A request of many at once shows nothing when it is sent alone.
IN_CROWD: ContextVar[bool] = ContextVar("called at once with others", default=False)
_before_release: list[Callable[[], None]] = []


class Crowd(Generic[Value, Result]):
    """Calls of one function with many values, each in a thread, all released together.

    Example:
        >>> with at_once(lambda name: server.get(f"/hash/{name}"), names) as crowd:
        ...     while crowd.busy:
        ...         server.get("/health").expect(200)
        >>> crowd.results()

    """

    def __init__(self, function: Callable[[Value], Result], values: Iterable[Value]) -> None:
        self._function = function
        self._values = list(values)
        self._futures: list[Future[Result]] = [Future() for _ in self._values]
        self._gate = threading.Barrier(len(self._values) + 1)
        self._threads = [
            # What a call looks at counts as looked at by the check that made it.
            threading.Thread(target=copy_context().run, args=(self._call, *pair), daemon=True)
            for pair in zip(self._values, self._futures, strict=True)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        self._gate.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        # A check that failed meanwhile need not wait: the calls have deadlines of their own.
        if error is None:
            for thread in self._threads:
                thread.join()

    @property
    def busy(self) -> bool:
        """Whether a call is still under way."""
        return not all(f.done() for f in self._futures)

    def results(self) -> list[Result]:
        """Return each call's result, in the order of the values.

        Raises:
            Failure: the first one that a call raised.
        """
        return [f.result() for f in self._futures]

    def _call(self, value: Value, future: "Future[Result]") -> None:
        IN_CROWD.set(True)
        self._gate.wait()
        try:
            future.set_result(self._function(value))
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            future.set_exception(error)


def at_once(function: Callable[[Value], Result], values: Iterable[Value]) -> Crowd[Value, Result]:
    """Call a function with each value at the same time; see `Crowd`.

    It waits first until no container of the run is being started, so that timings are clean.

    Args:
        function: called in a thread for each value.
        values: as many as there are to be calls at once.
    """
    wait_for_calm()
    return Crowd(function, values)


def wait_for_calm() -> None:
    """Wait for every condition that `call_before_release` was given."""
    for wait in _before_release:
        wait()


def call_before_release(wait: Callable[[], None]) -> Callable[[], None]:
    """Have every crowd wait for a condition first; call the result to end that."""
    _before_release.append(wait)
    return lambda: _before_release.remove(wait)
