# Another design that keeps the contract: no HTTP library, a socket and bytes.
# Best is another language; then a Dockerfile of its own stands beside it.
import json
import os
import socket

body = json.dumps({"message": os.environ["GREETING"]}, ensure_ascii=False).encode()
head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"

with socket.create_server(("", int(os.environ.get("PORT", "3000")))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            request = b""
            while b"\r\n\r\n" not in request and (data := connection.recv(4096)):
                request += data
            if request:
                connection.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)
