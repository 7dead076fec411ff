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
    hints: tuple[str, ...] = ()
    link: str = ""
    needs: tuple[str, ...] = ()


def points(
    count: int, *, hints: tuple[str, ...] = (), link: str = "", needs: tuple[str, ...] = ()
) -> Callable[[Check], Check]:
    """Make a function a check that is worth points.

    Args:
        count: points for passing.
        hints: where to look; then, for a learner who asks again, nearly the code.
        link: the heading of the lesson's section that explains it.
        needs: names of checks without which this one has nothing to look at.

    Example:
        >>> @points(2, hints=("Look at the Content-Type.", "res.json() sets the type as well."))
        ... def check_quick_start(server):
        ...     '''GET /api/users answers {"message": "Backend ready!"}'''
        ...     server.get("/api/users").expect(200, exactly={"message": "Backend ready!"})

    """

    def mark(function: Check) -> Check:
        function.course_marks = Marks(count, tuple(hints), link, tuple(needs))  # type: ignore[attr-defined]
        return function

    return mark


def marks_of(function: object) -> Marks:
    """Return a check's marks; a check without `@points` is worth nothing."""
    marks = getattr(function, "course_marks", None)
    return marks if isinstance(marks, Marks) else Marks(0)
