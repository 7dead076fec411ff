"""The wire instrument: bytes over TCP, with a deadline on every wait and a limit on every read."""

import socket
import time
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from coursework.checks.failure import Failure
from coursework.checks.reply import LIMIT_BODY_BYTES, Parser, Reply
from coursework.checks.retype import wire_command

_LINE_BYTES = 500
_PATIENCE_S = 1.0
REFUSED = "connection refused"
_NO_BYTE = "the connection was closed without a byte"
RESET = "the connection was reset"
# How a connection ends that somebody accepts who then reaches nobody.
CLOSED_AT_ONCE = (_NO_BYTE, RESET)


@dataclass(frozen=True)
class Address:
    """Where a server is reached: by the instruments, and by a person at a terminal."""

    host: str
    port: int
    typed_port: int


class Connection:
    """One TCP connection to a server, seen byte by byte.

    Example:
        >>> with server.connect() as line:
        ...     line.send(request)
        ...     line.reply().expect(200)

    """

    def __init__(self, address: Address, *, timeout_s: float = 5.0) -> None:
        self._address = address
        self._sent = b""
        self._surplus = b""
        self.received = b""
        try:
            self._socket = self._connected(timeout_s)
        except OSError as error:
            raise Failure("a connection", _reason(error), command=self._command()) from error
        # A check that fails in the middle leaves its connections as they are.
        weakref.finalize(self, self._socket.close)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def go_through(self, target: str) -> None:
        """Ask the door at the other end, `kube door`, to lead on; then the peer is the target.

        Args:
            target: `name:port` in the cluster's network.

        Raises:
            Failure: it leads nowhere, with the reason that is seen inside.
        """
        line = b""
        try:
            self._socket.sendall(f"{target}\n".encode())
            while not line.endswith(b"\n"):
                byte = self._socket.recv(1)
                if not byte or len(line) > _LINE_BYTES:
                    break
                line += byte
        except OSError as error:
            raise self._failure(f"a connection to {target}", _reason(error)) from error
        if line != b"connected\n":
            why = line.decode(errors="replace").strip() or "the cluster's door is closed"
            raise self._failure(f"a connection to {target}", why)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    @property
    def is_open(self) -> bool:
        """Whether it was not closed from here."""
        return self._socket.fileno() >= 0

    def send(self, data: bytes) -> None:
        """Send bytes at once; a peer that has hung up is seen by the next read, not here."""
        self._sent += data
        try:
            self._socket.settimeout(5.0)
            self._socket.sendall(data)
        except TimeoutError as error:
            raise self._failure("the request to be read", "the server stopped reading") from error
        except OSError:
            # A server may refuse early: its reply, if any, is still to be read.
            return

    def send_in_pieces(self, pieces: Iterable[bytes], *, pause_s: float = 0.005) -> None:
        """Send each piece as a packet of its own.

        Args:
            pieces: the bytes of each packet.
            pause_s: seconds between two packets, so that the server can see them apart.

        Raises:
            Failure: the server answers or hangs up before the last piece is sent.
        """
        queue = list(pieces)
        for number, piece in enumerate(queue):
            self.send(piece)
            if number < len(queue) - 1:
                self.expect_silence(pause_s, until="the whole request has arrived")

    def reply(self, *, to: str = "GET", timeout_s: float = 5.0) -> Reply:
        """Read exactly one reply; bytes after it are kept for the next one.

        Args:
            to: the method that the reply answers: a reply to HEAD has no body.
            timeout_s: seconds until the reply must be whole.

        Raises:
            Failure: no reply, half a reply, too large a reply, or one that is not HTTP.
        """
        parser = Parser(to)
        start = time.monotonic()
        self.received, self._surplus = self._surplus, b""
        reply = self._parse(parser, self.received) if self.received else None
        while reply is None:
            data = self._next_bytes(start + timeout_s, timeout_s)
            self.received += data
            reply = self._parse(parser, data)
            if reply is None and not data:
                raise self._failure("a whole reply", self._half("the connection was closed"))
        self._surplus = reply.surplus
        self.received = self.received[: len(self.received) - len(reply.surplus)]
        reply.elapsed_s = time.monotonic() - start
        reply.command = self._command()
        return reply

    def wait_for(self, text: bytes, *, timeout_s: float = 5.0) -> None:
        """Wait until these bytes have come; `reply` and `expect_broken_off` read them again.

        Args:
            text: as it is sent; a text that chunks may cut in two is not found.
            timeout_s: seconds.

        Raises:
            Failure: they do not come in time, or the server hangs up first.
        """
        deadline = time.monotonic() + timeout_s
        self.received = self._surplus
        while text not in self.received:
            try:
                data = self._next_bytes(deadline, timeout_s)
            except Failure as failure:
                failure.looked_for = f"{_told(text[:80])} within {timeout_s:g} s"
                raise
            if not data:
                saw = self._half("the connection was closed")
                raise self._failure(f"{_told(text[:80])} before the end", saw)
            self.received += data
        self._surplus = self.received

    def receive(self, timeout_s: float) -> bytes | None:
        """Return the bytes that come next, of a reply that has no end, such as a stream of events.

        Args:
            timeout_s: seconds to wait for them.

        Returns:
            None where nothing came in time, no bytes where the server has hung up.
        """
        try:
            self._socket.settimeout(timeout_s)
            return self._socket.recv(65536)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def expect_broken_off(self, *, to: str = "GET", timeout_s: float = 5.0) -> None:
        """Wait until the connection ends in the middle of a reply, so that any client notices.

        Args:
            to: the method that the reply answers.
            timeout_s: seconds.

        Raises:
            Failure: the reply is whole, or the connection stays open.
        """
        parser, looked_for = Parser(to), "a reply that visibly breaks off"
        deadline = time.monotonic() + timeout_s
        data, self.received, self._surplus = self._surplus, b"", b""
        while len(self.received) < LIMIT_BODY_BYTES:
            self.received += data
            if data and self._parse(parser, data) is not None:
                saw = f"it ends as if it were whole: …{_told(self.received[-80:])}"
                raise self._failure(looked_for, saw)
            try:
                self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
                data = self._socket.recv(65536)
            except TimeoutError as error:
                late = f"still open after {timeout_s:g} s"
                raise self._failure(looked_for, self._half(late)) from error
            except OSError:
                return
            if not data:
                break
        try:
            parser.feed(b"")
        except ValueError:
            return
        raise self._failure(looked_for, "a reply without a length, which any end makes whole")

    def _parse(self, parser: Parser, data: bytes) -> Reply | None:
        try:
            return parser.feed(data)
        except ValueError as error:
            raise self._failure("an HTTP reply", self._half(str(error))) from error

    def _next_bytes(self, deadline: float, timeout_s: float) -> bytes:
        remaining = deadline - time.monotonic()
        if len(self.received) > LIMIT_BODY_BYTES:
            raise self._failure(
                f"a reply of at most {LIMIT_BODY_BYTES:,} bytes",
                f"more than {LIMIT_BODY_BYTES:,} bytes and no end",
            )
        try:
            # A timeout of 0 would mean "do not block", not "too late".
            self._socket.settimeout(max(remaining, 0.001))
            data = self._socket.recv(65536)
        except TimeoutError as error:
            late = (
                f"no end after {timeout_s:g} s" if self.received else f"nothing in {timeout_s:g} s"
            )
            raise self._failure(f"a reply within {timeout_s:g} s", self._half(late)) from error
        except OSError as error:
            raise self._failure("a whole reply", self._half(_reason(error))) from error
        if not data and not self.received:
            raise self._failure("a reply", _NO_BYTE)
        return data

    def _half(self, reason: str) -> str:
        if not self.received:
            return reason
        return f"{reason}, after {len(self.received):,} bytes: {_told(self.received[:80])}"

    def expect_silence(self, for_s: float = 0.2, *, until: str = "there is more to answer") -> None:
        """Look that nothing comes and the connection stays open.

        Args:
            for_s: seconds to listen; a right server passes whatever the number.
            until: how the message ends: silence until …

        Raises:
            Failure: bytes arrive, or the server hangs up.
        """
        seen = self._peek(for_s)
        if seen is None and not self._surplus:
            return
        if self._surplus or seen:
            saw = f"bytes: {_told((self._surplus or seen or b'')[:80])}"
        else:
            saw = "the server hung up"
        raise self._failure(f"silence until {until}", saw)

    def expect_closed(self, within_s: float = 2.0) -> None:
        """Wait until the server hangs up.

        Raises:
            Failure: it stays open, or sends bytes instead.
        """
        seen = self._peek(within_s)
        if seen is None:
            raise self._failure("the connection closed", f"still open after {within_s:g} s")
        if seen or self._surplus:
            raise self._failure(
                "the connection closed", f"more bytes: {_told((self._surplus or seen)[:80])}"
            )

    def stays_open(self, for_s: float = 0.001) -> bool:
        """Tell whether the server has not hung up after that many seconds."""
        return self._peek(for_s) != b""

    def _peek(self, for_s: float) -> bytes | None:
        """Return what would be read: None for nothing yet, empty for closed."""
        self._socket.settimeout(for_s)
        try:
            return self._socket.recv(80, socket.MSG_PEEK)
        except TimeoutError:
            return None
        except OSError:
            return b""

    def _command(self) -> str:
        return wire_command(self._sent, self._address.typed_port)

    def _failure(self, looked_for: str, saw: str) -> Failure:
        failure = Failure(looked_for, saw, command=self._command())
        failure.comes_again = self._is_accepted
        return failure

    def _is_accepted(self) -> bool:
        """Tell whether somebody still listens: of a server that died, a command shows only that."""
        try:
            self._connected(_PATIENCE_S).close()
        except OSError:
            return False
        return True

    def _connected(self, timeout_s: float) -> socket.socket:
        return socket.create_connection((self._address.host, self._address.port), timeout_s)


def _told(data: bytes) -> str:
    r"""Return bytes as a terminal would show them, with \r\n and the like spelled out."""
    return repr(data.decode(errors="backslashreplace"))


def _reason(error: OSError) -> str:
    words = {
        ConnectionRefusedError: REFUSED,
        ConnectionResetError: RESET,
        BrokenPipeError: "the connection was closed",
        TimeoutError: "no answer to the connection",
    }
    return next((w for kind, w in words.items() if isinstance(error, kind)), str(error))
