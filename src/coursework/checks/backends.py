"""The backends instrument: servers behind the answer that name themselves, hang and die."""

import base64
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Literal

import pytest

from coursework.checks.companion import Companion
from coursework.checks.failure import Failure
from coursework.checks.programs.backend import DIE, HANG
from coursework.checks.reply import Headers, Parser, Reply
from coursework.checks.run import CheckRun
from coursework.checks.stub import Received
from coursework.containers.container import Container

NAMES = ("b1", "b2", "b3")
PORT = 3000
_NONE: Mapping[str, str] = MappingProxyType({})


class Backend:
    """A server of ours in a container of its own, behind the answer.

    It answers every request 200 and a JSON object: `backend`, its name, then what it was asked:
    `method`, `path`, `headers` (a list of names and values) and `body`. `GET /healthz` it answers
    too, but doesn't record. What was read is a line in its log, such as `b2 POST /checkout/7`.
    """

    def __init__(self, run: CheckRun, name: str) -> None:
        self.name = name
        self._desk = Companion(run, "backend", name)
        self._is_open = False

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._desk.container

    def die(self) -> None:
        """Refuse connections, close those that are open; `docker kill --signal=USR2` does too."""
        self._do("die")

    def hang(self) -> None:
        """Accept connections, read requests, answer none; `docker kill --signal=USR1` does too."""
        self._do("hang")

    def revive(self) -> None:
        """Be well again: accept, and answer what was held; `docker kill --signal=CONT` does too."""
        self._do("revive")

    def spoil(self, how: Literal["die", "hang"], having: str) -> None:
        """Read requests that have a text in their target, then hang up, or say nothing.

        It stays so, for the command of a report: use a random word.

        Args:
            how: `die` hangs up without a byte, `hang` is silent until the caller hangs up.
            having: the text.
        """
        self._do("spoil", how={"die": DIE, "hang": HANG}[how], having=having)

    def received(self, having: str = "") -> list[Received]:
        """Return the requests that it has read, in their order.

        Args:
            having: only those with this text in their target.
        """
        found = self._do("received", having=having)
        return [_received(*fields) for fields in found]  # type: ignore[attr-defined]

    def send(
        self,
        to: tuple[str, int],
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] = _NONE,
        body: bytes = b"",
    ) -> Reply:
        """Send a request from this backend's container, whose address is then the caller's.

        Args:
            to: address and port inside the engine's network, such as those of the answer.
            method: such as GET.
            path: as sent.
            headers: further fields; Connection, and Host where absent, are set for you.
            body: bytes to send.

        Raises:
            Failure: what comes back is not a whole reply.
        """
        host, port = to
        fields = {"Host": f"{host}:{port}", "Connection": "close", **headers}
        if body:
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = base64.b64encode(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
        came = self._do("fetch", host=host, port=port, request=request.decode())
        parser = Parser(method)
        try:
            reply = parser.feed(base64.b64decode(str(came))) or parser.feed(b"")
        except ValueError as error:
            raise Failure(f"a reply to {method} {path} from {self.name}", str(error)) from error
        if reply is None:
            raise Failure(f"a reply to {method} {path} from {self.name}", "none, or half of one")
        return reply

    def _do(self, what: str, **how: object) -> object:
        if not self._is_open:
            self._desk.ask("open", name=self.name, port=PORT)
            self._is_open = True
        return self._desk.ask(what, **how)

    def begin(self) -> None:
        """Wait until it serves."""
        self._do("revive")


class Backends(Mapping[str, Backend]):
    """The backends `b1`, `b2` and `b3`, each at port 3000 of a container of its own.

    They start in the background; `hosts` waits for them.

    Example:
        >>> server = image.start(port=8080, hosts=backends.hosts)
        >>> with at_rate(lambda: server.get("/api/shows"), per_s=100) as stream:
        ...     stream.wait_for(50)
        ...     backends["b2"].die()
        ...     stream.wait_for(200)
        >>> stream.count(lambda reply: reply.json()["backend"])
        Counter({'b1': 88, 'b3': 87, 'b2': 25})

    """

    def __init__(self, run: CheckRun) -> None:
        self._all = {name: Backend(run, name) for name in NAMES}

    def __getitem__(self, name: str) -> Backend:
        return self._all[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    @property
    def hosts(self) -> dict[str, str]:
        """Their addresses by name, for `image.start`.

        Raises:
            CourseError: one does not come up.
        """
        for backend in self._all.values():
            backend.begin()
        return {name: b.container.network_address for name, b in self._all.items()}

    def revive(self) -> None:
        """Be well again, all of them."""
        for backend in self._all.values():
            backend.revive()

    def received(self, having: str = "") -> dict[str, list[Received]]:
        """Return what each has read, by its name; see `Backend.received`."""
        return {name: backend.received(having) for name, backend in self._all.items()}


def _received(method: str, target: str, headers: list[list[str]], body: str) -> Received:
    path, _, query = target.partition("?")
    fields = Headers([(name, value) for name, value in headers])
    return Received(method, path, query, fields, base64.b64decode(body))


@pytest.fixture(scope="session")
def backends(check_run: CheckRun) -> Backends:
    """Return three backends beside the submission."""
    return Backends(check_run)
