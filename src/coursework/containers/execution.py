"""A command that is executed in a running container: what it says is believed of nobody."""

import socket
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

from coursework.engine import Engine
from coursework.trouble import CourseError

STDOUT, STDERR = 1, 2
_NONE: Mapping[str, str] = MappingProxyType({})
# Before each piece of output: which of the two it is, and how long.
_FRAME = struct.Struct(">BxxxL")
_BLOCK_BYTES = 65536
_STARTS_WITHIN_S = 30.0
_POLL_S = 0.01


class Execution:
    """A command in a container, with its input and its outputs.

    Args:
        engine: that has the container; it is reached by a socket of this machine.
        container: its name.
        command: its words.
        env: variables beside the container's own.
        user: who runs it; the container's own user by default.
        folder: where it runs; the container's own by default.

    Raises:
        CourseError: the container is gone.

    Example:
        >>> with Execution(engine, container.name, ["cat"]) as execution:
        ...     execution.send(b"a")
        ...     execution.end_input()
        ...     print(dict(execution.output(within_s=5)))

    """

    where = "container"

    def __init__(
        self,
        engine: Engine,
        container: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] = _NONE,
        user: str = "",
        folder: str = "",
    ) -> None:
        self._api: Any = engine.client.api
        try:
            made = self._api.exec_create(
                container, list(command), stdin=True, user=user, environment=dict(env),
                workdir=folder or None,
            )  # fmt: skip
        except OSError as error:
            # The engine's client raises kinds of it.
            raise self._gone(error) from error
        self._id = str(made["Id"])
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(_STARTS_WITHIN_S)
            self._socket.connect(engine.docker_host.removeprefix("unix://"))
            self._buffer = self._start()
        except OSError as error:
            self._socket.close()
            raise self._gone(error) from error

    def _start(self) -> bytearray:
        """Ask for the start by hand; return the bytes that came after the response's head.

        The engine's client may read the first output together with the head, and lose it.
        """
        body = b'{"Detach": false, "Tty": false}'
        self._socket.sendall(
            f"POST /exec/{self._id}/start HTTP/1.1\r\nHost: engine\r\nConnection: Upgrade\r\n"
            f"Upgrade: tcp\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            "\r\n\r\n".encode()
            + body
        )
        answer = bytearray()
        while b"\r\n\r\n" not in answer:
            block = self._socket.recv(_BLOCK_BYTES)
            if not block:
                raise ConnectionResetError("the engine hung up")
            answer += block
        head, _, surplus = answer.partition(b"\r\n\r\n")
        if b" 101 " not in head.splitlines()[0]:
            raise ConnectionRefusedError(answer.decode(errors="replace")[:300])
        return surplus

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes, within_s: float | None = None) -> None:
        """Send to its input.

        Args:
            data: bytes.
            within_s: seconds until they must have been read.

        Raises:
            OSError: it has ended, or does not read.
        """
        if within_s is not None:
            self._socket.settimeout(within_s)
        self._socket.sendall(data)

    def end_input(self) -> None:
        """Close its input."""
        self._socket.shutdown(socket.SHUT_WR)

    def output(self, within_s: float) -> Iterator[tuple[int, bytes]]:
        """Yield pieces of its outputs, each STDOUT or STDERR with bytes, until both end.

        Args:
            within_s: seconds that all of them may take.

        Raises:
            TimeoutError: it took longer.
        """
        deadline = time.monotonic() + within_s
        while self._fill(_FRAME.size, deadline):
            kind, left = _FRAME.unpack(self._taken(_FRAME.size))
            while left and self._fill(1, deadline):
                piece = self._taken(min(left, len(self._buffer)))
                left -= len(piece)
                yield kind, piece

    def _fill(self, size: int, deadline: float) -> bool:
        """Read until so many bytes are there; False at the end."""
        while len(self._buffer) < size:
            remaining = deadline - time.monotonic()
            # Asked here: to somebody who sends without end, no single read is too late.
            if remaining <= 0:
                raise TimeoutError("its output did not end in time")
            self._socket.settimeout(remaining)
            block = self._socket.recv(_BLOCK_BYTES)
            if not block:
                return False
            self._buffer += block
        return True

    def _taken(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def exit_code(self, within_s: float = 5.0) -> int:
        """Return its exit code, once its outputs have ended.

        Raises:
            CourseError: it still runs.
        """
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            try:
                told = self._api.exec_inspect(self._id)
            except OSError as error:
                raise self._gone(error) from error
            if not told["Running"] and told["ExitCode"] is not None:
                return int(told["ExitCode"])
            time.sleep(_POLL_S)
        raise CourseError(f"A command in the {self.where} does not end.")

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _gone(self, error: OSError) -> CourseError:
        return CourseError(
            f"The {self.where} does not answer.", why=str(error)[:300], fix="check again"
        )
