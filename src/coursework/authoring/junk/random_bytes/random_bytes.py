"""Answers everything with random bytes."""  # noqa: INP001 - runs in its own container

import contextlib
import os
import socket
import threading


def answer(connection: socket.socket) -> None:
    """Answer whatever comes."""
    with contextlib.suppress(OSError), connection:
        if connection.recv(65536):
            connection.sendall(os.urandom(5000))


port = os.environ.get("PORT", "")
with socket.create_server(("", int(port) if port.isdecimal() else 3000)) as listener:
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],)).start()
