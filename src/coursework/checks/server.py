"""A server of the submission: asked, watched, frozen and stopped."""

import time
from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

import pytest

from coursework.checks.cause import line_ending_hint, silent_end_hint
from coursework.checks.client import Client
from coursework.checks.deadline import Deadline
from coursework.checks.failure import Blocked, Failure, StartFailure
from coursework.checks.log import Record, having, records_in
from coursework.checks.retype import beside_command, curl_command, ended_command, stop_command
from coursework.checks.run import CheckRun
from coursework.checks.services import Services
from coursework.checks.startup import ENDED_WELL, HELPER_IMAGE, Startup, ending
from coursework.checks.stoppable import Stoppable
from coursework.checks.wire import Address, Connection
from coursework.containers.container import Container, Probe, Settings
from coursework.words import shortened

if TYPE_CHECKING:
    from coursework.checks.image import Image

_POLL_S = 0.01
_GONE_WITHIN_S = 5.0
# So many open connections are what a check is about.
_CROWD = 10
# From inside the process namespace. What the engine runs there, such as a probe of HEALTHCHECK,
# descends from nobody: the engine waits ten seconds for a probe that is stopped.
_STOP_DESCENDANTS = """
for folder in /proc/[0-9]*; do
  number=${folder#/proc/} parent=${folder#/proc/}
  while [ "${parent:-0}" -gt 1 ]; do
    parent=$(sed -n 's/^PPid:\t//p' "/proc/$parent/status" 2>/dev/null)
  done
  [ "$parent" != 1 ] || kill -STOP "$number"
done
"""


