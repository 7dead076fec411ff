import base64
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate
from itertools import cycle
from typing import Any
from urllib.parse import quote, unquote

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Database,
    EventStream,
    Failure,
    HeldBack,
    Image,
    Postgres,
    Random,
    Reply,
    Server,
    ServerEvent,
    StartFailure,
    Stub,
    Valkey,
    advising,
    at_once,
    eventually,
    fail,
    points,
)

CHARGES, ME = "POST /charges", "/api/me"
REPLICAS, HANDS = 3, 4
MIGRATES_WITHIN_S = 10.0
# The contract's promises of time.
HEARD_WITHIN_S, TAKES_OVER_WITHIN_S = 1.0, 2.0
ANSWERS_WITHIN_S, CHARGED_WITHIN_S = 10.0, 10.0
# For each of many replies, where the machine may be busy: the wait for one is never extended.
CROWD_ANSWERED_WITHIN_S = 40.0
# Of ten ticks, in ten times TICK_MS: two replicas that both tick make twenty.
TICKS, FEWEST, MOST = 10, 6, 13
RUSH, TOO_MANY = 120, 6
# More than two replicas charge in two rounds, and some that come just before one of them dies.
FEW, LATE = 26, 6
TAKEN, NO_ROOM = 409, 503
# They are asked for at the same time as those that are too many.
LAST_PLACES = 3
CROWD = 30
# With the one that was lost on its way, nearly the hundred events that are kept.
MISSED, ELSEWHERE = 20, 55
POSTER_BYTES = 1_000_000
# An answer that works on too many, or tells too early, has done so by then.
SURELY_S = 0.3
# Some clients give up after 5 s by default; one that asks again has done so by then.
LONG_S = 7.0
ATTEMPTS = 3
SEATS = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 11)]
Body = dict[str, Any]
# Ways out of mistakes that a check's own hints don't speak of.
ACCEPT_AT_ONCE = (
    "Every booking gets its 202 at once, before it is charged, as long as fewer than QUEUE_MAX"
    " wait. If the reply is a 500, look at the log: the database takes 90 connections from all"
    " replicas together, so each replica needs a pool with a limit."
)
ALONE_IS_CHARGED = (
    "Nobody charged this booking within 10 s. Look at the logs of all replicas: what wakes the"
    " hands when a single booking comes, and did its charge fail?"
)
ONE_STEP = (
    "Several saw the seat free: a replica looks only in its own memory, or it looks first and"
    " books later. UNIQUE (show_id, seat) does both in one step: when the INSERT finds the seat"
    " taken, answer 409."
)
REFUSED_DONT_PAY = (
    "Whoever gets 409 must not pay. Look whether the seat is free in the transaction that puts the"
    " booking into the queue, and roll back if it isn't."
)
FORGEABLE = (
    "Anybody can write a cookie that names a user. Send a random token and keep the user under it"
    " in Valkey, where every replica finds it; or sign the cookie."
)
BYTES_NOT_TEXT = (
    "Keep the poster as bytes, in a bytea column: bytes that aren't valid UTF-8 are lost in text."
)
PAID_FIRST = "Send the event once the payment company has answered, and not before."
LONG_IS_ALIVE = (
    "A charge that takes long is not lost: wait for its reply without giving up after some seconds."
    " A replica that starts can't know whether the others still work on what is being charged, so"
    " it leaves that alone."
)


