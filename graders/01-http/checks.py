import re

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Connection,
    Failure,
    Image,
    Random,
    Reply,
    Server,
    advising,
    at_once,
    fail,
    points,
)

# One more connection has sent half a request.
SILENT_CONNECTIONS = 40
ANSWER_WITHIN_S = 0.5
PLAIN = "text/plain"
PLACE = re.compile(r"/notes/[1-9][0-9]*")
BINARY = "application/octet-stream"
MOST_BYTES = 1_000_000
# Any value. Where the connection closes, a reply without this field can be read too.
LENGTH = {"Content-Length": None}
PATHS_TO_READ = ("/", "/echo/x", "/visitor", "/notes/1")


@pytest.fixture(scope="module")
def server(image: Image) -> Server:
    """A server on its default port."""
    return image.start()


@pytest.fixture(scope="session")
def port(random: Random) -> int:
    """A port that cannot be hard-coded."""
    return random.port()


@pytest.fixture(scope="module")
def moved_server(image: Image, port: int) -> Server:
    """A server that was given another port."""
    return image.start(env={"PORT": str(port)}, port=port)


@points(
    1,
    hints=(
        (
            "Did your server exit? Somebody may connect, send nothing and hang up; recv() then"
            " returns b''. If it's still running, pipe the reply into od -c, as in curl -si"
            " localhost:3000 | od -c: how does each line end, and how many bytes does the body"
            " have?"
        ),
        (
            "Encode the body first and take len() of the bytes; end every line of the "
            "head with \\r\\n."
        ),
    ),
    link="Two ways to say where a body ends",
)
def check_counts_bytes(server: Server, moved_server: Server, random: Random) -> None:
    """On the port given in PORT, lines end in CRLF, and Content-Length counts the body's bytes"""
    expect_text(moved_server.get("/"), "Lantern box office\n")
    text = f" {random.text(6)} {random.word()} %41/+"
    with server.connect() as line:
        # Blanks, letters, a slash, a plus sign and a decoded percent sign stay as they are.
        line.send(request("GET", f"/echo/{percent_encoded(text[:-2])}/+"))
        reply = line.reply()
        head = line.received.partition(text.encode())[0]
        expect_text(reply, text, {"Content-Length": str(len(text.encode()))})
        if head.count(b"\n") != head.count(b"\r\n"):
            reply.fail("a head whose lines all end in CRLF", f"{head[:120]!r}")
    expect_text(server.get("/echo/"), "")
    visitor = f"{random.word()} {random.text(3)}"
    expect_text(server.get("/visitor", headers={"X-Visitor": visitor}), visitor)
    # Latin-1 has a line end and a blank in these two letters of UTF-8; FF between them is no UTF-8.
    name = random.word().encode() + b"\xd1\x85\xff\xc3\xa0"
    asked = request("GET", "/visitor", fields={"X-Visitor": "?"}).replace(b"?", name)
    with (
        advising("Work on bytes and strip(b' \\t'): decoded text has other blanks and line ends."),
        server.connect() as line,
    ):
        line.send(asked)
        line.reply().expect(200, body=name)


@points(
    2,
    hints=(
        ("One recv() is not one request: bytes arrive in whatever pieces the network likes."),
        (
            "Keep a buffer. Call recv() until it contains \\r\\n\\r\\n, then until the body is"
            " as long as the head promised, or, if it comes in chunks, until the last chunk is"
            " there."
        ),
    ),
    link="A packet is not a request",
)
def check_reads_whole_requests(server: Server, random: Random) -> None:
    """A request is answered once it is complete, however many packets it arrives in"""
    word = random.word()
    with server.connect() as line:
        line.send_in_pieces([bytes([byte]) for byte in request("GET", f"/echo/{word}")])
        line.reply().expect(200, body=word)
    note = random.hex(64).encode()
    head, body = request("POST", "/notes", note).split(b"\r\n\r\n")
    # Seven pieces of one body: a server that reads once or twice more has not read it whole.
    pieces = [head + b"\r\n", b"\r\n" + body[:8], *(body[n : n + 8] for n in range(8, 64, 8))]
    # Nine bytes: a size that reads the same in any notation, which is another check's matter.
    chunks = [random.hex(9).encode(), random.hex(8).encode()]
    chunked = chunked_request(chunks, trailer=b"")
    # Its end in one piece: whether trailers are read is another check's matter.
    end = len(b"0\r\n\r\n")
    for sent in (pieces, [*(bytes([byte]) for byte in chunked[:-end]), chunked[-end:]]):
        with server.connect() as line:
            line.send_in_pieces(sent, pause_s=0.01 if sent is pieces else 0.002)
            reply = line.reply()
        expect_note(server, reply, note if sent is pieces else b"".join(chunks))


