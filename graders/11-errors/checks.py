import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from itertools import combinations
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Failure,
    Image,
    Random,
    Record,
    Reply,
    Server,
    StartFailure,
    Stub,
    at_once,
    eventually,
    fail,
    points,
)

PROBLEM = "application/problem+json"
LOGGED_WITHIN_S = 5.0
# Beside UPSTREAM_TIMEOUT_MS: a busy machine may hold up any server.
LATE_S = 5.0
# The clock of a timer may be coarser than ours.
EARLY_S = 0.02
ATTEMPTS = 3
# A time limit that began earlier has ended by then.
SURELY_OVER_S = 0.3
# Behind each byte: no read waits long, and the whole reply takes longer than anybody waits.
DRIPS_S = 0.2
CHARGES, LEDGER, MAILS = "POST /charges", "GET /ledger", "POST /mails"
MOVED, LEDGER_MOVED, MAIL_MOVED = "/charges/moved", "/ledger/moved", "/mails/moved"
FIELDS = ("show_id", "seat", "user", "email")
NOT_JSON = ("text/plain", "application/jsonp", "application/vnd.api+json", "text/json")
# What a reply shows of the inside, whatever the language: frames of a stack, and files.
INSIDE = (
    re.compile(r"\bat [\w.$<> ]+ \(.*:\d+:\d+\)"),
    re.compile(r'File ".+", line \d+|Traceback'),
    re.compile(r"\(\w+\.(?:java|kt):\d+\)|\.cs:line \d+|\.php[(:]\d+"),
    re.compile(r"[\w.-]*/[\w./-]+\.(?:c?js|mjs|ts|py|go|rb|java|rs)\b"),
    re.compile(r"node_modules|site-packages|node:internal|ECONN[A-Z]+|Errno"),
    re.compile(r"fetch failed|socket hang up|other side closed|IncompleteRead"),
    re.compile(r"\b(?:Type|Socket|OS|Connection\w*)Error\b"),
)

Order = dict[str, Any]
Show = dict[str, Any]


class Office:
    """A box office, and orders that it has not seen yet."""

    def __init__(self, server: Server, shows: list[Show], random: Random, decade: int) -> None:
        self.server = server
        self.shows = shows
        self.random = random
        ids = [show["id"] for show in shows[:-1]]
        places = [(i, f"{row}{number}") for i in ids for row in "ABCDEF" for number in range(1, 10)]
        self._places = iter(random.shuffled(places))
        months = [f"{decade}{year}-{n:02}" for year in range(10) for n in range(1, 13)]
        self._months = iter(random.shuffled(months))

    def month(self) -> str:
        """Return a month whose ledger nobody has asked for."""
        return next(self._months)

    def order(self, **changes: object) -> Order:
        """Return a valid order of a free seat by somebody new."""
        show_id, seat = next(self._places)
        user = self.random.word()
        # Upper case, so that an address that was made lower is another one.
        email = f"{user}.{self.random.word().title()}@{self.random.word()}.example"
        return {"show_id": show_id, "seat": seat, "user": user, "email": email, **changes}

    def again(self, order: Order) -> Order:
        """Return an order of the same seat by somebody else."""
        return {**self.order(), "show_id": order["show_id"], "seat": order["seat"]}

    def book(self, order: Order, *, timeout_s: float = 5.0) -> Reply:
        """Order a seat."""
        return self.server.post("/api/bookings", json=order, timeout_s=timeout_s)

    def sell(self, order: Order) -> dict[str, Any]:
        """Order a seat that is free and will be paid; return the booking."""
        price = next(s["price_cents"] for s in self.shows if s["id"] == order["show_id"])
        wanted = {name: order[name] for name in ("show_id", "seat", "user")}
        reply = self.book(order)
        reply.expect(201, json={**wanted, "status": "confirmed", "price_cents": price})
        booking: dict[str, Any] = reply.json()
        if not isinstance(booking.get("id"), str):
            reply.fail("a booking whose id is a string")
        return booking


@dataclass(frozen=True)
class No:
    """A reply that must be a problem."""

    reply: Reply
    status: int
    kind: str

    def expect(self) -> dict[str, Any]:
        """Look at all of its fields, and return them."""
        kind = {"type": f"/problems/{self.kind}"} if self.kind else {}
        self.reply.expect(self.status, type=PROBLEM)
        problem = self.reply.json()
        if not isinstance(problem, dict):
            self.reply.fail("a problem, which is a JSON object")
        self.reply.expect(self.status, json={**kind, "status": self.status}, type=PROBLEM)
        for name in ("type", "title", "detail", "instance"):
            if not isinstance(problem.get(name), str) or not problem[name].strip():
                self.reply.fail(f'a problem whose "{name}" is a text that is not empty')
        return problem


@pytest.fixture(scope="session")
def shows(random: Random) -> list[Show]:
    """Five shows, each with an id and a price of its own."""
    first = random.integer(11, 99)
    return [
        {
            "id": first + 7 * n,
            "title": random.word().title(),
            "starts_at": f"2027-03-{random.integer(10, 28)}T19:30:00Z",
            "price_cents": random.integer(1001, 1999) + 1000 * n,
        }
        for n in range(5)
    ]


