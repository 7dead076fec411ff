"""One word for what a busy machine may spoil: it is asked again before it counts."""

import itertools
import time
from collections.abc import Callable
from typing import TypeVar

from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure, StartFailure

Result = TypeVar("Result")

_PAUSE_S = 0.02


def eventually(
    expectation: Callable[[], Result], *, within_s: float = 0.0, attempts: int = 1
) -> Result:
    """Return what an expectation returns; one that fails is tried again.

    Args:
        expectation: raises Failure, or fails by an `expect`, where it does not hold.
        within_s: it is tried again for so many seconds; more where the machine was never idle.
        attempts: it is tried that often, however long that takes.

    Raises:
        Failure: the last one.

    Example:
        >>> eventually(lambda: server.get("/health").expect(200), within_s=5)
        >>> eventually(lambda: expect_quick_answers(server), attempts=3)

    """
    deadline = Deadline(within_s)
    for attempt in itertools.count(1):
        try:
            return expectation()
        except StartFailure:
            # It is told once, and nothing starts by being asked again.
            raise
        except Failure:
            if attempt >= attempts and deadline.has_passed():
                raise
        time.sleep(_PAUSE_S)
    raise AssertionError