# --- the fleet ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Order:
    """What somebody wants: a seat of a show."""

    show: int
    seat: str
    user: str

    @property
    def fields(self) -> Body:
        """What everybody is told of it."""
        return {"show_id": self.show, "seat": self.seat, "user": self.user}

    @property
    def request(self) -> bytes:
        """The bytes that order it."""
        body = json.dumps({"seat": self.seat, "user": self.user})
        return (
            f"POST /api/shows/{self.show}/bookings HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    @property
    def crowd(self) -> str:
        """The first word of the user's name, which all have who come together."""
        return self.user.partition("-")[0]


@dataclass(frozen=True)
class Booking:
    """An order that was accepted, under this id."""

    id: str
    order: Order


class Fleet:
    """Three replicas over one database and one Valkey, and the payment company they ask."""

    def __init__(
        self, replicas: list[Server], database: Database, valkey: Valkey, payments: Stub,
        random: Random,
    ) -> None:  # fmt: skip
        self.replicas, self.database, self.valkey = replicas, database, valkey
        self.payments, self.random = payments, random
        self._shows = iter(range(random.integer(11, 999), 10**6, random.integer(3, 9)))
        self._crowds = iter(range(random.integer(111, 999), 10**6, random.integer(3, 9)))

    @contextmanager
    def on_duty(self) -> Iterator[list[Server]]:
        """Have all replicas up; where the block fails, they end, so that fresh ones are alone."""
        self._expect_up(self.replicas)
        try:
            yield self.replicas
        except Failure as failure:
            # Nobody is left to ask.
            failure.command, failure.comes_again = CHECK_AGAIN, None
            for server in self.replicas:
                with suppress(Exception):
                    server.kill()
            raise

    def restart(self, *servers: Server) -> None:
        """Start replicas that were killed, each in a fresh container."""
        for server in servers:
            server.start_again()
        self._expect_up(servers)

    def _expect_up(self, servers: Sequence[Server]) -> None:
        for server in servers:
            server.get(ME).expect(401)

    def new_show(self) -> int:
        """Return the id of a show that nobody has asked for."""
        return next(self._shows)

    def orders(self, count: int, *, of: int | None = None) -> list[Order]:
        """Return orders of different seats by people who come together.

        Args:
            count: of orders.
            of: the show; as many as it takes by default.
        """
        shows = [of or self.new_show() for _ in range(0, count, len(SEATS))]
        seats = [(show, seat) for show in shows for seat in self.random.shuffled(SEATS)]
        crowd = f"{self.random.word()}{next(self._crowds)}"
        return [Order(*seats[n], f"{crowd}-{n}") for n in range(count)]

    def ask(self, order: Order, server: Server, *, timeout_s: float = ANSWERS_WITHIN_S) -> Reply:
        """Order a seat from a replica."""
        body = {"seat": order.seat, "user": order.user}
        path = f"/api/shows/{order.show}/bookings"
        return server.post(path, json=body, timeout_s=timeout_s)

    def ask_before_any_is_written(self, asking: Sequence[tuple[Order, Server]]) -> list[Reply]:
        """Order seats while writes wait, so that who looks before it writes has seen nothing."""
        with ExitStack() as lines, self.database.holding_commits() as held:
            self.valkey.run("CLIENT", "PAUSE", str(round(ANSWERS_WITHIN_S * 1000)), "WRITE")
            waiting = [(lines.enter_context(server.connect()), order) for order, server in asking]
            for line, order in waiting:
                line.send(order.request)
            time.sleep(SURELY_S)
            held.release()
            self.valkey.run("CLIENT", "UNPAUSE")
            within_s = CROWD_ANSWERED_WITHIN_S
            return [line.reply(to="POST", timeout_s=within_s) for line, _ in waiting]

    def sell(self, order: Order, server: Server) -> Booking:
        """Have a replica accept an order, and wait for its charge."""
        booking = accepted(order, self.ask(order, server))
        with advising(ALONE_IS_CHARGED):
            # By the user: an id may be as short as "1", which many bodies have in them.
            self._charges(f'"{order.user}"', 1)
        return booking

    def rush(self, orders: Sequence[Order], *servers: Server) -> list[Booking]:
        """Have orders accepted that all come at once, to these replicas in turn."""
        pairs = list(zip(orders, cycle(servers), strict=False))
        within_s = CROWD_ANSWERED_WITHIN_S
        with at_once(lambda pair: self.ask(*pair, timeout_s=within_s), pairs) as crowd:
            pass
        return [accepted(o, r) for o, r in zip(orders, crowd.results(), strict=True)]

    def expect_in_hand(self, held: HeldBack, replicas: int, waiting: int, slow: int = 0) -> None:
        """Wait until replicas have as many charges in hand as they may, and expect no more.

        Args:
            held: the charges.
            replicas: that run.
            waiting: so many bookings.
            slow: so many more charges, held elsewhere, take up a hand.
        """
        most = replicas * HANDS - slow
        beside = f" besides {slow} that takes long" if slow else ""
        what = f"{most} charges at once{beside}, {HANDS} from each replica that runs"
        what = f"{what}, of {waiting} bookings"
        try:
            held.wait(most, within_s=ANSWERS_WITHIN_S)
        except Failure:
            fail(what, f"{len(held.wait(0))}")
        time.sleep(SURELY_S)
        if (seen := len(held.wait(0))) > most:
            fail(what, f"{seen}")

    def begun(self, crowd: str) -> Counter[str]:
        """Return how often bookings of people who came together were charged so far, by id."""
        return Counter(str(charge.get("booking_id")) for charge in self._charges(crowd, 0))

    def expect_kept(self, bookings: Sequence[Booking], before: Mapping[str, int]) -> None:
        """Wait until bookings of a dead replica are charged, unless that had begun before."""
        waited = [booking for booking in bookings if booking.id not in before]

        def look() -> None:
            counts = self.begun(bookings[0].order.crowd)
            lost = [booking for booking in waited if counts[booking.id] != 1]
            if lost:
                what = f"one {CHARGES} for each of {len(waited)} bookings that waited"
                seen = f"{counts[lost[0].id]} with the booking_id {lost[0].id}"
                fail(f"{what} when their replica was killed", f"not so for {len(lost)}: {seen}")

        eventually(look, within_s=CHARGED_WITHIN_S)

    def expect_patience(self, server: Server, others: Sequence[Server]) -> None:
        """Expect that a long charge isn't begun again, not even by a replica that starts then."""
        [slow] = self.orders(1)
        with self.payments.holding(CHARGES, having=slow.user) as held:
            accepted(slow, self.ask(slow, server))
            held.wait(within_s=CHARGED_WITHIN_S)
            end = time.monotonic() + LONG_S
            self.restart(*others)
            time.sleep(max(SURELY_S, end - time.monotonic()))
            if (seen := len(held.wait(0))) > 1:
                what = f"one {CHARGES} for a booking whose charge takes {LONG_S:g} s"
                fail(f"{what}, while other replicas start", f"{seen}", hint=LONG_IS_ALIVE)

    def expect_charged(self, bookings: Sequence[Booking]) -> None:
        """Wait until people who came together are charged for these bookings, for each once."""
        charges = self._charges(bookings[0].order.crowd, len(bookings))
        counts = Counter(str(charge.get("booking_id")) for charge in charges)
        for booking in bookings:
            wanted = {"booking_id": booking.id, **booking.order.fields}
            if (count := counts.pop(booking.id, 0)) != 1:
                fail(f"one {CHARGES} with {wanted}", f"{count} with this booking_id")
            [charge] = [c for c in charges if str(c.get("booking_id")) == booking.id]
            if any(charge.get(name) != value for name, value in wanted.items()):
                fail(f"{CHARGES} with {wanted}", str(charge)[:200])
        if counts:
            fail(f"{CHARGES} for what was accepted, and for nothing else", f"{len(counts)} others")

    def _charges(self, having: str, at_least: int) -> list[Body]:
        """Wait for charges with a text in their body, and return the bodies."""
        asked = self.payments.requests(
            CHARGES, having=having, at_least=at_least, within_s=CHARGED_WITHIN_S
        )
        bodies = [received.json() for received in asked]
        return [body for body in bodies if isinstance(body, dict)]

    def listen(self, server: Server, show: int, last_id: str = "") -> EventStream:
        """Follow a show at a replica, from now on or from an event on."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        return EventStream(server.connect(), f"/api/shows/{show}/events", headers)

    def ticks(self, since: object, seconds: float = 3600) -> list[Body]:
        """Return the rows of `ticks` from a moment on, for so many seconds."""
        within = "at > %s AND at <= %s + %s * interval '1 second'"
        return self.database.rows(f"SELECT at, by FROM ticks WHERE {within} ORDER BY at",  # noqa: S608
                                  since, since, seconds)  # fmt: skip

    def now(self) -> Any:
        """Return the database's time."""
        return self.database.rows("SELECT clock_timestamp() AS now")[0]["now"]


def accepted(order: Order, reply: Reply) -> Booking:
    """Look that an order was accepted, and return the booking."""
    reply.expect(202, json={})
    said = reply.json().get("id")
    if not isinstance(said, str) or not said:
        reply.fail('202 and {"id": "…"}')
    return Booking(said, order)


def expect_events(events: Sequence[ServerEvent], bookings: Sequence[Booking], where: str) -> None:
    """Look that a stream has these bookings, in this order, and no other."""
    for event, booking in zip(events, bookings, strict=False):
        wanted = {"id": booking.id, **booking.order.fields, "status": "confirmed"}
        said = event.json()
        same = isinstance(said, dict) and all(said.get(n) == v for n, v in wanted.items())
        if event.type != "booking" or not event.id or not same:
            saw = f"event: {event.type} · id: {event.id or '(absent)'} · data: {event.data[:300]}"
            fail(f"event: booking · id: … · data: {wanted} {where}", saw)
    if len(events) != len(bookings):
        fail(f"{len(bookings)} events {where}", f"{len(events)}")
    if len({event.id for event in events}) < len(events):
        fail(f"another id for each event {where}", ", ".join(e.id for e in events)[:200])


# --- what they run over -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(postgres: Postgres, image: Image) -> Database:
    """A database that the answer's ./migrate brought up to date."""
    made = postgres.create_database()
    env = {"DATABASE_URL": made.url}
    finished = image.run(args=["./migrate"], env=env, within_s=MIGRATES_WITHIN_S)
    if finished.exit_code:
        raise StartFailure(
            "./migrate brings an empty database up to date: exit code 0",
            f"exit code {finished.exit_code}",
            command=f"docker logs {finished.container_name}",
            hint=(
                "the log says what failed: PostgreSQL refused a statement, or migrate needs a"
                " variable other than DATABASE_URL"
            ),
        )
    return postgres.create_database(template=made.name, holds_commits=True)


@pytest.fixture(scope="module")
def tick_ms(random: Random) -> int:
    """How often something has to happen."""
    return random.integer(121, 159)


@pytest.fixture(scope="module")
def queue_max(random: Random) -> int:
    """How many bookings may wait: a rush fits in, and it is not the default."""
    return random.integer(RUSH + 1, RUSH + 19)


@pytest.fixture(scope="module")
def fleet(
    image: Image, database: Database, valkey: Valkey, stub: Stub, random: Random,
    tick_ms: int, queue_max: int,
) -> Fleet:  # fmt: skip
    """Three replicas."""
    stub.reply(CHARGES, 201, json={"id": f"ch_{random.hex(12)}"})
    env = {
        "DATABASE_URL": database.url,
        "REDIS_URL": valkey.url,
        "PAYMENTS_URL": stub.url,
        "TICK_MS": str(tick_ms),
        "QUEUE_MAX": str(queue_max),
    }
    replicas = [image.start(env=env) for _ in range(REPLICAS)]
    return Fleet(replicas, database, valkey, stub, random)


# --- state ---------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Which of your variables and files does the next replica not have? Look at what a"
            " request leaves behind for a later one."
        ),
        (
            "A session is a key in Valkey with a lifetime, a poster is a bytea in the database,"
            " and a seat is sold by an INSERT into a table with UNIQUE (show_id, seat): the"
            " second to come gets 409."
        ),
    ),
    link="Where state hides",
)
def check_any_replica_will_do(fleet: Fleet) -> None:
    """A login, poster or booking at one replica counts at all of them, even when it dies"""
    with fleet.on_duty() as (first, second, third):
        random, (order, other) = fleet.random, fleet.orders(2)
        cookies = {log_in(s, user): user for s in (first, second) for user in [random.hex(8)]}
        show, posters = fleet.new_show(), [(random.bytes(POSTER_BYTES), "image/webp")]
        put_poster(first, show, *posters[0])
        # Whoever keeps what it has read must notice when another replica changes it.
        for server in (first, second, third):
            expect_poster(server, show, *posters[0])
        posters.append((random.bytes(POSTER_BYTES), "application/pdf"))
        put_poster(second, show, *posters[1])
        third.get(f"/api/shows/{fleet.new_show()}/poster").expect(404)
        fleet.sell(order, first)
        fleet.sell(other, second)

        def expect_all(servers: Sequence[Server]) -> None:
            for server in servers:
                expect_sessions(server, cookies, random)
                expect_poster(server, show, *posters[1])
                for each in (order, other):
                    fleet.ask(each, server).expect(409)

        # Charged and confirmed well before a replica dies.
        contested = sell_to_one(fleet)
        expect_all((first, second, third))
        first.kill()
        expect_all((second, third))
        fleet.restart(first)
        expect_all((first,))
        # Who was refused in the meantime has not paid either.
        with advising(REFUSED_DONT_PAY):
            fleet.expect_charged([contested])


