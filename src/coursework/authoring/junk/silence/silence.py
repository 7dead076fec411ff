"""Accepts connections, reads, and never answers."""  # noqa: INP001 - runs in its own container

import contextlib
import os
import socket
import threading


def answer(connection: socket.socket) -> None:
    """Read until the other side gives up."""
    with contextlib.suppress(OSError), connection:
        while connection.recv(65536):
            pass


port = os.environ.get("PORT", "")
with socket.create_server(("", int(port) if port.isdecimal() else 3000)) as listener:
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],)).start()
