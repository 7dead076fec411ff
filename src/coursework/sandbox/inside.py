"""Commands inside a sandbox, by the engine that it runs in."""

from collections.abc import Mapping, Sequence
from functools import cache
from types import MappingProxyType

from coursework.containers.execution import Execution
from coursework.engine import Engine

USER = "student"
_ENVIRONMENT = {
    "DOCKER_HOST": "unix:///socket/docker.sock",
    "HOME": f"/home/{USER}",
    # Its home cannot be written, and buildx keeps notes.
    "BUILDX_CONFIG": "/tmp/buildx",  # noqa: S108 - inside
}
_NONE: Mapping[str, str] = MappingProxyType({})


class Running(Execution):
    """A command that runs in a sandbox, as its user.

    Args:
        engine: of the sandbox.
        command: its words.
        env: further environment variables.
        folder: where it runs.

    Raises:
        CourseError: the sandbox is gone.

    Example:
        >>> with Running(engine, ["cat"]) as running:
        ...     running.send(b"a")
        ...     running.end_input()
        ...     print(dict(running.output(within_s=5)))

    """

    where = "sandbox"

    def __init__(
        self,
        engine: Engine,
        command: Sequence[str],
        *,
        env: Mapping[str, str] = _NONE,
        folder: str = "",
    ) -> None:
        super().__init__(
            _outer(engine.outer_host), engine.container, command,
            env={**_ENVIRONMENT, **env}, user=USER, folder=folder,
        )  # fmt: skip


@cache
def _outer(host: str) -> Engine:
    return Engine("outer", host)