def sell_to_one(fleet: Fleet) -> Booking:
    """Have a crowd order one seat at all replicas at once, and return the one booking."""
    [wanted] = fleet.orders(1)
    crowd = [Order(wanted.show, wanted.seat, f"{wanted.crowd}-{n}") for n in range(CROWD)]
    replies = fleet.ask_before_any_is_written(list(zip(crowd, cycle(fleet.replicas), strict=False)))
    answers = Counter(reply.status for reply in replies)
    if answers != {202: 1, TAKEN: CROWD - 1}:
        told = ", ".join(f"{n} times {status}" for status, n in sorted(answers.items()))
        what = f"202 for one of {CROWD} who order one seat at once, and 409 for the others"
        fail(what, told, command=CHECK_AGAIN, hint=ONE_STEP)
    [booking] = [accepted(o, r) for o, r in zip(crowd, replies, strict=True) if r.status != TAKEN]
    with advising(REFUSED_DONT_PAY):
        fleet.expect_charged([booking])
    return booking


def log_in(server: Server, user: str) -> str:
    """Log in, and return the cookie."""
    reply = server.post("/api/login", json={"user": user}).expect(200, json={"user": user})
    cookie = reply.headers.get("Set-Cookie", "").partition(";")[0].strip()
    if not cookie.partition("=")[2]:
        reply.fail("200 · Set-Cookie: …=…")
    return cookie


