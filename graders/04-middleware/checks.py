import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Failure,
    Image,
    Random,
    Record,
    Reply,
    Server,
    advising,
    at_once,
    fail,
    points,
)

# Only 1 closes: a list of words that mean no is never complete.
OPEN = "true"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
LIMIT_BYTES = 1024
ANNOUNCED_BYTES = 5_000_000
REFUSED_WITHIN_S = 0.5
# A busy machine may hold up any server once; one that waits for the body is late each time.
ATTEMPTS = 3
# Timers may ring a little early, and both clocks are rounded.
EARLY_MS = 20
# Between the server's last byte and the check's clock.
LATE_MS = 1000
LOGGED_WITHIN_S = 5.0

WAIT_HINT = "GET /api/slow waits SLOW_MS milliseconds by a timer, which holds nobody else up."

Fields = dict[str, str]


@dataclass(frozen=True)
class Sent:
    """A request of a check."""

    method: str
    path: str
    headers: Fields = field(default_factory=dict)
    body: bytes = b""

    def to(self, server: Server, headers: Fields | None = None) -> Reply:
        """Send it to a server, with further header fields."""
        fields = {**self.headers, **(headers or {})}
        return server.request(self.method, self.path, headers=fields, body=self.body)


SLOW = Sent("GET", "/api/slow")
# How somebody without the key may spell the folder of the staff.
SPELLINGS = (
    "/API/STAFF",
    "/api/Staff",
    "//api/staff",
    "/api//staff",
    "/api/staff/",
    "/api/%73taff",
    "/%61pi/staff",
    "/api%2Fstaff",
    "/api/staff%2F",
    "/api/./staff",
    "/api/echo/../staff",
    "/api/%2e/staff",
    "/api/staff;x",
)
# What a missing setting may turn into as text, and the key from the lesson's examples.
NO_KEYS = ("undefined", "None", "null", "curtain")


@pytest.fixture(scope="session")
def staff_key(random: Random) -> str:
    """A key with letters that have another case, and a hyphen."""
    return f"{random.word()}-{random.hex(16)}"


@pytest.fixture(scope="session")
def canary(random: Random) -> str:
    """What an error says that nobody outside may read."""
    return f"no route to db {random.word()}{random.hex(12)}"


@pytest.fixture(scope="session")
def slow_ms(random: Random) -> int:
    """A short wait."""
    return random.integer(151, 299)


@pytest.fixture(scope="session")
def patient_ms(random: Random) -> int:
    """A wait that is never as short as the other one, even on a busy machine."""
    return random.integer(1001, 1399)


@pytest.fixture(scope="module")
def server(image: Image, staff_key: str, canary: str, slow_ms: int) -> Server:
    """The box office, open."""
    env = {"STAFF_KEY": staff_key, "CANARY": canary, "SLOW_MS": str(slow_ms)}
    return image.start(env=env)


@pytest.fixture(scope="module")
def keyless(image: Image, canary: str, patient_ms: int) -> Server:
    """A box office without a staff key, where a slow request takes longer."""
    return image.start(env={"CANARY": canary, "SLOW_MS": str(patient_ms)})


@pytest.fixture(scope="module")
def closed(image: Image, staff_key: str, canary: str, slow_ms: int) -> Server:
    """A box office in maintenance."""
    env = {"STAFF_KEY": staff_key, "CANARY": canary, "SLOW_MS": str(slow_ms)}
    return image.start(env={**env, "MAINTENANCE": "1"})


@pytest.fixture(scope="module")
def reopened(image: Image, staff_key: str, canary: str, slow_ms: int, random: Random) -> Server:
    """A box office where MAINTENANCE has a value that closes nothing, at another port."""
    port = random.port()
    env = {"STAFF_KEY": staff_key, "CANARY": canary, "SLOW_MS": str(slow_ms)}
    return image.start(env={**env, "MAINTENANCE": OPEN, "PORT": str(port)}, port=port)