@points(
    2,
    hints=(
        (
            "A connection may carry several requests, and one packet may carry several of "
            "them at once."
        ),
        (
            "Loop over requests on the same connection, and keep any bytes left over after one"
            " request as the start of the next. Read a request's body even when you answer 404"
            " or 405, or it will look like the next request."
        ),
    ),
    link="One connection, many requests",
)
def check_keeps_connections(server: Server, random: Random) -> None:
    """Requests on one connection are answered in order, until Connection: close"""
    words = random.words(5)
    note = random.bytes(40)
    with server.connect() as line:
        asked = [request("GET", f"/echo/{word}") for word in words[:3]]
        # A body, or a reply that isn't 200, is no reason to hang up or to lose what follows.
        asked[1:1] = [request("POST", "/notes", note), chunked_request([note[:9]])]
        asked[1:1] = [request("GET", f"/{words[4]}"), request("GET", "/visitor")]
        line.send(b"".join(asked))
        line.reply().expect(200, body=words[0])
        line.reply().expect(404)
        line.reply().expect(400)
        line.reply().expect(201)
        line.reply().expect(201)
        for word in words[1:3]:
            line.reply().expect(200, body=word)
        line.send(request("GET", f"/echo/{words[3]}", fields={"CONNECTION": "CLOSE"}))
        line.reply().expect(200, body=words[3])
        with advising("Connection: close, name and value in any case, closes it after the reply."):
            line.expect_closed()
    with server.connect() as line:
        line.send(request("POST", "/notes", note, {"connection": "close"}))
        line.reply().expect(201)
        line.expect_closed()
    for what, (method, sent, status) in requests_to_read_to_their_end(words[4]).items():
        expect_next_is_answered(server, what, method, sent, status, word=words[0])


@points(
    2,
    hints=(
        "A body is bytes, and only its framing says where it ends.",
        (
            "Never decode the body or search it for an end, and ask recv() for many bytes at a"
            " time. Cut each chunk's size line at the semicolon and read it with int(size, 16),"
            " then read exactly that many bytes and one \\r\\n; after the last chunk, skip the"
            " lines up to the empty one."
        ),
    ),
    link="Two ways to say where a body ends",
    needs=("reads_whole_requests",),
)
def check_reads_both_framings(server: Server, random: Random) -> None:
    """A body comes back byte for byte, sent with Content-Length or in chunks"""
    note = random.bytes(200) + b"\x00\r\n\r\n0\r\n\r\n\xff" + random.bytes(200)
    # Blanks and line ends at both ends belong to the body like any other bytes.
    bodies = [b" \t\r\n" + note + b"\n \x00 ", random.bytes(MOST_BYTES - random.integer(1, 999))]
    # In hexadecimal: digits alone that are another number in decimal, a letter in either case.
    sizes = [random.integer(0x10, 0x19), 0xAB, 3, 0x12C, 0xCD, random.integer(10, 15)]
    chunks = [b"\r\n" + random.bytes(size - 3) + b" " for size in sizes]
    framed = {
        **{request("POST", "/notes", body): body for body in bodies},
        # The size of the last chunk may have an extension too.
        chunked_request(chunks, last=b"0;end"): b"".join(chunks),
        chunked_request([bodies[1]]): bodies[1],
        # The name of a field is the same in any case.
        request("POST", "/notes", note)
        .replace(b"Host", b"hOST", 1)
        .replace(b"Content-Length: 4", b"content-LENGTH: 4", 1): note,
        chunked_request([note]).replace(b"Transfer-Encoding", b"transfer-ENCODING", 1): note,
        b"POST /notes HTTP/1.1\r\nHost: lantern.test\r\n\r\n": b"",
    }
    places = set()
    for sent, body in framed.items():
        with server.connect() as line:
            line.send(sent)
            # The contract's 5 s and as many for a busy machine.
            reply = line.reply(timeout_s=10)
        places.add(expect_note(server, reply, body))
    if len(places) != len(framed):
        fail(f"{len(framed)} notes at {len(framed)} places", f"{len(places)} places")