def expect_sessions(server: Server, cookies: dict[str, str], random: Random) -> None:
    """Look that a replica knows who has which cookie."""
    for cookie, user in cookies.items():
        server.get(ME, headers={"Cookie": cookie}).expect(200, json={"user": user})
    unknown = f"{next(iter(cookies)).partition('=')[0]}={random.hex(32)}"
    with advising(FORGEABLE):
        server.get(ME, headers={"Cookie": unknown}).expect(401)
        for cookie, user in cookies.items():
            for forged in with_another_user(cookie, user, random.hex(len(user))):
                server.get(ME, headers={"Cookie": forged}).expect(401)


def with_another_user(cookie: str, user: str, other: str) -> Iterator[str]:
    """Yield cookies in which another user is named, wherever the value tells the user's name."""
    name, _, value = cookie.partition("=")
    if user in value:
        yield f"{name}={value.replace(user, other)}"
    # As it came, and as it was before it was escaped or put in quotes.
    for text in dict.fromkeys((value, unquote(value).strip('"'))):
        for part in text.split("."):
            for encoded in naming_another(part, user, other):
                yield f"{name}={text.replace(part, encoded)}"


def naming_another(part: str, user: str, other: str) -> set[str]:
    """Return base64 with another user in it, padded in all ways; nothing where it names none."""
    bare = part.rstrip("=")
    try:
        told = base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except ValueError:
        return set()
    if user.encode() not in told:
        return set()
    encoded = base64.urlsafe_b64encode(told.replace(user.encode(), other.encode())).decode()
    return {encoded, encoded.rstrip("="), quote(encoded, safe="")}


