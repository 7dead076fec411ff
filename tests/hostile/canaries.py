"""What hostile submissions must not reach: files, processes and networks beside their sandbox."""

import http.server
import os
import secrets
import subprocess
import threading
from contextlib import contextmanager, suppress
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path

import requests

from coursework.checks.deadline import Deadline
from coursework.containers.runs import open_run
from coursework.sandbox.place import socket_folders
from tests.clone import own

_HELPER = "busybox:1.37"
# Where whoever got to the machine's files would begin to write.
_FOLDERS = (Path("/"), Path("/tmp"), Path("/dev"), Path("/etc"), Path("/etc/cron.d"), Path.home())
# The hash of what stands in a template, and when each of it was changed last.
_PRINT = "find /template -exec stat -c '%n %i %s %a %Z' {} + | sort | sha256sum"


@contextmanager
def neighbour_container(engine, folder):
    """Run a neighbour with a file and a process, and keep a file of this machine beside it."""
    word = secrets.token_hex(8)
    (folder / "canary").write_text(word)
    with open_run(own("95-neighbour")) as run:
        container = engine.client.containers.run(
            _HELPER, ["sh", "-c", f"echo {word} > /canary; exec sleep 9999"], detach=True,
            labels=run.labels,
        )  # fmt: skip
        try:
            yield
            container.reload()
            assert container.status == "running"
            assert container.attrs["RestartCount"] == 0
            assert container.exec_run(["cat", "/canary"]).output.decode().strip() == word
            assert len(container.top()["Processes"]) == 1
            assert (folder / "canary").read_text() == word
        finally:
            container.remove(force=True)


class NeighbourSandbox:
    """A sandbox with a server that only its own submission may ask; it writes down who did.

    Args:
        outer: the engine that it runs in.
        sandbox: taken from a fleet.
        engine: of that sandbox.
    """

    def __init__(self, outer, sandbox, engine):
        self._outer, self._sandbox = outer, sandbox
        self._container = engine.client.containers.run(
            _HELPER, ["sh", "-c", "echo mine > index.html; exec httpd -f -v -p 80"],
            ports={"80/tcp": ("0.0.0.0", None)}, detach=True,
        )  # fmt: skip
        self._container.reload()
        port = self._container.attrs["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
        self.address = f"{engine.reached_at}:{port}"
        self.subnet = str(IPv4Network(f"{engine.reached_at}/24", strict=False))
        self._wait_until_it_sees()
        self._seen = self._look()

    def _wait_until_it_sees(self):
        """Ask until it answers, and has written down that it did."""
        deadline = Deadline(10)
        while not self._container.logs():
            assert not deadline.has_passed()
            with suppress(requests.ConnectionError):
                requests.get(f"http://{self.address}/index.html", timeout=5)

    def require_untouched(self):
        """Fail where anything of it has changed, or anybody has asked."""
        assert self._look() == self._seen

    def _look(self):
        self._container.reload()
        state = self._container.attrs["State"]
        page = self._container.exec_run(["cat", "index.html"]).output
        outer = self._outer.client.containers.get(self._sandbox.name).attrs
        networks = sorted(outer["NetworkSettings"]["Networks"])
        return (self._sandbox.is_intact(), state["Status"], state["StartedAt"], page,
                self._container.logs(), outer["State"]["StartedAt"], networks,
                self._print_of_the_template(outer))  # fmt: skip

    def _print_of_the_template(self, outer):
        name = next(m["Name"] for m in outer["Mounts"] if m["Destination"] == "/template")
        return self._outer.client.containers.run(
            _HELPER, ["sh", "-c", _PRINT], remove=True,
            volumes={name: {"bind": "/template", "mode": "ro"}},
        )  # fmt: skip


class Machine:
    """The machine, as a submission could want it: a file, a process, and who listens on loopback.

    Args:
        engine: its engine, whose base images nobody may replace.
        images: their names.
        folder: where its file stands.
    """

    def __init__(self, engine, images, folder):
        self._engine, self._images = engine, images
        self.word = f"x{secrets.token_hex(6)}"
        self.file = folder / self.word
        self.file.write_text(self.word)
        self._asked = []

    @cached_property
    def disk(self):
        """Its disk, as mknod wants it."""
        number = self.file.stat().st_dev
        return f"{os.major(number)} {os.minor(number)}"

    @contextmanager
    def untouched(self):
        """Listen and run a process meanwhile; give the port; fail where anything has changed."""
        asked = self._asked

        class Listener(http.server.BaseHTTPRequestHandler):
            def handle(self):
                asked.append(self.client_address)

        before = self._base_images()
        with (
            subprocess.Popen(["tail", "-f", self.file], stdout=subprocess.DEVNULL) as process,
            http.server.HTTPServer(("127.0.0.1", 0), Listener) as server,
        ):
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                yield server.server_port
                assert process.poll() is None
                assert _processes_with(self.word) == [process.pid]
                self._require_no_trace()
                assert self._base_images() == before
            finally:
                server.shutdown()
                process.kill()

    def _require_no_trace(self):
        assert self._asked == []
        assert self.file.read_text() == self.word
        places = [*_FOLDERS, socket_folders(), *socket_folders().iterdir()]
        assert [p for p in places if (p / self.word).exists()] == []
        assert list(Path("/sys/fs/cgroup").rglob(self.word)) == []
        assert self.word not in Path("/proc/net/dev").read_text()
        assert self.word not in Path("/proc/self/mountinfo").read_text()

    def _base_images(self):
        return [self._engine.client.images.get(name).id for name in self._images]


def _processes_with(word):
    """Return the numbers of all processes of the machine that were started with a word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            # It has ended meanwhile.
            continue
    return found
