"""The program of `Stub`: upstreams that answer as they are told. It runs in a container of ours."""

import asyncio
import base64
import fnmatch
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from coursework.checks.programs.control import serve_control

ANYWHERE = "0.0.0.0"  # noqa: S104 - the engine's network is the only one it is on
LIMIT_BODY_BYTES = 5_000_000
_NO_BODY = (204, 304)


@dataclass
class Match:
    """Which requests are meant.

    Args:
        route: a method, a blank and a path in which `*` stands for anything; either may be absent.
        having: a text in the target or in the body.
    """

    route: str
    having: str

    def meets(self, request: "Received") -> bool:
        """Tell whether a request is one of them."""
        method, _, path = self.route.rpartition(" ")
        return (
            method in ("", request.method)
            and fnmatch.fnmatchcase(request.path, path or "*")
            and (self.having in request.target or self.having.encode() in request.body)
        )


@dataclass
class Received:
    """A request, as it came."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    line: socket.socket
    at_s: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def is_awaited(self) -> bool:
        """Tell whether its client has not hung up."""
        try:
            return self.line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


@dataclass
class Rule:
    """What is answered: the one told last comes first, as long as it has `left` times."""

    match: Match
    status: int
    headers: list[tuple[str, str]]
    body: bytes
    chunked: bool
    after_s: float
    drips_s: float
    breaks_off_after: int | None
    left: int | None


@dataclass
class Gate:
    """What holds a reply until it is opened, before its head or after so many bytes of its body."""

    match: Match
    after_bytes: int | None
    opened: threading.Event = field(default_factory=threading.Event)
    held: list[Received] = field(default_factory=list)

    def hold(self, request: Received) -> None:
        """Wait until it is opened."""
        self.held.append(request)
        self.opened.wait()


class Upstream:
    """One server: its port, what it was told, what it received."""

    def __init__(self, port: int) -> None:
        self.rules: list[Rule] = []
        self.gates: dict[int, Gate] = {}
        self.received: list[Received] = []
        self._lock = threading.Lock()
        self._server: _Listener | None = None
        self.port = port
        self.accept()

    def accept(self) -> None:
        """Listen, at the same port as ever."""
        if self._server is None:
            self._server = _Listener((ANYWHERE, self.port), _Handler)
            self._server.upstream = self
            self.port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def refuse(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, request: Received) -> tuple[Rule | None, Gate | None]:
        """Record a request; return what it is answered with, and what holds that back."""
        with self._lock:
            self.received.append(request)
            gates = [g for g in self.gates.values() if g.match.meets(request)]
            fitting = (r for r in reversed(self.rules) if r.left != 0 and r.match.meets(request))
            rule = next(fitting, None)
            if rule is not None and rule.left is not None:
                rule.left -= 1
            return rule, gates[-1] if gates else None


class _Listener(ThreadingHTTPServer):
    upstream: Upstream
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Be silent of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    """One request on each connection: a refusal then meets the next request, not an idle line."""

    server: _Listener
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.close_connection = True
        fields = self.headers.items()
        request = Received(self.command, self.path, fields, self._read_body(), self.connection)
        rule, gate = self.server.upstream.take(request)
        if gate is not None and gate.after_bytes is None:
            gate.hold(request)
        if rule is None:
            text = f"this stub was told nothing of {request.method} {request.path}\n".encode()
            rule = Rule(Match("", ""), 404, [], text, False, 0, 0, None, None)
        time.sleep(rule.after_s)
        if rule.breaks_off_after is not None and rule.breaks_off_after < 0:
            return
        self._send_head(rule)
        if self.command != "HEAD" and rule.status not in _NO_BODY:
            self._send_body(rule, gate, request)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return b"".join(self._chunks())
        size = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(min(size, LIMIT_BODY_BYTES))

    def _chunks(self) -> Iterator[bytes]:
        left = LIMIT_BODY_BYTES
        while left > 0 and (size := int(self.rfile.readline(100).partition(b";")[0], 16)):
            yield self.rfile.read(min(size, left))
            left -= size
            self.rfile.readline(100)

    def _send_head(self, rule: Rule) -> None:
        self.send_response_only(rule.status)
        for name, value in rule.headers:
            self.send_header(name, value)
        if rule.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif rule.status not in _NO_BODY:
            self.send_header("Content-Length", str(len(rule.body)))
        # Some clients take whatever came before an announced close for the whole body.
        if rule.breaks_off_after is None:
            self.send_header("Connection", "close")
        self.end_headers()

    def _send_body(self, rule: Rule, gate: Gate | None, request: Received) -> None:
        left = rule.body[: rule.breaks_off_after]
        if gate is not None and gate.after_bytes is not None:
            self._send_part(left[: gate.after_bytes], rule)
            gate.hold(request)
            left = left[gate.after_bytes :]
        self._send_part(left, rule)
        if rule.chunked and rule.breaks_off_after is None:
            self.wfile.write(b"0\r\n\r\n")

    def _send_part(self, part: bytes, rule: Rule) -> None:
        size = 1 if rule.drips_s else len(part)
        for start in range(0, len(part), size or 1):
            piece = part[start : start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if rule.chunked else piece)
            time.sleep(rule.drips_s)

    def log_message(self, *args: object) -> None:
        """Print nothing: what came is recorded."""


class Desk:
    """What the checks may tell and ask, each a method by its name."""

    def __init__(self) -> None:
        self._upstreams: dict[int, Upstream] = {}
        self._numbers = itertools.count(1)

    def open(self, port: int = 0) -> int:
        """Open another upstream; return its port, which is a free one where 0 is asked."""
        upstream = Upstream(port)
        self._upstreams[upstream.port] = upstream
        return upstream.port

    def accept(self, port: int) -> None:
        """Accept connections again."""
        self._upstreams[port].accept()

    def refuse(self, port: int) -> None:
        """Refuse connections."""
        self._upstreams[port].refuse()

    def reply(self, port: int, match: list[str], body: str, **rule: Any) -> None:
        """Add a rule."""
        told = Rule(match=Match(*match), body=base64.b64decode(body), **rule)
        self._upstreams[port].rules.append(told)

    def hold(self, port: int, match: list[str], after_bytes: int | None) -> int:
        """Add a gate; return its number."""
        number = next(self._numbers)
        self._upstreams[port].gates[number] = Gate(Match(*match), after_bytes)
        return number

    def release(self, port: int, number: int) -> None:
        """Open a gate and take it away."""
        gate = self._upstreams[port].gates.pop(number, None)
        if gate is not None:
            gate.opened.set()

    def held(self, port: int, number: int) -> list[object]:
        """Return the requests that wait at a gate."""
        gate = self._upstreams[port].gates.get(number)
        return [_shown(request) for request in gate.held] if gate else []

    def awaited(self, port: int, number: int) -> int:
        """Return how many of the requests at a gate have a client that has not hung up."""
        gate = self._upstreams[port].gates.get(number)
        return sum(request.is_awaited() for request in list(gate.held)) if gate else 0

    def requests(self, port: int, match: list[str]) -> list[object]:
        """Return the requests that came."""
        wanted = Match(*match)
        return [_shown(r) for r in list(self._upstreams[port].received) if wanted.meets(r)]


def _shown(request: Received) -> list[object]:
    body = base64.b64encode(request.body).decode()
    return [request.method, request.target, request.headers, body, request.at_s]


DESK = Desk()


async def handle(do: str, how: dict[str, Any]) -> Any:
    """Do what the checks ask: a method of the desk, by its name."""
    return getattr(DESK, do)(**how)


if __name__ == "__main__":
    asyncio.run(serve_control(handle))
