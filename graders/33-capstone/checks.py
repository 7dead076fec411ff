import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Composed,
    Deadline,
    EventStream,
    Failure,
    Random,
    Received,
    Reply,
    SandboxClient,
    ServerEvent,
    Stack,
    Stub,
    at_once,
    eventually,
    fail,
    points,
)

DOOR, PORT, METRICS_PORT = 8080, 3000, 9100
OUTSIDE = "partners"
CHARGES, REFUNDS, MAILS = "POST /charges", "POST /refunds", "POST /mails"
BOOKINGS, USERS, SHOWS = "/api/bookings", "/api/users", "/v2/shows"
SEATS = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 11)]
PROBLEM = "application/problem+json"
ACCEPTED, TAKEN, TOO_MANY = 202, 409, 429
AWAY = (502, 503, 504)
THEIRS = ("db", "broker", "cache")
UP_WITHIN_S = 60.0
SETTLED_WITHIN_S = 15.0
MOMENT_S = 5.0
AWAY_S = 1.0
# So many connections at a time: more only wait in one queue or another.
SIDE_BY_SIDE = 48
BUYERS, STORM_BUYERS = 400, 160
BACK = 4
TRACE = re.compile(r"^00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$")
SAMPLE = re.compile(r"^(\w+)\{([^}]*)\} ([0-9.eE+]+)$", re.MULTILINE)
LABELS = {"http_requests_total": ("method", "route", "status"), "bookings_total": ("result",)}
EVERY_LINE = {"ts", "level", "msg", "service"}
AGAIN: dict[str, str] = {"command": CHECK_AGAIN}


@dataclass(frozen=True)
class Account:
    """Somebody who buys; whether the company takes the card is a matter of the name."""

    name: str
    password: str
    cookie: str = ""

    @property
    def signed_in(self) -> dict[str, str]:
        """The fields of a request of theirs."""
        return {"Cookie": f"theme=dark; {self.cookie}"}


@dataclass(frozen=True)
class Show:
    """A show; its price is in no other show's charges, so a rule of a stub can mean it alone."""

    id: int
    price: int


@dataclass(frozen=True)
class Order:
    """What a buyer wants, under one Idempotency-Key."""

    account: Account
    show: Show
    seat: str
    key: str