@pytest.fixture(scope="session")
def requests(random: Random, staff_key: str) -> list[Sent]:
    """Requests whose replies have nothing in common but the mark, one for each status."""
    note = json.dumps({"note": random.text(5)}).encode()
    is_json = {"Content-Type": "application/json"}
    key = {"X-Staff-Key": staff_key}
    return [
        Sent("GET", "/healthz"),
        Sent("POST", "/api/echo", is_json, note),
        Sent("POST", "/api/staff/notes", {**is_json, **key}, note),
        Sent("GET", "/api/staff/sales", key),
        Sent("GET", "/api/staff/sales"),
        Sent("HEAD", f"/api/staff/{random.word()}"),
        Sent("GET", f"/api/{random.word().title()}"),
        Sent("PUT", f"/{random.word()}", is_json, note),
        Sent("GET", "/api/boom"),
        Sent("POST", "/api/echo", is_json, note[:-1]),
        Sent("POST", "/api/echo", is_json, b'{"note": "' + b"x" * LIMIT_BYTES + b'"}'),
        Sent("POST", "/api/echo", {"Content-Type": "text/plain"}, note),
    ]


@points(
    2,
    hints=(
        "Which of your functions can answer before the one that sets X-Request-Id has run?",
        (
            "Set it on the reply in the very first function of the chain, before anything can"
            " answer: the caller's own id if its whole value matches, otherwise a new one,"
            " randomUUID() in Node or uuid.uuid4() in Python. FastAPI answers an error that nobody"
            " caught outside everything in app.middleware, so wrap the whole app."
        ),
    ),
    link="The order is the program",
)
def check_marks_every_reply(
    server: Server, closed: Server, requests: list[Sent], random: Random
) -> None:
    """Every reply has an X-Request-Id, whatever its status: the caller's own, or a fresh UUID"""
    seen = [fresh_id(request.to(server)) for request in requests]
    seen.append(fresh_id(closed.get("/api/echo")))
    if len(set(seen)) < len(seen):
        fail(
            "another fresh X-Request-Id for each request",
            f"{most_frequent(seen)} more than once",
            command=CHECK_AGAIN,
            hint="Make the UUID for each request, not once when the server starts.",
        )
    with advising(
        "Which ids may a caller choose? The whole value must match, from first character to last."
    ):
        expect_own_ids(server, closed, requests, random)


def expect_own_ids(server: Server, closed: Server, requests: list[Sent], random: Random) -> None:
    """Send valid ids with every request, which are kept, and invalid ones, which are replaced."""
    for request in requests:
        # The name of a field is the same in any case.
        own = new_id(random)
        request.to(server, {"x-request-id": own}).expect(headers={"X-Request-Id": own})
    own = new_id(random)
    closed.get("/api/echo", headers={"X-Request-Id": own}).expect(headers={"X-Request-Id": own})
    for own in good_ids(random):
        server.get("/healthz", headers={"X-Request-Id": own}).expect(headers={"X-Request-Id": own})
    for own in bad_ids(random):
        fresh_id(server.get("/healthz", headers={"X-Request-Id": own}))


def fresh_id(reply: Reply) -> str:
    """Return the id that a server has chosen itself; fail where it is not a UUID."""
    seen = reply.headers.get("X-Request-Id", "")
    if not UUID.fullmatch(seen):
        reply.fail("X-Request-Id: a fresh UUID", f"X-Request-Id: {seen or '(absent)'}"[:200])
    return seen


def new_id(random: Random) -> str:
    """Return an id that a caller may choose; it is not a UUID."""
    return f"{random.word()}-{random.hex(10)}"


def good_ids(random: Random) -> list[str]:
    """Return ids at both borders of what is allowed."""
    return [
        random.hex(8),
        f"{random.word().upper()}-{random.hex(57)}",
        f"-{random.word()}--",
        str(random.integer(10_000_000, 99_999_999)),
    ]


def bad_ids(random: Random) -> list[str]:
    """Return ids that no log should hold."""
    good = new_id(random)
    return [
        good[:7],
        f"{random.hex(65)}",
        f"{good} {good}",
        f"{good}_",
        f'{good}","status":200',
        f"<b>{good}",
        f"{good}.{good}",
    ]


