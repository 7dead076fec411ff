"""The decorator that makes a function a check, and what it says of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from coursework.checks.verdict import CheckResult, Verdict

Function = TypeVar("Function", bound=Callable[..., Any])

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
) -> Callable[[Function], Function]:
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

    def mark(function: Function) -> Function:
        function.course_marks = Marks(count, tuple(hints), link, tuple(needs))  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True)
class Check:
    """One check, as checks.py describes it.

    Args:
        name: without `check_`.
        title: its docstring, on one line; what a learner reads.
        points: for passing.
        hints: where to look; then nearly the code.
        link: a heading of the lesson; may be empty.
        needs: names of checks that must have passed.
        needs_image: whether it asks for the answer's image, itself or through a fixture.
    """

    name: str
    title: str
    points: int
    hints: tuple[str, ...]
    link: str
    needs: tuple[str, ...]
    needs_image: bool = False

    def result(self, verdict: Verdict, **told: Any) -> CheckResult:
        """Return a result of this check; what else it tells is that of a CheckResult."""
        points = self.points if verdict == "passed" else 0
        return CheckResult(self.name, self.title, verdict, points, self.points, **told)


def describe(function: Callable[..., Any]) -> Check:
    """Return what a function says of its check; one without `@points` is worth nothing."""
    marks = getattr(function, "course_marks", Marks(0))
    title = " ".join((function.__doc__ or "").split())
    name = function.__name__.removeprefix(PREFIX)
    hints = tuple(filter(None, marks.hints))
    return Check(name, title, marks.points, hints, marks.link, marks.needs)
