"""One process at a time makes what all processes of a user share."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coursework.files import locked
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
    waiting = f"another course command {does}: waiting for it"
    with locked(user_cache() / f"{what}.lock", lambda: tell(waiting)):
        yield