def put_poster(server: Server, show: int, poster: bytes, kind: str) -> None:
    """Upload a poster."""
    path, headers = f"/api/shows/{show}/poster", {"Content-Type": kind}
    server.request("PUT", path, body=poster, headers=headers).expect(204)


def expect_poster(server: Server, show: int, poster: bytes, kind: str) -> None:
    """Look at a poster."""
    reply = server.get(f"/api/shows/{show}/poster").expect(200, type=kind)
    if reply.body != poster:
        saw = f"{len(reply.body):,} bytes, others"
        with advising(BYTES_NOT_TEXT if len(reply.body) != len(poster) else ""):
            reply.fail(f"the {len(poster):,} bytes that were uploaded last", saw)


# --- once among many -----------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Look at the latest rows of ticks: how many are there for each value of `by`? What"
            " decides that only one replica writes them?"
        ),
        (
            "One connection to the database just for ticks. On it, call pg_try_advisory_lock(n)"
            " twice a second until it returns true; then write a row every TICK_MS, on the same"
            " connection. When a replica dies, its connection ends, and with that the lock. Or a"
            " key in Valkey, SET … NX PX 1500, renewed while the replica lives."
        ),
    ),
    link="Once among many",
)
def check_ticks_once(fleet: Fleet, tick_ms: int) -> None:
    """One replica writes the ticks of all three; when it is killed, another does within 2 s"""
    with fleet.on_duty():
        eventually(lambda: expect_ticks(fleet, tick_ms), attempts=ATTEMPTS)
        [last] = fleet.database.rows("SELECT by FROM ticks ORDER BY at DESC LIMIT 1")
        ticker = next(s for s in fleet.replicas if s.container.hostname == last["by"])
        ticker.kill()
        killed = fleet.now()

        def is_taken_over() -> None:
            if not any(tick["by"] != last["by"] for tick in fleet.ticks(killed)):
                what = f"a tick of another replica within {TAKES_OVER_WITHIN_S:g} s"
                fail(f"{what}, after {last['by']} was killed", "none")

        eventually(is_taken_over, within_s=TAKES_OVER_WITHIN_S)
        fleet.restart(ticker)
        eventually(lambda: expect_ticks(fleet, tick_ms), attempts=ATTEMPTS)


