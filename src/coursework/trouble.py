"""Our own trouble, said so that a person can act on it."""

from collections.abc import Iterator
from contextlib import contextmanager


class CourseError(Exception):
    """Something that the course needs is missing or broken; never the learner's mark.

    Args:
        what: what happened, in one sentence.
        why: what was seen that explains it.
        fix: the command or link that helps, ready to copy.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why   {self.why}")
        if self.fix:
            lines.append(f"  fix   {self.fix}")
        return "\n".join(lines)


@contextmanager
def engine_trouble(what: str) -> Iterator[None]:
    """Say what could not be done where the engine refuses, or is gone.

    Raises:
        CourseError: in place of any OSError; what the engine's client raises are kinds of it.
    """
    try:
        yield
    except OSError as error:
        why = str(getattr(error, "explanation", "") or error)[:300]
        raise CourseError(what, why=why, fix="course doctor") from error