@points(
    1,
    hints=(
        (
            "Go through the contract's list of refusals, one request at a time: which one "
            "gets the wrong status, or a body it shouldn't have?"
        ),
        (
            "Check for a missing Host, for both framings, and for a Content-Length with"
            " anything but digits before you look at the path, answer 400 and close; for HEAD"
            " send the same head as for GET and no body."
        ),
    ),
    link="When two servers read one request differently",
)
def check_refuses_ambiguity(server: Server, random: Random) -> None:
    """Unclear requests get 400, unknown paths 404, wrong methods 405, and HEAD has no body"""
    word, note = random.word(), random.bytes(30)
    for unclear in unclear_requests():
        with server.connect() as line:
            line.send(unclear)
            line.reply().expect(400, headers=LENGTH)
            line.expect_closed()
    for path, status in ((f"/echo/{word}", 200), (f"/{word}", 404), ("/visitor", 400)):
        with server.connect() as line:
            line.send(request("HEAD", path, fields={"Connection": "close"}))
            reply = line.reply(to="HEAD").expect(status)
            line.expect_closed()
        if status == 200:
            reply.expect(type=PLAIN, headers={"Content-Length": str(len(word))})
    server.get("/visitor").expect(400)
    visitor = {"x-VISITOR": f" \t {word} {word} "}
    server.get("/visitor", headers=visitor).expect(200, body=f"{word} {word}")
    with server.connect() as line:
        # A value may follow its colon at once, and may contain more of them.
        asked = request("GET", "/visitor", fields={"x-visitor": f"{word}:{word}"})
        line.send(asked.replace(b": ", b":"))
        line.reply().expect(200, body=f"{word}:{word}")
    asked = request("POST", "/notes", note, {"Connection": "\t close "})
    with (
        advising("Strip blanks and tabs around the value of every field, not just X-Visitor."),
        server.connect() as line,
    ):
        line.send(asked.replace(b"Content-Length: 30", b"Content-Length:\t 30 \t"))
        line.reply().expect(201)
        line.expect_closed()
    # Posted first: where there are no notes, any number is an unknown one.
    taken = server.post("/notes", body=note).expect(201, headers={"Location": None})
    for path in (
        f"/{word}", f"/{word}/notes", "/echo", f"/visitor/{word}", "/visitors", "/notes/",
        f"/notes{word}", f"/notes/{word}", "/notes/0", "/notes/999999999",
    ):  # fmt: skip
        server.get(path).expect(404)
    for path, headers in (
        ("/", {}), ("/visitor", visitor), (taken.headers["Location"], {}), (f"/{word}", {}),
    ):  # fmt: skip
        expect_same_head(server, path, headers)
    for path in (*PATHS_TO_READ[:3], taken.headers["Location"]):
        expect_refused(server.request("DELETE", path), {"GET", "HEAD"})
        expect_refused(server.request(word.upper(), path), {"GET", "HEAD"})
        expect_refused(server.request("POST", path), {"GET", "HEAD"})
    expect_refused(server.get("/notes"), {"POST"})
    expect_refused(server.request("PUT", "/notes"), {"POST"})


