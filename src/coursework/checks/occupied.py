"""Addresses of a sandbox's networks that are taken, so that the next container gets another one."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from coursework.engine import Engine

_AT_MOST = 8


@contextmanager
def occupied(engine: Engine, image: str, places: Iterable[tuple[str, str]]) -> Iterator[None]:
    """Keep addresses taken until the block ends.

    An engine gives the lowest free address: whoever comes next would get the old one again.

    Args:
        engine: of the sandbox.
        image: with `sleep`.
        places: names of networks, each with a free address in it.

    Raises:
        OSError: the engine does not answer.
    """
    client: Any = engine.client
    occupants: list[Any] = []
    try:
        for network, address in places:
            for _ in range(_AT_MOST):
                command = ["sleep", "600"]
                occupants.append(
                    client.containers.run(image, command, network=network, detach=True)
                )
                occupants[-1].reload()
                networks = occupants[-1].attrs["NetworkSettings"]["Networks"]
                if networks[network]["IPAddress"] == address:
                    break
        yield
    finally:
        for occupant in occupants:
            with suppress(OSError):
                occupant.remove(force=True)
