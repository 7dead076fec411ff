"""One throw-away engine: a dockerd without root, in a container without privileges; its way out."""

import os
import shutil
import socket
import struct
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.types import LogConfig

from coursework.containers.container import address_of
from coursework.containers.runs import Run
from coursework.engine import Engine, address
from coursework.sandbox.place import IMAGE, name_of, socket_folders, system_calls
from coursework.trouble import CourseError, engine_trouble

_PROXY_PORT = 3128
_PROXY_COMMAND = ("-d", "-c", "/etc/course/proxy.conf")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_READY_WITHIN_S = 60.0
# Nothing listens there.
_CLOSED_PORT = 1
_REFUSED_WITHIN_S = 5.0
TEMPLATE = "/template"
_DATA = "/data"
_POLL_S = 0.02
# Nothing of a sandbox's own files can be written, so that no disk fills up but its own.
_SCRATCH = {"/tmp": "mode=1777,size=256m", "/run": "exec,size=64m"}  # noqa: S108 - inside it


class Proxy:
    """A forward proxy that many sandboxes share; none of them reaches another through it.

    Args:
        engine: where it runs.
        run: labels it.
    """

    def __init__(self, engine: Engine, run: Run) -> None:
        self._container: Any = engine.client.containers.run(
            IMAGE, list(_PROXY_COMMAND), entrypoint="tinyproxy", name=f"course-proxy-{run.run_id}",
            labels=run.labels, detach=True, mem_limit="128m", pids_limit=128, init=True,
            security_opt=["no-new-privileges"],
        )  # fmt: skip

    def join(self, network: Any) -> tuple[tuple[str, str], ...]:
        """Let a network's containers reach it; return the arguments that tell a build of it."""
        network.connect(self._container)
        self._container.reload()
        address = self._container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        return tuple((name, f"http://{address}:{_PROXY_PORT}") for name in _PROXY_VARIABLES)

    def leave(self, network: Any) -> None:
        """Undo `join`."""
        network.disconnect(self._container, force=True)

    def remove(self) -> None:
        """End it; where the engine is gone, the next run does."""
        with suppress(OSError):
            self._container.remove(force=True)


@dataclass(frozen=True)
class SandboxLimits:
    """What one sandbox may take, with all that runs and is written in it.

    Args:
        memory: in Docker's notation.
        disk: the same; it is memory, so it counts there too.
        cpus: processors.
        processes: at a time.
    """

    memory: str = "3g"
    disk: str = "1500m"
    cpus: float = 1.5
    processes: int = 512


