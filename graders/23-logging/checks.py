import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from urllib.parse import quote, unquote

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Failure,
    HeldBack,
    Image,
    Random,
    Record,
    Reply,
    Server,
    Stub,
    at_once,
    eventually,
    fail,
    points,
)

LOGGED_WITHIN_S = 5.0
CHARGES = "POST /charges"
LEVELS = ("debug", "info", "warn", "error")
AT_ONCE = 50
# The contract's number, for the report.
AT_LEAST_AT_ONCE = 60
# One more line each: whatever collects lines by number has some left at one of them.
KILLED_AFTER = (1, 2, 3, 4)
# A busy machine may hold up any server; both clocks are rounded.
LATE_MS, EARLY_MS = 1000, 1
# For fifty at once.
PATIENT_S = 60.0
GONE_WITHIN_S = 30.0
# The clocks of a container and of the check are one, read a little apart.
CLOCK_S = 0.1
# Lines from before the first request are not older.
STARTED_WITHIN_S = 3600
# A zone by itself: images know few by name.
ZONE = "LNT-5:45"
TS = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d\.\d{3,9}([Zz]|[+-]\d\d:\d\d)")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
TRACE = re.compile(r"(?!0{32})[0-9a-f]{32}")
PARENT = re.compile(r"00-([0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})")
# Every byte below 32 but the line feed.
CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f]")
ANSI_RED = "\x1b[31m"
# So much of what the payment company says must be in the log.
CUT_AT = 200
WHAT = {
    "service": "the value of SERVICE_NAME",
    "version": "the value of SERVICE_VERSION",
    "level": f"one of {', '.join(LEVELS)}",
    "msg": "a text",
    "ts": "the moment of the line, RFC 3339 with milliseconds and offset",
}
ERROR, WARNING = 500, 400
# Not mysql, which is the contract's example.
SCHEMES = ("postgres", "mariadb", "amqp", "redis", "mongodb")
# What a secret was replaced by.
ANYTHING = object()

Order = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request of a check, found in the log by its agent, and what its access line must say."""

    method: str
    path: str
    route: str | None
    status: int
    agent: str
    user: str | None = None
    explained: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that follow from the request and its reply."""
        path = self.path.partition("?")[0]
        told: dict[str, Any] = {"method": self.method, "route": self.route, "path": path}
        told |= {"status": self.status, "agent": self.agent}
        return told | ({} if self.user is None else {"user": self.user})


@dataclass(frozen=True)
class Canary:
    """What an error says: secrets, and words around them that belong in the log."""

    words: list[str]
    name: str
    card: str
    password: str
    token: str
    login: str
    address: str

    @property
    def text(self) -> str:
        """The message of the error."""
        first, second, host, last = self.words
        return (
            f"{first} refused {spaced(self.card)} of {second}, {self.name}={self.password};"
            f" token={self.token}& at {self.login}:{self.address}@{host}/shows {last}"
        )

    @property
    def open(self) -> tuple[str, ...]:
        """What of it must be in the log."""
        first, second, host, last = self.words
        return f"{first} refused ", f" of {second}, ", f"{host}/shows {last}"


class Desk:
    """A box office with its log, and requests that it has not seen yet."""

    def __init__(self, server: Server, payments: Stub, random: Random, password: str) -> None:
        self.server = server
        self.payments = payments
        self.random = random
        self.password = password

    def order(self, **fields: object) -> Order:
        """Return an order by somebody new, with nothing in it that is secret."""
        seat = f"{self.random.pick('ABCDEF')}{self.random.integer(1, 10)}"
        return {"seat": seat, "user": self.random.word(), "card": {"holder": "x"}, **fields}

    def paid(self, order: Order) -> str:
        """Have the payment company take an order; return the id of the charge."""
        charge_id = f"ch_{self.random.word()}{self.random.word()}"
        self.payments.reply(CHARGES, 201, json={"id": charge_id}, having=order["user"])
        return charge_id

    def ask(
        self,
        method: str,
        path: str,
        status: int,
        *,
        route: str | None,
        agent: str = "",
        headers: Mapping[str, str] | None = None,
        json: object = None,
        body: bytes = b"",
        explained: tuple[str, ...] = (),
    ) -> tuple[Asked, Reply]:
        """Send a request that must have this status; return what to find, and the reply."""
        agent = agent or self.random.word()
        fields = {"User-Agent": agent, **(headers or {})}
        if body:
            fields["Content-Type"] = "application/json"
        reply = self.server.request(method, path, headers=fields, json=json, body=body)
        reply.expect(status)
        user = json.get("user") if isinstance(json, dict) else None
        user = user if isinstance(user, str) else None
        return Asked(method, path, route, status, agent, user, explained), reply

    def book(self, order: Order, status: int = 201, **sent: Any) -> tuple[Asked, Reply]:
        """Order a seat; see `ask`."""
        path = "/api/bookings"
        return self.ask("POST", path, status, route=path, json=order, **sent)

    def log_in(self, who: object, status: int, **sent: Any) -> tuple[Asked, Reply]:
        """Log in with a body; see `ask`."""
        return self.ask("POST", "/api/login", status, route="/api/login", json=who, **sent)

    def show(self, number: int, status: int = 200, query: str = "") -> tuple[Asked, Reply]:
        """Ask for a show; see `ask`."""
        return self.ask("GET", f"/api/shows/{number}{query}", status, route="/api/shows/:id")

    def boom(self, *explained: str) -> tuple[Asked, Reply]:
        """Meet the error; see `ask`."""
        return self.ask("GET", "/api/boom", 500, route="/api/boom", explained=explained)

    def logged(self, *asked: Asked) -> "Log":
        """Wait until each of these requests has its access line; return the log."""

        def look() -> Log:
            log = Log(self.server)
            for one in asked:
                log.access(one.agent)
            return log

        return eventually(look, within_s=LOGGED_WITHIN_S)


