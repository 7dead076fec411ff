"""What takes long goes on beside the checks, until the one that it belongs to asks for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from coursework.checks.finished import Finished
from coursework.checks.server import Server

Result = TypeVar("Result")


@dataclass
class Attention:
    """What was looked at, for the log and the command of a report.

    Args:
        used: servers and programs, the last one last.
        command: that shows it again.
    """

    used: list[Server | Finished] = field(default_factory=list)
    command: str = ""


_own: ContextVar[Attention | None] = ContextVar("what a story looked at", default=None)


def own_attention() -> Attention | None:
    """Return what the story that runs here has looked at; None outside a story."""
    return _own.get()


class Run(Protocol):
    """The run to which checks and stories belong."""

    def take_over(self, attention: Attention) -> None:
        """Count what a story looked at as the running check's."""


class Story(Generic[Result]):
    """Something that goes on beside the checks; see `Meanwhile`."""

    def __init__(self, run: Run, function: Callable[[], Result]) -> None:
        self._run = run
        self._attention = Attention()
        self._future: Future[Result] = Future()
        threading.Thread(target=self._go, args=(function,), daemon=True).start()

    def _go(self, function: Callable[[], Result]) -> None:
        _own.set(self._attention)
        try:
            self._future.set_result(function())
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._future.set_exception(error)

    def result(self) -> Result:
        """Wait for its end, and return its result.

        Raises:
            Failure: that it met; the report shows what the story looked at.
        """
        try:
            return self._future.result()
        finally:
            self._run.take_over(self._attention)


class Meanwhile:
    """Starts what takes long, in a fixture of module scope: other checks go on meanwhile.

    Example:
        >>> @pytest.fixture(scope="module")
        ... def hung(image, meanwhile):
        ...     return meanwhile(lambda: becomes_unhealthy(image.start()))
        >>> def check_reports_health(hung):
        ...     '''Docker calls a server that hangs unhealthy'''
        ...     hung.result()

    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def __call__(self, function: Callable[[], Result]) -> Story[Result]:
        """Call a function in a thread of its own.

        Args:
            function: a story of its own: it shares no server with other checks.
        """
        return Story(self._run, function)