def expect_ticks(fleet: Fleet, tick_ms: int) -> None:
    """Look at the rows of ten ticks: how many, and who wrote them."""
    begun, seconds = fleet.now(), TICKS * tick_ms / 1000
    time.sleep(seconds)
    ticks = fleet.ticks(begun, seconds)
    by = Counter(str(tick["by"]) for tick in ticks)
    what = f"{TICKS} rows in ticks, {FEWEST} to {MOST}, in {TICKS} times TICK_MS={tick_ms}"
    if not FEWEST <= len(ticks) <= MOST:
        fail(what, f"{len(ticks)}: {', '.join(f'{n} by {name}' for name, n in by.items())}")
    strangers = by.keys() - {server.container.hostname for server in fleet.replicas}
    if strangers:
        fail("the hostname of the replica in `by`", ", ".join(sorted(strangers))[:200])


# --- events ---------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        "One replica charges a booking. How do the streams that other replicas serve hear of it?",
        (
            "Send the head of the stream at once. Publish each confirmed booking where every"
            " replica listens: XADD to a stream in Valkey, and in each replica one connection just"
            " for reading, which waits with XREAD BLOCK and passes what comes to its followers."
        ),
    ),
    link="Telling everyone",
)
def check_tells_everyone(fleet: Fleet) -> None:
    """A booking is heard on the streams of all replicas, within 1 s of its charge"""
    with fleet.on_duty() as replicas, ExitStack() as open_streams:
        [early, *orders], [stranger] = fleet.orders(REPLICAS + 1), fleet.orders(1)

        def listen(show: int) -> list[EventStream]:
            return [open_streams.enter_context(fleet.listen(s, show)) for s in replicas]

        streams, elsewhere = listen(early.show), listen(stranger.show)
        sold = [sell_unheard(fleet, early, replicas[1], streams)]
        expect_heard(streams, sold)
        # What was told before is no news for these.
        later_streams = listen(early.show)
        for order, server in zip(orders, replicas, strict=True):
            sold.append(fleet.sell(order, server))
            expect_heard(streams, sold)
        expect_heard(elsewhere, [fleet.sell(stranger, replicas[0])])
        expect_heard(later_streams, sold[1:])
        expect_heard(streams, sold)


def sell_unheard(
    fleet: Fleet, order: Order, server: Server, streams: Sequence[EventStream]
) -> Booking:
    """Sell a seat, and look that nobody hears of it before the payment company has answered."""
    with (
        fleet.payments.holding(CHARGES) as held,
        at_once(lambda wanted: fleet.ask(wanted, server), [order]) as crowd,
    ):
        held.wait()
        for stream in streams:
            if events := stream.listen(SURELY_S / len(streams)):
                what = "no event before the payment company has answered"
                saw = f"event: {events[0].type} · data: {events[0].data[:200]}"
                fail(what, saw, hint=PAID_FIRST)
        held.release()
    return accepted(order, *crowd.results())


def expect_heard(streams: Sequence[EventStream], bookings: Sequence[Booking]) -> None:
    """Wait until each replica's stream has these bookings, and look that it has no other."""
    for number, stream in enumerate(streams, 1):
        where = f"on the stream of replica {number}"
        events = stream.wait_for(len(bookings), within_s=HEARD_WITHIN_S)
        expect_events(events, bookings, where)


