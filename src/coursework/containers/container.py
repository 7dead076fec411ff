"""A submission's container: made, started, looked at from outside, removed."""

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from docker.types import LogConfig

from coursework.containers.archive import Link, pack
from coursework.containers.runs import Run
from coursework.engine import Engine
from coursework.engine.cgroups import processor_seconds
from coursework.engine.processes import processor_seconds_together
from coursework.trouble import CourseError

LIMIT_PROCESSES = 512
# How the engine refuses a USER that the image does not know.
NO_ACCOUNT = ("unable to find user", "unable to find group")
_LOG_LINES = 200


@dataclass(frozen=True)
class Settings:
    """How a container is started.

    Args:
        image: its id or name.
        env: environment variables.
        files: content by absolute path, laid into the container before it starts.
        args: arguments behind the image's own entry point.
        port: the port inside that is published; None for none.
        memory: limit in Docker's notation, such as `2g`.
        confined: nothing but /tmp can be written, and root has no capability.
        in_memory: folders that are kept in memory, empty at first, for every user inside.
        processes_of: name of a container whose processes it sees; for programs of ours.
        entrypoint: takes the place of the image's own program and arguments.
        hosts: addresses by the names under which it finds them.
        side_port: a second port inside that is published.
        healthcheck: whether the engine runs the image's HEALTHCHECK.
    """

    image: str
    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes | Link] = field(default_factory=dict)
    args: Sequence[str] = ()
    port: int | None = None
    memory: str = "2g"
    confined: bool = False
    in_memory: Sequence[str] = ()
    processes_of: str = ""
    entrypoint: Sequence[str] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    side_port: int | None = None
    healthcheck: bool = True


@dataclass(frozen=True)
class Probe:
    """One run of a HEALTHCHECK that has ended.

    Args:
        began: when, as the engine writes it.
        exit_code: 0 where all is well; -1 where it took longer than its time limit.
        output: what it printed, or what the engine says of it.
    """

    began: str
    exit_code: int
    output: str


def address_of(container: Any) -> str:
    """Return a container's address among those of its engine; empty where it has none."""
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    return next((str(n["IPAddress"]) for n in networks if n.get("IPAddress")), "")


def published_port(container: Any, inside: int) -> int | None:
    """Return the port that leads to one inside a container; None where none does."""
    bindings = container.attrs["NetworkSettings"]["Ports"].get(f"{inside}/tcp")
    return int(bindings[0]["HostPort"]) if bindings else None


