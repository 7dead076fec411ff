"""What a failed check tells the learner, as fields that every view words in its own way."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

# The command of what no single command shows: a rush, a lock that was held, a median.
CHECK_AGAIN = "check again"


class Failure(AssertionError):  # noqa: N818 - a verdict, not an error
    """A check did not hold.

    Args:
        looked_for: what the contract asks.
        saw: what came instead.
        command: what to type to see it again.
        hint: the way out of a known mistake; the check's own hints where empty.

    `comes_again` tries whether the command still shows it; None where nobody can tell.
    """

    comes_again: Callable[[], bool] | None = None

    def __init__(self, looked_for: str, saw: str, *, command: str = "", hint: str = "") -> None:
        super().__init__(f"looked for {looked_for}, saw {saw}")
        self.looked_for = looked_for
        self.saw = saw
        self.command = command
        self.hint = hint


class StartFailure(Failure):
    """A server or image that the check needs never came up."""


class BuildFailure(StartFailure):
    """The answer does not build; its command builds the learner's own folder, in any engine."""


class Blocked(Exception):  # noqa: N818 - not an error: the check has nothing to look at
    """The check cannot look: what it needs has failed before, and said so there."""


def fail(looked_for: str, saw: str, *, command: str = "", hint: str = "") -> NoReturn:
    """End a check as failed.

    Args:
        looked_for: what the contract asks.
        saw: what came instead.
        command: that shows it again; the last request where empty, `CHECK_AGAIN` where none can.
        hint: the way out of a known mistake.

    Example:
        >>> if finished.exit_code == 0:
        ...     fail("an exit code that is not 0", "exit code 0")

    Raises:
        Failure: always.
    """
    raise Failure(looked_for, saw, command=command, hint=hint)


@contextmanager
def advising(hint: str) -> Iterator[None]:
    """Add a hint to any failure in this block, unless it has one or a start failed.

    Args:
        hint: the way out of a known mistake.

    Example:
        >>> with advising("The path has chosen the version; the field means nothing here."):
        ...     reply.expect(200, json={"version": 1})

    """
    try:
        yield
    except Failure as failure:
        if not isinstance(failure, StartFailure):
            failure.hint = failure.hint or hint
        raise


def around_difference(expected: str, actual: str, width: int = 160) -> tuple[str, str]:
    """Cut two long texts to the part where they begin to differ.

    Args:
        expected: the text looked for.
        actual: the text seen.
        width: characters that each result has at most, apart from the marks of cutting.
    """
    if len(expected) <= width and len(actual) <= width:
        return expected, actual
    same = next(
        (i for i, (a, b) in enumerate(zip(expected, actual, strict=False)) if a != b),
        min(len(expected), len(actual)),
    )
    start = max(0, same - width // 3)
    return _window(expected, start, width), _window(actual, start, width)


def _window(text: str, start: int, width: int) -> str:
    cut = text[start : start + width]
    before = "…" if start and text else ""
    after = f"… ({len(text):,} characters)" if len(text) > start + width else ""
    return f"{before}{cut}{after}"