@points(
    1,
    hints=(
        "Where are the events that a client missed, and does every replica number them alike?",
        (
            "Keep the events in one place, in the order of their ids: a stream in Valkey has both."
            " For a client with Last-Event-ID first add it to the followers, but hold new events"
            " back; send what XRANGE finds after that id; then what was held back, except what it"
            " already has."
        ),
    ),
    link="Coming back without a gap",
    needs=("tells_everyone",),
)
def check_resumes_streams(fleet: Fleet) -> None:
    """A client that comes back to any replica misses nothing and gets nothing twice"""
    with fleet.on_duty() as (first, second, third), ExitStack() as streams:
        orders = fleet.orders(REPLICAS + 2 * MISSED)
        before, meanwhile = orders[:-MISSED], orders[-MISSED:]
        show, strangers, sold = before[0].show, fleet.orders(ELSEWHERE), []
        witness = streams.enter_context(fleet.listen(second, show))
        with fleet.listen(first, show) as cut:
            for order, server in zip(before[:REPLICAS], fleet.replicas, strict=True):
                sold.append(fleet.sell(order, server))
                expect_heard([witness, cut], sold)
            first.kill()
            cut.wait_for_end()
        fleet.rush(strangers, second, third)
        sold += fleet.rush(before[REPLICAS:], second, third)
        witness.wait_for(len(sold))
        fleet.restart(first)
        # The last event was lost on its way; one who lost none is there as well.
        last_ids = (cut.events[-2].id, witness.events[-1].id)
        with at_once(lambda order: fleet.sell(order, second), meanwhile) as crowd:
            resumed = {
                streams.enter_context(fleet.listen(server, show, last_id)): last_id
                for server in (first, third)
                for last_id in last_ids
            }
        sold += crowd.results()
        expect_once_each(witness.wait_for(len(sold)), sold)
        for stream, last_id in resumed.items():
            expect_the_rest(stream, witness, last_id)


def expect_once_each(events: Sequence[ServerEvent], bookings: Sequence[Booking]) -> None:
    """Look that a stream has each booking once, in any order."""
    bodies = [event.json() for event in events]
    ids = [str(body.get("id")) if isinstance(body, dict) else "" for body in bodies]
    place = {booking_id: number for number, booking_id in enumerate(ids)}
    in_order = sorted(bookings, key=lambda booking: place.get(booking.id, len(place)))
    expect_events(events, in_order, "on a stream that was never cut")


def expect_the_rest(stream: EventStream, witness: EventStream, last_id: str) -> None:
    """Look that a stream has what another one had behind an event, each once."""
    ids = [event.id for event in witness.events]
    if last_id not in ids:
        fail("the same id for an event on every replica", f"{last_id} on one, not on another")
    behind = witness.events[ids.index(last_id) + 1 :]
    what = f"the {len(behind)} events behind Last-Event-ID, as on the other streams"
    with suppress(Failure):
        stream.wait_for(len(behind))
    came = stream.listen(SURELY_S)
    counts = Counter(event.id for event in came)
    missing = sum(event.id not in counts for event in behind)
    if missing or len(came) > len(behind):
        twice = sum(count > 1 for count in counts.values())
        fail(what, f"{len(came)} events: {missing} are missing, {twice} came twice")
    if [(e.id, e.json()) for e in came] != [(e.id, e.json()) for e in behind]:
        fail(what, "the same events in another order, or with other data")


# --- work -----------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says how many charges were in hand. Who works on a booking: the replica"
            " that accepted it, or the next one with a hand free? And what holds the others back?"
        ),
        (
            "Put each booking in a queue that all replicas share, then answer 202. In each replica"
            " four hands take the next one: SELECT … WHERE status = 'waiting' ORDER BY made_at"
            " LIMIT 1 FOR UPDATE SKIP LOCKED, or BLMOVE from a list in Valkey. Hold no lock and"
            " no transaction while you wait for the payment company."
        ),
    ),
    link="Levelling a rush with a queue",
)
def check_absorbs_a_rush(fleet: Fleet) -> None:
    """120 bookings at one replica are all accepted; all three charge them, 4 at once on each"""
    with fleet.on_duty() as (first, second, third):
        [slow], orders = fleet.orders(1), fleet.orders(RUSH)
        # One hand has a charge that takes long: the three beside it don't wait for that.
        with fleet.payments.holding(CHARGES, having=slow.user) as one:
            with advising(ACCEPT_AT_ONCE):
                accepted(slow, fleet.ask(slow, first))
            one.wait(within_s=CHARGED_WITHIN_S)
            with fleet.payments.holding(CHARGES) as held:
                with advising(ACCEPT_AT_ONCE):
                    bookings = fleet.rush(orders, first)
                fleet.expect_in_hand(held, REPLICAS, RUSH, slow=1)
                held.release()
        fleet.expect_charged(bookings)
        third.kill()
        with fleet.payments.holding(CHARGES) as held:
            few = fleet.orders(FEW + LATE)
            bookings = fleet.rush(few[:FEW], first)
            fleet.expect_in_hand(held, REPLICAS - 1, FEW)
            # Who takes more than it has hands for has done so in the second round.
            with fleet.payments.holding(CHARGES) as held_next:
                held.release()
                fleet.expect_in_hand(held_next, REPLICAS - 1, FEW - (REPLICAS - 1) * HANDS)
                begun = fleet.begun(few[0].crowd)
                bookings += fleet.rush(few[FEW:], first)
                first.kill()
                held_next.release()
        fleet.expect_kept(bookings, begun)
        fleet.expect_patience(second, (first, third))


