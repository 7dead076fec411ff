"""A container of a stack: what docker inspect says of it, and whom it reaches."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from coursework.checks.failure import Failure
from coursework.checks.reply import Headers, Reply
from coursework.checks.shell import TOO_LATE, Shell, no_answer, require_engine

_REACHED_WITHIN_S = 20.0
_STATUS_LINE = re.compile(r"HTTP/1\.\d (\d{3}) ?(.*)")
# The name is looked up as the container would.
_ASK = 'nc -w 3 "$0" "$1" -e true 2>/dev/null && echo reached || echo not reached'
_ENDED = '{{if ne .State.Status "running"}}{{.State.Status}} ({{.State.ExitCode}}){{end}}'


class Composed:
    """A container of a service, as it was when somebody looked.

    Args:
        facts: of docker inspect.
        shell: beside the engine.
        helper: id of the image that asks others in its place.

    Example:
        >>> web = stack.container("web")
        >>> (web.exit_code, web.restarts, web.published)
        (None, 0, [])
        >>> web.reaches("db", 5432)
        True

    """

    def __init__(self, facts: Mapping[str, Any], shell: Shell, helper: str) -> None:
        self.facts = facts
        self._shell, self._helper = shell, helper

    @property
    def id(self) -> str:
        """The engine's number of it."""
        return str(self.facts["Id"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.facts["Name"]).lstrip("/")

    @property
    def service(self) -> str:
        """The service of the compose file that it belongs to."""
        return str(self.facts["Config"]["Labels"].get("com.docker.compose.service", ""))

    @property
    def image(self) -> str:
        """The image, by the name that the compose file gives it."""
        return str(self.facts["Config"]["Image"])

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs, or before it was started."""
        state = self.facts["State"]
        return int(state["ExitCode"]) if state["Status"] in ("exited", "dead") else None

    @property
    def restarts(self) -> int:
        """How often the engine has started it again."""
        return int(self.facts["RestartCount"])

    @property
    def started_at(self) -> datetime | None:
        """When it was started last; None before."""
        return _moment(self.facts["State"]["StartedAt"])

    @property
    def ended_at(self) -> datetime | None:
        """When it ended last; None if it never has."""
        return _moment(self.facts["State"]["FinishedAt"])

    @property
    def probes(self) -> list[int]:
        """The exit codes of its last probes of health, the oldest first."""
        return [
            int(p["ExitCode"]) for p in (self.facts["State"].get("Health") or {}).get("Log") or ()
        ]

    @property
    def status(self) -> str:
        """The engine's words for how it is, such as `running, unhealthy` or `exited (1)`."""
        state = self.facts["State"]
        if self.exit_code is not None:
            return f"{state['Status']} ({self.exit_code})"
        health = (state.get("Health") or {}).get("Status")
        return f"{state['Status']}, {health}" if health else str(state["Status"])

    @property
    def is_well(self) -> bool:
        """Whether it runs and no probe says otherwise, or has ended with exit code 0."""
        return self.status in ("running", "running, healthy", "exited (0)")

    @property
    def published(self) -> list[str]:
        """Its published ports, such as `127.0.0.1:8080 to 80/tcp`."""
        host = self.facts["HostConfig"]
        if host["NetworkMode"] == "host":
            return ["every port, by network_mode: host"]
        bound = {**(host.get("PortBindings") or {}), **self.facts["NetworkSettings"]["Ports"]}
        return [
            f"{at.get('HostIp') or '0.0.0.0'}:{at['HostPort'] or 'some port'} to {inside}"  # noqa: S104 - told
            for inside, bindings in bound.items()
            for at in bindings or ()
        ]

    @property
    def addresses(self) -> list[str]:
        """Its addresses, one in each of its networks."""
        return [address for _, address in self.places]

    @property
    def places(self) -> list[tuple[str, str]]:
        """Its networks by name, each with its address there."""
        networks = self.facts["NetworkSettings"]["Networks"].items()
        return [(name, str(n["IPAddress"])) for name, n in networks if n.get("IPAddress")]

    @property
    def files(self) -> list[str]:
        """What of the sandbox's own files it was given: secrets, configs and bind mounts."""
        return [str(m["Source"]) for m in self.facts["Mounts"] if m["Type"] == "bind"]

    def reaches(self, host: str, port: int) -> bool:
        """Tell whether a connection from this container to another is accepted.

        A helper in the container's own network tries it, so that its image needs no program.

        Args:
            host: a name, as the container would look it up, or an address.
            port: of that one.

        Raises:
            Failure: the container itself does not run.
            CourseError: the sandbox does not answer.
        """
        limit = f"{_REACHED_WITHIN_S:g}"
        ran = self._shell.finish(
            ["timeout", "-k", "1", limit, "docker", "run", "--rm", f"--network=container:{self.id}",
             "--entrypoint=sh", self._helper, "-c", _ASK, host, str(port)],
            _REACHED_WITHIN_S,
        )  # fmt: skip
        require_engine(ran)
        if ran.exit_code in TOO_LATE:
            raise no_answer(f"a helper beside {self.service} did not end within {limit} s")
        if (said := ran.stdout.strip()) not in ("reached", "not reached"):
            last = ran.stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
            saw = self._status_now() or f"{self.status}, but no helper beside it: {last[0][:200]}"
            raise Failure(f"a container of {self.service} that runs", saw)
        return said == "reached"

    def _status_now(self) -> str:
        """Return how it has ended since somebody looked; nothing if it still runs."""
        words = ["timeout", "-k", "1", "10", "docker", "inspect", f"--format={_ENDED}", self.id]
        ran = self._shell.finish(words, 10)
        require_engine(ran)
        return "removed" if ran.exit_code else ran.stdout.strip()

    def get(self, port: int, path: str) -> Reply:
        """Ask a server in this container, from inside, at a port that need not be published.

        Args:
            port: where it listens, on 127.0.0.1 too.
            path: with its query.

        Returns:
            Its status; its body too, where that is 200. It has no fields.

        Raises:
            Failure: nobody listens there, or no reply comes.
            CourseError: the sandbox does not answer.
        """
        limit = f"{_REACHED_WITHIN_S:g}"
        url = f"http://127.0.0.1:{port}{path}"
        ran = self._shell.finish(
            ["timeout", "-k", "1", limit, "docker", "run", "--rm", f"--network=container:{self.id}",
             self._helper, "wget", "-S", "-O", "-", "-T", "5", url],
            _REACHED_WITHIN_S,
        )  # fmt: skip
        require_engine(ran)
        command = f"docker run --rm --network container:{self.name} busybox:1.37 wget -S -O - {url}"
        told = _STATUS_LINE.search(ran.stderr)
        if not told:
            said = ran.stderr.strip().splitlines()[-1:] or ["nothing"]
            raise Failure(f"a reply to GET {path} at port {port} of {self.service}", said[0][:200],
                          command=command)  # fmt: skip
        body = ran.stdout.encode()
        return Reply(int(told[1]), told[2].strip(), Headers([]), body, command=command)


def _moment(text: str) -> datetime | None:
    """Read one of the engine's times, which has nanoseconds; year 1 is its word for never."""
    moment = datetime.fromisoformat(text)
    return moment if moment.year > 1 else None