@points(
    2,
    hints=(
        "While recv() waits for one client, no other client is served.",
        (
            "Give each connection a thread (threading.Thread(target=serve, "
            "args=(connection,), daemon=True).start()), or use asyncio.start_server. If recv()"
            " returns b'', the client hung up: leave the loop, or the thread spins and slows"
            " down the others."
        ),
    ),
    link="What it costs in production",
    needs=("reads_whole_requests",),
)
def check_serves_while_others_wait(server: Server, random: Random) -> None:
    """With 40 silent connections and one half-sent request, another is answered within 500 ms"""
    word, begun = random.words(2)
    half = request("GET", f"/echo/{begun}")
    server.get("/").expect(200)
    with at_once(lambda _: server.connect(), range(SILENT_CONNECTIONS + 1)) as crowd:
        pass
    others: list[Connection] = crowd.results()
    others[0].send(half[:-9])
    try:
        path = f"/echo/{word}"
        # The best of three: the first may still wait for the crowd to be accepted.
        replies = [server.get(path, timeout_s=5).expect(200, body=word) for _ in range(3)]
        reply = min(replies, key=lambda reply: reply.elapsed_s)
        if reply.elapsed_s > ANSWER_WITHIN_S:
            reply.fail(
                "an answer within 500 ms", f"an answer after {reply.elapsed_s * 1000:.0f} ms"
            )
        expect_rest_is_read(others[0], half[-9:], begun)
    finally:
        for other in others:
            other.close()


def expect_rest_is_read(line: Connection, rest: bytes, text: str) -> None:
    """Send the rest of a request, though others came in between, and expect this text."""
    line.send(rest)
    try:
        with advising("Give each connection a buffer that no other connection can change."):
            line.reply().expect(200, body=text)
    except Failure as failure:
        failure.looked_for += ", on a connection that sent half a request before others were served"
        # The same bytes on one connection alone would be answered.
        failure.command = CHECK_AGAIN
        raise