class Log:
    """What a server has printed on standard output so far, in lines and as records."""

    def __init__(self, server: Server) -> None:
        printed = server.container.log(stderr=False, lines="all")
        # Not splitlines: a JSON text may hold U+2028 as it is.
        self.lines = printed.removesuffix("\n").split("\n") if printed else []
        self.records = [r for line in self.lines if (r := record_in(line)) is not None]
        self._command = f"docker logs {server.container.name}"

    def having(self, name: str, value: object) -> list[Record]:
        """Return the lines in which a field has this value."""
        return [r for r in self.records if name in r and r[name] == value]

    def accesses(self, agent: str) -> list[Record]:
        """Return the access lines of a request."""
        return [r for r in self.having("agent", agent) if "status" in r]

    def access(self, agent: str) -> Record:
        """Return the access line of a request; fail where there is none."""
        lines = self.accesses(agent)
        if not lines:
            last = self.lines[-1][:200] if self.lines else "nothing"
            saw = f"none; the last line: {last}"
            self.fail(f'one line with "status" and "agent": "{agent}"', saw)
        return lines[0]

    def bodies(self, user: str) -> list[Record]:
        """Return the lines with a user's body."""
        bodies = [(record, record.get("body")) for record in self.records]
        return [r for r, body in bodies if isinstance(body, dict) and body.get("user") == user]

    def fail(self, looked_for: str, saw: str | Mapping[str, Any], *, command: str = "") -> NoReturn:
        """End the check as failed, over this log."""
        text = saw if isinstance(saw, str) else json.dumps(saw, ensure_ascii=False)[:300]
        fail(looked_for, text, command=command or self._command)


def record_in(line: str) -> Record | None:
    """Return a line as an object; None where it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


@pytest.fixture(scope="session")
def shows(random: Random) -> list[dict[str, Any]]:
    """Three shows."""
    first = random.integer(11, 99)
    start = "2027-03-01T19:30:00Z"
    return [
        {"id": first + 7 * n, "title": random.word(), "starts_at": start, "price_cents": 2500}
        for n in range(3)
    ]


@pytest.fixture(scope="session")
def canary(random: Random) -> Canary:
    """The error of GET /api/boom."""
    password, token, address = (new_secret(random) for _ in range(3))
    name, card = spelled(random, "password"), new_card(random)
    login = f"{random.pick(SCHEMES)}://{random.word()}"
    return Canary(random.words(4), name, card, password, token, login, address)


@pytest.fixture(scope="session")
def env(stub: Stub, canary: Canary, random: Random) -> dict[str, str]:
    """What all servers are told."""
    return {
        "SHOWS_FILE": "/srv/shows.json",
        "PAYMENTS_URL": stub.url,
        "LOGIN_PASSWORD": new_secret(random),
        "CANARY": canary.text,
        "SERVICE_NAME": f"desk-{random.word()}",
        "SERVICE_VERSION": f"{random.integer(2, 9)}.{random.integer(11, 99)}.{random.hex(6)}",
        "TZ": ZONE,
    }


def start(
    image: Image, env: dict[str, str], shows: list[dict[str, Any]], level: str, port: int = 3000
) -> Server:
    """Start a server; without a level, it is told none."""
    told = {**env, "LOG_LEVEL": level} if level else env
    told = told if port == 3000 else {**told, "PORT": str(port)}
    return image.start(env=told, files={env["SHOWS_FILE"]: json.dumps(shows)}, port=port)


@pytest.fixture(scope="module")
def desks(
    image: Image, env: dict[str, str], shows: list[dict[str, Any]], stub: Stub, random: Random
) -> dict[str, Desk]:
    """A box office for each LOG_LEVEL, and one that is told none."""
    password = env["LOGIN_PASSWORD"]
    ports = {"debug": 3000, "": 3000, "warn": random.port(), "error": 3000}
    return {
        level: Desk(start(image, env, shows, level, port), stub, random, password)
        for level, port in ports.items()
    }


@pytest.fixture(scope="module")
def desk(desks: dict[str, Desk]) -> Desk:
    """The box office that prints everything."""
    return desks["debug"]


@pytest.fixture(scope="module")
def mortals(
    image: Image, env: dict[str, str], shows: list[dict[str, Any]], stub: Stub, random: Random
) -> list[tuple[Desk, int]]:
    """Box offices that will be killed, and after how many requests."""
    password = env["LOGIN_PASSWORD"]
    return [
        (Desk(start(image, env, shows, ""), stub, random, password), requests)
        for requests in KILLED_AFTER
    ]


def new_secret(random: Random) -> str:
    """Return a password or token."""
    return f"{random.word()}{random.hex(10)}"


def spelled(random: Random, name: str) -> str:
    """Return the name of a secret, not all in lower case."""
    return random.pick([name.upper(), name.title(), name[:4].title() + name[4:].title()])


def new_card(random: Random, digits: int = 16) -> str:
    """Return the number of a card; no two neighbours are equal, so that each part is its own."""
    number = str(random.integer(3, 6))
    while len(number) < digits:
        digit = str(random.integer(0, 9))
        number += digit if digit != number[-1] else ""
    return number


def spaced(card: str, between: str = " ") -> str:
    """Return a card's number in groups of four."""
    return between.join(card[n : n + 4] for n in range(0, len(card), 4))


