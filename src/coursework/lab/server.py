"""JupyterLab as a child of ours: started, waited for, and ended with its kernels and terminals."""

import contextlib
import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from coursework.notebook import SAVES_WHAT_RUNS
from coursework.trouble import CourseError

FIRST_PORT = 8888
_PORTS_TRIED = 50
_USABLE_WITHIN_S = 60.0
_ENDS_WITHIN_S = 15.0
_CONFIG = Path(__file__).with_name("jupyter_config.py")


def free_port(wanted: int = FIRST_PORT) -> int:
    """Find the first port from the wanted one on that nothing on this machine listens on.

    Raises:
        CourseError: none of the next ones is free.
    """
    for port in range(wanted, min(wanted + _PORTS_TRIED, 65536)):
        with socket.socket() as trial, contextlib.suppress(OSError):
            # As a server does: a port whose last connections still fade away is free.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            return port
    raise CourseError(
        f"No port from {wanted} on is free for JupyterLab.",
        fix="course lab --port 9999",
    )


def has_display() -> bool:
    """Tell whether a browser that is opened here can be seen by the person who typed."""
    if "SSH_CONNECTION" in os.environ:
        return False
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@dataclass
class Lab:
    """One running JupyterLab; a context manager that ends it.

    Args:
        folder: what it shows.
        environment: of the server, its kernels and its terminals.
        port: on the loopback address.
        log: takes what the server says.
        opens: path below `folder` that the address opens, such as a first lesson.
    """

    folder: Path
    environment: dict[str, str]
    port: int
    log: Path
    opens: str = ""

    def __enter__(self) -> Self:
        """Start the server; it is usable once `wait_until_usable` returns."""
        self._token = secrets.token_hex(24)
        root = ["--allow-root"] if os.geteuid() == 0 else []
        options = [
            f"--config={_CONFIG}",
            f"--port={self.port}",
            f"--ServerApp.root_dir={self.folder}",
        ]
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "jupyterlab", *options, *root],
                # By variable and not by option: anyone on the machine may read options.
                env={**self.environment, SAVES_WHAT_RUNS: "1", "JUPYTER_TOKEN": self._token},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C is ours to handle: one must be enough.
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        """The server's process number."""
        return self._server.pid

    @property
    def url(self) -> str:
        """Its address with the token that opens it."""
        tree = f"/tree/{self.opens}" if self.opens else ""
        return f"http://localhost:{self.port}/lab{tree}?token={self._token}"

    def wait_until_usable(self) -> None:
        """Wait until it answers its own page with 200.

        Raises:
            CourseError: it ended or stays silent; with the end of its log.
        """
        deadline = time.monotonic() + _USABLE_WITHIN_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                words = self.log.read_text("utf-8", errors="replace").strip().splitlines()
                raise CourseError(
                    "JupyterLab does not start.",
                    why=words[-1][-600:] if words else "it ended without a word",
                    fix=f"read {self.log}",
                )
            time.sleep(0.05)

    def wait(self) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self._server.wait()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/lab", headers={"Authorization": f"token {self._token}"})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def __exit__(self, *_: object) -> None:
        """End it: it ends its kernels and terminals itself; what does not end is killed."""
        self._server.terminate()
        try:
            self._server.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._server.pid, signal.SIGKILL)
            self._server.wait()


@contextlib.contextmanager
def interrupted_by_any_end() -> Iterator[None]:
    """Treat a closed terminal and a polite kill as Ctrl-C."""

    def interrupt(number: int, frame: object) -> None:
        del number, frame
        raise KeyboardInterrupt

    names = (signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, interrupt) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def uninterrupted(work: Callable[[], None]) -> None:
    """Do what must be finished: further signals to end are not heard meanwhile."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {name: signal.signal(name, signal.SIG_IGN) for name in names}
    try:
        work()
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
