"""What takes long goes on beside the checks, until the one that it belongs to asks for it."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

import pytest

from coursework.checks.evidence import OF_STORY, Attention, Evidence
from coursework.checks.run import CheckRun

Result = TypeVar("Result")


class Story(Generic[Result]):
    """Something that goes on beside the checks; see `Meanwhile`."""

    def __init__(self, evidence: Evidence, function: Callable[[], Result]) -> None:
        self._evidence = evidence
        self._attention = Attention()
        self._future: Future[Result] = Future()
        threading.Thread(target=self._go, args=(function,), daemon=True).start()

    def _go(self, function: Callable[[], Result]) -> None:
        OF_STORY.set(self._attention)
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
            self._evidence.take_over(self._attention)


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

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def __call__(self, function: Callable[[], Result]) -> Story[Result]:
        """Call a function in a thread of its own.

        Args:
            function: a story of its own: it shares no server with other checks.
        """
        return Story(self._evidence, function)


@pytest.fixture(scope="session")
def meanwhile(check_run: CheckRun) -> Meanwhile:
    """Return a function that starts a long story beside the checks."""
    return Meanwhile(check_run.evidence)