# --- lines --------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Which request has no line, or which line is no object? Think of clients that hang up,"
            " of errors, and of what a framework prints by itself."
        ),
        (
            "Send everything through one function that serializes one object, and print the "
            "access line when the reply is over, whether it was sent or given up: res.on('close')"
            " in Node, a finally around the handler elsewhere. A stack is one text in a field."
        ),
    ),
    link="One object a line",
)
def check_writes_one_line_each(
    desk: Desk, shows: list[dict[str, Any]], env: dict[str, str], canary: Canary
) -> None:
    """Every request has one complete and true line of JSON: answered, failed or given up"""
    begun = time.time()
    sent = time.monotonic()
    with giving_up(desk) as (gone, charge_id):
        waiting = time.monotonic()
        asked = [asked for asked, _ in requests_of_all_kinds(desk, shows, canary)]
        # The end must come later than the arrival by more than the clocks may differ.
        time.sleep(2 * CLOCK_S)
        waited_ms = (time.monotonic() - waiting) * 1000
        hung_up = time.time()
    total_ms = (time.monotonic() - sent) * 1000
    expect_duration(desk.logged(gone), gone, waited_ms - EARLY_MS, total_ms + LATE_MS)
    # The work ends without its client, and must not be told as a second end.
    desk.server.log_records({"charge_id": charge_id}, at_least=1, within_s=LOGGED_WITHIN_S)
    # A line from the start may name the path; one that comes now is a probe's.
    printed_before = len(Log(desk.server).lines)
    probe = {"User-Agent": desk.random.hex(20), "X-Request-Id": desk.random.hex(20)}
    desk.server.get("/healthz", headers=probe).expect(200)
    asked += [gone, desk.show(shows[0]["id"])[0]]
    log = desk.logged(*asked)
    for one in asked:
        expect_access(log, one)
        if len(lines := log.accesses(one.agent)) > 1:
            saw = f"{len(lines)}: {json.dumps(lines[:3])[:400]}"
            log.fail(f'one line with "status" for {one.method} {one.path}', saw)
    expect_lines(log, env, begun)
    if not is_moment((last := log.access(gone.agent)).get("ts"), hung_up, time.time()):
        log.fail('"ts": the moment its line was printed, after the client had hung up', last)
    for word in ("healthz", *probe.values()):
        if probes := [line for line in log.lines[printed_before:] if word in line]:
            log.fail("no line for GET /healthz", probes[0][:300])
    known = [one.agent for one in asked]
    for record in log.records:
        if "status" in record and record.get("agent") not in known:
            log.fail('"status" in access lines alone', record)


@contextmanager
def giving_up(desk: Desk) -> Iterator[tuple[Asked, str]]:
    """Book, and hang up at the end of the block, before the payment company answers.

    Yields:
        What to find, and the id of the charge.
    """
    order, path, agent = desk.order(), "/api/bookings", desk.random.word()
    body = json.dumps(order).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: lantern\r\nUser-Agent: {agent}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    gone = Asked("POST", path, path, 499, agent, order["user"])
    charge_id = desk.paid(order)
    with desk.payments.holding(CHARGES, having=order["user"]) as held:
        with desk.server.connect() as line:
            line.send(head.encode() + body)
            held.wait()
            yield gone, charge_id
        desk.logged(gone)


def requests_of_all_kinds(
    desk: Desk, shows: list[dict[str, Any]], canary: Canary
) -> Iterator[tuple[Asked, Reply]]:
    """Ask for a reply of each status."""
    random = desk.random
    who = {"user": random.word(), "password": desk.password}
    asked, reply = desk.show(shows[1]["id"], query=f"?page={random.word()}")
    reply.expect(200, json=shows[1])
    yield asked, reply
    yield desk.show(shows[-1]["id"] + random.integer(1, 6), 404)
    yield desk.ask("GET", f"/{random.word()}", 404, route=None)
    yield desk.ask("POST", f"/api/shows/{shows[0]['id']}/{random.word()}", 404, route=None)
    yield desk.log_in(who, 200)
    yield desk.log_in({"user": random.word(), "password": random.word()}, 401)
    yield desk.log_in({"user": [random.word()], "password": random.word()}, 401)
    yield desk.log_in([random.word()], 400)
    yield desk.ask("POST", "/api/login", 400, route="/api/login", body=b'{"user": ')
    for body in (b"null", b"[]"):
        yield desk.ask("POST", "/api/bookings", 400, route="/api/bookings", body=body)
    order = desk.order()
    charge_id = desk.paid(order)
    asked, reply = desk.book(order)
    wanted = {"seat": order["seat"], "user": order["user"], "charge_id": charge_id}
    reply.expect(201, json=wanted)
    expect_forwarded(desk, order)
    yield asked, reply
    declined = desk.order()
    desk.payments.reply(CHARGES, 402, having=declined["user"])
    yield desk.book(declined, 402)
    yield from useless_answers(desk)
    yield desk.boom(canary.words[0])


def useless_answers(desk: Desk) -> Iterator[tuple[Asked, Reply]]:
    """Book, while the payment company says nothing that sells a seat, or nothing at all."""
    random = desk.random
    answers: list[tuple[int, Order]] = [
        (201, {"ok": random.word()}),
        (201, {"id": random.integer(1000, 9999)}),
        (200, {"id": random.word()}),
    ]
    for status, answer in answers:
        odd = desk.order()
        desk.payments.reply(CHARGES, status, json=answer, having=odd["user"])
        yield desk.book(odd, 502, explained=(str(status),))
    unheard = desk.order()
    desk.payments.reply(CHARGES, breaks_off_after=-1, having=unheard["user"])
    yield desk.book(unheard, 502)
    unread, said = desk.order(), " ".join(random.words(9))
    desk.payments.reply(CHARGES, 201, body=said.encode(), having=unread["user"])
    yield desk.book(unread, 502, explained=("201", said))
    broken, status, why = desk.order(), random.integer(503, 599), " ".join(random.words(28))
    desk.payments.reply(CHARGES, status, body=why.encode(), having=broken["user"])
    yield desk.book(broken, 502, explained=(str(status), why))


def expect_forwarded(desk: Desk, order: Order) -> None:
    """Look that the payment company got the whole order."""
    [charge] = desk.payments.requests(CHARGES, having=order["user"], at_least=1)
    if charge.json() != order:
        fail(f"{CHARGES} with {json.dumps(order)}", json.dumps(charge.json())[:300])


