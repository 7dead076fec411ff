# Wrong: HEAD is answered like GET, with the body.
import itertools
import os
import socket
import threading

notes: dict[str, bytes] = {}
numbers = itertools.count(1)
REASONS = {200: "OK", 201: "Created", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}


class BadRequest(Exception):
    """The request cannot be understood in exactly one way."""


class Stream:
    """Bytes of one connection, read by lines and by counts; what is left waits for the next read."""

    def __init__(self, connection):
        self.connection = connection
        self.buffer = b""

    def fill(self):
        data = self.connection.recv(65536)
        if not data:
            raise ConnectionError("the client has hung up")
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line

    def exactly(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data


def read_request(stream):
    words = stream.line().decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/"):
        raise BadRequest("start line")
    fields = read_fields(stream)
    if "host" not in fields:
        raise BadRequest("no Host")
    return words[0], words[1], fields, read_body(stream, fields)


def read_fields(stream):
    fields = {}
    while line := stream.line():
        name, _, value = line.partition(b":")
        fields[name.decode("latin-1").lower()] = value.strip(b" \t")
    return fields


def read_body(stream, fields):
    length = fields.get("content-length")
    chunked = "transfer-encoding" in fields
    if length is not None and chunked:
        raise BadRequest("two framings")
    if chunked:
        return read_chunks(stream)
    if length is None:
        return b""
    if not length.isdigit():
        raise BadRequest("Content-Length")
    return stream.exactly(int(length))


def read_chunks(stream):
    body = b""
    while size := chunk_size(stream.line()):
        body += stream.exactly(size)
        stream.exactly(2)
    while stream.line():
        pass
    return body


def chunk_size(line):
    try:
        return int(line.partition(b";")[0].strip(), 16)
    except ValueError:
        raise BadRequest("chunk size") from None


def percent_decoded(text):
    first, *rest = text.encode("latin-1").split(b"%")
    return first + b"".join(bytes.fromhex(part[:2].decode()) + part[2:] for part in rest)


def answer(method, path, fields, body):
    """Return status, further fields and body of the reply."""
    if path == "/notes":
        return post_note(body) if method == "POST" else refuse_method("POST")
    known = path in ("/", "/visitor") or path.startswith("/echo/") or path.startswith("/notes/")
    if not known:
        return 404, {}, b"not found\n"
    if method not in ("GET", "HEAD"):
        return refuse_method("GET, HEAD")
    if path.startswith("/notes/"):
        note = notes.get(path.removeprefix("/notes/"))
        if note is None:
            return 404, {}, b"no such note\n"
        return 200, {"Content-Type": "application/octet-stream"}, note
    if path == "/visitor" and "x-visitor" not in fields:
        return 400, {}, b"who are you?\n"
    texts = {"/": b"Lantern box office\n", "/visitor": fields.get("x-visitor", b"")}
    text = texts[path] if path in texts else percent_decoded(path.removeprefix("/echo/"))
    return 200, {"Content-Type": "text/plain; charset=utf-8"}, text


def post_note(body):
    number = str(next(numbers))
    notes[number] = body
    return 201, {"Location": f"/notes/{number}"}, b""


def refuse_method(allowed):
    return 405, {"Allow": allowed}, b"method not allowed\n"


def send_reply(connection, method, status, fields, body):
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\n"
    for name, value in {**fields, "Content-Length": len(body)}.items():
        head += f"{name}: {value}\r\n"
    connection.sendall(head.encode("latin-1") + b"\r\n" + body)


def serve(connection):
    with connection:
        stream = Stream(connection)
        while True:
            try:
                method, path, fields, body = read_request(stream)
            except BadRequest as error:
                send_reply(connection, "GET", 400, {"Connection": "close"}, f"{error}\n".encode())
                return
            except OSError:
                return
            send_reply(connection, method, *answer(method, path, fields, body))
            if fields.get("connection", b"").lower() == b"close":
                return


listener = socket.create_server(("0.0.0.0", int(os.environ.get("PORT", "3000"))), backlog=128)
print("listening", flush=True)
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted,), daemon=True).start()