@dataclass
class House:
    """The system that came up, its partners, and what must not be told."""

    stack: Stack
    door: SandboxClient
    partners: Stub
    random: Random
    rate: int
    staff_key: str
    secrets: dict[str, str]
    paying: list[Account] = field(default_factory=list)
    declined: list[Account] = field(default_factory=list)
    prices: Iterator[int] = field(default_factory=lambda: iter(()))

    @property
    def staff(self) -> dict[str, str]:
        """The fields of a request of the theatre's own people."""
        return {"X-Staff-Key": self.staff_key}

    def open_account(self) -> Account:
        """Register somebody, and sign them in."""
        random = self.random
        account = Account(random.word(), f"{random.word()} {random.hex(10)}")
        told = {"user": account.name, "password": account.password}
        self.door.post(USERS, json=told).expect(201)
        self.secrets[f"the password of {account.name}"] = account.password
        return self.sign_in(account)

    def sign_in(self, account: Account) -> Account:
        """Begin a session, and return the account with its cookie."""
        told = {"user": account.name, "password": account.password}
        reply = self.door.post("/api/login", json=told).expect(204, headers={"Set-Cookie": None})
        found = re.search(r"\bsid=([^;,\s]{20,})", reply.headers["Set-Cookie"])
        if not found:
            reply.fail("a cookie sid of 20 characters or more")
        self.secrets[f"a session of {account.name}"] = found[1]
        return Account(account.name, account.password, found[0])

    def caller(self) -> dict[str, str]:
        """The field of a caller who has not asked before: no bucket of theirs is empty."""
        return {"X-Api-Key": f"{self.random.word()}-{self.random.hex(8)}"}

    def fields(self, **how: Any) -> dict[str, Any]:
        """Return the fields of a show that nobody knows yet."""
        day, hour = self.random.integer(10, 28), self.random.integer(14, 21)
        return {
            "title": f"{self.random.word().title()} {self.random.text(4)}",
            "starts_at": f"2027-{self.random.integer(10, 12)}-{day}T{hour}:15:00Z",
            "price_cents": next(self.prices), "venue": f"{self.random.word()} hall", **how,
        }  # fmt: skip

    def add_show(self, **how: Any) -> tuple[Show, dict[str, Any]]:
        """Put a show on sale; return it with all of its fields."""
        told = self.fields(**how)
        reply = self.door.post(SHOWS, json=told, headers=self.staff).expect(201, json=told)
        show_id = reply.json().get("id")
        if type(show_id) is not int or show_id < 1:
            reply.fail("201 and a show whose id is a positive integer")
        reply.expect(headers={"Location": f"{SHOWS}/{show_id}"})
        return Show(show_id, told["price_cents"]), {"id": show_id, **told}

    def order(self, show: Show, seat: str, account: Account | None = None) -> Order:
        """Return an order that nobody has sent."""
        account = account or self.random.pick(self.paying)
        return Order(account, show, seat, f"{self.random.word()}-{self.random.hex(12)}")

    def book(self, order: Order, headers: dict[str, str] | None = None, **other: Any) -> Reply:
        """Send an order once."""
        told = {"show_id": order.show.id, "seat": order.seat, **other}
        sent = {**order.account.signed_in, "Idempotency-Key": order.key, **(headers or {})}
        return self.door.post(BOOKINGS, json=told, headers=sent)

    def persist(self, order: Order) -> Reply:
        """Send an order until it is answered, as a buyer does whose phone lost the connection."""
        deadline = Deadline(SETTLED_WITHIN_S)
        while True:
            with suppress(Failure):
                reply = self.book(order)
                if reply.status not in AWAY:
                    return reply
            if deadline.has_passed():
                return self.book(order)
            time.sleep(0.1)

    def look(self, account: Account, booking_id: str) -> Reply:
        """Ask for a booking."""
        return self.door.get(f"{BOOKINGS}/{booking_id}", headers=account.signed_in)

    def status(self, account: Account, booking_id: str) -> str:
        """Return a booking's status."""
        reply = self.look(account, booking_id).expect(200, json={"id": booking_id})
        return str(reply.json().get("status"))

    def settle(self, account: Account, booking_id: str, wanted: str = "") -> str:
        """Wait until a booking has its last status, which must be the wanted one."""

        def expect() -> str:
            status = self.status(account, booking_id)
            if status not in ("confirmed", "cancelled"):
                self.look(account, booking_id).fail("a booking that is confirmed or cancelled")
            return status

        status = eventually(expect, within_s=SETTLED_WITHIN_S)
        if wanted and status != wanted:
            self.look(account, booking_id).fail(f'"status": "{wanted}"')
        return status

    def sell(self, order: Order, wanted: str = "confirmed", **how: Any) -> str:
        """Send an order, and wait until its booking is as wanted; return its id."""
        booking_id = accepted(self.book(order, **how), order)
        self.settle(order.account, booking_id, wanted)
        return booking_id

    def free(self, show: Show) -> list[str]:
        """Return the seats that are free."""
        reply = self.door.get(f"{SHOWS}/{show.id}/seats").expect(200)
        seats = reply.json().get("free") if isinstance(reply.json(), dict) else None
        if not isinstance(seats, list) or not set(map(str, seats)) <= set(SEATS):
            reply.fail('200 and {"free": ["A1", …]}')
        return seats

    def sent(self, route: str, show: Show) -> list[Received]:
        """Return what the company was asked about a show, by its price."""
        return [
            r for r in self.partners.requests(route) if said(r).get("amount_cents") == show.price
        ]

    def own(self) -> list[str]:
        """Return the services that are the answer's own programs, besides edge and the door."""
        running = [c for c in self.stack.containers() if c.exit_code is None]
        doors = {c.service for c in running if c.published}
        return sorted({c.service for c in running} - {*THEIRS, "edge", *doors})

    def edges(self) -> list[Composed]:
        """Return the replicas of edge that run."""
        return [c for c in self.stack.containers("edge") if c.exit_code is None]

    def revive(self) -> None:
        """Start whatever was killed."""
        killed = {c.service for c in self.stack.containers() if c.exit_code not in (None, 0)}
        self.stack.up("--no-deps", *sorted(killed))


def said(request: Received) -> dict[str, Any]:
    """Return the object in the body of a request to a partner."""
    value = request.json()
    return value if isinstance(value, dict) else {}


def accepted(reply: Reply, order: Order) -> str:
    """Look that an order was accepted, and return the booking's id."""
    told = reply.expect(
        ACCEPTED,
        json={"show_id": order.show.id, "seat": order.seat, "user": order.account.name,
              "price_cents": order.show.price},
    ).json()  # fmt: skip
    if not isinstance(told.get("id"), str) or not told["id"]:
        reply.fail("202 and a booking whose id is a string")
    if reply.headers.get("Location") != f"{BOOKINGS}/{told['id']}":
        reply.fail(f"202 and Location: {BOOKINGS}/{told['id']}", reply.headers.get("Location", ""))
    return str(told["id"])