def most_frequent(values: list[str]) -> str:
    """Return the value that comes most often."""
    return max(values, key=values.count)


@points(
    2,
    hints=(
        (
            "Print the line when the reply is over. How does your server learn that nobody is"
            " waiting for it any more?"
        ),
        (
            "Express: res.on('close', …) runs once for every reply, and res.writableFinished is"
            " false if the caller hung up; req.originalUrl keeps the whole path. Python (ASGI):"
            " wrap send, and ask receive for http.disconnect."
        ),
    ),
    link="One line for each request",
    needs=("marks_every_reply",),
)
def check_logs_each_request_once(
    server: Server,
    slow_ms: int,
    keyless: Server,
    patient_ms: int,
    closed: Server,
    requests: list[Sent],
    random: Random,
) -> None:
    """Each request is logged once, with its true status; a caller who hung up is a 499"""
    logged: list[tuple[Server, str]] = []
    # What a parser of URLs would make another path of.
    odd = [Sent("GET", path) for path in ("//api/staff/sales", "/api/echo/../staff/sales")]
    for request in [*requests, *odd]:
        own = new_id(random)
        asked = Sent(request.method, f"{request.path}?token={own}", request.headers, request.body)
        reply = asked.to(server, {"X-Request-Id": own})
        expect_record(server, own, request, reply.status)
        logged.append((server, own))
    logged += [(server, logged_refused_id(server, random)), (closed, logged_closed(closed))]
    logged += logged_slow({slow_ms: server, patient_ms: keyless}, random)
    for office in (server, keyless, closed):
        expect_once(office, [own for place, own in logged if place is office])


def expect_record(server: Server, own: str, request: Sent, status: int) -> Record:
    """Wait for a request's line, and compare it with what was sent and what came back."""
    path = request.path.partition("?")[0]
    wanted = {"method": request.method, "path": path, "status": status}
    record = request_line(server, own, status)
    if any(record.get(name) != value for name, value in wanted.items()):
        fail(f"a line with {shown(wanted)[1:-1]}", shown(record), command=docker_logs(server))
    ms = record.get("ms")
    if isinstance(ms, bool) or not isinstance(ms, int | float) or ms < 0:
        fail('a line whose "ms" is a number', shown(record), command=docker_logs(server))
    return record


def request_line(server: Server, own: str, status: int) -> Record:
    """Return a request's first line; another line under its id may come before it."""
    fields: dict[str, object] = {"id": own}
    records = server.log_records(fields, at_least=1, within_s=LOGGED_WITHIN_S)
    if not any("status" in record for record in records):
        fields["status"] = status
        records = server.log_records(fields, at_least=1, within_s=LOGGED_WITHIN_S)
    return next(record for record in records if "status" in record)


def expect_once(server: Server, ids: list[str]) -> None:
    """Check that each request has one line, after a later request has been logged."""
    last = server.get("/healthz")
    server.log_records({"id": last.headers["X-Request-Id"]}, at_least=1)
    for own in ids:
        lines = [r for r in server.log_records({"id": own}) if "status" in r]
        if len(lines) != 1:
            seen = "; ".join(shown(r) for r in lines[:3])
            looked_for = f"one line for the request {own}"
            fail(looked_for, f"{len(lines)}: {seen}", command=docker_logs(server))


def shown(record: Mapping[str, Any]) -> str:
    """Return a line of the log as it may have been printed."""
    return json.dumps(record, ensure_ascii=False)[:300]


def docker_logs(server: Server) -> str:
    """Return the command that shows the log."""
    return f"docker logs {server.container.name}"


def logged_refused_id(server: Server, random: Random) -> str:
    """Send an invalid id; expect the reply's new id in the log, and return it."""
    request = Sent("GET", "/healthz", {"X-Request-Id": random.pick(bad_ids(random))})
    reply = request.to(server)
    own = reply.headers["X-Request-Id"]
    with advising("Log the id that the reply has, not the one that the caller sent."):
        expect_record(server, own, request, reply.status)
    return own


