"""Answers everything with a body that never ends."""  # noqa: INP001 - runs in its own container

import contextlib
import os
import socket
import threading


def answer(connection: socket.socket) -> None:
    """Answer whatever comes."""
    with contextlib.suppress(OSError), connection:
        if connection.recv(65536):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            while True:
                connection.sendall(b" " * 65536)


port = os.environ.get("PORT", "")
with socket.create_server(("", int(port) if port.isdecimal() else 3000)) as listener:
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0],)).start()