def expect_access(log: Log, asked: Asked) -> None:
    """Compare a request's access line with the request."""
    record = log.access(asked.agent)
    seen = {name: record.get(name, "(absent)") for name in asked.fields}
    if seen != asked.fields or isinstance(record["status"], bool):
        wrong = {n: v for n, v in asked.fields.items() if seen[n] != v} or asked.fields
        log.fail(f"{json.dumps(wrong)[1:-1]} for {asked.method} {asked.path}", seen)
    expect_duration(log, asked, 0, float("inf"))
    stack = record.get("stack")
    is_stack = isinstance(stack, str) and "\n" in stack.strip()
    if asked.status >= ERROR and not (is_stack and all(p in str(stack) for p in asked.explained)):
        what = "".join(f", with {part!r}" for part in asked.explained)
        looked_for = f'"stack" of several lines{what}, for {asked.method} {asked.path}'
        log.fail(looked_for, {"stack": stack} if stack else f"no stack in {record}"[:300])


def expect_duration(log: Log, asked: Asked, least: float, most: float) -> None:
    """Look at the milliseconds of a request."""
    ms = log.access(asked.agent).get("duration_ms")
    if isinstance(ms, bool) or not isinstance(ms, int | float) or not least <= ms <= most:
        limits = f" from {least:.0f} to {most:.0f}" if most < float("inf") else ""
        log.fail(f'"duration_ms", a number{limits}, for {asked.path}', {"duration_ms": ms})


def expect_lines(log: Log, env: dict[str, str], begun: float) -> None:
    """Look that each line is an object with the fields of all lines."""
    told = {"service": env["SERVICE_NAME"], "version": env["SERVICE_VERSION"]}
    for line in log.lines:
        record = record_in(line)
        if record is None:
            log.fail("a JSON object in each line of standard output", repr(line[:300]))
        earliest = begun if "status" in record else begun - STARTED_WITHIN_S
        is_right = {name: record.get(name) == value for name, value in told.items()}
        is_right["level"] = record.get("level") in LEVELS
        is_right["msg"] = isinstance(record.get("msg"), str) and bool(record["msg"].strip())
        is_right["ts"] = is_moment(record.get("ts"), earliest, time.time())
        for name, ok in is_right.items():
            if not ok:
                log.fail(f'"{name}" in each line, as the contract says: {WHAT[name]}', record)


def is_moment(ts: object, earliest: float, latest: float) -> bool:
    """Tell whether a text is a moment with milliseconds between two others."""
    if not isinstance(ts, str) or not TS.fullmatch(ts):
        return False
    try:
        moment = datetime.fromisoformat(ts.upper()).timestamp()
    except ValueError:
        return False
    return earliest - CLOCK_S <= moment <= latest + CLOCK_S


# --- secrets ------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        "How did this secret get into your line: as a field, inside a text, or in an error?",
        (
            "Send every value through one function, right before it is printed. It descends into"
            " objects and lists, replaces fields by their name, and replaces card numbers, "
            "password=, token= and //name:password@ in every text, the stack too."
        ),
    ),
    link="What must never be in the log",
    needs=("writes_one_line_each",),
)
def check_never_logs_secrets(desk: Desk, shows: list[dict[str, Any]], canary: Canary) -> None:
    """No password, token, cookie or card number is in the log, wherever it came from"""
    secrets = Secrets(desk.random)
    secrets.note("the password that is right", desk.password)
    asked = [
        *asked_with_headers(desk, secrets, shows[0]["id"]),
        *asked_with_bodies(desk, secrets),
        *asked_with_texts(desk, secrets),
        *failures_that_tell(desk, secrets, canary),
    ]
    log = desk.logged(*asked)
    lines = desk.server.container.log(lines="all").split("\n")
    for what, pattern in secrets.patterns:
        if found := next((line for line in lines if pattern.search(line)), None):
            place = pattern.search(found)
            near = found[max(0, place.start() - 120) if place else 0 :][:300]
            log.fail(f"{what} nowhere in the log", f"…{near}…")