def logged_closed(closed: Server) -> str:
    """Ask while the office is closed; return the id that it gave the request."""
    request = Sent("GET", "/api/echo")
    reply = request.to(closed)
    own = reply.headers["X-Request-Id"]
    expect_record(closed, own, request, reply.status)
    return own


def logged_slow(offices: dict[int, Server], random: Random) -> list[tuple[Server, str]]:
    """Ask for /api/slow, everywhere to the end and once not; return where each was logged.

    Args:
        offices: servers by their SLOW_MS, the shortest first.
        random: for ids.
    """
    shortest, longest = offices
    ids = {wait_ms: new_id(random) for wait_ms in offices}
    # First, so that its handler has ended before the others: then its second line would be there.
    gone = hang_up(offices[longest], random)
    with at_once(lambda wait_ms: timed_slow(offices[wait_ms], ids[wait_ms]), offices) as crowd:
        pass
    for wait_ms, (reply, lasted_ms) in zip(offices, crowd.results(), strict=True):
        reply.expect(200)
        if lasted_ms < wait_ms - EARLY_MS:
            fail_wait(reply, wait_ms, lasted_ms)
        record = expect_record(offices[wait_ms], ids[wait_ms], SLOW, reply.status)
        if not wait_ms - EARLY_MS <= record["ms"] <= lasted_ms + LATE_MS:
            looked_for = f'"ms" from {wait_ms} to {lasted_ms:.0f} for GET /api/slow'
            fail(looked_for, shown(record), command=docker_logs(offices[wait_ms]))
    expect_short_wait(offices[shortest], shortest, longest)
    expect_record(offices[longest], gone, SLOW, 499)
    return [(offices[wait_ms], ids[wait_ms]) for wait_ms in offices] + [(offices[longest], gone)]


def hang_up(server: Server, random: Random) -> str:
    """Ask for /api/slow, and hang up while it waits; return the id of that request."""
    for _ in range(ATTEMPTS):
        own = new_id(random)
        head = f"GET {SLOW.path} HTTP/1.1\r\nHost: lantern\r\nX-Request-Id: {own}\r\n\r\n"
        with server.connect() as line:
            line.send(head.encode())
            server.get("/healthz")
            try:
                line.expect_silence(0.001)
            except Failure:
                continue
            return own
    raise Failure(
        "GET /healthz is answered while GET /api/slow waits",
        f"GET /api/slow was answered first, in each of {ATTEMPTS} attempts",
        command=CHECK_AGAIN,
        hint=WAIT_HINT,
    )


def timed_slow(server: Server, own: str) -> tuple[Reply, float]:
    """Ask for /api/slow; return the reply and its milliseconds, from before the request on."""
    # A clock started after the request may start late, and a right reply would seem early.
    start = time.monotonic()
    reply = SLOW.to(server, {"X-Request-Id": own})
    return reply, (time.monotonic() - start) * 1000


def expect_short_wait(server: Server, wait_ms: int, limit_ms: int) -> None:
    """Check that a slow reply comes when it should, and not much later."""
    for _ in range(ATTEMPTS):
        reply = SLOW.to(server)
        if reply.elapsed_s * 1000 < limit_ms:
            return
    fail_wait(reply, wait_ms, reply.elapsed_s * 1000)


def fail_wait(reply: Reply, wait_ms: int, lasted_ms: float) -> NoReturn:
    """Tell when a slow reply should have come."""
    saw = f"{reply.status} after {lasted_ms:.0f} ms"
    fail(f"200 after {wait_ms} ms", saw, command=reply.command, hint=WAIT_HINT)


