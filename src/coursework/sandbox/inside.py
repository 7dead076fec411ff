"""Commands inside a sandbox, by the engine that it runs in."""

from collections.abc import Mapping, Sequence
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
            engine.outer, engine.container, command,
            env={**_ENVIRONMENT, **env}, user=USER, folder=folder,
        )  # fmt: skip


def answer_folder(slug: str) -> str:
    """Return the folder in which a module's answer lies in its sandbox, for Compose and people.

    Its last part is the module's name: Compose names what it makes after it.
    """
    return f"/tmp/answer/{slug}"  # noqa: S108 - inside


def entering(name: str, folder: str, words: Sequence[str], *, terminal: bool) -> list[str]:
    """Return the docker command, for the outer engine, that runs something in a sandbox.

    Args:
        name: of the sandbox.
        folder: where it runs.
        words: what runs.
        terminal: whether a person types into it.
    """
    variables = [f"--env={key}={value}" for key, value in _ENVIRONMENT.items()]
    tty = ["--tty"] if terminal else []
    how = ["--interactive", *tty, f"--user={USER}", f"--workdir={folder}", *variables]
    return ["docker", "exec", *how, name, *words]