@pytest.fixture(scope="session")
def house(stack: Stack, stub: Stub, random: Random) -> House:
    """Bring the system up beside its partners, and open a few accounts."""
    url = f"http://{stack.join(stub.container, OUTSIDE)}:{stub.url.rpartition(':')[2]}"
    secrets = {name: f"{random.word()}{random.hex(14)}" for name in ("STAFF_KEY", "DB_PASSWORD")}
    rate = random.integer(11, 17)
    told = {"PAYMENTS_URL": url, "MAIL_URL": url, "RATE": rate, "WINDOW_SECONDS": 900, **secrets}
    stack.write(".env", "".join(f"{name}={value}\n" for name, value in told.items()))
    stub.reply(CHARGES, 201, json={"id": f"ch_{random.hex(8)}"})
    stub.reply(REFUNDS, 201, json={"id": f"re_{random.hex(8)}"})
    stub.reply(MAILS, 202)
    stack.build()
    stack.up(within_s=UP_WITHIN_S)
    house = House(stack, stack.server(DOOR), stub, random, rate, secrets["STAFF_KEY"], secrets)
    house.prices = iter(range(random.integer(110_001, 119_999), 10**6, random.integer(701, 899)))
    eventually(lambda: house.door.get("/readyz").expect(200), within_s=UP_WITHIN_S)
    if len(house.edges()) < 2:
        fail("two replicas of edge or more", f"{len(house.edges())}", command="docker compose ps")
    for service in THEIRS:
        stack.container(service)
    house.paying = [house.open_account() for _ in range(5)]
    house.declined = [house.open_account() for _ in range(2)]
    for account in house.declined:
        stub.reply(CHARGES, 402, json={"error": "declined"}, having=account.name)
    return house


# --- the sale ----------------------------------------------------------------------------------


@dataclass
class Sale:
    """The sale of one show: who asked for what, and what came of it."""

    house: House
    show: Show
    # The id of each booking, and whose it is.
    bookings: dict[str, Account] = field(default_factory=dict)

    def note(self, order: Order, *replies: Reply) -> None:
        """Remember what an order led to; the same order has one booking, however often it comes."""
        ids = set()
        for reply in replies:
            if reply.status == TAKEN:
                reply.expect(type=PROBLEM)
            else:
                ids.add(accepted(reply, order))
        if len(ids) > 1:
            fail("one booking for one Idempotency-Key", f"{len(ids)}", **AGAIN)
        self.bookings |= dict.fromkeys(ids, order.account)

    def orders(self, count: int, seats: Sequence[str] = SEATS) -> list[Order]:
        """Return orders of many buyers; each seat is wanted by about as many."""
        house, random = self.house, self.house.random
        wanted = random.shuffled([seats[n % len(seats)] for n in range(count)])
        who = [*house.paying, *house.declined]
        return [house.order(self.show, seat, random.pick(who)) for seat in wanted]

    def expect_all_settled(self) -> Counter[str]:
        """Wait until each booking has its last status."""
        return Counter(self.house.settle(account, each) for each, account in self.bookings.items())

    def sell_the_rest(self) -> None:
        """Sell what became free, to people who can pay, until nothing is left."""
        for _ in range(3):
            for seat in self.house.free(self.show):
                order = self.house.order(self.show, seat)
                self.note(order, self.house.persist(order))
            self.expect_all_settled()

    def give_back(self, count: int) -> None:
        """Cancel confirmed bookings: each reply says so, and the seat is free again."""
        sold = [b for b, a in self.bookings.items() if self.house.status(a, b) == "confirmed"]
        for booking in sold[:count]:
            reply = self.house.door.request(
                "DELETE", f"{BOOKINGS}/{booking}", headers=self.bookings[booking].signed_in
            )
            reply.expect(200, json={"id": booking, "status": "cancelled"})
            seat = reply.json().get("seat")
            if seat not in self.house.free(self.show):
                reply.fail(f"{seat} among the free seats, once its ticket was given back")

    def expect_right_sums(self) -> None:
        """Look that each seat was sold once, and that money in equals tickets out."""
        looks = {b: self.house.look(a, b).expect(200).json() for b, a in self.bookings.items()}
        confirmed = {b: told for b, told in looks.items() if told.get("status") == "confirmed"}
        seats = Counter(told.get("seat") for told in confirmed.values())
        if set(seats) != set(SEATS) or len(confirmed) != len(SEATS):
            twice = sorted(str(seat) for seat, times in seats.items() if times > 1)
            saw = (
                f"{len(confirmed)} for {len(seats)} seats; sold twice: {', '.join(twice) or 'none'}"
            )
            fail("60 confirmed bookings, one for each seat", saw, **AGAIN)
        eventually(lambda: self._expect_money(set(confirmed)), within_s=SETTLED_WITHIN_S)

    def _expect_money(self, confirmed: set[str]) -> None:
        names = {account.name for account in self.house.declined}
        charges = self.house.sent(CHARGES, self.show)
        keys: dict[str, str] = {}
        for charge in charges:
            booking = str(said(charge).get("booking_id"))
            if keys.setdefault(key_of(charge), booking) != booking:
                fail("another Idempotency-Key for each booking's charge", key_of(charge), **AGAIN)
        # Under one key the company takes money once, however often it is asked.
        paid = {key_of(c): keys[key_of(c)] for c in charges if said(c).get("user") not in names}
        refunds = self.house.partners.requests(REFUNDS)
        charged = Counter(paid.values())
        returned = Counter({key_of(r): str(said(r).get("booking_id")) for r in refunds}.values())
        nets = {b: charged[b] - returned[b] for b in {*keys.values(), *self.bookings}}
        wrong = {b: net for b, net in nets.items() if net != (b in confirmed)}
        if wrong:
            total = sum(nets.values())
            booking, net = next(iter(wrong.items()))
            what = "confirmed" if booking in confirmed else "not confirmed"
            fail(
                "charges less refunds = 60 prices: one for each confirmed booking, no other",
                f"{total} prices; booking {booking} is {what}, and {net} of its charges are kept",
                **AGAIN,
            )