class Secrets:
    """Secrets of a check, each with where it comes from, and how it would look in the log."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.patterns: list[tuple[str, re.Pattern[str]]] = []

    def note(self, what: str, secret: str) -> str:
        """Remember a password or token; return it."""
        self.patterns.append((what, re.compile(re.escape(secret))))
        return secret

    def new(self, what: str) -> str:
        """Return a new password or token."""
        return self.note(what, new_secret(self.random))

    def card(self, what: str, digits: int = 16) -> str:
        """Return a new card number."""
        return self.note_card(what, new_card(self.random, digits))

    def note_card(self, what: str, card: str) -> str:
        """Remember a card number, whose first six and last four digits may be seen; return it."""
        parts = (card[n : n + 8] for n in range(0, len(card) - 7, 4))
        spelled = "|".join("[ -]?".join(part) for part in parts)
        self.patterns.append((what, re.compile(spelled)))
        return card


def asked_with_headers(desk: Desk, secrets: Secrets, show_id: int) -> Iterator[Asked]:
    """Ask with secrets in the query and in fields of the head."""
    headers = {
        "Authorization": f"Bearer {secrets.new('the token of Authorization')}",
        "Cookie": f"theme=dark; session={secrets.new('the value of a cookie')}",
        "Referer": f"https://lantern.example/?token={secrets.new('the token in Referer')}&page=2",
    }
    query = f"?page=2&token={secrets.new('the token of the query')}&lang=en"
    path = f"/api/shows/{show_id}"
    yield desk.ask("GET", path + query, 200, route="/api/shows/:id", headers=headers)[0]
    query = f"?token={secrets.new('the token in the query of an unknown path')}"
    yield desk.ask("GET", f"/{desk.random.word()}{query}", 404, route=None, headers=headers)[0]


def asked_with_bodies(desk: Desk, secrets: Secrets) -> Iterator[Asked]:
    """Send bodies with secrets in fields, and look that the rest of each is in its line."""
    random = desk.random
    asked, reply = desk.log_in({"user": random.word(), "password": desk.password}, 200)
    secrets.note("the token of a login's reply", token_of(reply))
    yield asked
    token = random.integer(10**9, 10**10)
    secrets.note('a number in a field "Token"', str(token))
    keep = {"user": random.word(), "tries": random.integer(2, 9), "vip": True, "gift": None}
    again, tv, memo, tail = random.words(4)
    # In a body: in a user or an agent, a line built by hand breaks at the quotation mark.
    quoted = secrets.new("a token before a quotation mark")
    nested = spelled(random, "password")
    sent = {
        **keep,
        "password": secrets.new("a wrong password"),
        "Token": token,
        "again": {nested: secrets.new(f'a nested field "{nested}"'), "note": again},
        "devices": [tv, [{"token": secrets.new('a "token" in lists'), "name": tv}]],
        "memo": f'{memo} token={quoted}"{tail}',
    }
    yield desk.log_in(sent, 401)[0]
    again_kept = {nested: ANYTHING, "note": again}
    devices_kept = [tv, [{"token": ANYTHING, "name": tv}]]
    memo_kept = re.compile(f"{memo} .*{tail}")
    kept = {**keep, "again": again_kept, "devices": devices_kept, "memo": memo_kept}
    expect_kept(desk, kept)
    # A parser quotes no more than a few characters.
    word = secrets.note("the password in a body that is not JSON", random.word())
    bad = f'{{"password": {word}{random.hex(10)}}}'
    yield desk.ask("POST", "/api/login", 400, route="/api/login", body=bad.encode())[0]
    yield order_with_cards(desk, secrets)


def token_of(reply: Reply) -> str:
    """Return the token of a login, which is a cookie too."""
    token = reply.expect(200, json={}).json().get("token")
    cookies = re.split(r"[;,]\s*", reply.headers.get("Set-Cookie", ""))
    # Libraries encode or quote what a base64 text has beside letters and digits.
    spellings = (*cookies, *(unquote(cookie).replace('"', "") for cookie in cookies))
    if not isinstance(token, str) or not token or f"session={token}" not in spellings:
        looked_for = 'a "token", and the cookie "session" with the same value'
        reply.fail(looked_for, f"{reply.text[:200]} · Set-Cookie: {'; '.join(cookies)[:200]}")
    return token


def order_with_cards(desk: Desk, secrets: Secrets) -> Asked:
    """Order with card numbers of all spellings, in all places."""
    random = desk.random
    note, holder, to = random.words(3)
    card = {"number": spaced(secrets.card("the number of a card")), "holder": holder}
    pieces = secrets.card("a card number in one piece", 13)
    number = int(secrets.card("a card number that is a JSON number"))
    hyphens = spaced(secrets.card("a card number with hyphens"), "-")
    two = f"{secrets.card('a card number in a text', 19)} or {secrets.card('a second one in it')}"
    gifts = [{"pan": pieces, "to": to}, {"pan": number, "cents": 2500}, [to, f"{hyphens}."]]
    amex = secrets.card("a card number in groups of 4, 6 and 5 digits", 15)
    other = f"{amex[:4]} {amex[4:10]} {amex[10:]}"
    # One digit less than the shortest card number has.
    phone = f"+{spaced(new_card(random, 12))}"
    text = f"{note} {two}, 12/27 {holder}"
    order = desk.order(card=card, gifts=gifts, other=other, phone=phone, note=text)
    desk.paid(order)
    asked, _ = desk.book(order)
    expect_forwarded(desk, order)
    kept = {
        "seat": order["seat"],
        "user": order["user"],
        "card": {"number": ANYTHING, "holder": holder},
        "gifts": [{"pan": ANYTHING, "to": to}, {"pan": ANYTHING, "cents": 2500}, [to, ANYTHING]],
        "phone": phone,
        "note": re.compile(rf"{note} .* or .*, 12/27 {holder}"),
    }
    expect_kept(desk, kept)
    return asked


def expect_kept(desk: Desk, wanted: dict[str, Any]) -> None:
    """Look that what is no secret is in the line with the body of a user."""
    user = wanted["user"]

    def look() -> None:
        log = Log(desk.server)
        bodies = [record["body"] for record in log.bodies(user)]
        if not any(is_kept(wanted, body) for body in bodies):
            words = json.dumps(wanted, default=lambda value: getattr(value, "pattern", "…"))
            what = words.replace("\\u2026", "…")
            looked_for = f'a line with "body", as it came apart from its secrets: {what}'
            log.fail(looked_for, {"body": bodies[0]} if bodies else "no such line")

    eventually(look, within_s=0 if Log(desk.server).bodies(user) else LOGGED_WITHIN_S)


def is_kept(wanted: object, seen: object) -> bool:
    """Compare values; what is a secret may be anything, or left out."""
    if wanted is ANYTHING:
        return True
    if isinstance(wanted, re.Pattern):
        return isinstance(seen, str) and bool(wanted.fullmatch(seen))
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return all(v is ANYTHING or (k in seen and is_kept(v, seen[k])) for k, v in wanted.items())
    if isinstance(wanted, list) and isinstance(seen, list):
        return len(wanted) == len(seen) and all(map(is_kept, wanted, seen))
    return isinstance(wanted, bool) == isinstance(seen, bool) and wanted == seen


def asked_with_texts(desk: Desk, secrets: Secrets) -> Iterator[Asked]:
    """Put secrets into texts that are in an access line: the path, the agent and the user."""
    random = desk.random
    word = random.word()
    path = f"/{word}/{secrets.card('a card number in the path')}"
    yield desk.ask("GET", path, 404, route=None)[0]
    name, browser, *around = random.words(5)
    kept = [browser, *around, word]
    user = f"{name} {spaced(secrets.card('a card number in the name of a user'))}"
    token, password, last = (
        secrets.new(f"a {name} in the name of the browser")
        for name in ("token", "password", "last token")
    )
    # What follows a secret at once, behind the byte that ends it, is none.
    first, second, third = around
    agent = (
        f"{browser}/1.0 (token={token};{first}) password={password},{second}"
        f" {spelled(random, 'token')}={last}&{third} {word}"
    )
    desk.log_in({"user": user, "password": random.word()}, 401, agent=agent)

    def look() -> None:
        log = Log(desk.server)
        lines = [r for r in log.having("status", 401) if name in str(r.get("user"))]
        if not any(all(part in str(r.get("agent")) for part in kept) for r in lines):
            what = f'"user": "{name} …" and "agent" with {", ".join(kept)}'
            saw = {n: lines[0].get(n) for n in ("user", "agent")} if lines else "no such line"
            log.fail(f"an access line with what is around the secrets: {what}", saw)

    eventually(look, within_s=LOGGED_WITHIN_S)


def failures_that_tell(desk: Desk, secrets: Secrets, canary: Canary) -> Iterator[Asked]:
    """Meet errors whose messages have secrets in them; what is around them stays."""
    random = desk.random
    secrets.note_card("the card number in an error's message", canary.card)
    secrets.note("the password in an error's message", canary.password)
    secrets.note("the token in an error's message", canary.token)
    secrets.note("the password in an address in an error's message", canary.address)
    asked, _ = desk.boom(*canary.open)
    expect_access(desk.logged(asked), asked)
    yield asked
    order = desk.order()
    begin, end = random.words(2)
    token = secrets.new("the token in what the payment company said")
    said = f'{{"error": "{begin} token={token} {end}", "for": "'
    # Cut before it is cleaned, the number is no card number any more.
    card = secrets.card("a part of the card number in what the payment company said")
    body = f"{said.ljust(CUT_AT - 10, '.')}{card}, and so on"
    desk.payments.reply(CHARGES, 500, body=body.encode(), having=order["user"])
    asked, _ = desk.book(order, 502, explained=("500", f"{begin} ", f" {end}"))
    expect_access(desk.logged(asked), asked)
    yield asked


# --- forged lines -------------------------------------------------------------------------------


@points(
    1,
    hints=(
        "Who puts the quotation marks around a value in your lines: you, or a serializer?",
        (
            "Build one object and serialize it as a whole (JSON.stringify, json.dumps): it escapes"
            " quotation marks and line breaks. Put a client's fields into an object of their own,"
            " never beside yours."
        ),
    ),
    link="A line that the attacker wrote",
    needs=("writes_one_line_each",),
)
def check_cannot_be_forged(desk: Desk, random: Random) -> None:
    """What a client sends stays within its value: no new line, no new field, no escape sequence"""
    forged = random.word()
    record = {"level": "info", "msg": f"login ok {forged}", "status": 200, "agent": forged}
    line = json.dumps({"ts": "2027-03-01T19:30:00.000Z", **record})
    user = f'{random.word()}\n{line}\r\n{ANSI_RED}\t\\ "\u2028{random.text(3)}'
    agent = f'{random.word()} \\" \\\\","status":200,"user":"{forged}" %0a%22 {{}} %s $1 <b>'
    # Fields of the body with names of ours.
    names = {"level": "fatal", "status": 200, "request_id": forged, "agent": forged, "ts": forged}
    names["charge_id"] = forged
    who = {**names, "user": user, "password": random.word()}
    path = f"/{random.word()}%0a%0d%1b%5b31m%22,%22status%22:200,%22"
    asked = [
        desk.log_in(who, 401, agent=agent)[0],
        desk.log_in({"user": random.word(), "password": random.word()}, 401, agent=f"a{agent}")[0],
        desk.ask("GET", f"{path}?{quote(line)}", 404, route=None)[0],
    ]
    try:
        log = desk.logged(*asked)
    except Failure:
        # A line that is broken or forged tells more than one that is missing.
        expect_lines_of_ours(Log(desk.server), forged)
        raise
    expect_lines_of_ours(log, forged)
    for one in asked:
        seen = log.access(one.agent)
        same = all(seen.get(n) == v for n, v in one.fields.items() if n != "path")
        if not same or unquote(str(seen.get("path"))) != unquote(one.fields["path"]):
            what = f"an access line with {json.dumps(one.fields)[1:-1]}"
            log.fail(what, {name: seen.get(name) for name in one.fields})
        if seen.get("level") not in LEVELS or not TS.fullmatch(str(seen.get("ts"))):
            log.fail('an access line with its own "level" and "ts"', seen)


def expect_lines_of_ours(log: Log, forged: str) -> None:
    """Look that each line is an object, acts on no terminal, and is none that a client wrote."""
    for line in log.lines:
        if found := CONTROLS.search(line):
            looked_for = "no byte below 32 in the log but the line feed at the end of a line"
            log.fail(looked_for, f"byte {ord(found[0])} in {line[:200]!r}")
        if record_in(line) is None:
            log.fail("a JSON object in each line of standard output", repr(line[:300]))
    if forgeries := log.having("agent", forged) or log.having("charge_id", forged):
        log.fail("no field in a line that the client wrote", forgeries[0])


# --- ids ----------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        "Fifty requests wait at the same time. Where does each of your lines get its ids from?",
        (
            "From a context that belongs to the request and follows it through every await: "
            "AsyncLocalStorage in Node, contextvars in Python, context.Context in Go. The call "
            "to the payment company gets its trace id from there too, with a new parent id."
        ),
    ),
    link="Whose line is it?",
    needs=("writes_one_line_each",),
)
def check_keeps_requests_apart(desk: Desk, shows: list[dict[str, Any]], canary: Canary) -> None:
    """Fifty bookings at once: each line and each payment has the ids of its own request"""
    calls = [new_call(desk) for _ in range(AT_ONCE)]
    with ExitStack() as stack:
        holds = [
            stack.enter_context(desk.payments.holding(CHARGES, having=call.order["user"]))
            for call in calls
        ]
        with at_once(lambda call: call.book(desk), calls) as crowd:
            expect_all_held(holds)
            for hold in reversed(holds):
                hold.release()
    log = desk.logged(*(call.asked for call in calls))
    for call, reply in zip(calls, crowd.results(), strict=True):
        reply.expect(201, json={"charge_id": call.charge_id})
        expect_ids(log, call, reply)
    charges = {c.json()["user"]: c.headers for c in desk.payments.requests(CHARGES)}
    spans = [expect_passed_on(log, call, charges[call.order["user"]]) for call in calls]
    if len(set(spans)) < len(spans):
        saw = f"{max(spans, key=spans.count)} in several"
        fail("another parent id in each call", saw, command=CHECK_AGAIN)
    expect_marked(desk, list(requests_of_all_kinds(desk, shows, canary)))
    expect_ids_of_the_gone(desk)
    expect_fresh_ids(desk, shows[0]["id"])


def expect_all_held(holds: list[HeldBack]) -> None:
    """Wait until all bookings are at the payment company; tell of a server that takes fewer."""
    try:
        for hold in holds:
            hold.wait()
    except Failure:
        held = sum(bool(hold.wait(0)) for hold in holds)
        if held == len(holds):
            return
        fail(
            f"{len(holds)} bookings that wait for the payment company at the same time",
            f"{held} of them",
            command=CHECK_AGAIN,
            hint=f"The contract asks for {AT_LEAST_AT_ONCE} requests at the same time. What limits"
            " your server: threads, workers, or connections to one address?",
        )


@dataclass(frozen=True)
class Call:
    """A booking and the ids it must have; a fresh one is None."""

    order: Order
    charge_id: str
    request_id: str | None
    trace_id: str | None
    span_id: str
    flags: str

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with it."""
        sent = {} if self.request_id is None else {"X-Request-Id": self.request_id}
        if self.trace_id is None:
            return sent
        return {**sent, "traceparent": f"00-{self.trace_id}-{self.span_id}-{self.flags}"}

    @property
    def asked(self) -> Asked:
        """What its access line must say."""
        path, user = "/api/bookings", self.order["user"]
        return Asked("POST", path, path, 201, user, user)

    def book(self, desk: Desk) -> Reply:
        """Order the seat."""
        headers = {"User-Agent": self.order["user"], **self.headers}
        return desk.server.post(
            "/api/bookings", json=self.order, headers=headers, timeout_s=PATIENT_S
        )