def request(
    method: str, path: str, body: bytes = b"", fields: dict[str, str] | None = None
) -> bytes:
    """Return the bytes of a request."""
    framing = {"Content-Length": str(len(body))} if method == "POST" else {}
    lines = {"Host": "lantern.test", **framing, **(fields or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def requests_to_read_to_their_end(word: str) -> dict[str, tuple[str, bytes, int]]:
    """Return method, bytes and expected status of requests, by what a server may leave unread."""
    # A body that looks like a request: a server that doesn't read it will answer it.
    body = request("GET", "/")
    length = {"Content-Length": str(len(body))}
    closing = b"X-Trailer: ignored\r\nConnection: close\r\nX-Trailer: too\r\n"
    return {
        "a GET with a body": ("GET", request("GET", f"/echo/{word}", fields=length) + body, 200),
        "a DELETE with a body": ("DELETE", request("DELETE", "/", fields=length) + body, 405),
        "a DELETE with a body in chunks": (
            "DELETE", chunked_request([b"row C"]).replace(b"POST /notes", b"DELETE /", 1), 405,
        ),
        "a POST to /echo with a body": ("POST", request("POST", f"/echo/{word}", body), 405),
        "a POST to an unknown path": ("POST", request("POST", f"/{word}", body), 404),
        "trailer fields, which are ignored": ("POST", chunked_request([b"row C"], closing), 201),
    }  # fmt: skip


def expect_next_is_answered(
    server: Server, what: str, method: str, sent: bytes, status: int, *, word: str
) -> None:
    """Send a request and another one behind it: both are answered, and nothing else is."""
    with server.connect() as line:
        line.send(sent + request("GET", f"/echo/{word}"))
        try:
            line.reply(to=method).expect(status)
            line.reply().expect(200, body=word)
        except Failure as failure:
            failure.looked_for += f", on a connection with {what} and then GET /echo/{word}"
            raise


def expect_text(reply: Reply, text: str, headers: dict[str, str | None] | None = None) -> None:
    """Expect this text, with a type that says it is UTF-8."""
    reply.expect(200, type=PLAIN, body=text, headers=headers)
    _, _, parameters = reply.headers["Content-Type"].partition(";")
    if parameters.replace(" ", "").replace('"', "").lower() != "charset=utf-8":
        reply.fail("Content-Type: text/plain; charset=utf-8", reply.headers["Content-Type"])


def expect_same_head(server: Server, path: str, headers: dict[str, str]) -> None:
    """Expect HEAD to be answered like GET: the same status, type and length."""
    whole, head = server.get(path, headers=headers), server.request("HEAD", path, headers=headers)
    head.expect(whole.status, headers={"Content-Length": str(len(whole.body))})
    if head.headers.get("Content-Type") != whole.headers.get("Content-Type"):
        head.fail(
            f"HEAD {path} with the type that GET has, {whole.type or 'none'}", head.type or "none"
        )


def chunked_request(
    chunks: list[bytes], trailer: bytes = b"X-Trailer: ignored\r\n", *, last: bytes = b"0"
) -> bytes:
    """Return a note whose body comes in chunks, with extensions and a trailer to ignore."""
    sizes = [f"{len(c):X}" if n % 2 else f"{len(c):x};part={n}" for n, c in enumerate(chunks)]
    parts = [f"{s}\r\n".encode() + c + b"\r\n" for s, c in zip(sizes, chunks, strict=True)]
    head = b"POST /notes HTTP/1.1\r\nHost: lantern.test\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(parts) + last + b"\r\n" + trailer + b"\r\n"


def unclear_requests() -> list[bytes]:
    """Return requests that a server must not guess about."""
    both = {"Transfer-Encoding": "chunked"}
    note = request("POST", "/notes", b"hello hello")
    return [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /\r\nHost: lantern.test\r\n\r\n",
        b"three words here\r\nHost: lantern.test\r\n\r\n",
        b"GET / / HTTP/1.1\r\nHost: lantern.test\r\n\r\n",
        b"GET / HTTPS/1.1\r\nHost: lantern.test\r\n\r\n",
        b"GET / XHTTP/1.1\r\nHost: lantern.test\r\n\r\n",
        b"POST /notes HTTP/1.1\r\nHost: lantern.test\r\nContent-Length: 5x\r\n\r\nhello",
        *(
            note.replace(b"Content-Length: 11", b"Content-Length: " + bad)
            # The last two are a superscript in Latin-1, and the digit of another script in UTF-8.
            for bad in (b"", b"five", b"+5", b"-5", b"1_0", b"0x5", b"\xb2", b"\xd9\xa5")
        ),
        request("POST", "/notes", b"0\r\n\r\n", both),
        chunked_request([]).replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n", 1),
    ]


def percent_encoded(text: str) -> str:
    """Return a text with every byte encoded, in digits of either case."""
    return "".join(f"%{b:02X}" if n % 2 else f"%{b:02x}" for n, b in enumerate(text.encode()))


def expect_note(server: Server, reply: Reply, note: bytes) -> str:
    """Expect that the note was taken and comes back from the place the reply names; return it."""
    reply.expect(201)
    with advising("The note was taken; look at Location and Content-Length in the reply."):
        reply.expect(201, headers={"Location": None, **LENGTH})
        place = reply.headers["Location"]
        if not PLACE.fullmatch(place):
            reply.fail("Location: /notes/<n>, n a positive integer", f"Location: {place[:80]}")
    kept = server.get(place).expect(200, body=note)
    with advising("The note came back; look at Content-Type and Content-Length in the reply."):
        kept.expect(200, type=BINARY, headers=LENGTH)
    return place


def expect_refused(reply: Reply, allowed: set[str]) -> None:
    """Expect the method to be refused and the allowed ones to be named."""
    reply.expect(405, headers={"Allow": None, **LENGTH})
    named = {method.strip() for method in reply.headers["Allow"].split(",")}
    if named != allowed:
        fail(f"Allow: {', '.join(sorted(allowed))}", f"Allow: {reply.headers['Allow']}",
             command=reply.command)  # fmt: skip