def key_of(request: Received) -> str:
    """Return a request's Idempotency-Key."""
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        fail(f"an Idempotency-Key in {request.method} {request.path}", "none", **AGAIN)
    return key


def rush(sale: Sale, orders: Sequence[Order], meanwhile: Any = lambda: None) -> None:
    """Let all buyers come, a third of them twice at once; something may happen meanwhile."""
    gate = threading.Semaphore(SIDE_BY_SIDE)

    def buy(order: Order) -> Reply:
        with gate:
            return sale.house.persist(order)

    doubled = [order for n, order in enumerate(orders) for _ in range(1 + (n % 3 == 0))]
    with at_once(buy, doubled) as crowd:
        meanwhile()
    replies = crowd.results()
    for order in orders:
        sale.note(order, *(r for o, r in zip(doubled, replies, strict=True) if o is order))


def seats_in(events: Sequence[ServerEvent]) -> dict[str, str]:
    """Return each seat's last state, as a browser would draw it."""
    told = [event.json() for event in events if event.type == "seat"]
    return {str(t.get("seat")): str(t.get("state")) for t in told if isinstance(t, dict)}


def expect_stream(house: House, show: Show, stream: EventStream) -> None:
    """Look that a stream has told of the whole sale, and that another one takes it up midway."""

    def drawn() -> None:
        stream.listen(0.1)
        unsold = sorted(s for s in SEATS if seats_in(stream.events).get(s) != "sold")
        if unsold:
            fail(
                '60 seats whose last event says "sold"', f"not of {', '.join(unsold[:5])}", **AGAIN
            )

    eventually(drawn, within_s=MOMENT_S)
    ids = [event.id for event in stream.events]
    if len(set(ids)) != len(ids) or not all(ids):
        fail("another id for each event", f"{len(ids)} events, {len(set(ids))} ids", **AGAIN)
    middle = len(ids) // 2
    headers = {"Last-Event-ID": ids[middle]}
    with EventStream(house.door.connect(), f"{SHOWS}/{show.id}/events", headers) as resumed:
        later = [event.id for event in resumed.wait_for(len(ids) - middle - 1)]
    if later != ids[middle + 1 :]:
        fail("exactly the events behind Last-Event-ID, in their order", f"{later[:3]} …", **AGAIN)


@points(
    3,
    hints=(
        (
            "What keeps two buyers from holding one seat: a look beforehand, or the database?"
            " And what happens to a booking whose buyer can't pay?"
        ),
        (
            "A unique index on (show_id, seat) where the status isn't cancelled, and one on"
            " (user, Idempotency-Key). A 402 cancels the booking, which frees the seat; a ticket"
            " that is given back is refunded under one key."
        ),
    ),
    link="A seat is held by an index",
)
def check_sells_sixty_seats(house: House) -> None:
    """400 buyers: each seat sold once, money in equals tickets out, everybody gets an answer"""
    show, _ = house.add_show()
    sale = Sale(house, show)
    shaky = house.paying[0]
    house.partners.reply(CHARGES, house.random.pick((500, 503)), having=shaky.name, times=6)
    with EventStream(house.door.connect(), f"{SHOWS}/{show.id}/events") as stream:
        rush(sale, sale.orders(BUYERS))
        if not sale.expect_all_settled()["cancelled"]:
            fail("bookings that the company declined, cancelled", "none", **AGAIN)
        sale.give_back(BACK)
        sale.sell_the_rest()
        sale.expect_right_sums()
        expect_stream(house, show, stream)


# --- the edge ----------------------------------------------------------------------------------