class Sandbox:
    """An engine that is made for one submission and thrown away with all that was done to it.

    It is created at once, and answers about two seconds later.

    Args:
        outer: the engine that it runs in.
        run: labels what is made.
        number: of the run's sandboxes, each its own.
        proxy: for its builds; without one they reach nothing.
        template: the volume whose images and build cache it begins with.
        data: the volume to keep its data in; by default memory, which ends with it.
        limits: of all that runs in it.

    Raises:
        CourseError: the outer engine cannot create it.

    """

    def __init__(
        self,
        outer: Engine,
        run: Run,
        number: int,
        *,
        proxy: Proxy | None = None,
        template: str = "",
        data: str = "",
        limits: SandboxLimits = SandboxLimits(),
    ) -> None:
        self._proxy = proxy
        self._outer_host = outer.docker_host
        self._name = name_of(run.run_id, number)
        self._processors = limits.cpus
        self._folder = socket_folders() / f"{run.run_id}-{number}"
        self._peer: int | None = None
        self._container: Any = None
        self._network: Any = None
        self._folder.mkdir(parents=True, mode=0o700)
        volumes = {str(self._folder): {"bind": "/socket", "mode": "rw"}}
        volumes |= {template: {"bind": TEMPLATE, "mode": "ro"}} if template else {}
        volumes |= {data: {"bind": _DATA, "mode": "rw"}} if data else {}
        with engine_trouble("A sandbox cannot be created."), ExitStack() as failed:
            failed.callback(self.remove)
            self._network = outer.client.networks.create(
                self._name, driver="bridge", internal=True, labels=run.labels
            )
            self._build_args = proxy.join(self._network) if proxy else ()
            self._container = self._start_container(outer, run, volumes, limits, keep=bool(data))
            failed.pop_all()

    def _start_container(
        self, outer: Engine, run: Run, volumes: Any, limits: SandboxLimits, *, keep: bool
    ) -> Any:
        api: Any = outer.client.api
        host = api.create_host_config(
            binds=volumes, network_mode=self._name,
            tmpfs=_SCRATCH if keep else {**_SCRATCH, _DATA: f"exec,mode=755,size={limits.disk}"},
            read_only=True,
            security_opt=[f"seccomp={system_calls(outer)}"],
            devices=["/dev/fuse:/dev/fuse:rwm", "/dev/net/tun:/dev/net/tun:rwm"],
            mem_limit=limits.memory, memswap_limit=limits.memory, cpu_period=100_000,
            cpu_quota=int(limits.cpus * 100_000), cpu_shares=512, pids_limit=limits.processes,
            log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m"}),
        )  # fmt: skip
        # A user namespace may mount /proc only where nothing of it is hidden.
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
        made = api.create_container(
            IMAGE, name=self._name, hostname="sandbox", labels=run.labels, host_config=host
        )
        container = outer.client.containers.get(made["Id"])
        container.start()
        return container

    @property
    def name(self) -> str:
        """The name of its container in the outer engine."""
        return self._name

    @property
    def socket(self) -> Path:
        """Where its engine answers."""
        return self._folder / "docker.sock"

    def wait_until_ready(self) -> Engine:
        """Wait until its engine answers, and return it.

        Raises:
            CourseError: it does not come up; with what it said last.
        """
        docker_host = f"unix://{self.socket}"
        deadline = time.monotonic() + _READY_WITHIN_S
        while not address.probe(docker_host).answers:
            self._container.reload()
            if time.monotonic() > deadline or self._container.status != "running":
                said = bytes(self._container.logs(tail=5)).decode(errors="replace")
                raise CourseError(
                    "A sandbox does not come up.", why=said[-500:].strip(), fix="course doctor"
                )
            if os.geteuid() and self.socket.exists():
                # The folder above is this user's alone; the socket is another's.
                self._container.exec_run(["chmod", "666", "/socket/docker.sock"])
            time.sleep(_POLL_S)
        self._close_folder()
        self._peer = self._listener()
        self._container.reload()
        reached_at = address_of(self._container)
        _require_reachable(reached_at)
        return Engine(
            "sandbox", docker_host, reached_at, self._build_args,
            self._container.attrs["State"]["Pid"], self._outer_host, self._name, self._processors,
        )  # fmt: skip

    def _close_folder(self) -> None:
        """Let nobody inside put anything beside the socket, or in its place."""
        if os.geteuid() == 0:
            os.chown(self._folder, 0, 0)
        else:
            self._container.exec_run(["chown", "root:root", "/socket"])

    def is_intact(self) -> bool:
        """Tell whether the engine that answers is still the process that came up.

        Somebody inside who got out of a container could answer in its place, and say of
        containers what a check likes to hear.
        """
        with suppress(OSError):
            return self._peer is not None and self._listener() == self._peer
        return False

    def require_intact(self) -> None:
        """See `is_intact`.

        Raises:
            CourseError: another process answers, or none.
        """
        if not self.is_intact():
            raise CourseError(
                "The submission's engine is not the one that was started.",
                why="what answers in its place may say anything, so nothing of it counts",
            )

    def _listener(self) -> int:
        """Return the process that listens at the socket, as this machine's kernel names it.

        SO_PEERCRED, unix(7): what the peer was at the time of its listen(2).
        """
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            size = struct.calcsize("3i")
            raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
        return int(struct.unpack("3i", raw)[0])

    def stop(self) -> None:
        """End its engine and keep its data, which must be a volume."""
        self._container.stop(timeout=20)

    def remove(self) -> None:
        """Throw it away; what is gone already is fine, and what will not go `clean` finds."""
        if self._container is not None:
            with suppress(OSError):
                self._container.remove(force=True, v=True)
        if self._network is not None:
            with suppress(OSError):
                if self._proxy:
                    self._proxy.leave(self._network)
                self._network.remove()
        shutil.rmtree(self._folder, ignore_errors=True)


def _require_reachable(host: str) -> None:
    """Refuse to judge from where no sandbox is reached: every server would seem dead.

    Args:
        host: the address of a sandbox, whose kernel refuses a connection that gets there.

    Raises:
        CourseError: no connection gets there.
    """
    try:
        socket.create_connection((host, _CLOSED_PORT), timeout=_REFUSED_WITHIN_S).close()
    except ConnectionRefusedError:
        return
    except OSError as error:
        raise CourseError(
            "This program does not reach its own sandboxes.",
            why=f"no connection to {host} gets there ({error}); it runs in another network than the"
            " containers, as in a container without --network=host",
            fix="type the command on the machine that the engine runs on",
        ) from error