@pytest.fixture(scope="session")
def canary(random: Random) -> str:
    """What an error says that nobody outside may read: a file, a statement, a word."""
    word = random.hex(12)
    return f"UPDATE wallets failed for {word} in /app/lib/{random.word()}.js"


@pytest.fixture(scope="session")
def timeout_ms(random: Random) -> int:
    """A short time limit."""
    return random.integer(301, 599)


@pytest.fixture(scope="session")
def env(canary: str) -> dict[str, str]:
    """What all servers are told."""
    return {"SHOWS_FILE": "/srv/shows.json", "CANARY": canary}


@pytest.fixture(scope="session")
def mails(stub: Stub) -> Stub:
    """The mail server."""
    mails = stub.another()
    mails.reply(MAILS, 202)
    return mails


@pytest.fixture(scope="session")
def payments(stub: Stub, random: Random) -> Stub:
    """The payment company, which takes any payment."""
    stub.reply(CHARGES, 201, json={"id": f"ch_{random.hex(10)}"})
    return stub


@pytest.fixture(scope="session")
def closed(stub: Stub) -> Stub:
    """A payment company that refuses connections."""
    closed = stub.another()
    closed.refuse()
    return closed


def start(
    image: Image, env: dict[str, str], shows: list[Show], urls: tuple[str, str], timeout_ms: int
) -> Server:
    """Start a server with a payment company, a mail server and a time limit."""
    told = {"PAYMENTS_URL": urls[0], "MAIL_URL": urls[1], "UPSTREAM_TIMEOUT_MS": str(timeout_ms)}
    port = int(env.get("PORT", "3000"))
    files = {env["SHOWS_FILE"]: json.dumps(shows)}
    return image.start(env={**env, **told}, files=files, port=port)


@pytest.fixture(scope="module")
def office(
    payments: Stub,
    mails: Stub,
    image: Image,
    env: dict[str, str],
    shows: list[Show],
    random: Random,
) -> Office:
    """A box office with a lot of patience."""
    server = start(image, env, shows, (payments.url, mails.url), random.integer(61_000, 99_000))
    return Office(server, shows, random, 203)


@pytest.fixture(scope="module")
def hasty(
    payments: Stub,
    mails: Stub,
    image: Image,
    env: dict[str, str],
    shows: list[Show],
    random: Random,
    timeout_ms: int,
) -> Office:
    """A box office that soon gives up."""
    server = start(image, env, shows, (payments.url, mails.url), timeout_ms)
    return Office(server, shows, random, 204)


@pytest.fixture(scope="module")
def cut_off(
    closed: Stub,
    mails: Stub,
    image: Image,
    env: dict[str, str],
    shows: list[Show],
    random: Random,
) -> Office:
    """A box office on another port that cannot reach the payment company."""
    env = {**env, "PORT": str(random.port())}
    server = start(image, env, shows, (closed.url, mails.url), random.integer(61_000, 99_000))
    return Office(server, shows, random, 205)


@contextmanager
def advising(hint: str) -> Iterator[None]:
    """Add a hint to whatever fails here, unless no server came up at all."""
    try:
        yield
    except StartFailure:
        raise
    except Failure as failure:
        failure.hint = failure.hint or hint
        raise


@points(
    2,
    hints=(
        "Which of these replies does your own code write, and which ones does the framework write?",
        (
            "Write every error in one function at the end of the chain, with the status, the "
            "type application/problem+json and all five fields, and pass unknown paths and "
            "methods to it as errors too. instance is a fresh UUID each time."
        ),
    ),
    link="One shape for every no",
)
def check_speaks_problem_json(office: Office, payments: Stub) -> None:
    """Every refusal is a problem of RFC 9457, whatever its status"""
    sold = office.order()
    office.sell(sold)
    charged = len(payments.requests(CHARGES))
    seen: list[str] = []
    titles: dict[str, str] = {}
    for no in refusals(office, sold):
        problem = no.expect()
        if titles.setdefault(problem["type"], problem["title"]) != problem["title"]:
            known = titles[problem["type"]]
            no.reply.fail(f'the same "title" in each problem of this type, as before: "{known}"')
        seen.append(problem["instance"])
        if seen.count(problem["instance"]) > 1:
            no.reply.fail('another "instance" in each reply')
    expect_no_charge(payments, charged)
    with at_once(office.server.get, [f"/{word}" for word in office.random.words(20)]) as crowd:
        pass
    instances = [No(reply, 404, "not-found").expect()["instance"] for reply in crowd.results()]
    if len(set(instances)) < len(instances):
        crowd.results()[0].fail('another "instance" in each reply', f"{instances[0]!r} in several")
    kind = {"Content-Type": "Application/JSON; charset=utf-8"}
    office.server.post("/api/bookings", json=office.order(), headers=kind).expect(201)


def expect_no_charge(payments: Stub, charged: int) -> None:
    """Look that the payment company was not asked since then."""
    if extra := payments.requests(CHARGES)[charged:]:
        saw = f"{len(extra)}, such as {extra[0].body[:200]!r}"
        fail(f"no {CHARGES} for a booking that is refused", saw, command=CHECK_AGAIN)