class Side(Client):
    """A server's second port, where it serves its metrics for example; see `Image.start`.

    Args:
        server: started with a `side_port`.
    """

    def __init__(self, server: "Server") -> None:
        self._server = server

    def _prepare(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        return curl_command(method, path, headers, body, self._server.side_address().typed_port)

    def _note(self, command: str) -> None:
        self._server.note(command)

    def _host(self) -> str:
        return f"localhost:{self._server.side_address().typed_port}"

    def _open(self, timeout_s: float) -> Connection:
        return self._server.side_connection(timeout_s)

    def _explain(self, failure: Failure) -> None:
        self._server.explain(failure)


class Server(Stoppable, Client):
    """A server of the submission in a container of its own.

    It starts in the background; the first use waits until it accepts connections.
    Requests are sent as written, one connection each; every failure says what came instead.

    Example:
        >>> server.get("/api/users").expect(200, exactly={"message": "Backend ready!"})
        >>> server.post("/notes", body=b"row C").expect(201, headers={"Location": None})

    """

    def __init__(self, run: CheckRun, settings: Settings, ready_within_s: float) -> None:
        self._run = run
        self._settings = settings
        self._ready_within_s = ready_within_s
        self.side = Side(self)
        self._trouble: StartFailure | None = None
        self._address: Address | None = None
        self._side_address: Address | None = None
        self._lock = Lock()
        self._start()

    @property
    def container(self) -> Container:
        """The container behind the server, once the engine has started it."""
        return self._startup.container

    @property
    def port(self) -> int:
        """The port on this machine that leads to the server."""
        return self._ready().typed_port

    def side_address(self) -> Address:
        """Return where its second port is reached, once the server accepts connections."""
        first = self._ready()
        return self._side_address or first

    def side_connection(self, timeout_s: float = 5.0) -> Connection:
        """Open a raw connection to its second port."""
        return self._connection(self.side_address(), timeout_s)

    def connect(self) -> Connection:
        """Open a raw connection: the wire instrument.

        Raises:
            Failure: the server does not accept it.

        Example:
            >>> with server.connect() as line:
            ...     line.send_in_pieces([request[:10], request[10:]])
            ...     line.reply().expect(200)

        """
        address = self._ready()
        self._run.evidence.note_use(self)
        try:
            connection = self._connection(address)
        except Failure as failure:
            self._explain(failure)
            raise
        with self._lock:
            self._connections.add(connection)
        return connection

    def wait_for_log(self, text: str, *, within_s: float = 5.0) -> None:
        """Wait until the server has printed a text, on either output.

        Raises:
            Failure: it is not there in time.
        """
        self._ready()
        command = f"docker logs {self.container.name}"
        self._run.evidence.note_use(self, command)
        deadline = Deadline(within_s, self.container.processor_seconds)
        while text not in self.logs():
            if deadline.has_passed():
                last = self.logs().strip().splitlines()[-1:] or ["nothing"]
                raise Failure(f"the log line {text!r}", shortened(last[0], 200), command=command)
            time.sleep(_POLL_S)

    def logs(self) -> str:
        """Return what the server has printed, the last 200 lines."""
        return self.container.log()

    def log_records(
        self,
        fields: Mapping[str, object] | None = None,
        *,
        at_least: int = 0,
        within_s: float = 5.0,
    ) -> list[Record]:
        """Return the JSON objects on standard output, one a line; other lines are left out.

        Args:
            fields: only records in which each of these fields has this value.
            at_least: wait until there are that many of them.
            within_s: seconds to wait.

        Raises:
            Failure: there are fewer when the time is over.

        Example:
            >>> reply = server.get("/api/shows")
            >>> [record] = server.log_records({"id": reply.headers["X-Request-Id"]}, at_least=1)

        """
        self._ready()
        command = f"docker logs {self.container.name}"
        self._run.evidence.note_use(self, command)
        deadline = Deadline(within_s, self.container.processor_seconds)
        while True:
            is_late = deadline.has_passed()
            printed = self.container.log(stderr=False, lines="all")
            records = records_in(printed)
            found = having(records, fields or {})
            if len(found) >= at_least:
                return found
            if is_late:
                what = ", ".join(f'"{name}": {value!r}' for name, value in (fields or {}).items())
                last = printed.strip().splitlines()[-1:] or ["nothing"]
                raise Failure(
                    f"{at_least} JSON line{'s'[: at_least > 1]} on standard output"
                    + (f" with {what}" if what else ""),
                    f"{len(found)} among {len(records)}; the last line: {shortened(last[0], 200)}",
                    command=command,
                )
            time.sleep(2 * _POLL_S)

    def wait_for_health(self, wanted: str, *, within_s: float) -> None:
        """Wait until the engine calls the server `healthy` or `unhealthy`, by its HEALTHCHECK.

        Args:
            wanted: one of the two.
            within_s: seconds.

        Raises:
            Failure: the image has no HEALTHCHECK, or it does not come to that in time.
        """
        self._ready()
        command = f"docker inspect --format '{{{{json .State.Health}}}}' {self.container.name}"
        deadline = Deadline(within_s)
        while (seen := self.container.health())[0] != wanted:
            if seen[0] == "none":
                raise Failure("a HEALTHCHECK in the image", "there is none", command=command)
            if deadline.has_passed():
                printed = f"; its last probe printed {seen[1].strip()[:200]!r}" if seen[1] else ""
                raise Failure(
                    f"{wanted} within {within_s:g} s", f"still {seen[0]}{printed}", command=command
                )
            time.sleep(10 * _POLL_S)

    def health(self) -> str:
        """Return its health as the engine calls it: `starting`, `healthy`, `unhealthy` or `none`.

        Raises:
            Failure: it does not accept connections.

        Example:
            >>> server.health()
            'healthy'

        """
        self._ready()
        return self.container.health()[0]

    def probes(self, *, at_least: int = 0, within_s: float = 5.0) -> list[Probe]:
        """Return the last five runs of its HEALTHCHECK that have ended, the oldest first.

        Args:
            at_least: wait until so many have ended, five at most.
            within_s: seconds; then those that there are are returned, perhaps none.

        Raises:
            Failure: it does not accept connections.

        Example:
            >>> server.probes(at_least=2)[-1].exit_code
            0

        """
        self._ready()
        deadline = Deadline(within_s)
        while True:
            is_late = deadline.has_passed()
            found = self.container.probes()
            if len(found) >= at_least or is_late:
                return found
            time.sleep(10 * _POLL_S)

    def freeze(self) -> None:
        """Stop its processes where they stand: connections are accepted, and nobody answers."""
        self._ready()
        _freeze(self._run.services, self.container)

    def stop(self, *, within_s: float = 5.0) -> int:
        """Send SIGTERM and wait; return the exit code.

        Raises:
            Failure: it still runs after that many seconds.
        """
        self._ready()
        self.container.signal("SIGTERM")
        code = self.container.wait(within_s)
        name = self.container.name
        if code is None:
            what = f"the server ends within {within_s:g} s of SIGTERM"
            raise Failure(what, "it still runs", command=stop_command(name, within_s))
        self._run.evidence.note_use(self, ended_command(name))
        return code

    def kill(self) -> None:
        """Send SIGKILL, as a crash would, and wait until it is gone; see `start_again`.

        Raises:
            Failure: it never accepted connections, or has ended already.
        """
        self.signal("SIGKILL")
        self.wait_for_exit(within_s=_GONE_WITHIN_S)

    def start_again(self) -> None:
        """Start it in a fresh container, told the same; returns at once, the next use waits."""
        self._address = None
        self._start()

    def wait_until_refused(self, *, within_s: float) -> float:
        """Wait until it accepts no new connections, and return that moment.

        Args:
            within_s: seconds; more where the machine was never idle.

        Returns:
            The moment, as `time.monotonic` counts.

        Raises:
            Failure: it still accepts them.
        """
        address = self._ready()
        deadline = Deadline(within_s, self.container.processor_seconds)
        while self._accepts(address):
            if deadline.has_passed():
                command = f"curl -i http://localhost:{address.typed_port}/"
                raise Failure(
                    f"no new connections after {within_s:g} s", "it accepts them", command=command
                )
            time.sleep(_POLL_S)
        return time.monotonic()

    def _accepts(self, address: Address) -> bool:
        try:
            with self._connection(address, 1.0) as connection:
                # A port forwarder accepts for a server that is not there any more, then hangs up.
                is_forwarded = address.port == address.typed_port
                return not is_forwarded or connection.stays_open(0.05)
        except Failure:
            return False

    @property
    def never_started(self) -> bool:
        """Whether the engine could not even start its container, or has not yet."""
        return self._startup.has_not_come

    @property
    def container_name(self) -> str:
        """The container that shows it; empty where there is none."""
        return "" if self.never_started else self.container.name

    def log(self) -> str:
        """Return what it printed, for the report; see `logs`."""
        return "" if self.never_started else self.logs()

    def end_check(self, *, passed: bool) -> None:
        """Start a fresh one for the next check, where this one is to be looked at or is gone."""
        try:
            ended = not self.never_started and self.container.exit_code() is not None
        except OSError:
            # An engine that is gone is told by whoever needs it next.
            return
        if self._trouble is None and (not passed or ended):
            self._address = None
            self._is_over = self._told_to_end
            if not self._is_over:
                self._start()

    def _come_up(self) -> None:
        self._ready()

    def _start(self) -> None:
        self._told_to_end = self._is_over = False
        self._connections: WeakSet[Connection] = WeakSet()
        self._startup = Startup(self._run.services, self._settings, self._ready_within_s)

    def _prepare(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        command = curl_command(method, path, headers, body, self.port)
        with self._lock:
            silent = sum(connection.is_open for connection in self._connections)
        if silent >= _CROWD:
            command = beside_command(silent, self.port, command)
        return command

    def _note(self, command: str) -> None:
        self.note(command)

    def note(self, command: str) -> None:
        """Remember the command that shows the running check's last look at this server."""
        self._run.evidence.note_use(self, command)

    def _host(self) -> str:
        return f"localhost:{self.port}"

    def _open(self, timeout_s: float) -> Connection:
        return self._connection(self._ready(), timeout_s)

    def _explain(self, failure: Failure) -> None:
        self.explain(failure)

    def explain(self, failure: Failure) -> None:
        """Add to a failure how the server ended, if it did."""
        # The engine notices an end a little later than the connection does.
        hung_up = "closed" in failure.saw or "refused" in failure.saw or "reset" in failure.saw
        code = self.container.wait(0.3 if hung_up else 0.0)
        if code is not None:
            failure.saw += f"; {ending(self.container, code)}"
            # It would only be refused by now.
            failure.command = ended_command(self.container.name)

    def _connection(self, address: Address, timeout_s: float = 5.0) -> Connection:
        # By its process: what the engine says of a container's address is empty once it ended.
        if self.container.is_seen_gone():
            # The engine may have given its address to another container by now.
            raise Failure("a connection", "connection refused")
        return Connection(address, timeout_s=timeout_s)

    def _ready(self) -> Address:
        if self._trouble is not None:
            raise Blocked("the server did not start")
        if self._address is None:
            if self._is_over:
                self._start()
            self._run.evidence.note_use(self)
            try:
                self._address = self._startup.wait()
                self._side_address = self._find_side(self._address)
            except StartFailure as failure:
                self._hint_at_cause(failure)
                self._trouble = failure
                raise
        return self._address

    def _hint_at_cause(self, failure: StartFailure) -> None:
        """Replace the hint of a start that failed where the files or the log tell more."""
        printed, files = self.log(), self._run.task.submission.files
        failure.hint = line_ending_hint(f"{failure.saw}\n{printed}", files) or failure.hint
        if not printed.strip() and failure.saw == ENDED_WELL:
            failure.hint = silent_end_hint(files)

    def _find_side(self, first: Address) -> Address | None:
        """Return where the second port is; asked while it runs, it is known after its end too."""
        port = self._settings.side_port
        published = self.container.published_address(port) if port else None
        if not published:
            return None
        inside = self.container.inside_address(port)
        # The first port says whether this machine reaches the engine's own network.
        near = inside if inside and inside[0] == first.host else published
        return Address(*near, published[1])


def _freeze(services: Services, container: Container) -> None:
    """Send SIGSTOP to process 1 of a container and to all that descend from it."""
    container.signal("SIGSTOP")
    if container.process_count() > 1:
        command = ("sh", "-c", _STOP_DESCENDANTS)
        settings = Settings(HELPER_IMAGE, args=command, processes_of=container.name)
        services.run_program("freezer", settings)


@pytest.fixture(scope="module")
def server(image: "Image") -> Server:
    """Return a server of the submission, with nothing set."""
    return image.start()