def new_call(desk: Desk) -> Call:
    """Return a booking with ids of its own, or without one of the two now and then."""
    random = desk.random
    order = desk.order()
    # An id may look like a card's number and is none.
    like_card = spaced(new_card(random), "-")
    long = f"{random.word().upper()}-{random.hex(20)}"
    request_id = random.pick([random.hex(8), long, like_card, None])
    looks_secret = f"{random.hex(15)}a{new_card(random, 15)}b"
    trace_id = random.pick([random.hex(32), looks_secret, None])
    flags = random.pick(["00", "01"])
    return Call(order, desk.paid(order), request_id, trace_id, random.hex(16), flags)


def expect_ids(log: Log, call: Call, reply: Reply) -> None:
    """Look at the ids in the reply, and in each line about a booking."""
    request_id = reply.headers.get("X-Request-Id", "")
    if call.request_id is not None and request_id != call.request_id:
        reply.fail(f"X-Request-Id: {call.request_id}", f"X-Request-Id: {request_id or '(absent)'}")
    if call.request_id is None and not UUID.fullmatch(request_id):
        reply.fail("X-Request-Id: a fresh UUID", f"X-Request-Id: {request_id or '(absent)'}"[:200])
    user = call.order["user"]
    access = log.access(user)
    trace_id = call.trace_id or access.get("trace_id")
    if not isinstance(trace_id, str) or not TRACE.fullmatch(trace_id):
        log.fail('"trace_id": 32 hexadecimal digits, not all zeros', access)
    wanted = {"request_id": request_id, "trace_id": trace_id}
    for record in (access, *log.having("charge_id", call.charge_id), *log.bodies(user)):
        if any(record.get(name) != value for name, value in wanted.items()):
            looked_for = f"{json.dumps(wanted)[1:-1]} in each line about the booking of {user}"
            log.fail(looked_for, record, command=CHECK_AGAIN)


