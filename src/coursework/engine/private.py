"""The course's own container engine: a dockerd with all it needs of its own, started and ended."""

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from coursework.engine import address, cgroups, network, packages, processes, use
from coursework.files import locked
from coursework.layout import user_cache
from coursework.trouble import CourseError

STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 30.0
# Longer folders leave no room for containerd's socket names: the kernel takes 107 characters.
_LONGEST_FOLDER = 60


@dataclass(frozen=True)
class PrivateEngine:
    """A private engine, known by the folder that holds all it keeps.

    Args:
        folder: of its data root, sockets, pid file and log.
    """

    folder: Path

    @property
    def name(self) -> str:
        """A name that no other folder's engine has; also its bridge's, so at most 15 characters."""
        return f"course-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"

    @property
    def runtime(self) -> Path:
        """The folder of sockets and run-time state: this one, or a shorter one under /run."""
        short = len(str(self.folder)) <= _LONGEST_FOLDER
        return self.folder if short else Path("/run") / self.name

    @property
    def docker_host(self) -> str:
        """Its address, as in DOCKER_HOST."""
        return f"unix://{self.runtime / 'docker.sock'}"

    @property
    def data(self) -> Path:
        """Its data root: images, layers, volumes."""
        return self.folder / "data"

    @property
    def exec_root(self) -> Path:
        """Its run-time state; the path that marks each of its processes."""
        return self.runtime / "exec"

    @property
    def pid_file(self) -> Path:
        """The number of the running dockerd."""
        return self.folder / "dockerd.pid"

    @property
    def log(self) -> Path:
        """What dockerd said since its last start."""
        return self.folder / "dockerd.log"

    def pid(self) -> int | None:
        """Return dockerd's process id; None where none runs, whatever the pid file says."""
        try:
            number = int(self.pid_file.read_text("ascii"))
        except (OSError, ValueError):
            return None
        return number if processes.is_program(number, "dockerd", self.exec_root) else None

    def answers(self) -> bool:
        """Ping it once."""
        return address.probe(self.docker_host).answers

    def locked(self, progress: Callable[[str], None]) -> AbstractContextManager[None]:
        """Let one process at a time start or stop this engine."""
        waiting = "waiting for another start or stop of the engine"
        return locked(self.folder / "lock", lambda: progress(waiting))

    def start(self, progress: Callable[[str], None]) -> bool:
        """Start it where it does not answer, after clearing what a killed one left.

        Returns:
            Whether this call started it.

        Raises:
            CourseError: it does not come up; with the end of its log.
        """
        with self.locked(progress):
            if self.answers():
                return False
            processes.clear(self.exec_root, ENDS_WITHIN_S)
            self._forget_stale()
            cgroups.mount_where_missing()
            # Bridges of a killed engine still hold their ranges; its own bridge is taken over.
            addresses = network.choose_range(network.used_ranges((self.name,)))
            network.make_bridge(self.name, next(addresses.subnets(new_prefix=24)))
            progress("starting a container engine of the course's own")
            with self.log.open("wb") as log:
                number = processes.start_daemon(self._command(addresses), _daemon_path(), log)
            self._wait(number)
            return True

    def stop(self, progress: Callable[[str], None]) -> bool:
        """End it with all its containers; images stay.

        Returns:
            Whether there was anything to end.
        """
        if not self.folder.is_dir():
            return False
        with self.locked(progress):
            pid = self.pid()
            bridges = self._network_bridges() if pid else []
            if pid:
                progress("stopping the course's own container engine")
                processes.end([pid], ENDS_WITHIN_S)
            found = processes.clear(self.exec_root, ENDS_WITHIN_S)
            processes.unmount(self.folder)
            processes.unmount(self.runtime)
            for bridge in (*bridges, self.name):
                network.remove_bridge(bridge)
            self._forget_stale()
            use.forget(self.folder)
            return bool(pid) or found

    def _forget_stale(self) -> None:
        """Remove what would make a new dockerd believe that another one runs."""
        containerd = self.exec_root / "containerd"
        for stale in (self.pid_file, self.runtime / "docker.sock", containerd / "containerd.pid"):
            stale.unlink(missing_ok=True)
        for socket in containerd.glob("*.sock*"):
            socket.unlink(missing_ok=True)

    def _command(self, addresses: IPv4Network) -> list[str]:
        dockerd = packages.find_program("dockerd")
        if not dockerd:
            raise CourseError("dockerd is not installed.", fix="apt-get install docker.io")
        pool = list(addresses.subnets(new_prefix=17))[1]
        return [
            dockerd,
            f"--data-root={self.data}",
            f"--exec-root={self.exec_root}",
            f"--pidfile={self.pid_file}",
            f"--host={self.docker_host}",
            f"--bridge={self.name}",
            f"--default-address-pool=base={pool},size=24",
            "--shutdown-timeout=5",
        ]

    def _wait(self, number: int) -> None:
        deadline = time.monotonic() + STARTS_WITHIN_S
        while not self.answers():
            ended = not processes.is_running(number)
            if ended or time.monotonic() > deadline:
                processes.end([number], ENDS_WITHIN_S)
                processes.clear(self.exec_root, ENDS_WITHIN_S)
                network.remove_bridge(self.name)
                raise CourseError(
                    "The course's own container engine does not start.",
                    why=self._last_words() if ended else f"silent for {STARTS_WITHIN_S:.0f} s",
                    fix=f"read {self.log}, or install Docker: {packages.INSTALL_DOCKER}",
                )
            time.sleep(0.05)

    def _last_words(self) -> str:
        lines = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        return lines[-1][:600] if lines else "it ended without a word"

    def _network_bridges(self) -> list[str]:
        """Return the network devices that dockerd leaves behind when it ends."""
        try:
            networks = address.get(self.docker_host, "/networks", timeout_s=5)
            return [f"br-{n['Id'][:12]}" for n in networks if n["Driver"] == "bridge"]
        except (OSError, KeyError, TypeError):
            return []


def _daemon_path() -> str:
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *packages.SYSTEM_FOLDERS])


def private_engine() -> PrivateEngine:
    """Return this user's private engine, whether it runs or not."""
    return PrivateEngine(user_cache() / "engine")
