"""A server for tests that answers each connection with the bytes it is told to."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from coursework.checks.wire import Address


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[Address]:
    """Serve connections on a free port; `handle` gets each one, and it is closed afterwards."""
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            try:
                handle(connection)
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield Address("127.0.0.1", port, port)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def sends(data: bytes) -> Callable[[socket.socket], None]:
    """Answer the first packet with these bytes, then hang up."""

    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return handle