def expect_accounts(house: House) -> None:
    """Sample module 5: sessions that each replica knows, ends that are ends, no password kept."""
    account = house.open_account()
    told = {"user": account.name, "password": account.password}
    house.door.post(USERS, json=told).expect(409, type=PROBLEM)
    wrong = {**told, "password": account.password.upper()}
    house.door.post("/api/login", json=wrong).expect(401, type=PROBLEM)
    for _ in range(4):
        house.door.get("/api/me", headers=account.signed_in).expect(
            200, json={"user": account.name}
        )
    reply = house.door.post("/api/login", json=told).expect(204)
    words = {word.strip().lower() for word in reply.headers["Set-Cookie"].split(";")}
    if (
        "httponly" not in words
        or "path=/" not in words
        or not words & {"samesite=lax", "samesite=strict"}
    ):
        reply.fail(
            "a cookie that is HttpOnly, SameSite and has Path=/", reply.headers["Set-Cookie"]
        )
    house.door.post("/api/logout", json={}, headers=account.signed_in).expect(204)
    house.door.get("/api/me", headers=account.signed_in).expect(401, type=PROBLEM)
    keyed = {"Idempotency-Key": house.random.hex(20)}
    order = {"show_id": 1, "seat": "A1"}
    house.door.post(BOOKINGS, json=order, headers=keyed).expect(401, type=PROBLEM)
    dump = house.stack.compose("exec", "-T", "db", "pg_dumpall", "--username", "lantern")
    if dump.exit_code or not dump.stdout.strip():
        fail(
            "a dump of db as lantern",
            dump.stderr[-200:],
            command="docker compose exec db pg_dumpall -U lantern",
        )
    if account.password in dump.stdout:
        fail(
            "no password in the database",
            "a password as it was typed",
            command="docker compose exec db pg_dumpall -U lantern",
        )


def expect_repeats(house: House, show: Show) -> None:
    """Sample module 10: a repeated order is one booking, whichever replica it comes to."""
    order = house.order(show, "A1")
    # Before anybody knows the key: at once, at all replicas.
    with at_once(house.book, [order] * 6) as crowd:
        pass
    ids = {accepted(reply, order) for reply in crowd.results()}
    if len(ids) != 1:
        fail("one booking for six equal requests at the same time", f"{len(ids)}", **AGAIN)
    [first] = ids
    for _ in range(4):
        again = house.book(order)
        if accepted(again, order) != first:
            again.fail(f"the booking {first} again")
    house.book(Order(order.account, show, "A2", order.key)).expect(422, type=PROBLEM)
    other = Order(next(a for a in house.paying if a != order.account), show, "A3", order.key)
    accepted(house.book(other), other)
    told = {"show_id": show.id, "seat": "A4"}
    house.door.post(BOOKINGS, json=told, headers=order.account.signed_in).expect(400, type=PROBLEM)
    house.look(other.account, first).expect(404, type=PROBLEM)


def expect_refusals(house: House, show: Show) -> None:
    """Sample module 11: problem details that name every mistake, and give nothing else away."""
    mistakes: dict[str, Any] = {
        "title": house.random.pick(("", 7)), "starts_at": house.random.pick(("tomorrow", None)),
        "price_cents": house.random.pick((0, -5, "7", 1.5)),
    }  # fmt: skip
    dropped = house.random.pick(sorted(mistakes))
    kept = {name: value for name, value in mistakes.items() if name != dropped}
    reply = house.door.post(SHOWS, json=house.fields(**kept), headers=house.staff)
    expect_problem(reply, 422, kept)
    order = house.order(show, house.random.pick(("G1", "A11", "A0")))
    expect_problem(house.book(order, show_id=str(show.id)), 422, ("show_id", "seat"))
    expect_problem(house.book(house.order(Show(10**8, 1), "B1")), 404)
    expect_problem(house.door.get(f"{SHOWS}/{10**8}", headers=house.caller()), 404)
    expect_problem(house.door.get(f"/{house.random.word()}"), 404)
    broken = {**house.staff, "Content-Type": "application/json"}
    expect_problem(house.door.post(SHOWS, body=b'{"title": "', headers=broken), 400)
    expect_problem(house.door.post(SHOWS, json=house.fields()), 401)
    expect_problem(
        house.door.post(SHOWS, json=house.fields(), headers={"X-Staff-Key": house.staff_key[:-1]}),
        401,
    )


def expect_problem(reply: Reply, status: int, fields: Sequence[str] | dict[str, Any] = ()) -> None:
    """Look that a refusal is problem details, and points to exactly these fields."""
    told = reply.expect(status, type=PROBLEM, json=None).json()
    if (
        not isinstance(told, dict)
        or told.get("status") != status
        or not all(isinstance(told.get(name), str) and told[name] for name in ("type", "title"))
    ):
        reply.fail(f'{status} · {PROBLEM} with "type", "title" and "status": {status}')
    if fields:
        errors = told.get("errors") or []
        pointers = sorted(str(e.get("pointer")) for e in errors if isinstance(e, dict))
        if pointers != sorted(f"/{name}" for name in fields):
            reply.fail(f"errors that point to {', '.join(f'/{name}' for name in sorted(fields))}")