def expect_passed_on(log: Log, call: Call, sent: Mapping[str, str]) -> str:
    """Look at the ids in the call to the payment company; return its parent id."""
    access = log.access(call.order["user"])
    request_id, parent = (sent.get(n, "(absent)") for n in ("X-Request-Id", "traceparent"))
    if request_id != access["request_id"]:
        what = f"{CHARGES} with X-Request-Id: {access['request_id']}"
        fail(what, f"X-Request-Id: {request_id[:200]}", command=CHECK_AGAIN)
    parts = PARENT.fullmatch(parent)
    flags = [call.flags] if call.trace_id else ["00", "01"]
    if not parts or parts[1] != access["trace_id"] or parts[3] not in flags:
        what = f"{CHARGES} with traceparent: 00-{access['trace_id']}-(a new parent id)-{flags[-1]}"
        fail(what, f"traceparent: {parent[:200]}", command=CHECK_AGAIN)
    if parts[2] == call.span_id:
        saw = f"{parts[2]}, which is the caller's"
        fail(f"a new parent id in {CHARGES}", saw, command=CHECK_AGAIN)
    return parts[2]


def expect_marked(desk: Desk, answered: list[tuple[Asked, Reply]]) -> None:
    """Look that each reply, whatever its status, has the id of its access line."""
    log = desk.logged(*(asked for asked, _ in answered))
    for asked, reply in answered:
        request_id = log.access(asked.agent).get("request_id")
        seen = reply.headers.get("X-Request-Id")
        if not isinstance(request_id, str) or seen != request_id:
            saw = f"X-Request-Id: {seen or '(absent)'} in the reply"
            reply.fail(f"the request_id of the access line, {request_id}, in the reply", saw)


def expect_ids_of_the_gone(desk: Desk) -> None:
    """Look that a payment's lines have its request's ids, though the client has hung up."""
    with giving_up(desk) as (gone, charge_id):
        pass
    desk.server.log_records({"charge_id": charge_id}, at_least=1, within_s=LOGGED_WITHIN_S)
    log = Log(desk.server)
    access = log.access(gone.agent)
    for record in (access, *log.having("charge_id", charge_id)):
        for name, pattern in (("request_id", UUID), ("trace_id", TRACE)):
            value = access.get(name)
            if not pattern.fullmatch(str(value)) or record.get(name) != value:
                what = f'"{name}" in each line about a booking whose client has hung up'
                log.fail(what, record)