class Container:
    """One container of a run."""

    def __init__(self, engine: Engine, run: Run, name: str, settings: Settings) -> None:
        self._engine = engine
        self._port = settings.port
        # No port is named: the engine picks a free one. What is a sandbox's own is nobody else's.
        where = "0.0.0.0" if engine.is_sandbox else "127.0.0.1"  # noqa: S104 - inside it
        published = filter(None, (settings.port, settings.side_port))
        ports: Any = {f"{port}/tcp": (where, None) for port in published}
        self.name = name
        self._process, self._sees_process = Path(), False
        in_memory = [*settings.in_memory, *(["/tmp"] if settings.confined else [])]  # noqa: S108
        self._container: Any = engine.client.containers.create(
            settings.image,
            list(settings.args) or None,
            entrypoint=list(settings.entrypoint) or None,
            name=name,
            labels=run.labels,
            environment=dict(settings.env),
            ports=ports,
            mem_limit=settings.memory,
            memswap_limit=settings.memory,
            pids_limit=LIMIT_PROCESSES,
            security_opt=["no-new-privileges"],
            read_only=settings.confined,
            tmpfs=dict.fromkeys(in_memory, ""),
            cap_drop=["ALL"] if settings.confined else None,
            extra_hosts=dict(settings.hosts),
            healthcheck=None if settings.healthcheck else {"test": ["NONE"]},
            pid_mode=f"container:{settings.processes_of}" if settings.processes_of else None,
            log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "5m"}),
        )
        if settings.files:
            self._container.put_archive("/", pack(settings.files))

    @property
    def removable(self) -> Any:
        """The SDK's object, for the cleaner."""
        return self._container

    def start(self) -> str:
        """Start it; return the reason where the image names a program or account it lacks.

        Raises:
            CourseError: the engine itself is in trouble.
        """
        try:
            self._container.start()
        except APIError as error:
            reason = str(error.explanation or error)
            # No such account, or a command that cannot run: that is the image's mistake.
            if any(sign in reason for sign in ("exec", *NO_ACCOUNT)):
                return reason
            raise CourseError(
                "The engine cannot start a container.", why=reason[:300], fix="course doctor"
            ) from error
        self._container.reload()
        self._process = self._engine.process_folder(self._container.attrs["State"]["Pid"])
        self._sees_process = self._process.is_dir()
        return ""

    def is_seen_gone(self) -> bool:
        """Tell at once, without asking the engine, whether its first process is gone.

        False where this machine cannot see the processes of its engine.
        """
        return self._sees_process and not self._process.is_dir()

    def nothing_listens(self) -> bool:
        """Tell whether nothing inside listens on its port yet; False where nobody can look."""
        heard = (address.endswith(f":{self._port}") for address in self.listening_addresses())
        return self._sees_process and not any(heard)

    def listens_elsewhere(self) -> bool:
        """Tell whether it listens, but not where its port is asked; False where nobody can look."""
        found = self.listening_addresses()
        asked = {
            f"0.0.0.0:{self._port}",
            f":::{self._port}",
            f"{self.network_address}:{self._port}",
        }
        return bool(found) and asked.isdisjoint(found)

    def processor_seconds(self) -> float | None:
        """Return the processor time that it has had; None where this machine cannot look."""
        if not self._sees_process:
            return None
        # All containers of a sandbox are in its one control group.
        read = processor_seconds_together if self._engine.is_sandbox else processor_seconds
        return read(self._process)

    @property
    def network_address(self) -> str:
        """Its address among the engine's containers; empty where it has none."""
        return address_of(self._container)

    @property
    def hostname(self) -> str:
        """What a program inside learns when it asks for the name of its machine."""
        return str(self._container.attrs["Config"]["Hostname"])

    def inside_address(self, port: int | None = None) -> tuple[str, int] | None:
        """Return its own address on the engine's network, where this machine can reach that.

        Args:
            port: another one than its first.
        """
        port = port or self._port
        if self._engine.is_sandbox or sys.platform != "linux":
            return None
        if not self._engine.docker_host.startswith("unix:"):
            return None
        return (self.network_address, port) if self.network_address and port else None

    def published_address(self, port: int | None = None) -> tuple[str, int] | None:
        """Return the address on this machine that leads to it; None while there is none.

        Args:
            port: another one than its first.
        """
        published = published_port(self._container, port or self._port or 0)
        return (self._engine.reached_at, published) if published else None

    def near_address(self) -> tuple[str, int] | None:
        """Return the address at which this machine reaches it best; None while there is none."""
        return self.inside_address() or self.published_address()

    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""
        try:
            self._container.reload()
        except NotFound:
            return 137
        state = self._container.attrs["State"]
        return None if state["Running"] or state["Status"] == "created" else int(state["ExitCode"])

    def has_ended(self) -> bool:
        """Tell whether it has ended; while its process is seen, the engine is not asked."""
        return not (self._sees_process and self._process.is_dir()) and self.exit_code() is not None

    def was_out_of_memory(self) -> bool:
        """Tell whether the kernel ended it at its memory limit."""
        return bool(self._container.attrs["State"].get("OOMKilled"))

    def wait(self, within_s: float) -> int | None:
        """Wait for its end; None when it still runs after that many seconds."""
        deadline = time.monotonic() + within_s
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.exit_code()

    def log(
        self, *, stdout: bool = True, stderr: bool = True, lines: int | str = _LOG_LINES
    ) -> str:
        """Return the last lines it printed; with `lines="all"`, everything the engine kept."""
        try:
            raw = self._container.logs(stdout=stdout, stderr=stderr, tail=lines)
        except (NotFound, APIError):
            return ""
        return bytes(raw).decode(errors="replace")

    def signal(self, name: str) -> bool:
        """Send a signal such as SIGTERM to its first process, as an operator would.

        Returns:
            Whether it was there to get it; False where it has ended.
        """
        try:
            self._container.kill(signal=name)
        except APIError:
            if self.exit_code() is None:
                raise
            return False
        return True

    def process_count(self) -> int:
        """Return how many processes run inside."""
        return len(self._container.top()["Processes"])

    def first_process(self) -> str:
        """Return the command line of its first process; empty where it has ended.

        The engine lists a container's processes by their numbers outside: the first one is the
        one whose parent is not listed.
        """
        try:
            listed = self._container.top(ps_args="-eo pid,ppid,args")["Processes"]
        except APIError:
            return ""
        numbers = {number for number, *_ in listed}
        first = (args for _, parent, args in listed if parent not in numbers)
        return str(next(first, ""))

    def health(self) -> tuple[str, str]:
        """Return its health as the engine calls it, and what the last probe printed.

        The word is `none` where the image has no HEALTHCHECK.
        """
        self._container.reload()
        health = self._container.attrs["State"].get("Health") or {}
        probes = health.get("Log") or [{}]
        return str(health.get("Status", "none")), str(probes[-1].get("Output", ""))

    def probes(self) -> list[Probe]:
        """Return the last five runs of its HEALTHCHECK that have ended, the oldest first."""
        self._container.reload()
        log = (self._container.attrs["State"].get("Health") or {}).get("Log") or []
        return [Probe(str(p["Start"]), int(p["ExitCode"]), str(p["Output"])) for p in log]

    def run_inside(self, *command: str) -> None:
        """Run a command in a container of ours; never in a submission's.

        Raises:
            CourseError: it failed.
        """
        code, output = self._container.exec_run(list(command))
        if code:
            raise CourseError(
                f"{self.name} does not obey.", why=bytes(output).decode(errors="replace")[-300:]
            )

    def listening_addresses(self) -> list[str]:
        """Return `address:port` of every TCP socket that listens inside, as its kernel lists them.

        The engine is asked for nothing but the process id: nothing runs inside the container.
        Empty where this machine cannot look.
        """
        found: list[str] = []
        for table in ("tcp", "tcp6"):
            try:
                found += _listening((self._process / "net" / table).read_text("ascii"))
            except OSError:
                continue
        return found


def _listening(table: str) -> list[str]:
    """Read the kernel's table of TCP sockets (proc(5)): state 0A is LISTEN, addresses are hex."""
    rows = [line.split() for line in table.splitlines()[1:]]
    local = [row[1].split(":") for row in rows if row[3] == "0A"]
    return [f"{_address(host)}:{int(port, 16)}" for host, port in local]


def _address(hexadecimal: str) -> str:
    if len(hexadecimal) > 8:  # noqa: PLR2004 - digits of an IPv4 address
        return {"0" * 32: "::", "0" * 24 + "01000000": "::1"}.get(hexadecimal, "an IPv6 address")
    return ".".join(str(b) for b in reversed(bytes.fromhex(hexadecimal)))