def expect_versions(house: House) -> None:
    """Sample modules 10, 12 and 15: a show as version 2 has it, edited once, and never stale."""
    show, told = house.add_show()
    path = f"{SHOWS}/{show.id}"
    reply = house.door.get(path, headers=house.caller()).expect(
        200, json=told, headers={"ETag": None}
    )
    tag = reply.headers["ETag"]
    house.door.get(path, headers={**house.caller(), "If-None-Match": tag}).expect(304, body="")
    changed = house.fields(venue=None)
    house.door.request("PUT", path, json=changed, headers=house.staff).expect(428, type=PROBLEM)
    matching = {**house.staff, "If-Match": tag}
    house.door.request("PUT", path, json=changed, headers=matching).expect(
        200, json={"id": show.id, **changed}
    )
    for _ in range(4):
        house.door.get(path, headers=house.caller()).expect(200, json={"id": show.id, **changed})
    lost = house.fields()
    house.door.request("PUT", path, json=lost, headers=matching).expect(412, type=PROBLEM)
    listed = house.door.get(SHOWS, headers=house.caller()).expect(200, json={}).json().get("shows")
    if not isinstance(listed, list) or {"id": show.id, **changed} not in [
        {name: each.get(name) for name in ("id", *changed)}
        for each in listed
        if isinstance(each, dict)
    ]:
        fail(f"the show {show.id} as it is now in {SHOWS}", "another one, or none")
    times = [str(each.get("starts_at")) for each in listed]
    if times != sorted(times):
        fail("shows in the order of starts_at", ", ".join(times[:4]))


def expect_budget(house: House) -> None:
    """Sample module 14: one bucket for all replicas, and none while the cache is away."""
    caller = house.caller()
    # A request without a key counts for its address, and only our requests come from ours.
    for fields in (caller, {}):
        expect_bucket(house, fields)
    house.stack.kill("cache")
    try:
        for _ in range(4):
            house.door.get(SHOWS, headers=caller).expect(200)
    finally:
        house.stack.start("cache")


def expect_bucket(house: House, caller: dict[str, str]) -> None:
    """Spend a new caller's bucket at once, at all replicas."""
    many = range(house.rate + 6)
    with at_once(lambda _: house.door.get(SHOWS, headers=caller), many) as crowd:
        pass
    replies = crowd.results()
    refused = [r for r in replies if r.status == TOO_MANY]
    if len(replies) - len(refused) != house.rate:
        who = "one X-Api-Key" if caller else "one address"
        saw = f"{len(replies) - len(refused)}"
        fail(
            f"{house.rate} of {len(replies)} requests of {who} let in, RATE={house.rate}",
            saw,
            **AGAIN,
        )
    expect_problem(refused[0], TOO_MANY)
    if not re.fullmatch(r"[1-9]\d*", refused[0].headers.get("Retry-After", "")):
        refused[0].fail("429 with Retry-After in seconds")


def expect_one_door(house: House) -> None:
    """Look that nothing but the door is published, and that only on this machine."""
    published = [p for c in house.stack.containers() for p in c.published]
    if len(published) != 1 or not published[0].startswith(f"127.0.0.1:{DOOR} "):
        fail(
            f"one published port, 127.0.0.1:{DOOR}",
            ", ".join(published),
            command="docker compose ps",
        )


def expect_probes(house: House) -> None:
    """Sample module 25: each replica says whether it lives, and whether it can sell."""

    def expect_ready(status: int) -> None:
        for each in house.edges():
            each.get(PORT, "/readyz").expect(status)

    expect_ready(200)
    house.stack.kill("db")
    try:
        eventually(lambda: expect_ready(503), within_s=MOMENT_S)
        for each in house.edges():
            each.get(PORT, "/healthz").expect(200)
    finally:
        house.stack.start("db")
    eventually(lambda: expect_ready(200), within_s=SETTLED_WITHIN_S)
    eventually(lambda: house.door.get("/readyz").expect(200), within_s=SETTLED_WITHIN_S)


@points(
    2,
    hints=(
        "Which promise of an earlier module breaks when the next request goes to another replica?",
        (
            "Keep sessions, keys and buckets where all replicas find them, and nothing in a"
            " replica's memory. Send every refusal through one function that writes problem"
            " details."
        ),
    ),
    link="The edge promises, the worker keeps",
)
def check_behaves_at_the_edge(house: House) -> None:
    """Accounts, repeats, refusals, shows, rate limit and probes behave as in their modules"""
    show, _ = house.add_show()
    expect_one_door(house)
    expect_accounts(house)
    expect_repeats(house, show)
    expect_refusals(house, show)
    expect_versions(house)
    expect_budget(house)
    expect_probes(house)


# --- what happened -----------------------------------------------------------------------------