def expect_fresh_ids(desk: Desk, show_id: int) -> None:
    """Send ids that are not valid; each gets a fresh one."""
    random = desk.random
    trace, span, good = random.hex(31) + "a", random.hex(15) + "b", random.hex(20)
    bad_parents = (
        f"00-{'0' * 32}-{span}-01", f"00-{trace}-{'0' * 16}-01", f"00-{trace.upper()}-{span}-01",
        f"ff-{trace}-{span}-01", f"00-{trace[1:]}-{span}-01", f"00-{trace}-{span}", trace,
        f"00-{trace}-{span}-01-{span}", f"x00-{trace}-{span}-01", f"00-{trace[:-1]}g-{span}-01",
    )  # fmt: skip
    bad_ids = (good[:7], random.hex(65), f"{good} {good}", f"{good}_", f'{good}","level":"info')
    cases = [("trace_id", TRACE, "traceparent", value) for value in bad_parents]
    cases += [("request_id", UUID, "X-Request-Id", value) for value in bad_ids]
    path = f"/api/shows/{show_id}"
    asked = [
        desk.ask("GET", path, 200, route="/api/shows/:id", headers={field: value})[0]
        for _, _, field, value in cases
    ]
    log = desk.logged(*asked)
    seen = []
    for (name, pattern, field, value), one in zip(cases, asked, strict=True):
        seen.append(str(log.access(one.agent).get(name)))
        if not pattern.fullmatch(seen[-1]) or seen[-1] == trace:
            log.fail(f"a fresh {name} for {field}: {value}", {name: seen[-1]})
        if seen.count(seen[-1]) > 1:
            log.fail(f"another fresh {name} in each request", f"{seen[-1]} in two")


# --- levels -------------------------------------------------------------------------------------


@points(
    1,
    hints=(
        "What is the level of an access line, and who decides whether a line is printed?",
        (
            "The level follows from the status: error from 500, warn from 400, else info. Give each"
            " level a number, and print a line only if its number is at least that of LOG_LEVEL."
        ),
    ),
    link="How loud: levels",
    needs=("writes_one_line_each",),
)
def check_chooses_levels(
    desks: dict[str, Desk], shows: list[dict[str, Any]], canary: Canary
) -> None:
    """Each line has the right level, and LOG_LEVEL decides which lines are printed"""
    for told, desk in desks.items():
        lowest = LEVELS.index(told or "info")
        asked = [asked for asked, _ in requests_of_all_kinds(desk, shows, canary)]
        order = desk.order()
        charge_id = desk.paid(order)
        # The last one is always printed: what comes before it is there by then, or never.
        asked += [desk.book(order)[0], desk.boom()[0]]
        expected = [one for one in asked if LEVELS.index(level_of(one.status)) >= lowest]
        log = desk.logged(*expected)
        for one in expected:
            expect_level(log, log.accesses(one.agent), level_of(one.status), f'"{one.status}"')
        if lowest <= LEVELS.index("info"):
            expect_level(log, log.having("charge_id", charge_id), "info", '"charge_id"')
        if told == "debug":
            expect_level(log, log.bodies(order["user"]), "debug", '"body"')
            with giving_up(desk) as (gone, _):
                pass
            expect_level(log, desk.logged(gone).accesses(gone.agent), "warn", '"499"')
        for record in log.records:
            body = record.get("body")
            # Further lines may have a body of another kind, such as the payment company's.
            is_read = isinstance(body, dict) and "user" in body
            if record.get("level") not in LEVELS[lowest:] or (lowest > 0 and is_read):
                setting = f"LOG_LEVEL={told}" if told else "no LOG_LEVEL"
                log.fail(f"no such line with {setting}", record)


def level_of(status: int) -> str:
    """Return the level of an access line."""
    return "error" if status >= ERROR else "warn" if status >= WARNING else "info"


def expect_level(log: Log, lines: list[Record], level: str, what: str) -> None:
    """Compare the level of a line."""
    if not lines or lines[0].get("level") != level:
        looked_for = f'"level": "{level}" in the line with {what}'
        log.fail(looked_for, lines[0] if lines else "no such line")


# --- a crash ------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        "Where does a line wait between the call that prints it and the container's log?",
        (
            "It must not wait at all: write it at once, synchronously or with a flush. In "
            "Node process.stdout.write does that, in Python print(…, flush=True) or python -u."
        ),
    ),
    link="Lines that die with the process",
    needs=("writes_one_line_each",),
)
def check_loses_nothing(mortals: list[tuple[Desk, int]], shows: list[dict[str, Any]]) -> None:
    """A server that is killed right after its replies has printed all of their lines"""
    for desk, _ in mortals:
        desk.server.get("/healthz").expect(200)
    with at_once(
        lambda mortal: expect_lines_of_the_dead(*mortal, shows[0]["id"]), mortals
    ) as crowd:
        pass
    crowd.results()


def expect_lines_of_the_dead(desk: Desk, requests: int, show_id: int) -> None:
    """Ask, kill the server, and look for the lines."""
    asked = [desk.show(show_id)[0] for _ in range(requests)]
    desk.server.get("/healthz").expect(200)
    desk.server.container.signal("SIGKILL")
    if desk.server.container.wait(GONE_WITHIN_S) is None:
        message = "a container did not end after SIGKILL"
        raise RuntimeError(message)
    log = Log(desk.server)
    there = [one for one in asked if log.accesses(one.agent)]
    if len(there) < requests:
        last = log.lines[-1][:200] if log.lines else "nothing"
        log.fail(
            f"{requests} access lines of a server that was killed after {requests} replies",
            f"{len(there)}; the last line: {last}",
        )
