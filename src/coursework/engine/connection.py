"""An engine that answers, and how to reach it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from coursework.engine import address, command_line, packages, processes, use
from coursework.engine.private import PrivateEngine, private_engine
from coursework.trouble import CourseError

if TYPE_CHECKING:
    import docker

_CALL_WITHIN_S = 60


@dataclass(frozen=True)
class Engine:
    """A container engine that answers.

    Args:
        kind: `host` for the user's own Docker, `private` for the course's, `sandbox` for one that
            is thrown away after a submission.
        docker_host: its address, as in DOCKER_HOST.
        reached_at: the address at which this machine finds what containers publish.
        build_args: names and values that every build is told; never part of a cache's key.
        process: this machine's number of a sandbox's process 1.
        outer_host: the address of the engine in which a sandbox runs.
        container: the name of its container there.
        processors: how many of this machine's a sandbox may take.
    """

    kind: str
    docker_host: str
    reached_at: str = "127.0.0.1"
    build_args: tuple[tuple[str, str], ...] = ()
    process: int = 0
    outer_host: str = ""
    container: str = ""
    processors: float = 0.0

    @property
    def is_sandbox(self) -> bool:
        """Whether it numbers ports and processes in a world of its own."""
        return self.kind == "sandbox"

    @property
    def outer(self) -> "Engine":
        """The engine in which a sandbox runs; this one where it is no sandbox's."""
        return _outer(self.outer_host) if self.is_sandbox else self

    def process_folder(self, number: int) -> Path:
        """Return the /proc folder of a process that the engine knows by a number."""
        if not self.is_sandbox:
            return Path(f"/proc/{number}")
        return Path(f"/proc/{processes.process_inside(self.process, number) or 'unseen'}")

    def __getstate__(self) -> dict[str, object]:
        """Return what another process needs to reach it: all but an open client."""
        return {name: value for name, value in self.__dict__.items() if name != "client"}

    @cached_property
    def client(self) -> "docker.DockerClient":
        """The SDK's client of this engine."""
        import docker  # noqa: PLC0415  a quarter of a second that finding an engine need not pay

        return docker.DockerClient(base_url=self.docker_host, timeout=_CALL_WITHIN_S)

    def environment(self) -> dict[str, str]:
        """Return the environment in which docker, compose and buildx reach this engine.

        Raises:
            CourseError: no docker command on this machine can build for this engine.
        """
        return command_line.environment(self.docker_host)


# Each has a client with connections of its own.
@cache
def _outer(host: str) -> Engine:
    return Engine("outer", host)


def find_engine() -> Engine | None:
    """Find an engine that answers: the user's own, else the private one; None where there is none.

    The private one then counts as in use until this process ends.
    """
    private = private_engine()
    for candidate in address.host_addresses():
        if candidate == private.docker_host:
            continue
        if address.is_local(candidate) and address.probe(candidate).answers:
            return Engine("host", candidate)
    if _decided_otherwise(private) or not private.answers():
        return None
    use.hold(private.folder)
    return Engine("private", private.docker_host)


def _decided_otherwise(private: PrivateEngine) -> bool:
    """Tell whether DOCKER_HOST names another engine than the private one."""
    return (os.environ.get("DOCKER_HOST") or private.docker_host) != private.docker_host


def start_engine(progress: Callable[[str], None] | None = None) -> Engine:
    """Find an engine, or install and start the private one.

    Args:
        progress: is told each step that takes time.

    Raises:
        CourseError: there is none and none can be started; with what is missing and its fix.
    """
    tell = progress or (lambda _: None)
    if engine := find_engine():
        return engine
    private = private_engine()
    _refuse_unusable(private)
    if engine := install_engine(tell):
        return engine
    use.hold(private.folder)
    private.start(tell)
    return Engine("private", private.docker_host)


def install_engine(progress: Callable[[str], None]) -> Engine | None:
    """Install what a private engine needs.

    Returns:
        The user's own engine, where installing it made it run.

    Raises:
        CourseError: it cannot be installed here.
    """
    missing = packages.missing_packages()
    if missing or os.geteuid() != 0:
        packages.require_installable()
        packages.install(missing, progress)
        return find_engine()
    return None


def _refuse_unusable(private: PrivateEngine) -> None:
    """Say why an engine that the user named or has cannot be used, before starting another."""
    for candidate in address.host_addresses():
        if candidate == private.docker_host:
            continue
        if not address.is_understood(candidate):
            named = "DOCKER_HOST" if os.environ.get("DOCKER_HOST") else "docker's context"
            raise CourseError(
                f"{named} is no address that is understood: {candidate}",
                why="it must be unix:// with a path, or tcp:// with a host and a port",
                fix="export DOCKER_HOST=unix:///var/run/docker.sock, or: unset DOCKER_HOST",
            )
        if not address.is_local(candidate):
            raise CourseError(
                f"The container engine at {candidate} is on another machine.",
                why="checks reach what containers publish at localhost only",
                fix="unset DOCKER_HOST, or `docker context use default`",
            )
        answer = address.probe(candidate)
        if answer.denied:
            raise CourseError(
                f"Docker runs at {candidate}, but this user may not talk to it.",
                why=answer.reason,
                fix="sudo usermod -aG docker $USER   (then log in again)",
            )
        if _decided_otherwise(private):
            raise CourseError(
                f"DOCKER_HOST names {candidate}, but no engine answers there.",
                why=answer.reason,
                fix="start that engine, or: unset DOCKER_HOST",
            )
