"""What a program of the answer does when it is told to end: its signals, and its exit."""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NoReturn

from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure
from coursework.checks.retype import ended_command, running_command
from coursework.checks.run import CheckRun
from coursework.containers.container import Container
from coursework.words import shortened

_POLL_S = 0.005
_LETTERS = 100


@dataclass(frozen=True)
class Exit:
    """How and when a program ended.

    Args:
        code: its exit code; 128 and the number of the signal that killed it.
        at: the moment its end was seen, as `time.monotonic` counts.
    """

    code: int
    at: float


class Stoppable(ABC):
    """A program of the answer, in a container of its own, that runs until it is told to end.

    Example:
        >>> told = server.signal("SIGTERM")
        >>> ended = server.wait_for_exit(within_s=2)
        >>> (ended.code, ended.at - told)
        (0, 0.51)

    """

    _run: CheckRun
    # What a check has told to end is replaced for the next one only if that uses it.
    _told_to_end = False

    @property
    @abstractmethod
    def container(self) -> Container:
        """The container, once the engine has started it."""

    @abstractmethod
    def _come_up(self) -> None:
        """Wait until it has come up."""

    def signal(self, name: str) -> float:
        """Send its first process a signal, and return the moment before, as `time.monotonic` does.

        Args:
            name: such as SIGTERM, or SIGKILL, which no process hears.

        Raises:
            Failure: it has ended already.
        """
        self._come_up()
        self._told_to_end = True
        moment = time.monotonic()
        if not self.container.signal(name):
            self._fail_ended(f"a program that still runs, for {name}")
        return moment

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        self._come_up()
        return not self.container.has_ended()

    def expect_running(self, for_s: float = 0.0, *, until: str = "it is told to end") -> None:
        """Look that it does not end.

        Args:
            for_s: seconds to look; a right program passes whatever the number.
            until: how the message ends: a program that runs until …

        Raises:
            Failure: it has ended.
        """
        self._come_up()
        if self.container.wait(for_s) is not None:
            self._fail_ended(f"a program that runs until {until}")

    def wait_for_exit(self, *, within_s: float) -> Exit:
        """Wait until it has ended.

        Args:
            within_s: seconds; more where the machine was never idle.

        Raises:
            Failure: it still runs; its first process is named, since that one gets the signals.
        """
        self._come_up()
        container = self.container
        deadline = Deadline(within_s, container.processor_seconds)
        seen_gone: float | None = None
        while not container.has_ended():
            # The engine notes an end a little later than its process is gone.
            seen_gone = seen_gone or (time.monotonic() if container.is_seen_gone() else None)
            if seen_gone is None and deadline.has_passed():
                self._fail_running(within_s)
            time.sleep(_POLL_S)
        moment = seen_gone or time.monotonic()
        self._run.evidence.note_use(self, ended_command(container.name))
        return Exit(container.exit_code() or 0, moment)

    def _fail_running(self, within_s: float) -> NoReturn:
        first = shortened(self.container.first_process(), _LETTERS)
        saw = "it still runs" + (f"; its process 1 is: {first}" if first else "")
        command = running_command(self.container.name)
        self._run.evidence.note_use(self, command)
        raise Failure(f"an exit within {within_s:g} s", saw, command=command)

    def _fail_ended(self, looked_for: str) -> NoReturn:
        command = ended_command(self.container.name)
        self._run.evidence.note_use(self, command)
        saw = f"it ended with exit code {self.container.exit_code()}"
        raise Failure(looked_for, saw, command=command)

    # What evidence asks of it.

    @property
    @abstractmethod
    def container_name(self) -> str:
        """The container that shows it; empty where there is none."""

    @abstractmethod
    def log(self) -> str:
        """Return what it printed last."""

    @abstractmethod
    def end_check(self, *, passed: bool) -> None:
        """Be ready for the next check."""
