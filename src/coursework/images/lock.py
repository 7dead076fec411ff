"""One process at a time makes what all processes of a user share."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coursework.layout import user_cache


@contextmanager
def one_at_a_time(
    tell: Callable[[str], None], what: str = "images", does: str = "prepares images"
) -> Iterator[None]:
    """Let one process make, save or load images; another waits and then finds them.

    Args:
        tell: is told that somebody else is waited for.
        what: is made instead of images; a name of its own.
        does: what another process is said to do.
    """
    path = user_cache() / f"{what}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"another course command {does}: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
