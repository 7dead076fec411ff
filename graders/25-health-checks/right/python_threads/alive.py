"""Asks whether the server is alive; exits with 1 if it isn't."""

import os
import socket
import sys

with socket.create_connection(("127.0.0.1", int(os.environ.get("PORT", "3000"))), 0.8) as line:
    line.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    sys.exit(line.recv(64).split()[1:2] != [b"200"])
