"""A program of the answer that listens on nothing, such as a worker: watched, told to end."""

from coursework.checks.run import CheckRun
from coursework.checks.stoppable import Stoppable
from coursework.containers.container import Container, Settings


class Program(Stoppable):
    """A program of the submission that runs in a container of its own until it is told to end.

    It starts in the background; its first use waits until the engine has started it. What it does
    is seen elsewhere: at the stub or the store that it was led to.

    Example:
        >>> worker = image.start_program(args=["worker"], env={"REDIS_URL": store.url})
        >>> worker.signal("SIGTERM")
        >>> worker.wait_for_exit(within_s=2).code
        0

    """

    def __init__(self, run: CheckRun, settings: Settings) -> None:
        self._run = run
        self._starting = run.services.start_container(settings)

    @property
    def container(self) -> Container:
        """The container behind it, once the engine has started it."""
        return self._starting.result()

    def logs(self) -> str:
        """Return what it has printed, the last 200 lines."""
        return self.container.log()

    @property
    def container_name(self) -> str:
        """The container that shows it; empty where there is none."""
        return self.container.name if self._has_come else ""

    def log(self) -> str:
        """Return what it printed, for the report; see `logs`."""
        return self.logs() if self._has_come else ""

    def end_check(self, *, passed: bool) -> None:
        """Each check that wants one starts one: nothing is to be made ready."""

    @property
    def _has_come(self) -> bool:
        return self._starting.done() and self._starting.exception() is None

    def _come_up(self) -> None:
        assert self.container  # noqa: S101 - once the engine has started it
        self._run.evidence.note_use(self)