@points(
    2,
    hints=(
        "Does your guard see every path that your routes see, spelled exactly as they see it?",
        (
            "Let the router that matches your routes match the guard too: app.use('/api/staff',"
            " guard) in Express. Guard unknown paths below it as well, and if STAFF_KEY isn't"
            " set, let nobody in."
        ),
    ),
    link="A guard that reads paths as the routes do",
)
def check_guards_every_spelling(
    server: Server, keyless: Server, staff_key: str, random: Random
) -> None:
    """Without the key nobody gets in below /api/staff/, however they spell the path"""
    key = {"X-Staff-Key": staff_key}
    expect_staff_inside(server, key, random)
    with advising("Only paths that begin with /api/staff/, with the last slash, need a key."):
        for path in (f"/api/staff{random.word()}", f"/api/staff-{random.word()}"):
            server.get(path).expect(404, json={"error": "not_found"})
    for key_sent in (None, "", staff_key[:-1], f"{staff_key}0", staff_key.upper()):
        headers = {} if key_sent is None else {"X-Staff-Key": key_sent}
        expect_staff_only(server, "GET", "/api/staff/sales", headers)
    for method, path in staff_paths(random):
        expect_staff_only(server, method, path, {})
    for spelling in SPELLINGS:
        expect_no_sales(server.get(f"{spelling}/sales"))
        expect_no_sales(server.post(f"{spelling}/notes", json={"note": random.word()}))
    with advising("Where STAFF_KEY isn't set, a missing key equals it: let nobody in."):
        expect_staff_only(keyless, "GET", "/api/staff/sales", {})
    for key_sent in ("", *NO_KEYS, staff_key):
        expect_staff_only(keyless, "GET", "/api/staff/sales", {"X-Staff-Key": key_sent})


def expect_staff_inside(server: Server, key: Fields, random: Random) -> None:
    """Ask with the key: for paths that exist, for paths that don't, and by other methods."""
    for path in ("/api/staff/sales", f"/api/staff/sales?{random.word()}={random.word()}"):
        server.get(path, headers=key).expect(200, json={"sales": 0})
    server.post("/api/staff/notes", headers=key, json={"note": random.word()}).expect(201)
    for path in (f"/api/staff/{random.word()}", f"/api/staff/sales/{random.word()}"):
        server.get(path, headers=key).expect(404, json={"error": "not_found"})
    for method, path in (("DELETE", "/api/staff/sales"), ("GET", "/api/staff/notes")):
        reply = server.request(method, path, headers=key)
        if reply.status not in (404, 405):
            reply.fail(f"404 or 405, because {path} has no {method}")


def staff_paths(random: Random) -> list[tuple[str, str]]:
    """Return requests that need the key; most of their paths lead nowhere."""
    return [
        ("GET", "/api/staff/"),
        ("GET", "/api/staff/sales/"),
        ("GET", f"/api/staff/sales?{random.word()}={random.word()}"),
        ("HEAD", "/api/staff/sales"),
        ("OPTIONS", "/api/staff/sales"),
        ("DELETE", "/api/staff/sales"),
        ("GET", "/api/staff/notes"),
        ("GET", f"/api/staff/{random.word()}"),
        ("PATCH", f"/api/staff/{random.word()}/{random.word()}"),
    ]


def expect_staff_only(server: Server, method: str, path: str, headers: Fields) -> None:
    """Ask without the right key, and be refused."""
    reply = server.request(method, path, headers=headers)
    if method == "HEAD":
        reply.expect(401)
    else:
        reply.expect(401, json={"error": "staff_only"})


def expect_no_sales(reply: Reply) -> None:
    """Check that a strange spelling was refused, or led elsewhere."""
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        body = None
    has_sales = isinstance(body, dict) and "sales" in body
    if has_sales or not 300 <= reply.status <= 499:
        reply.fail("a status from 300 to 499 without the key, and no sales")


