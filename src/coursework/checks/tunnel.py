"""A way to a port inside a sandbox, which this machine cannot reach by itself."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

from coursework.checks.failure import Failure
from coursework.containers.execution import STDERR, STDOUT
from coursework.engine import Engine
from coursework.sandbox.inside import Running

_HERE = "127.0.0.1"
_CONNECTED = b"connected\n"
# Either end may hang up first; `<&0` keeps bash from giving the first cat an empty input.
_PUMP = f"""exec 3<>/dev/tcp/127.0.0.1/$1 || exit 7
echo {_CONNECTED.decode().strip()} >&2
cat <&0 >&3 & cat <&3 & wait -n; kill $(jobs -p)"""
_OPENS_WITHIN_S = 10.0
_BLOCK_BYTES = 65536


def open_tunnel(engine: Engine, port: int, within_s: float) -> int:
    """Connect to a port inside a sandbox.

    Args:
        engine: of the sandbox.
        port: where somebody listens on 127.0.0.1, inside.
        within_s: seconds that the connection is used.

    Returns:
        A port of this machine: one connection to it goes on to the other end.

    Raises:
        Failure: nobody listens there.
        CourseError: the sandbox is gone.
    """
    running = Running(engine, ["bash", "-c", _PUMP, "bash", str(port)])
    output = running.output(within_s + _OPENS_WITHIN_S)
    try:
        _expect_connected(output)
        listener = socket.create_server((_HERE, 0), backlog=1)
    except BaseException:
        running.close()
        raise
    listener.settimeout(_OPENS_WITHIN_S)
    threading.Thread(target=_serve, args=(listener, running, output), daemon=True).start()
    return int(listener.getsockname()[1])


def _expect_connected(output: Iterator[tuple[int, bytes]]) -> None:
    said = b""
    with suppress(OSError):
        for kind, piece in output:
            said += piece
            if kind == STDERR and said == _CONNECTED:
                return
            if len(said) > _BLOCK_BYTES:
                break
    why = said.decode(errors="replace").strip()
    is_refused = not why or "refused" in why
    raise Failure("a connection", "connection refused" if is_refused else why[-200:])


def _serve(listener: socket.socket, running: Running, output: Iterator[tuple[int, bytes]]) -> None:
    with running:
        with listener:
            try:
                near, _ = listener.accept()
            except OSError:
                return
        with near:
            threading.Thread(target=_carry_back, args=(output, near), daemon=True).start()
            _carry_on(near, running)


def _carry_on(near: socket.socket, running: Running) -> None:
    """Carry what is sent, until whoever asked hangs up."""
    with suppress(OSError):
        while block := near.recv(_BLOCK_BYTES):
            # The other end may have ended before it has read all.
            with suppress(OSError):
                running.send(block)
        running.end_input()


def _carry_back(output: Iterator[tuple[int, bytes]], near: socket.socket) -> None:
    """Carry what is answered, until the other end hangs up."""
    with suppress(OSError):
        for kind, piece in output:
            if kind == STDOUT:
                near.sendall(piece)
    with suppress(OSError):
        near.shutdown(socket.SHUT_WR)