def refusals(office: Office, sold: Order) -> Iterator[No]:
    """Yield refusals of every status that needs no payment company."""
    server, random = office.server, office.random
    order = office.order()
    whole = json.dumps(order).encode()
    is_json = {"Content-Type": "application/json"}
    for more in (0, 2**40):
        yield No(server.get(f"/api/{random.word()}"), 404, "not-found")
        yield No(server.post(f"/{random.word()}", json=order), 404, "not-found")
        bad = server.post("/api/bookings", headers=is_json, body=whole[: random.integer(1, 40)])
        yield No(bad, 400, "bad-json")
        absent = 7 * random.integer(1001, 9999) + sold["show_id"] + more
        unknown = {**office.order(), "show_id": absent}
        yield No(office.book(unknown), 404, "unknown-show")
        yield No(server.post(f"/api/remind/{random.hex(12)}"), 404, "unknown-booking")
        yield No(office.book(office.again(sold)), 409, "seat-taken")
        yield No(
            office.book({**order, "seat": f"G{random.integer(1, 10)}"}), 422, "invalid-booking"
        )
    yield No(server.post("/api/bookings", body=whole), 415, "json-only")
    for kind in NOT_JSON:
        headers = {"Content-Type": kind}
        yield No(server.post("/api/bookings", headers=headers, body=whole), 415, "json-only")
    for method, path, right in (
        ("GET", "/api/bookings", "POST"),
        ("DELETE", "/api/bookings", "POST"),
        ("POST", "/api/export", "GET"),
        ("GET", f"/api/remind/{random.word()}", "POST"),
        ("PUT", "/api/boom", "GET"),
    ):
        reply = server.request(method, path)
        yield No(reply, 405, "method-not-allowed")
        named = set(re.split(r"\s*,\s*", reply.headers.get("Allow", "").strip()))
        if named - {"HEAD", "OPTIONS"} != {right}:
            reply.fail(f"Allow: {right}", f"Allow: {reply.headers.get('Allow', '(absent)')}")
    yield from first_of_two(office, sold)
    reply = server.post("/api/remind/%zz")
    # Some HTTP libraries refuse this path themselves, and the answer's code never sees it.
    if reply.status == 400 and reply.type != PROBLEM and not inside_of(reply.text):
        return
    yield No(reply, reply.status if reply.status in (400, 404) else 400, "")


def first_of_two(office: Office, sold: Order) -> Iterator[No]:
    """Yield refusals of orders that are wrong in two ways."""
    server, random = office.server, office.random
    text = {"Content-Type": "text/plain"}
    yield No(server.post("/api/bookings", headers=text, body=b'{"seat": '), 415, "json-only")
    wrong = {"show_id": 7 * random.integer(1001, 9999) + sold["show_id"], "seat": "g1"}
    yield No(office.book({**sold, **wrong}), 422, "invalid-booking")
    yield No(office.book({**sold, "user": "Ada"}), 422, "invalid-booking")


@points(
    2,
    hints=(
        (
            "Does your server look at the other fields once it has found a bad one? And what"
            " does it do with a body that is null?"
        ),
        (
            "Ask first whether the body is an object at all. Then go through all four fields, "
            "collect one entry for each bad one, and refuse at the end, if the list isn't empty."
        ),
    ),
    link="All mistakes at once",
)
def check_names_every_mistake(office: Office, payments: Stub) -> None:
    """422 names every bad field of a booking at once; no body makes the server fail"""
    with advising("Is one of your rules stricter than the contract? Compare them one by one."):
        for changes in good_orders(office):
            office.sell(office.order(**changes))
    charged, good = len(payments.requests(CHARGES)), office.order()
    for changes in bad_orders(office):
        order = {**good, **changes}
        body = json.dumps({n: value for n, value in order.items() if value is not ABSENT})
        expect_pointers(office, body.encode(), [f"/{name}" for name in changes])
    for value in not_objects(office):
        expect_pointers(office, value, [""])
    for broken in not_json(office):
        reply = send(office, broken)
        reply.expect(400, json={"type": "/problems/bad-json"}, type=reply.type)
    for monster in monsters(office):
        reply = send(office, monster)
        if not 400 <= reply.status <= 422:
            reply.fail("a status from 400 to 422 for a body that nobody should send")
    expect_no_charge(payments, charged)
    office.sell(office.order())


def good_orders(office: Office) -> list[dict[str, object]]:
    """Return changes that leave an order as good as it was, at the borders of each rule."""
    random, show_id = office.random, office.shows[-1]["id"]
    one, two = random.words(2)
    return [
        {"show_id": show_id, "seat": "A1", "nickname": one, "errors": []},
        {"show_id": show_id, "seat": "A10", "user": "".join(random.words(4))[:20]},
        {"show_id": show_id, "seat": "F1", "email": f"{one.upper()}+{two}'7@{two}-2.example"},
        {"show_id": show_id, "seat": "F10", "user": one[:2], "email": f"ž{one}@ł.{two}.ø"},
        {"email": f"{one[0]}@{two[0]}.{one[1]}"},
        {"email": f"{one * 20}@{two}.example"},
    ]


ABSENT = object()