def totals(house: House) -> Counter[tuple[str, ...]]:
    """Return what all programs have counted, added up: requests and bookings by their labels."""
    counted: Counter[tuple[str, ...]] = Counter()
    for text in exposed(house):
        for name, labels, value in SAMPLE.findall(text):
            told = dict(re.findall(r'(\w+)="([^"]*)"', labels))
            wanted = LABELS.get(name)
            if wanted:
                counted[(name, *(told.get(label, "") for label in wanted))] += round(float(value))
    return counted


def exposed(house: House) -> list[str]:
    """Return the metrics of each container that has some; a replica of edge must."""
    texts = []
    own = house.own()
    for container in house.stack.containers():
        if container.exit_code is None and container.service in ("edge", *own):
            try:
                texts.append(container.get(METRICS_PORT, "/metrics").expect(200).text)
            except Failure:
                if container.service == "edge":
                    raise
    return texts


def expect_counted(
    house: House, before: Counter[tuple[str, ...]], wanted: dict[tuple[str, ...], int]
) -> None:
    """Wait until all programs together have counted so much more."""

    def expect() -> None:
        after = totals(house)
        for key, more in wanted.items():
            if after[key] - before[key] != more:
                fail(
                    f"{' '.join(key)}: {more} more, in all containers together",
                    f"{after[key] - before[key]}",
                    **AGAIN,
                )

    eventually(expect, within_s=MOMENT_S)


def expect_trace(house: House, booking: str, trace_id: str, what: str) -> str:
    """Look that the calls for a booking belong to a trace; return the trace's id."""
    spans = []
    for route in (CHARGES, MAILS):
        [request, *_] = house.partners.requests(
            route, having=booking, at_least=1, within_s=SETTLED_WITHIN_S
        )
        sent = request.headers.get("traceparent", "(absent)")
        found = TRACE.match(sent)
        if not found or (trace_id and found[1] != trace_id):
            fail(f"traceparent: 00-{trace_id or '…'}-… in {route}, {what}", sent, **AGAIN)
        trace_id = found[1]
        spans.append(found[2])
    if len(set(spans)) != len(spans):
        fail("another parent id in each call", f"{spans[0]} twice", **AGAIN)
    return trace_id


def expect_mails(house: House, names: dict[str, str], lost: Sequence[str]) -> None:
    """Look that each confirmed booking has its mail, under one id, and no other one has any."""
    for booking, name in names.items():
        mails = house.partners.requests(MAILS, having=booking, at_least=1, within_s=MOMENT_S)
        told = {(said(m).get("to"), said(m).get("message_id")) for m in mails}
        if len(told) != 1 or {to for to, _ in told} != {name} or not all(i for _, i in told):
            fail(f"{MAILS} to {name} with one message_id", str(sorted(map(str, told))), **AGAIN)
    for booking in lost:
        if house.partners.requests(MAILS, having=booking):
            fail(f"no {MAILS} for a booking that was declined", "one", **AGAIN)


def printed(house: House) -> dict[str, str]:
    """Return what each of the answer's services has printed."""
    words = ("logs", "--no-color", "--no-log-prefix")
    return {s: house.stack.compose(*words, s).stdout for s in ("edge", *house.own())}


