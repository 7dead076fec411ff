"""Waiting for a service of the checks' own until it answers."""

import time
from collections.abc import Callable

from coursework.containers.container import Container
from coursework.trouble import CourseError

_POLL_S = 0.01


def wait_until_ready(
    container: Container, name: str, answers: Callable[[], bool], *, within_s: float = 20.0
) -> None:
    """Wait until a service in a container answers.

    Args:
        container: in which it starts.
        name: of the service, for the message.
        answers: asks it, and tells whether it answered.
        within_s: seconds.

    Raises:
        CourseError: it does not answer in time, or its container has ended; its log is told.
    """
    deadline = time.monotonic() + within_s
    while not answers():
        if time.monotonic() > deadline or container.exit_code() is not None:
            why = container.log()[-500:]
            raise CourseError(f"The checks' {name} does not start.", why=why)
        time.sleep(_POLL_S)
