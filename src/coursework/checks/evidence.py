"""What the running check looked at: the log and the command of its report, and what is kept."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from coursework.checks.cause import cause_of
from coursework.checks.failure import Failure


class Exhibit(Protocol):
    """Something of the answer that a check looked at: a server, or a program that ended."""

    @property
    def container_name(self) -> str:
        """The container that shows it again; empty where there is none."""

    def log(self) -> str:
        """Return what it printed last."""

    def end_check(self, *, passed: bool) -> None:
        """Be ready for the next check."""


@dataclass
class Attention:
    """What was looked at, for the log and the command of a report.

    Args:
        exhibits: servers and programs, the last one last.
        command: that shows it again.
        is_fleeting: whether what it shows is changed by the checks that follow.
    """

    exhibits: list[Exhibit] = field(default_factory=list)
    command: str = ""
    is_fleeting: bool = False


# What a story beside the checks looks at is its own, until a check asks for its result.
OF_STORY: ContextVar[Attention | None] = ContextVar("what a story looked at", default=None)


class Evidence:
    """What the running check looked at, and what failed ones leave to be looked at."""

    def __init__(self) -> None:
        self._attention = Attention()
        self.kept: dict[str, set[str]] = {}
        self.some_failed = False

    def note_use(self, exhibit: Exhibit, command: str = "", *, is_fleeting: bool = False) -> None:
        """Remember what the running check looked at, and the command that shows it."""
        attention = OF_STORY.get() or self._attention
        if exhibit not in attention.exhibits:
            attention.exhibits.append(exhibit)
        if command:
            attention.command, attention.is_fleeting = command, is_fleeting

    def note_command(self, command: str, *, is_fleeting: bool = False) -> None:
        """Remember the command that shows what the running check looked at last.

        Args:
            command: to type.
            is_fleeting: what it shows is changed by the checks that follow.
        """
        attention = OF_STORY.get() or self._attention
        attention.command, attention.is_fleeting = command, is_fleeting

    def take_over(self, attention: Attention) -> None:
        """Count what a story looked at as the running check's."""
        for exhibit in attention.exhibits:
            self.note_use(exhibit)
        self.note_command(attention.command, is_fleeting=attention.is_fleeting)

    def command(self, failure: Failure | None) -> str:
        """Return the command that shows a failure again."""
        return (failure.command if failure else "") or self._attention.command

    @property
    def is_fleeting(self) -> bool:
        """Whether what the running check looked at is changed by those that follow."""
        return self._attention.is_fleeting

    def log(self, failure: Failure | None) -> str:
        """Return the lines that name the cause, of the build or of what was looked at last."""
        notes: list[str] = getattr(failure, "__notes__", [])
        last = self._attention.exhibits[-1:]
        text = notes[0] if notes else "".join(exhibit.log() for exhibit in last)
        return cause_of(text)

    def end_check(self, name: str, *, passed: bool) -> None:
        """After a check: what a failed one used is kept for looking, and replaced for the next."""
        exhibits = self._attention.exhibits
        if not passed:
            self.some_failed = True
            self.kept[name] = {e.container_name for e in exhibits} - {""}
        for exhibit in exhibits:
            exhibit.end_check(passed=passed)
        self._attention = Attention()