def bad_values(random: Random) -> dict[str, list[object]]:
    """Return values that each field must not have."""
    word = random.word()
    seat = f"{random.pick('ABCDEF')}{random.integer(1, 9)}"
    any_field = [ABSENT, None, True, [], {}, ""]
    return {
        "show_id": [*any_field, 0, -random.integer(1, 9), random.integer(1, 9) + 0.5, "7"],
        "seat": [
            *any_field, seat.lower(), f"G{seat[1:]}", f"{seat[0]}0", f"{seat[0]}11", seat[0],
            f"{seat[0]}0{seat[1:]}", f" {seat}", f"{seat}\n", [seat], random.integer(1, 10),
        ],
        "user": [
            *any_field, word.title(), f"{word} {word}", f"{word}7", word[0], f"{word}\n", [word],
            "x" * 21, "žofie", random.integer(2, 99), "\x00" * 3,
        ],
        "email": [
            *any_field, word, f"{word}@", f"@{word}.example", f"{word}@{word}", f"{word}@.", 7,
            f"{word}@{word}@{word}.example", f"{word} x@{word}.example", [f"{word}@{word}.example"],
            f"{word}@{word}.example\n",
        ],
    }  # fmt: skip


def bad_orders(office: Office) -> Iterator[dict[str, object]]:
    """Yield changes that make an order bad: each value once alone, then every set of fields."""
    values = bad_values(office.random)
    for name in FIELDS:
        for value in values[name]:
            yield {name: value}
    for count in (2, 3, 4):
        for names in combinations(FIELDS, count):
            yield {name: office.random.pick(values[name]) for name in names}


def expect_pointers(office: Office, body: bytes, wanted: list[str]) -> None:
    """Look that a body is refused with exactly these pointers."""
    reply = send(office, body)
    # The form of a problem is for speaks_problem_json.
    reply.expect(422, json={"type": "/problems/invalid-booking"}, type=reply.type)
    errors = reply.json().get("errors")
    looked_for = f"422 · errors with the pointers {json.dumps(wanted)}"
    if not isinstance(errors, list) or not all(isinstance(e, dict) for e in errors):
        reply.fail(looked_for)
    seen = [e["pointer"].removeprefix("#") if is_text(e.get("pointer")) else None for e in errors]
    if sorted(map(str, seen)) != sorted(wanted):
        reply.fail(looked_for, f"422 · {json.dumps(seen)}")
    if not all(is_text(e.get("detail")) and e["detail"].strip() for e in errors):
        reply.fail('a "detail" in each of the errors, a text that is not empty')


def is_text(value: object) -> bool:
    """Tell whether a JSON value is a string."""
    return isinstance(value, str)


def send(office: Office, body: bytes) -> Reply:
    """Send a body as an order."""
    headers = {"Content-Type": "application/json"}
    return office.server.post("/api/bookings", headers=headers, body=body)


def not_objects(office: Office) -> list[bytes]:
    """Return JSON texts that are no objects."""
    order = json.dumps(office.order())
    texts = ("null", "true", "false", "0", "7.5", '""', '"order"', "[]", f"[{order}]", " null\n")
    return [text.encode() for text in texts]