def expect_json_lines(logs: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Look that each line is a JSON object with what every line has; return them."""
    read: dict[str, list[dict[str, Any]]] = {}
    for service, text in logs.items():
        read[service] = []
        for line in text.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict) or not record.keys() >= EVERY_LINE:
                fail(
                    f"a JSON object with {', '.join(sorted(EVERY_LINE))} in each line of {service}",
                    line[:200], command=f"docker compose logs {service}",
                )  # fmt: skip
            read[service].append(record)
    return read


def expect_logged(lines: dict[str, list[dict[str, Any]]], trace_id: str) -> None:
    """Look that a trace is in the logs: its request at the edge, and what others did for it."""
    command = f"docker compose logs | grep {trace_id}"
    ours = {s: [r for r in found if r.get("trace_id") == trace_id] for s, found in lines.items()}
    ended = [r for r in ours["edge"] if r.get("status") == ACCEPTED]
    if [(r.get("method"), r.get("route")) for r in ended] != [("POST", BOOKINGS)]:
        wanted = f"one line of edge with this trace_id, POST, {BOOKINGS} and status 202"
        fail(wanted, str(ended)[:200], command=command)
    others = [s for s, found in lines.items() if found and s != "edge"]
    if others and not any(ours[service] for service in others):
        fail(f"a line with this trace_id from {' or '.join(others)}", "none", command=command)


def expect_no_secrets(house: House, logs: dict[str, str]) -> None:
    """Look through all that the answer's containers have printed."""
    for service, text in logs.items():
        for what, secret in house.secrets.items():
            if secret in text:
                command = f"docker compose logs {service}"
                fail(f"no secret in the log of {service}", what, command=command)


@points(
    2,
    hints=(
        (
            "Follow one booking by its trace id: the edge's log, the table, the message, the"
            " charge, the mail. Where does the thread end?"
        ),
        (
            "Store traceparent with the booking; the worker that handles it later continues it:"
            " the same trace id, a new parent id for each call. Count a booking once, after the"
            " commit of its last status."
        ),
    ),
    link="One thread from the click to the mail",
    needs=("sells_sixty_seats",),
)
def check_shows_what_happened(house: House) -> None:
    """A booking leaves its trace from edge to mail, counters are right, no secret is logged"""
    show, _ = house.add_show()
    before = totals(house)
    trace_id = house.random.hex(32)
    headers = {"traceparent": f"00-{trace_id}-{house.random.hex(16)}-01"}
    seats = iter(SEATS)
    shaky = house.open_account()
    house.partners.reply(CHARGES, 503, having=shaky.name, times=2)
    traced = house.sell(house.order(show, next(seats), shaky), headers=headers)
    many = house.random.integer(3, 5)
    orders = [house.order(show, next(seats)) for _ in range(many)]
    plain = [house.sell(order) for order in orders]
    lost = [house.sell(house.order(show, next(seats), a), "cancelled") for a in house.declined]
    for _ in range(2):
        house.book(house.order(show, SEATS[0])).expect(TAKEN, type=PROBLEM)
    house.door.get(f"/{house.random.word()}").expect(404)
    expect_trace(house, traced, trace_id, "as the buyer's request had it")
    own = expect_trace(house, plain[0], "", "a trace of its own")
    if own == expect_trace(house, plain[1], "", "a trace of its own"):
        fail("another trace for each booking", own, **AGAIN)
    names = {traced: shaky.name, **{b: o.account.name for b, o in zip(plain, orders, strict=True)}}
    expect_mails(house, names, lost)
    sold, refused = many + 1, len(house.declined)
    expect_counted(
        house, before,
        {
            ("bookings_total", "confirmed"): sold, ("bookings_total", "cancelled"): refused,
            ("http_requests_total", "POST", BOOKINGS, "202"): sold + refused,
            ("http_requests_total", "POST", BOOKINGS, "409"): 2,
            ("http_requests_total", "GET", "other", "404"): 1,
        },
    )  # fmt: skip
    logs = printed(house)
    expect_no_secrets(house, logs)
    lines = expect_json_lines(logs)
    for each in (trace_id, own):
        expect_logged(lines, each)


# --- the storm ---------------------------------------------------------------------------------


def storm(sale: Sale, seats: Sequence[str]) -> None:
    """Let the broker, a replica, the workers and the cache fail, each while it is needed."""
    house, stack = sale.house, sale.house.stack
    with house.partners.holding(CHARGES, having=str(sale.show.price)) as held:
        held.wait(4, within_s=SETTLED_WITHIN_S)
        stack.kill("broker")
        gone = time.monotonic()
        for seat in seats:
            order = house.order(sale.show, seat)
            sale.note(order, house.persist(order))
        time.sleep(max(0.0, gone + AWAY_S - time.monotonic()))
        for service in house.own():
            stack.kill(service)
        stack.kill("edge", 1)
    stack.kill("cache")
    house.revive()


def expect_leave(house: House) -> None:
    """Look that each program ends by itself when it is told to."""
    services = ("edge", *house.own())
    house.stack.compose("stop", "--timeout", "9", *services)
    for container in (c for s in services for c in house.stack.containers(s)):
        if container.exit_code != 0:
            name = container.service
            fail(
                f"exit code 0 of {name} after SIGTERM", container.status,
                command=f"docker compose stop {name} && docker compose ps --all",
            )  # fmt: skip


@points(
    3,
    hints=(
        (
            "Imagine each program dying after each of its lines. What does the next one find, and"
            " where? What is only in a process, in the cache, or in a message?"
        ),
        (
            "Write the event in the booking's transaction, and mark it as sent once the broker has"
            " confirmed it. Acknowledge a message after the work. Each step is safe to repeat,"
            " because the booking says what is left to do, and its Idempotency-Keys stay the same."
        ),
    ),
    link="Killed between any two lines",
    needs=("sells_sixty_seats",),
)
def check_keeps_its_word_in_a_storm(house: House) -> None:
    """Broker, cache, a replica and the workers die during the sale, and the sums are still right"""
    show, _ = house.add_show()
    sale = Sale(house, show)
    early = house.sign_in(house.paying[0])
    kept = house.random.shuffled(SEATS)
    ours, theirs = kept[:3], kept[3:]
    rush(sale, sale.orders(STORM_BUYERS, theirs), lambda: storm(sale, ours))
    sale.expect_all_settled()
    sale.sell_the_rest()
    sale.expect_right_sums()
    house.door.get("/api/me", headers=early.signed_in).expect(200, json={"user": early.name})
    expect_leave(house)
