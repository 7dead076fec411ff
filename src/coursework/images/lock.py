"""One process at a time changes which base images there are."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coursework.layout import user_cache


@contextmanager
def one_at_a_time(tell: Callable[[str], None]) -> Iterator[None]:
    """Let one process make, save or load images; another waits and then finds them."""
    path = user_cache() / "images.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another course command prepares images: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