@points(
    2,
    hints=(
        (
            "What reads bodies, and does it come before or after the guard in your chain? If"
            ' the report is about a body that was sent, which line of the table under "Bodies"'
            " applies to it?"
        ),
        (
            "Put the guard in front of whatever reads bodies. Express: express.json({ limit:"
            " 1024 }) after it; elsewhere read piece by piece, and stop when more than 1024"
            " bytes have come. Then check that the JSON is an object."
        ),
    ),
    link="Refuse before you read",
)
def check_refuses_before_reading(server: Server, staff_key: str, random: Random) -> None:
    """The 401 comes before the body is read; only JSON objects of up to 1024 bytes are accepted"""
    server.get("/healthz").expect(200)
    length = f"Content-Length: {ANNOUNCED_BYTES}"
    for fields in ([length], [length, "Expect: 100-continue"]):
        announced(server, fields).expect(401, json={"error": "staff_only"})
    expect_echoes(server, random)
    for path in ("/api/echo", "/api/staff/notes"):
        expect_refused_bodies(server, path, {"X-Staff-Key": staff_key}, random)
    expect_limit(server, random)


def announced(server: Server, fields: list[str]) -> Reply:
    """Send the head of an upload and nothing more; return the reply that comes in time."""
    head = ["POST /api/staff/notes HTTP/1.1", "Host: lantern", "Content-Type: application/json"]
    for attempt in range(ATTEMPTS):
        try:
            with server.connect() as line:
                line.send("\r\n".join([*head, *fields, "", ""]).encode())
                return line.reply(to="POST", timeout_s=REFUSED_WITHIN_S)
        except Failure as failure:
            # Node sends "100 Continue" by itself, so some bytes may come before a late reply.
            is_late = any(late in failure.saw for late in ("nothing in", "no end after"))
            if attempt == ATTEMPTS - 1 or not is_late:
                failure.looked_for = "401 within 500 ms, while no byte of the body has been sent"
                raise
    raise AssertionError


def expect_echoes(server: Server, random: Random) -> None:
    """Send valid objects, with the type and the spaces around them written in several ways."""
    value = some_object(random)
    for kind in (
        "application/json",
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
    ):
        fields = {"Content-Type": kind}
        server.post("/api/echo", json=value, headers=fields).expect(200, exactly=value)
    with advising("{} is an object too, and JSON may have blanks around it."):
        server.post("/api/echo", json={}).expect(200, exactly={})
        spaced = f" \n{json.dumps(value, indent=1)}\n".encode()
        is_json = {"Content-Type": "application/json"}
        server.post("/api/echo", body=spaced, headers=is_json).expect(200, exactly=value)


def some_object(random: Random) -> dict[str, Any]:
    """Return a JSON object with a value of each kind."""
    return {
        random.word(): random.text(8),
        "seats": random.integer(2, 60),
        "paid": random.pick([True, False]),
        "list": [random.word(), None, {"price": random.integer(10, 99) + 0.5}, []],
        "": {},
    }


def expect_refused_bodies(server: Server, path: str, key: Fields, random: Random) -> None:
    """Send what is no JSON object, or does not say that it is JSON."""
    text = json.dumps({"note": random.word()})
    is_json = {**key, "Content-Type": "application/json"}
    for bad in (text[:-1], f"{text}}}", random.word(), f"[{text}]", f'"{random.word()}"',
                str(random.integer(2, 99)), "null", "true"):  # fmt: skip
        reply = server.post(path, body=bad.encode(), headers=is_json)
        reply.expect(400, json={"error": "bad_json"})
    form = "application/x-www-form-urlencoded"
    patch = "application/json-patch+json"
    for kind in ({}, *({"Content-Type": kind} for kind in ("text/plain", form, patch))):
        reply = server.post(path, body=text.encode(), headers={**key, **kind})
        reply.expect(415, json={"error": "json_only"})
    reply = server.post(path, body=sized_object(random, LIMIT_BYTES + 1), headers=is_json)
    reply.expect(413, json={"error": "too_large"})


def sized_object(random: Random, size: int) -> bytes:
    """Return a JSON object of that many bytes, and of about half as many characters."""
    begin = f'{{"note": "{random.text(size // 8)}'.encode()
    return begin + b"x" * (size - len(begin) - 2) + b'"}'


