"""The decorator that makes a function a check."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

Check = TypeVar("Check", bound=Callable[..., Any])

PREFIX = "check_"


@dataclass(frozen=True)
class Marks:
    """What `@points` says of a check."""

    points: int
    hint: str = ""
    link: str = ""
    needs: tuple[str, ...] = ()


def points(
    count: int, *, hint: str = "", link: str = "", needs: tuple[str, ...] = ()
) -> Callable[[Check], Check]:
    """Make a function a check that is worth points.

    Args:
        count: points for passing.
        hint: one sentence that leads out of the usual mistake.
        link: the heading of the lesson's section that explains it.
        needs: names of checks without which this one has nothing to look at.

    Example:
        >>> @points(2, hint="res.json() sets the type as well.", link="Answering in JSON")
        ... def check_quick_start(server):
        ...     '''GET /api/users answers {"message": "Backend ready!"}'''
        ...     server.get("/api/users").expect(200, exactly={"message": "Backend ready!"})

    """

    def mark(function: Check) -> Check:
        function.course_marks = Marks(count, hint, link, tuple(needs))  # type: ignore[attr-defined]
        return function

    return mark


def marks_of(function: object) -> Marks:
    """Give a check's marks; a check without `@points` is worth nothing."""
    marks = getattr(function, "course_marks", None)
    return marks if isinstance(marks, Marks) else Marks(0)