def not_json(office: Office) -> list[bytes]:
    """Return bodies that are not JSON, most of them nearly."""
    whole = json.dumps(office.order())
    seat = office.random.word()
    texts = (
        "{", "}", '"', "[", "{]", "nul", "undefined", "None", "tru", whole[:-1], whole[1:],
        whole[: len(whole) // 2], whole.replace('"', "'"), whole.replace(":", "=", 1),
        whole.replace(",", ",,", 1), f"{whole[:-1]},}}", f"{whole}x", f"{whole}{whole}",
        '{"show_id": 07}', '{"show_id": +7}', '{"show_id": 0x7}', f'{{seat: "{seat}"}}',
        f'{{"seat": "{seat}\t"}}', f'{{"seat": "\\x{seat}"}}', '{"seat" "C4"}', f"// {seat}\n{{}}",
        f"seat={seat}&show_id=7", f"<seat>{seat}</seat>",
    )  # fmt: skip
    return [text.encode() for text in texts]


def monsters(office: Office) -> list[bytes]:
    """Return bodies that libraries stumble over."""
    random = office.random
    order = json.dumps({**office.order(), "user": 7}).encode()
    return [
        b"",
        b" ",
        b"\x00",
        random.bytes(64).replace(b"{", b"}") + b"\xff",
        b"\xff\xfe" + order,
        order.replace(b"@", b"\xc3\x28"),
        b"[" * 4000 + b"]" * 4000,
        b'{"a":' * 1500 + b"1" + b"}" * 1500,
        b'{"show_id": NaN, "seat": Infinity}',
        b'{"show_id": ' + b"9" * 4000 + b', "seat": "c4"}',
        b'{"__proto__": null, "constructor": {"prototype": 1}, "toString": 1}',
        b'{"show_id": 1e400, "seat": "\\ud800", "user": "\\udc00", "email": "\\ud83d@\\u0000.x"}',
    ]


@points(
    2,
    hints=(
        "What does your server do when the payment company says nothing at all?",
        (
            "Put the call into one function with a time limit for the whole reply, head and"
            " body. Catch what it throws, and look at the status and body of the reply: each way"
            " to fail gets its own problem. Free the seat in all of them."
        ),
    ),
    link="When a partner fails",
    needs=("speaks_problem_json",),
)
def check_translates_the_partner(
    office: Office, hasty: Office, cut_off: Office, payments: Stub, timeout_ms: int
) -> None:
    """The payment company declines, breaks, hangs or is away: 402, 502, 504 or 503, in time"""
    takes_payments(office, payments)
    sold, order = office_sold(office), office.order()
    payments.reply(CHARGES, 402, json={"id": "ch_declined"}, having=order["user"])
    expect_failed_sale(office, order, 402, "payment-declined", payments)
    order = office.order()
    # The status says it all.
    payments.reply(CHARGES, 402, body=b"Declined\n", having=order["user"])
    expect_failed_sale(office, order, 402, "payment-declined", payments)
    payments.reply(MOVED, 201, json={"id": "ch_moved"})
    titles = set()
    for what, rule in useless_replies(office.random):
        order = office.order()
        payments.reply(CHARGES, having=order["user"], **rule)
        try:
            problem = expect_failed_sale(office, order, 502, "payments-broken", payments)
        except Failure as failure:
            failure.looked_for += f"; the payment company {what}"
            raise
        titles.add(problem["title"])
    if len(titles) > 1:
        saw = " · ".join(sorted(titles))
        fail('the same "title" in each problem of one type', saw, command=CHECK_AGAIN)
    # A failed booking gives back its own seat only.
    No(office.book(office.again(sold)), 409, "seat-taken").expect()
    expect_useless_ledger(office, payments)
    expect_away(cut_off)
    gives_up_in_time(office, hasty, payments, timeout_ms)


def useless_replies(random: Random) -> list[tuple[str, dict[str, Any]]]:
    """Return replies of a payment company that are no use, each with what it did."""
    paid = {"id": f"ch_{random.hex(10)}"}
    text = json.dumps(paid).encode()
    back = {"Retry-After": "3600"}
    return [
        ("answered 500", {"status": 500, "json": paid}),
        ("answered 503", {"status": 503, "json": paid, "headers": back}),
        *((f"answered {n}", {"status": n, "json": paid}) for n in (404, 400, 409, 429, 504)),
        *((f"answered {n}", {"status": n, "json": paid}) for n in (200, 202)),
        ("answered 201 with HTML", {"status": 201, "body": b"<html><p>Welcome</p></html>"}),
        ("answered 201 with null", {"status": 201, "body": b"null"}),
        ("answered 201 without an id", {"status": 201, "json": {"payment": paid["id"]}}),
        ("answered 201 and a number as id", {"status": 201, "json": {"id": len(text)}}),
        ("answered 302", {"status": 302, "headers": {"Location": MOVED}}),
        ("hung up in its reply", {"status": 201, "body": text, "breaks_off_after": len(text) - 1}),
        ("hung up without a reply", {"breaks_off_after": -1}),
    ]


def expect_useless_ledger(office: Office, payments: Stub) -> None:
    """Look that a ledger with another status than 200 is a 502."""
    payments.reply(f"GET {LEDGER_MOVED}", body=b"{}\n")
    for status in (500, 402, 404, 202, 302):
        wanted = office.month()
        headers = {"Location": LEDGER_MOVED} if status == 302 else {}
        payments.reply(LEDGER, status, json={"id": "ch_l"}, headers=headers, having=wanted)
        No(export(office, wanted), 502, "payments-broken").expect()


def takes_payments(office: Office, payments: Stub) -> None:
    """Look that a booking is paid once, at its price, and knows its payment."""
    order = office.order()
    charge_id = f"ch_{office.random.hex(12)}"
    payments.reply(CHARGES, 201, json={"id": charge_id}, having=order["user"])
    booking = office.sell(order)
    if booking.get("charge_id") != charge_id:
        fail(f'"charge_id": "{charge_id}" in the booking', json.dumps(booking)[:300])
    expect_charges(payments, order, booking["price_cents"])
    order = office.order()
    # A JSON object, though nothing in the head says so.
    payments.reply(CHARGES, 201, body=json.dumps({"id": charge_id}).encode(), having=order["user"])
    office.sell(order)


def expect_charges(payments: Stub, order: Order, price_cents: int) -> None:
    """Look that the payment company was asked once, and for the right amount."""
    charges = payments.requests(CHARGES, having=order["user"], at_least=1)
    if len(charges) > 1:
        fail(f"one {CHARGES} for one booking", f"{len(charges)}")
    wanted = {"user": order["user"], "amount_cents": price_cents}
    sent = charges[0].json()
    if not isinstance(sent, dict) or any(sent.get(n) != v for n, v in wanted.items()):
        fail(f"{CHARGES} with {json.dumps(wanted)}", json.dumps(sent)[:300])


def expect_failed_sale(
    office: Office, order: Order, status: int, kind: str, payments: Stub
) -> dict[str, Any]:
    """Look that a booking fails as it must, was charged once, and frees its seat."""
    problem = No(office.book(order), status, kind).expect()
    price = next(s["price_cents"] for s in office.shows if s["id"] == order["show_id"])
    expect_charges(payments, order, price)
    expect_free(office, order, status)
    return problem


def expect_free(office: Office, order: Order, status: int) -> None:
    """Look that somebody else can have the seat of an order that failed."""
    reply = office.book(office.again(order))
    # On a busy machine, a payment may take longer than a hasty office waits.
    for _ in range(ATTEMPTS):
        if reply.status == 504:
            reply = office.book(office.again(order))
    try:
        reply.expect(201)
    except Failure as failure:
        failure.looked_for += f"; the seat is free again after a {status}"
        raise


def export(office: Office, wanted: str, *, timeout_s: float = 5.0) -> Reply:
    """Ask for the ledger of a month."""
    return office.server.get(f"/api/export?month={wanted}", timeout_s=timeout_s)


def expect_away(cut_off: Office) -> None:
    """Look that a payment company that refuses connections is a 503, twice for one seat."""
    order = cut_off.order()
    replies = [cut_off.book(order), cut_off.book(cut_off.again(order))]
    replies.append(export(cut_off, cut_off.month()))
    for reply in replies:
        No(reply, 503, "payments-away").expect()
        value = reply.headers.get("Retry-After", "")
        if not is_retry_after(value):
            saw = f"{reply.status} · Retry-After: {value or '(absent)'}"
            reply.fail("503 · Retry-After: seconds, more than 0, or a date", saw)


def is_retry_after(value: str) -> bool:
    """Tell whether a field says when to come back."""
    if value.isascii() and value.isdigit():
        return int(value) > 0
    try:
        return bool(parsedate_to_datetime(value))
    except (TypeError, ValueError):
        return False


def gives_up_in_time(office: Office, hasty: Office, payments: Stub, timeout_ms: int) -> None:
    """Look that a payment company that hangs is a 504 when the time is over, and not before.

    The patient office asks first and is answered last: a time limit of its own would end it.
    """
    patient, wanted = office.order(), office.month()
    payments.reply(LEDGER, body=b"{}\n", having=wanted)
    asks: tuple[Callable[[], Reply], ...] = (
        lambda: office.book(patient, timeout_s=60),
        lambda: export(office, wanted, timeout_s=60),
    )
    with (
        payments.holding(CHARGES, having=patient["user"]) as held,
        payments.holding(LEDGER, having=wanted) as ledger,
        at_once(lambda ask: ask(), asks) as crowd,
    ):
        held.wait()
        ledger.wait()
        No(office.book(office.again(patient)), 409, "seat-taken").expect()
        expect_slow(hasty, payments, timeout_ms)
        # Its timers have rung by now.
        office.server.get("/api/bookings")
        held.release()
        ledger.release()
    booked, exported = crowd.results()
    try:
        booked.expect(201, json={"user": patient["user"]})
        exported.expect(200, body=b"{}\n")
    except Failure as failure:
        failure.looked_for += " from a company that took less than UPSTREAM_TIMEOUT_MS"
        raise


def timed(ask: Callable[[], Reply]) -> tuple[Reply, float]:
    """Return a reply, and how many seconds it took."""
    begun = time.monotonic()
    return ask(), time.monotonic() - begun


def expect_slow(hasty: Office, payments: Stub, timeout_ms: int) -> None:
    """Look that a charge that never begins, stops or drips is a 504, and a silent ledger too."""
    silent, half, drip, wanted = hasty.order(), hasty.order(), hasty.order(), hasty.month()
    paid = {"id": f"ch_{hasty.random.hex(40)}"}
    payments.reply(CHARGES, 201, json=paid, having=drip["user"], drips_s=DRIPS_S)
    within_s = timeout_ms / 1000 + LATE_S
    asks: tuple[Callable[[], Reply], ...] = (
        lambda: hasty.book(silent, timeout_s=within_s),
        lambda: hasty.book(half, timeout_s=within_s),
        lambda: hasty.book(drip, timeout_s=within_s),
        lambda: export(hasty, wanted, timeout_s=within_s),
    )
    with (
        payments.holding(CHARGES, having=silent["user"]),
        payments.holding(CHARGES, having=half["user"], after_bytes=3),
        payments.holding(LEDGER, having=wanted),
        at_once(timed, asks) as crowd,
    ):
        for reply, seconds in crowd.results():
            No(reply, 504, "payments-slow").expect()
            if seconds < timeout_ms / 1000 - EARLY_S:
                saw = f"{reply.status} after {seconds * 1000:.0f} ms"
                reply.fail(f"504 not before {timeout_ms} ms, which is UPSTREAM_TIMEOUT_MS", saw)
    for order in (silent, half, drip):
        if (count := len(payments.requests(CHARGES, having=order["user"]))) > 1:
            looked_for = f"one {CHARGES} for one booking, after a 504 too"
            fail(looked_for, f"{count}", command=CHECK_AGAIN)
        expect_free(hasty, order, 504)


@points(
    2,
    hints=(
        "Where does the message of an error go, and who can read that place?",
        (
            "The reply of a 500 gets a fixed detail and a fresh instance. The log gets one JSON "
            "line with the same instance and the stack. Do the same for 502, 503 and 504."
        ),
    ),
    link="What a stranger reads in a stack trace",
    needs=("speaks_problem_json",),
)
def check_hides_the_inside(office: Office, hasty: Office, payments: Stub, canary: str) -> None:
    """No reply shows the inside; the log has the stack under the reply's instance"""
    office.sell(office.order())
    # A parser quotes no more than a few characters.
    word = office.random.word()
    # Some clients name the host without its port.
    host = urlsplit(payments.url).netloc.partition(":")[0]
    secrets = [canary, *canary.rpartition(" in ")[::2], "UPDATE wallets", word, host]
    instances = set()
    for _ in range(2):
        no = No(office.server.get("/api/boom"), 500, "internal")
        expect_hidden(no, secrets)
        expect_logged(office.server, no, canary)
        instances.add(no.reply.json()["instance"])
    if len(instances) == 1:
        no.reply.fail('another "instance" in each reply')
    for no in failures(office, hasty, payments, word):
        expect_hidden(no, secrets)
    for no in refusals(office, office_sold(office)):
        expect_hidden(no, secrets)


def failures(office: Office, hasty: Office, payments: Stub, word: str) -> Iterator[No]:
    """Yield what a client reads of a partner's failures; those of 5xx are logged.

    Which statuses they have, and whether there is a time limit, is for translates_the_partner.
    """
    declined, crashed, garbled, torn = (office.order() for _ in range(4))
    silent, wanted = hasty.order(), office.month()
    payments.reply(CHARGES, 402, json={"error": word}, having=declined["user"])
    payments.reply(CHARGES, 500, json={"error": word}, having=crashed["user"])
    payments.reply(CHARGES, 201, body=word.encode(), having=garbled["user"])
    payments.reply(CHARGES, 201, json={}, having=torn["user"], breaks_off_after=1)
    replies = [(office, office.book(order)) for order in (declined, crashed, garbled, torn)]
    payments.reply(LEDGER, 500, json={"error": word}, having=wanted)
    replies.append((office, export(office, wanted)))
    with suppress(Failure), payments.holding(CHARGES, having=silent["user"]):
        replies.append((hasty, hasty.book(silent)))
    payments.refuse()
    try:
        replies += [(office, office.book(office.order())), (office, export(office, office.month()))]
    finally:
        payments.accept()
    for asked, reply in replies:
        no = No(reply, reply.status, "")
        if reply.status >= 500:
            expect_logged(asked.server, no)
        if reply.status >= 400:
            yield no


def office_sold(office: Office) -> Order:
    """Return an order that was sold."""
    order = office.order()
    office.sell(order)
    return order


def expect_hidden(no: No, secrets: list[str]) -> None:
    """Look that nothing of the inside is in a reply, neither in its head nor in its body."""
    no.expect()
    shown = json.dumps(no.reply.json(), ensure_ascii=False)
    text = "\n".join([*no.reply.headers.values(), no.reply.text, shown])
    found = [secret for secret in secrets if secret in text]
    found += inside_of(text)
    if found:
        no.reply.fail("nothing of the inside in the reply", f"{found[0][:200]!r} in the reply")


def inside_of(text: str) -> list[str]:
    """Return what a text shows of the inside."""
    return [match[0] for pattern in INSIDE if (match := pattern.search(text))]


def expect_logged(server: Server, no: No, message: str = "") -> None:
    """Wait for the line of the log that has a reply's instance, and the stack."""
    instance = no.reply.json()["instance"]

    def look() -> None:
        records = server.log_records({"instance": instance}) or [{}]
        stacks = [r["stack"] for r in records if is_text(r.get("stack"))]
        if not any("\n" in stack and message in stack for stack in stacks):
            what = "the stack and the message of the error" if message else "the stack"
            fail(
                f'one JSON line with "instance": "{instance}" and "stack", a text of several '
                f"lines with {what}",
                shown(records),
                command=f"docker logs {server.container.name}",
            )

    eventually(look, within_s=LOGGED_WITHIN_S)


def shown(records: list[Record]) -> str:
    """Return the last of some lines of the log as it may have been printed."""
    return json.dumps(records[-1], ensure_ascii=False)[:300] if records[-1] else "no such line"


@points(
    1,
    hints=(
        "The ledger breaks off, and your reply has begun already. What can still tell the client?",
        (
            "Only the connection: destroy it, and don't end the reply. Node's "
            "stream.promises.pipeline does that; in ASGI, let the exception out of the generator."
        ),
    ),
    link="When the reply has already begun",
)
def check_breaks_truncated_streams(
    office: Office, hasty: Office, payments: Stub, timeout_ms: int
) -> None:
    """The ledger streams; when it breaks off, so does the reply, and nobody takes half for whole"""
    ledger = Ledger(office.random)
    for chunked in (True, False):
        wanted = office.month()
        payments.reply(LEDGER, body=ledger.text, having=wanted, chunked=chunked)
        kind = "application/x-ndjson"
        export(office, wanted).expect(200, body=ledger.text, type=kind)
    eventually(lambda: streams(hasty, payments, ledger, timeout_ms), attempts=ATTEMPTS)
    for chunked in (True, False):
        breaks_off(office, payments, ledger, chunked=chunked)
    export(office, wanted).expect(200, body=ledger.text)


class Ledger:
    """Lines of JSON, and a place within the second one, in the middle of a letter."""

    def __init__(self, random: Random) -> None:
        lines = [
            {"charge": f"ch_{random.hex(10)}", "note": random.text(6), "user": word}
            for word in random.words(40)
        ]
        texts = [json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines]
        # An answer that splits into lines and joins them again changes these.
        texts[2] = texts[2].rstrip() + b"\r\n"
        self.text = b"".join(texts).rstrip()
        self.begun = f'"{lines[1]["charge"]}"'.encode()
        note = b'"note": "'
        self.half_a_letter = len(texts[0]) + texts[1].index(note) + len(note) + 1


def streams(hasty: Office, payments: Stub, ledger: Ledger, timeout_ms: int) -> None:
    """Look that half a line comes while the rest is held, for longer than the time limit."""
    wanted = hasty.month()
    payments.reply(LEDGER, body=ledger.text, having=wanted, chunked=True)
    with (
        payments.holding(LEDGER, having=wanted, after_bytes=ledger.half_a_letter) as held,
        hasty.server.connect() as line,
    ):
        line.send(f"GET /api/export?month={wanted} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        with advising("Do you pass on each piece as it comes?"):
            line.wait_for(ledger.begun)
        if not line.stays_open(timeout_ms / 1000 + SURELY_OVER_S):
            seen = "your server closed the connection"
            hint = "Does your time limit still run once the ledger has begun?"
            looked_for = "an open reply until the ledger is whole"
            fail(looked_for, seen, command=CHECK_AGAIN, hint=hint)
        held.release()
        with advising("Do you pass on the bytes as they come, without turning them into text?"):
            line.reply().expect(200, body=ledger.text)


def breaks_off(office: Office, payments: Stub, ledger: Ledger, *, chunked: bool) -> None:
    """Look that a ledger that breaks off is seen by the client."""
    wanted = office.month()
    half = len(ledger.text) // 2
    payments.reply(LEDGER, body=ledger.text, having=wanted, chunked=chunked, breaks_off_after=half)
    with (
        payments.holding(LEDGER, having=wanted, after_bytes=ledger.half_a_letter) as held,
        office.server.connect() as line,
    ):
        line.send(f"GET /api/export?month={wanted} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        line.wait_for(ledger.begun)
        held.release()
        line.expect_broken_off()


@points(
    1,
    hints=(
        "Who hears of an error in a function that nobody awaits?",
        (
            "Give the promise a catch, or the task a try, that prints the line. Don't follow"
            " redirects, and look at the status of the mail server's reply, since most clients"
            " take a 500 for a success."
        ),
    ),
    link="Work that nobody waits for",
)
def check_survives_the_background(office: Office, payments: Stub, mails: Stub) -> None:
    """A reminder is sent after the reply; one that fails is logged and affects no other request"""
    taken = expect_reminder(office, mails)
    failing = [office.sell(office.order()) for _ in range(4)]
    mails.reply(MAILS, 500, having=failing[0]["id"])
    mails.reply(MAILS, 404, having=failing[1]["id"])
    # A client that follows it gets there, even while the mail server is down.
    moved = {"Location": f"{payments.url}{MAIL_MOVED}"}
    mails.reply(MAILS, 302, headers=moved, having=failing[2]["id"])
    payments.reply(MAIL_MOVED, 202)
    paying = office.order()
    with (
        payments.holding(CHARGES, having=paying["user"]) as held,
        at_once(lambda order: office.book(order, timeout_s=60), [paying]) as crowd,
    ):
        held.wait()
        for booking in failing[:3]:
            remind(office, booking)
            mails.requests(MAILS, having=booking["id"], at_least=1)
        mails.refuse()
        remind(office, failing[3])
        # By now a server that dies of it is gone.
        office.server.get("/api/bookings")
        for booking in failing:
            expect_reminder_logged(office.server, booking)
        mails.accept()
        held.release()
    [reply] = crowd.results()
    reply.expect(201, json={"user": paying["user"]})
    expect_reminder(office, mails)
    expect_no_error_logged(office.server, taken)


def remind(office: Office, booking: dict[str, Any]) -> Reply:
    """Ask for a reminder."""
    return office.server.post(f"/api/remind/{quote(booking['id'], safe='')}").expect(202)


def expect_reminder(office: Office, mails: Stub) -> dict[str, Any]:
    """Look that a reminder is sent, and that the reply does not wait; return its booking."""
    order = office.order()
    booking = office.sell(order)
    with mails.holding(MAILS, having=booking["id"]) as held:
        remind(office, booking)
        sent = held.wait()[0].json()
    wanted = {"to": order["email"], "booking_id": booking["id"]}
    if not isinstance(sent, dict) or any(sent.get(n) != v for n, v in wanted.items()):
        fail(f"{MAILS} with {json.dumps(wanted)}", json.dumps(sent)[:300])
    return booking


def expect_no_error_logged(server: Server, booking: Mapping[str, Any]) -> None:
    """Look that the log tells of no failure where the mail was accepted."""
    for record in server.log_records({"booking_id": booking["id"]}):
        if tells_error(record):
            fail(
                'no line with "error" for a mail that the mail server accepted with 202',
                shown([record]),
                command=f"docker logs {server.container.name}",
            )


def tells_error(record: Record) -> bool:
    """Tell whether a line of the log has an error, a text that is not empty."""
    return is_text(record.get("error")) and bool(record["error"].strip())


def expect_reminder_logged(server: Server, booking: Mapping[str, Any]) -> None:
    """Wait for the line of the log that tells of a reminder that failed."""
    fields = {"booking_id": booking["id"]}

    def look() -> None:
        records = server.log_records(fields) or [{}]
        if not any(map(tells_error, records)):
            fail(
                f'one JSON line with "booking_id": "{booking["id"]}" and "error", a text',
                shown(records),
                command=f"docker logs {server.container.name}",
            )

    eventually(look, within_s=LOGGED_WITHIN_S)