@points(
    1,
    hints=(
        "How many bookings wait, in all replicas together, and what happens to the next one?",
        (
            "In one transaction: take a lock, so two replicas never count at the same time; count"
            " what waits, without what is being charged; at QUEUE_MAX roll back and answer 503 with"
            " Retry-After; otherwise insert. With Valkey: LLEN and LPUSH in one Lua script."
        ),
    ),
    link="A queue has an end",
    needs=("absorbs_a_rush",),
)
def check_sheds_load(fleet: Fleet, queue_max: int) -> None:
    """When QUEUE_MAX bookings wait, the next is refused at once; what was accepted is charged"""
    with fleet.on_duty() as replicas:
        in_hand = REPLICAS * HANDS
        orders = fleet.orders(in_hand + queue_max + TOO_MANY)
        free_from = in_hand + queue_max - LAST_PLACES
        fitting, contested = orders[:free_from], orders[free_from:]
        # What a killed replica had begun, and another takes over, is not held: its hand is free.
        with fleet.payments.holding(CHARGES, having=orders[0].crowd) as held:
            bookings = fleet.rush(fitting[:in_hand], *replicas)
            held.wait(in_hand, within_s=ANSWERS_WITHIN_S)
            bookings += fleet.rush(fitting[in_hand:], *replicas)
            last, surplus = expect_so_many(fleet, contested, queue_max)
            bookings += last
            for order, server in zip(surplus, cycle(replicas), strict=False):
                expect_refused(fleet.ask(order, server), queue_max)
            held.release()
        fleet.expect_charged(bookings)
        # Nothing is left of what was refused.
        again = [fleet.sell(o, s) for o, s in zip(surplus, cycle(replicas), strict=False)]
        fleet.expect_charged([*bookings, *again])


def expect_so_many(
    fleet: Fleet, orders: Sequence[Order], queue_max: int
) -> tuple[list[Booking], list[Order]]:
    """Have more order at once than there are places left; return the accepted, and the refused."""
    asking = list(zip(orders, cycle(fleet.replicas), strict=False))
    replies = list(zip(orders, fleet.ask_before_any_is_written(asking), strict=True))
    refused = [(order, reply) for order, reply in replies if reply.status == NO_ROOM]
    for _, reply in refused:
        expect_refused(reply, queue_max)
    bookings = [accepted(order, reply) for order, reply in replies if reply.status != NO_ROOM]
    if len(bookings) != LAST_PLACES:
        when = f"with {queue_max - LAST_PLACES} of QUEUE_MAX={queue_max} waiting"
        what = f"202 for {LAST_PLACES} of {len(orders)} who order at once, {when}"
        fail(what, f"for {len(bookings)}", command=CHECK_AGAIN)
    return bookings, [order for order, _ in refused]


def expect_refused(reply: Reply, queue_max: int) -> None:
    """Look at the answer to what doesn't fit into the queue."""
    when = f"with QUEUE_MAX={queue_max} bookings waiting"
    if reply.status != NO_ROOM:
        reply.fail(f"{NO_ROOM} {when}")
    said = reply.headers.get("Retry-After", "")
    if not (said.isdecimal() or parsedate(said)):
        reply.fail(f"{NO_ROOM} · Retry-After: seconds, or a date {when}", said or "(absent)")