def expect_limit(server: Server, random: Random) -> None:
    """Send bodies on both sides of the limit, counted in bytes, whole and in chunks."""
    for size, status in ((LIMIT_BYTES, 200), (LIMIT_BYTES + 1, 413)):
        body = sized_object(random, size)
        wanted = (
            {"exactly": json.loads(body)} if status == 200 else {"json": {"error": "too_large"}}
        )
        server.post("/api/echo", body=body, headers={"Content-Type": "application/json"}).expect(
            status, **wanted
        )
        in_chunks(server, body).expect(status, **wanted)


def in_chunks(server: Server, body: bytes) -> Reply:
    """Send a body to /api/echo in two chunks."""
    half = len(body) // 2
    head = (
        "POST /api/echo HTTP/1.1\r\nHost: lantern\r\nContent-Type: application/json\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunks = [b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:], b"")]
    with server.connect() as line:
        line.send(head.encode() + b"".join(chunks))
        return line.reply(to="POST")


@points(
    1,
    hints=(
        "One function takes every error. What may the caller know, and what belongs in the log?",
        (
            "Print the error's message with the request's id, and answer 500 with error and"
            " request_id alone. Express: app.use((error, req, res, next) => …) at the end of the"
            " chain, with all four parameters."
        ),
    ),
    link="One clean reply for every failure",
)
def check_contains_failures(server: Server, canary: str, random: Random) -> None:
    """An error in a handler becomes a 500 with the request's id; its message is only in the log"""
    for headers in ({}, {"Accept": "text/html"}, {"X-Request-Id": new_id(random)}):
        expect_contained(server.get("/api/boom", headers=headers), canary)
    server.wait_for_log(canary)
    with at_once(lambda _: server.get("/api/boom"), range(3)) as crowd:
        pass
    for reply in crowd.results():
        expect_contained(reply, canary)
    server.get("/healthz").expect(200)


def expect_contained(reply: Reply, canary: str) -> None:
    """Check that a reply tells of a failure, and nothing of its cause."""
    told = " ".join([reply.reason, *reply.headers.values(), reply.text])
    if canary in told:
        reply.fail("a reply without the message of the error")
    own = reply.headers.get("X-Request-Id", "")
    reply.expect(500, json={"error": "internal", "request_id": own})


@points(
    1,
    hints=(
        (
            "Is GET /healthz answered before the function that closes the box office, and"
            " everything else after it? And what does that function do when MAINTENANCE is 0 or"
            " true?"
        ),
        (
            "Compare MAINTENANCE with the text '1', because any text that isn't empty, even"
            " '0', counts as true in JavaScript and Python. Set Retry-After before you answer"
            " 503."
        ),
    ),
    link="Closed, but alive",
)
def check_closes_for_maintenance(
    closed: Server, reopened: Server, staff_key: str, random: Random
) -> None:
    """With MAINTENANCE=1 everything but GET /healthz is answered 503 with Retry-After"""
    closed.get("/healthz").expect(200)
    key = {"X-Staff-Key": staff_key}
    for reply in (
        closed.post("/api/echo", json={"note": random.word()}),
        closed.get("/api/staff/sales", headers=key),
        closed.get("/api/staff/sales"),
        closed.get("/api/boom"),
        closed.get(f"/{random.word()}"),
        closed.get(f"/healthz/{random.word()}"),
        closed.get(f"/healthz{random.word()}"),
    ):
        reply.expect(503, json={"error": "maintenance"}, headers={"Retry-After": None})
        if not is_later(reply.headers["Retry-After"]):
            reply.fail("Retry-After: seconds, or a date", reply.headers["Retry-After"])
    closed.get("/healthz").expect(200)
    # A probe may add a query; the path stays the same.
    closed.get(f"/healthz?probe={random.word()}").expect(200)
    reopened.get("/healthz").expect(200)
    open_again = reopened.post("/api/echo", json={"note": random.word()})
    if open_again.status == 503:
        open_again.fail(f"an open box office with MAINTENANCE={OPEN}")


def is_later(value: str) -> bool:
    """Tell whether a Retry-After says when: seconds, more than 0, or a date."""
    if re.fullmatch(r"[0-9]{1,9}", value):
        return int(value) > 0
    try:
        parsedate_to_datetime(value)
    except ValueError:
        return False
    return True
