import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Builder,
    Failure,
    Image,
    Meanwhile,
    Message,
    RabbitMQ,
    Random,
    Received,
    Relay,
    Relays,
    Reply,
    Server,
    Story,
    Stub,
    Vhost,
    at_once,
    eventually,
    fail,
    points,
)

QUOTE, MAILS = "GET /quote", "POST /mails"
BUDGET = "X-Timeout-Ms"
EXCHANGE, CREATED = "lantern", "booking.created"
NOTICES, DEAD = "notices", "notices.dead"
NO_PRICE = {"error": "pricing_unavailable"}
NOT_FOR_SALE = {"error": "not_for_sale"}
TRIES, UNACKED = 3, 10
DEFAULT_BUDGET_MS = 2000
# How much of a budget a first try takes; a second one that took all of it would be late.
SPENT = 0.75
# Who says no after less of the customer's time has given up early.
PATIENT = 0.7
# The share of an open circuit's time after which it's asked again.
STILL_OPEN = 0.75
# Beside the caller's budget: a busy machine may hold up any server.
LATE_S = 1.0
ATTEMPTS = 3
# The clock of a timer may be coarser than ours.
EARLY_S = 0.02
# Nothing in these servers' settings ends before.
LONG_MS = 60_000
# Far away, where a check isn't about it.
NEVER = 1_000_000
PAUSE_MS = 400
# Pauses of so many requests are compared; half of them lie closer together than this only if
# nothing is drawn by lot: by chance once in a thousand runs, thrice in a row.
CROWD = 24
LEAST_SPREAD = 0.2
# Half of them are no longer than this times the longest that is allowed.
MOST_LATE = 1.2
# The contract's pause between two tries of a mail, and what a busy machine may add.
MAIL_PAUSE_S, MAIL_LATE_S = 1.0, 0.6
MESSAGES = 30
SENT_WITHIN_S = 6.0
# A reply that must not come yet would have come by then.
SURELY_S = 0.3
AGAIN = {"command": CHECK_AGAIN}

Body = dict[str, Any]


@dataclass
class Office:
    """A booking service, and the pricing service behind it.

    Args:
        server: of the booking service.
        pricing: the stub it asks.
        random: values of the run.
        price: that pricing names, in cents.
        vhost: of the broker.
    """

    server: Server
    pricing: Stub
    random: Random
    price: int
    vhost: Vhost
    used: set[int] = field(default_factory=set)

    def order(self) -> Body:
        """Return an order of a show that nobody has asked for."""
        while (show_id := self.random.integer(100_000, 999_999)) in self.used:
            pass
        self.used.add(show_id)
        seat = f"{self.random.pick('ABCDEF')}{self.random.integer(2, 10)}"
        return {"show_id": show_id, "seat": seat, "user": self.random.word()}

    def book(self, order: Body, *, budget_ms: int | None = LONG_MS, timeout_s: float = 8) -> Reply:
        """Order a seat, with so many milliseconds to go."""
        headers = {} if budget_ms is None else {BUDGET: str(budget_ms)}
        return self.server.post("/api/bookings", json=order, headers=headers, timeout_s=timeout_s)

    def quotes(self, order: Body, status: int = 200, **how: Any) -> None:
        """Tell what pricing answers to the calls for an order."""
        if status == 200 and "body" not in how:
            how = {"json": {"price_cents": self.price}, **how}
        self.pricing.reply(QUOTE, status, having=key(order), **how)

    def failing(self, times: int | None = None) -> Body:
        """Return an order for which pricing fails so often at first, or always."""
        order = self.order()
        self.quotes(order)
        self.quotes(order, self.random.pick((500, 502, 503, 504)), times=times)
        return order

    def calls(self, order: Body) -> list[Received]:
        """Return the calls that came for an order."""
        return self.pricing.requests(QUOTE, having=key(order))

    def expect_sold(self, order: Body, reply: Reply) -> Body:
        """Look that an order became a booking, and return it."""
        reply.expect(201, json={**order, "status": "confirmed", "price_cents": self.price})
        booking: Body = reply.json()
        if not isinstance(booking.get("id"), str) or not booking["id"]:
            reply.fail("a booking whose id is a string")
        return booking

    def expect_calls(self, order: Body, count: int, why: str) -> list[Received]:
        """Look that so many calls came for an order."""
        found = self.calls(order)
        if len(found) != count:
            fail(f"{count} {QUOTE} {why}", str(len(found)), **AGAIN)
        return found


def key(order: Body) -> str:
    """Return what only the calls for an order have in their target."""
    return f"show_id={order['show_id']}"


@dataclass(frozen=True)
class Desk:
    """A place for notices: a virtual host with notifiers, and the mail server they ask.

    Args:
        vhost: of the broker.
        notifiers: that consume in it.
        mail: the stub of each.
        random: values of the run.
    """

    vhost: Vhost
    notifiers: list[Server]
    mail: list[Stub]
    random: Random

    def wait_until_open(self) -> None:
        """Wait until the notifiers are up; one of several may consume a moment later."""
        for notifier in self.notifiers:
            notifier.get("/healthz").expect(200)
        self.vhost.wait_for_queue(NOTICES, consumers=len(self.notifiers))
        self.vhost.wait_for_queue(DEAD)

    def notice(self) -> Body:
        """Return what a booking service would publish."""
        fields = {"message_id": self.random.hex(20), "booking_id": self.random.hex(12)}
        return {**fields, "user": self.random.word(), "note": self.random.text(4)}

    def publish(self, notices: Sequence[Body], key: str = CREATED) -> None:
        """Publish messages to the exchange."""
        for notice in notices:
            self.vhost.publish(EXCHANGE, key, json=notice)

    def wait_until_empty(self) -> None:
        """Wait until no message is left to do."""
        self.vhost.wait_for_queue(NOTICES, ready=0, unacked=0, within_s=SENT_WITHIN_S)


@pytest.fixture(scope="session")
def booking_image(builder: Builder) -> Image:
    """Build the booking service."""
    return builder.build(folder="booking")


@pytest.fixture(scope="session")
def notifier_image(builder: Builder) -> Image:
    """Build the notifier."""
    return builder.build(folder="notifier")


@pytest.fixture(scope="session")
def open_office(
    stub: Stub, rabbitmq: RabbitMQ, booking_image: Image, random: Random
) -> Callable[..., Office]:
    """Return a function that starts a booking service with some settings."""

    def start(*, amqp_url: str = "", vhost: Vhost | None = None, **settings: int) -> Office:
        vhost, pricing = vhost or rabbitmq.create_vhost(), stub.another()
        told = {
            "CALL_TIMEOUT_MS": LONG_MS, "RETRY_PAUSE_MS": 20, "BREAKER_FAILURES": NEVER,
            "BREAKER_OPEN_MS": LONG_MS, **settings,
        }  # fmt: skip
        env = {name: str(value) for name, value in told.items()}
        env |= {"PRICING_URL": pricing.url, "AMQP_URL": amqp_url or vhost.url}
        server = booking_image.start(env=env)
        return Office(server, pricing, random, random.integer(1001, 9999), vhost)

    return start


@pytest.fixture(scope="session")
def open_desk(
    stub: Stub, rabbitmq: RabbitMQ, notifier_image: Image, random: Random
) -> Callable[..., Desk]:
    """Return a function that starts notifiers in a virtual host, each with a mail server."""

    def start(
        count: int,
        *,
        accepts: int = 202,
        timeout_ms: int = LONG_MS,
        amqp_url: str = "",
        vhost: Vhost | None = None,
    ) -> Desk:
        vhost, mail = vhost or rabbitmq.create_vhost(), [stub.another() for _ in range(count)]
        for each in mail:
            each.reply(MAILS, accepts)
        told = {"AMQP_URL": amqp_url or vhost.url, "MAIL_TIMEOUT_MS": str(timeout_ms)}
        envs = [{**told, "MAIL_URL": m.url} for m in mail]
        return Desk(vhost, [notifier_image.start(env=env) for env in envs], mail, random)

    return start


@pytest.fixture(scope="module")
def steady(open_office: Callable[..., Office], random: Random) -> Office:
    """A booking service that pauses for long enough to be measured, and whose circuit is closed."""
    return open_office(RETRY_PAUSE_MS=PAUSE_MS, CALL_TIMEOUT_MS=random.integer(1201, 1799))


@pytest.fixture(scope="module")
def patient(open_office: Callable[..., Office]) -> Office:
    """A booking service whose tries and pauses end only with the caller's time."""
    return open_office(RETRY_PAUSE_MS=LONG_MS)


@pytest.fixture(scope="module")
def brisk(open_office: Callable[..., Office]) -> Office:
    """A booking service that pauses briefly, and whose tries end only with the caller's time."""
    return open_office()


@pytest.fixture(scope="module")
def failures(random: Random) -> int:
    """How many failed tries open a circuit: no multiple of a request's three, nor the default."""
    return random.pick((4, 8))


@pytest.fixture(scope="module")
def open_ms(random: Random) -> int:
    """How long a circuit is open, where a check waits for its end."""
    return random.integer(701, 999)


@pytest.fixture(scope="module")
def fused(open_office: Callable[..., Office], failures: int) -> Office:
    """A booking service whose circuit opens, and stays open."""
    return open_office(BREAKER_FAILURES=failures)


@pytest.fixture(scope="module")
def crowded(open_office: Callable[..., Office], failures: int) -> Office:
    """A booking service whose circuit opens while all who failed pause; it stays open."""
    return open_office(BREAKER_FAILURES=failures, RETRY_PAUSE_MS=5 * PAUSE_MS)


@pytest.fixture(scope="module")
def silence(random: Random) -> int:
    """How many tries open a circuit where most of them fail without a status."""
    return random.pick((7, 8))


@pytest.fixture(scope="module")
def silenced(open_office: Callable[..., Office], silence: int, random: Random) -> Office:
    """A booking service whose tries end soon, and whose circuit stays open."""
    return open_office(BREAKER_FAILURES=silence, CALL_TIMEOUT_MS=random.integer(401, 599))


@pytest.fixture(scope="module")
def probing(open_office: Callable[..., Office], failures: int, open_ms: int) -> Office:
    """A booking service whose circuit opens for a short time."""
    return open_office(BREAKER_FAILURES=failures, BREAKER_OPEN_MS=open_ms)


@pytest.fixture(scope="module")
def in_time(patient: Office, brisk: Office, meanwhile: Meanwhile) -> Story[None]:
    """What customers hear while pricing hangs; it takes seconds."""
    return meanwhile(lambda: eventually(lambda: expect_in_time(patient, brisk), attempts=ATTEMPTS))


@pytest.fixture(scope="module")
def probed(probing: Office, failures: int, open_ms: int, meanwhile: Meanwhile) -> Story[None]:
    """What an open circuit does when its time is over."""
    return meanwhile(lambda: expect_probes(probing, failures, open_ms))


@pytest.fixture(scope="module")
def given_up(hasty: Desk, meanwhile: Meanwhile) -> Story[None]:
    """What becomes of mails that are never accepted."""
    return meanwhile(lambda: expect_impatience(hasty))


@dataclass(frozen=True)
class Watched:
    """A booking service in front of whose broker a relay is."""

    office: Office
    relay: Relay


@pytest.fixture(scope="module")
def watched(open_office: Callable[..., Office], rabbitmq: RabbitMQ, relays: Relays) -> Watched:
    """A booking service whose messages come into a queue of ours."""
    vhost = rabbitmq.create_vhost()
    vhost.declare_exchange(EXCHANGE)
    vhost.declare_queue("ours", exchange=EXCHANGE, key="#")
    relay = relays.to(vhost.url)
    return Watched(open_office(vhost=vhost, amqp_url=relay.url), relay)


@pytest.fixture(scope="module")
def relieved(open_desk: Callable[..., Desk]) -> Desk:
    """Two notifiers, of which one will be killed."""
    return open_desk(2)


@dataclass(frozen=True)
class Poisoned:
    """A notifier in front of whose broker a relay is."""

    desk: Desk
    relay: Relay


@pytest.fixture(scope="module")
def poisoned(open_desk: Callable[..., Desk], rabbitmq: RabbitMQ, relays: Relays) -> Poisoned:
    """A notifier that will get messages nobody can process."""
    vhost = rabbitmq.create_vhost()
    relay = relays.to(vhost.url)
    return Poisoned(open_desk(1, accepts=204, vhost=vhost, amqp_url=relay.url), relay)


@pytest.fixture(scope="module")
def hasty(open_desk: Callable[..., Desk], random: Random) -> Desk:
    """A notifier that gives up on a mail soon."""
    return open_desk(1, timeout_ms=random.integer(301, 499))


@pytest.fixture(scope="module")
def shared(open_desk: Callable[..., Desk]) -> Desk:
    """Two notifiers, of which one will be stuck."""
    return open_desk(2, accepts=200)


@points(
    2,
    hints=(
        "What does your service do with a 503, with a 400, and with a reply that never comes?",
        (
            "Loop over at most three tries. A refused connection, a reply that isn't complete after"
            " CALL_TIMEOUT_MS, a 500 or a body without a price leads to the next try, a 4xx to a"
            " 422. Before try n + 1 wait RETRY_PAUSE_MS times 2 to the power of n - 1, times a"
            " random number between 0.5 and 1."
        ),
    ),
    link="Trying again, without making it worse",
)
def check_retries_wisely(steady: Office) -> None:
    """A failed call is tried up to three times, with growing random pauses; a 4xx isn't retried"""
    # First of all: a client may keep a connection that it has.
    steady.pricing.refuse()
    try:
        steady.book(steady.order()).expect(503, json=NO_PRICE)
    finally:
        steady.pricing.accept()
    order = steady.order()
    steady.quotes(order)
    steady.expect_sold(order, steady.book(order))
    [call] = steady.expect_calls(order, 1, "if the first one brings the price")
    wanted = {key(order), f"seat={order['seat']}"}
    if set(call.query.split("&")) != wanted:
        fail(f"{QUOTE}?{'&'.join(sorted(wanted))}", f"{call.path}?{call.query}"[:200], **AGAIN)
    failed_ways = ways_to_fail(steady)
    refused = {status: steady.order() for status in (400, 404, 422)}
    for status, each in refused.items():
        steady.quotes(each, status, json={"error": steady.random.word()})
    hopeless = steady.failing()
    asked = [*failed_ways.values(), *refused.values(), hopeless]
    with at_once(steady.book, asked) as crowd:
        pass
    replies = crowd.results()
    for (why, each), reply in zip(failed_ways.items(), replies, strict=False):
        if reply.status != 201 or len(steady.calls(each)) != 2:
            saw = f"{reply.status} after {len(steady.calls(each))} calls"
            fail(f"201 after 2 calls where the first one brings {why}", saw, **AGAIN)
        steady.expect_sold(each, reply)
    for (status, each), reply in zip(refused.items(), replies[len(failed_ways) :], strict=False):
        steady.expect_calls(each, 1, f"if that brings a {status}")
        reply.expect(422, json=NOT_FOR_SALE)
    replies[-1].expect(503, json=NO_PRICE)
    steady.expect_calls(hopeless, TRIES, "if each of them fails")
    eventually(lambda: expect_pauses(steady), attempts=ATTEMPTS)


def ways_to_fail(office: Office) -> dict[str, Body]:
    """Return orders whose first call fails, each in another way, by what it brings."""
    whole = json.dumps({"price_cents": office.price}).encode()
    ways: dict[str, dict[str, Any]] = {
        "a 500": {"status": 500, "json": {"price_cents": office.price}},
        "a 503": {"status": 503},
        "half a reply": {"breaks_off_after": 5, "body": whole},
        "a 200 without JSON": {"body": b"<h1>"},
        "a 200 without a price": {"json": {"cents": office.price}},
        "a price that is text": {"json": {"price_cents": str(office.price)}},
        "a 202 with a price": {"status": 202, "json": {"price_cents": office.price}},
        "nothing within CALL_TIMEOUT_MS": {"after_s": 30.0},
        "a byte now and then": {"drips_s": 1.0, "body": whole},
    }
    orders = {why: office.order() for why in ways}
    for why, told in ways.items():
        office.quotes(orders[why])
        office.pricing.reply(QUOTE, having=key(orders[why]), times=1, **told)
    return orders


def expect_pauses(office: Office) -> None:
    """Look at the pauses of many requests: how long they are, and that they differ."""
    orders = [office.failing(times=2) for _ in range(CROWD)]
    with at_once(office.book, orders) as crowd:
        pass
    for order, reply in zip(orders, crowd.results(), strict=True):
        office.expect_sold(order, reply)
    came = [
        [c.at_s for c in office.expect_calls(o, TRIES, "if the third brings it")] for o in orders
    ]
    for n in range(TRIES - 1):
        longest = PAUSE_MS / 1000 * 2**n
        pauses = sorted(times[n + 1] - times[n] for times in came)
        where = f"pause {n + 1} between {longest * 500:.0f} and {longest * 1000:.0f} ms"
        if pauses[0] < longest / 2 - EARLY_S or pauses[0] > longest + EARLY_S:
            fail(f"{where}, with RETRY_PAUSE_MS={PAUSE_MS}", f"{pauses[0] * 1000:.0f} ms", **AGAIN)
        low, middle, high = statistics.quantiles(pauses, n=4)
        # A busy machine makes some of them longer, and half of them not by much.
        if middle > MOST_LATE * longest:
            fail(f"{where}, each of them", f"half of them over {middle * 1000:.0f} ms", **AGAIN)
        if high - low < LEAST_SPREAD * longest / 2:
            seen = ", ".join(f"{p * 1000:.0f}" for p in pauses[:: CROWD // 6])
            fail(f"{where}, drawn anew each time", f"nearly the same: {seen} ms", **AGAIN)


@points(
    2,
    hints=(
        "When does the caller's time begin, and do you look at it before each try and each pause?",
        (
            "Compute the moment of the deadline when the request comes, from X-Timeout-Ms or 2000."
            " A try may take the smaller of CALL_TIMEOUT_MS and what is left; send what is left"
            " along as X-Timeout-Ms. Begin no pause that ends after the deadline."
        ),
    ),
    link="One deadline for the whole chain",
    needs=("retries_wisely",),
)
def check_keeps_the_deadline(steady: Office, in_time: Story[None]) -> None:
    """All tries end within the caller's X-Timeout-Ms, 2000 by default, and pricing is told too"""
    order, budget_ms = steady.order(), steady.random.integer(20_000, 40_000)
    steady.quotes(order)
    steady.quotes(order, 503, times=1, after_s=0.5)
    steady.expect_sold(order, steady.book(order, budget_ms=budget_ms))
    calls = steady.expect_calls(order, 2, "if the second one brings the price")
    first, second = (budget_of(call) for call in calls)
    # It may keep back up to half of what is left by then.
    if not (budget_ms - LATE_S * 1000) / 2 <= first <= budget_ms:
        fail(f"{BUDGET}: at most {budget_ms}, and not much less, in the first try", str(first))
    spent = 500 + PAUSE_MS // 2
    # Who keeps back a share passes on the same share of what is left later.
    if second > first - spent * first / budget_ms + EARLY_S * 1000:
        saw = f"{second}, and {first} in the first try"
        fail(f"{BUDGET} in the second try, {spent} ms later: what is left", saw, **AGAIN)
    in_time.result()


def budget_of(call: Received) -> int:
    """Return what a call says is left."""
    text = call.headers.get(BUDGET, "")
    if not (text.isdecimal() and text.isascii() and int(text) > 0):
        fail(f"{BUDGET}: a positive integer, in {QUOTE}", text or "(absent)", **AGAIN)
    return int(text)


def expect_in_time(office: Office, brisk: Office) -> None:
    """Look that nobody waits longer than they said, nor less, while pricing hangs."""
    hung, usual, long, pausing = (office.order() for _ in range(4))
    budget_ms = office.random.integer(301, 499)
    # Most of this customer's time goes into the first try; then pricing hangs.
    twice, twice_ms = brisk.order(), office.random.integer(1801, 2199)
    brisk.quotes(twice, after_s=LONG_MS / 1000)
    brisk.quotes(twice, 503, times=1, after_s=SPENT * twice_ms / 1000)

    def ask(asked: Office, order: Body, limit_ms: int | None) -> None:
        try:
            expect_late(asked, order, limit_ms)
        except Failure as failure:
            # Asked once more, the first try would hang already.
            failure.command = CHECK_AGAIN if asked is brisk else failure.command
            raise

    for each in (hung, usual, long):
        office.quotes(each)
    office.quotes(pausing, 503)
    with (
        office.pricing.holding(QUOTE, having=key(hung)),
        office.pricing.holding(QUOTE, having=key(usual)),
        office.pricing.holding(QUOTE, having=key(long)) as held,
        at_once(lambda o: office.book(o, budget_ms=9 * DEFAULT_BUDGET_MS), [long]) as crowd,
    ):
        held.wait()
        asks = [(office, hung, budget_ms), (office, usual, None), (brisk, twice, twice_ms)]
        with at_once(lambda told: ask(*told), asks) as others:
            # It would be longer than this customer waits.
            office.book(pausing, budget_ms=LONG_MS // 3).expect(503, json=NO_PRICE)
        others.results()
        for each, limit in ((hung, budget_ms), (usual, DEFAULT_BUDGET_MS)):
            [call] = office.expect_calls(each, 1, "that hangs until the caller's time is over")
            if budget_of(call) > limit:
                fail(f"{BUDGET}: at most {limit}", str(budget_of(call)), **AGAIN)
        held.release()
    office.expect_sold(long, *crowd.results())


def expect_late(office: Office, order: Body, budget_ms: int | None) -> None:
    """Look that a caller is told in time that there is no price."""
    limit_ms = budget_ms or DEFAULT_BUDGET_MS
    reply = office.book(order, budget_ms=budget_ms, timeout_s=limit_ms / 1000 + LATE_S)
    reply.expect(503, json=NO_PRICE)
    if reply.elapsed_s < PATIENT * limit_ms / 1000:
        saw = f"503 after {reply.elapsed_s * 1000:.0f} ms"
        fail(f"a try that may take {limit_ms} ms, the caller's time", saw, **AGAIN)


@points(
    2,
    hints=(
        "Where do you count the failed tries in a row, and what resets the count?",
        (
            "Share one object between all requests: closed, open until some moment, or with one"
            " probe under way. Ask it before each try, even the second and third, and tell it how"
            " each try ended, even if it was refused or never answered. When the moment has come,"
            " only the first request may call, and only once."
        ),
    ),
    link="A circuit breaker",
    needs=("retries_wisely",),
)
def check_breaks_the_circuit(
    fused: Office, silenced: Office, crowded: Office, failures: int, silence: int, open_ms: int,
    probed: Story[None],
) -> None:  # fmt: skip
    """Failed tries in a row open the circuit; then nobody calls, until one probe closes it"""
    for end in (200, 400):
        burn(fused, failures - 1, end)
    for _ in range(failures + 1):
        burn(fused, 0, 400)
    left = failures % TRIES
    fail_tries(fused, failures - left)
    last = fused.failing()
    fused.book(last).expect(503, json=NO_PRICE)
    fused.expect_calls(last, left, f"until the failed try number {failures} in a row")
    expect_open(fused, 20)
    expect_all_count(silenced, silence)
    expect_nobody_goes_on(crowded, failures)
    probed.result()
    # The other circuit would be closed by now; this one has a minute.
    time.sleep(open_ms / 1000)
    expect_open(fused, 1)


def expect_all_count(office: Office, failures: int) -> None:
    """Look that each failed try counts, whatever it brings: most of them bring no status."""
    # First of all: a client may keep a connection that it has.
    office.pricing.refuse()
    try:
        office.book(office.order()).expect(503, json=NO_PRICE)
    finally:
        office.pricing.accept()
    whole = json.dumps({"price_cents": office.price}).encode()
    ways: list[dict[str, Any]] = [
        {"after_s": LONG_MS / 1000},
        {"breaks_off_after": 5, "body": whole},
        {"json": {"cents": office.price}},
    ]
    mixed, last = office.order(), office.failing()
    for way in ways:
        office.pricing.reply(QUOTE, having=key(mixed), times=1, **way)
    office.pricing.reply(QUOTE, having=key(last), times=1, **ways[0])
    for order in (mixed, last):
        office.book(order).expect(503, json=NO_PRICE)
    office.expect_calls(mixed, TRIES, "while the circuit is closed")
    left = failures - 2 * TRIES
    why = f"until the failed try number {failures} in a row, refused and unanswered ones included"
    office.expect_calls(last, left, why)
    expect_open(office, 1)


def expect_nobody_goes_on(office: Office, failures: int) -> None:
    """Let so many first tries fail at once that the circuit opens while all of them pause."""
    orders = [office.failing() for _ in range(failures)]
    with office.pricing.holding(QUOTE) as held, at_once(office.book, orders) as crowd:
        held.wait(failures)
        held.release()
    for reply in crowd.results():
        reply.expect(503, json=NO_PRICE)
    calls = sum(len(office.calls(order)) for order in orders)
    if calls != failures:
        what = f"{failures} {QUOTE} of {failures} requests whose first tries open the circuit"
        fail(what, str(calls), **AGAIN)


def expect_probes(office: Office, failures: int, open_ms: int) -> None:
    """Look at three probes: one fails, one is refused, one brings a price."""
    eventually(lambda: expect_failed_probe(office, open_ms), attempts=ATTEMPTS)
    time.sleep(open_ms / 1000 + EARLY_S)
    burn(office, 0, 400)
    burn(office, failures - 1, 200)
    blow(office)
    time.sleep(open_ms / 1000 + EARLY_S)
    expect_one_probe(office)
    burn(office, failures - 1, 200)


def burn(office: Office, tries: int, end: int) -> None:
    """Let so many tries fail in a row, and end the row by a reply that is none of them."""
    whole = tries // TRIES * TRIES
    fail_tries(office, whole)
    order = office.order()
    office.quotes(order, end)
    office.quotes(order, 503, times=tries - whole)
    reply = office.book(order)
    if not office.calls(order):
        saw = f"{reply.status}, and no {QUOTE}"
        fail(f"a closed circuit, {tries} failed tries in a row after a good one", saw, **AGAIN)
    if end == 200:
        office.expect_sold(order, reply)
    else:
        reply.expect(422, json=NOT_FOR_SALE)


def fail_tries(office: Office, tries: int) -> None:
    """Let so many tries fail in a row, a multiple of those of a request."""
    for _ in range(tries // TRIES):
        order = office.failing()
        office.book(order).expect(503, json=NO_PRICE)
        office.expect_calls(order, TRIES, "while the circuit is closed")


def expect_open(office: Office, count: int) -> None:
    """Look that nobody calls, although pricing is well again."""
    orders = [office.order() for _ in range(count)]
    for order in orders:
        office.quotes(order)
    with at_once(office.book, orders) as crowd:
        pass
    for order, reply in zip(orders, crowd.results(), strict=True):
        office.expect_calls(order, 0, "while the circuit is open")
        reply.expect(503, json=NO_PRICE)


def blow(office: Office) -> float:
    """Let tries fail until the circuit is open, however it is now; return a moment before that."""
    before = began = 0.0
    for _ in range(5):
        before, began = began, time.monotonic()
        order = office.failing()
        office.book(order).expect(503, json=NO_PRICE)
        if not office.calls(order):
            break
    else:
        fail("an open circuit", f"{QUOTE} after so many failed tries", **AGAIN)
    return before


def expect_failed_probe(office: Office, open_ms: int) -> None:
    """Look that a probe is one call, and that the circuit is open again if it fails."""
    expect_still_open(office, blow(office), open_ms)
    time.sleep(open_ms / 1000 + EARLY_S)
    probe = office.failing()
    office.book(probe).expect(503, json=NO_PRICE)
    office.expect_calls(probe, 1, f"as a probe, {open_ms} ms after the circuit opened")
    expect_open(office, 1)


def expect_still_open(office: Office, before: float, open_ms: int) -> None:
    """Look that nobody calls late in the time for which a circuit is open.

    Args:
        office: whose circuit is open.
        before: a moment at which it wasn't yet.
        open_ms: how long it stays so.
    """
    time.sleep(max(0.0, before + STILL_OPEN * open_ms / 1000 - time.monotonic()))
    order = office.failing()
    office.book(order).expect(503, json=NO_PRICE)
    # On a busy machine it may be closed by the time somebody calls.
    if time.monotonic() < before + open_ms / 1000:
        office.expect_calls(order, 0, f"while the circuit is open, for {open_ms} ms")


def expect_one_probe(office: Office) -> None:
    """Look that of many requests one calls, and that its success closes the circuit."""
    orders = [office.order() for _ in range(20)]
    for order in orders:
        office.quotes(order)
    replies: list[Reply] = []

    def others_are_answered() -> None:
        calls = len(held.wait())
        # More than one probe is wrong already; the report says so below.
        if calls == 1 and len(replies) < len(orders) - 1:
            saw = f"{calls} call under way, {len(replies)} requests answered"
            fail("one probe on its way, and 19 other requests answered meanwhile", saw, **AGAIN)

    with (
        office.pricing.holding(QUOTE) as held,
        at_once(lambda order: replies.append(office.book(order)), orders) as crowd,
    ):
        eventually(others_are_answered, within_s=3)
        if (calls := len(held.wait())) > 1:
            fail(f"one {QUOTE} as a probe, of {len(orders)} requests", f"{calls}", **AGAIN)
        held.release()
    crowd.results()
    statuses = sorted(reply.status for reply in replies)
    if statuses != [201, *[503] * (len(orders) - 1)]:
        fail("201 for the probe, 503 for the 19 others", str(statuses), **AGAIN)


@points(
    2,
    hints=(
        "When does the broker forget a message: when you get it, or when you acknowledge it?",
        (
            "booking: a confirm channel, persistent messages, and 201 only when the broker has"
            " confirmed. notifier: durable queues, no automatic acknowledgement; acknowledge after"
            " the mail server's 2xx."
        ),
    ),
    link="Acknowledge after the work",
)
def check_delivers_at_least_once(watched: Watched, relieved: Desk) -> None:
    """The broker has a booking's message before the 201, and a notifier that dies loses none"""
    office = watched.office
    refused, hopeless = office.order(), office.failing()
    office.quotes(refused, 404)
    office.book(refused).expect(422)
    office.book(hopeless).expect(503)
    bookings = [sell(office), sell(office)]
    expect_messages(office.vhost, bookings)
    bookings.append(expect_confirmed(watched))
    expect_messages(office.vhost, bookings)
    expect_relief(relieved)


def expect_messages(vhost: Vhost, bookings: Sequence[Body]) -> None:
    """Look that there is one message for each booking, and no other."""
    messages = vhost.messages("ours", at_least=len(bookings))
    if len(messages) > len(bookings):
        fail(f"{len(bookings)} messages, one for each 201", str(len(messages)), **AGAIN)
    ids = {expect_message(m, b) for m, b in zip(messages, bookings, strict=True)}
    if len(ids) < len(bookings):
        fail("another message_id in each message", str(sorted(ids))[:200])
    if len({booking["id"] for booking in bookings}) < len(bookings):
        fail("another id for each booking", str([booking["id"] for booking in bookings])[:200])


def sell(office: Office) -> Body:
    """Sell a seat, and return the booking."""
    order = office.order()
    office.quotes(order)
    return office.expect_sold(order, office.book(order))


def expect_confirmed(watched: Watched) -> Body:
    """Look that a booking isn't answered before the broker can have confirmed its message."""
    office, relay = watched.office, watched.relay
    order = office.order()
    office.quotes(order)

    with (
        office.pricing.holding(QUOTE, having=key(order)) as held,
        at_once(office.book, [order]) as crowd,
    ):
        held.wait()
        with relay.silent():
            before = relay.traffic().sent_bytes
            held.release()
            wait_for_bytes(relay, before, "a message to the broker, once there is a price")
            time.sleep(SURELY_S)
            if not crowd.busy:
                saw = f"{crowd.results()[0].status} before that"
                fail("no reply until the broker has confirmed the message", saw, **AGAIN)
    [reply] = crowd.results()
    return office.expect_sold(order, reply)


def wait_for_bytes(relay: Relay, before: int, what: str) -> None:
    """Wait until something is sent to the broker."""

    def are_more() -> None:
        if relay.traffic().sent_bytes <= before:
            fail(what, "nothing sent", **AGAIN)

    eventually(are_more, within_s=SENT_WITHIN_S)


def expect_message(message: Message, booking: Body) -> str:
    """Look at a booking's message, and return its id."""
    if (message.exchange, message.routing_key) != (EXCHANGE, CREATED):
        fail(f"a message to {EXCHANGE} with key {CREATED}", f"key {message.routing_key[:80]}")
    if message.properties.get("delivery_mode") != 2:
        saw = f"delivery_mode {message.properties.get('delivery_mode', '(absent)')}"
        fail("a persistent message: delivery_mode 2", saw)
    said, wanted = message.json(), {"booking_id": booking["id"], "user": booking["user"]}
    if not isinstance(said, dict) or any(said.get(n) != v for n, v in wanted.items()):
        fail(f"a message with {json.dumps(wanted)}", repr(message.body[:300]))
    if not isinstance(said.get("message_id"), str) or not said["message_id"]:
        fail("a message_id that is a string", repr(message.body[:300]))
    return str(said["message_id"])


def expect_relief(desk: Desk) -> None:
    """Look that what a killed notifier had not finished is sent by another one."""
    desk.wait_until_open()
    for name in (NOTICES, DEAD):
        if (found := desk.vhost.queue(name)) and not found.is_durable:
            fail(f"a durable queue {name}", "a transient one")
    killed, mail = desk.notifiers[0], desk.mail
    notices = [desk.notice() for _ in range(MESSAGES)]
    with mail[0].holding(MAILS) as held, mail[1].holding(MAILS) as well:
        for other in ("show.created", "booking.cancelled"):
            desk.publish([desk.notice()], other)
        desk.publish(notices)
        # Both have begun: from here on each of them could do it alone.
        for each in (held, well):
            each.wait(within_s=SENT_WITHIN_S)
        killed.container.signal("SIGKILL")
        killed.container.wait(5)
        well.release()
        mail[1].requests(MAILS, at_least=MESSAGES, within_s=SENT_WITHIN_S)
        desk.wait_until_empty()
        expect_mails(notices, mail[1].requests(MAILS))


def expect_mails(notices: Sequence[Body], mails: Sequence[Received]) -> None:
    """Look that each notice was mailed once, and nothing else."""
    wanted = sorted((n["message_id"], n["user"]) for n in notices)
    sent = [mail.json() for mail in mails]
    for mail in sent:
        if not isinstance(mail, dict) or (mail.get("message_id"), mail.get("to")) not in wanted:
            saw = json.dumps(mail)[:200]
            fail(f"{MAILS} with message_id and to, for each message", saw, **AGAIN)
    counts = {i: [m["message_id"] for m in sent].count(i) for i, _ in wanted}
    for message_id, count in counts.items():
        if count != 1:
            fail(f"one accepted mail for the message {message_id}", str(count), **AGAIN)


@points(
    1,
    hints=(
        "What happens to a message whose mail is refused for the third time?",
        (
            "Count the tries of each message. After the third one publish its body unchanged to"
            " notices.dead, wait for the confirm, then acknowledge. A message that isn't JSON goes"
            " there at once, so catch the error that parsing it raises."
        ),
    ),
    link="A message that poisons",
    needs=("delivers_at_least_once",),
)
def check_parks_poison(poisoned: Poisoned, given_up: Story[None]) -> None:
    """A message that fails three times, or can't be read, is parked; the others are sent"""
    desk, [mail] = poisoned.desk, poisoned.desk.mail
    desk.wait_until_open()
    poison, third = desk.notice(), desk.notice()
    mail.reply(MAILS, desk.random.pick((400, 500, 503)), having=poison["message_id"])
    mail.reply(MAILS, 503, having=third["message_id"], times=2)
    garbage = f'{{"message_id": "{desk.random.hex(20)}", '.encode()
    others = [desk.notice() for _ in range(UNACKED + 2)]
    desk.publish([poison])
    desk.vhost.publish(EXCHANGE, CREATED, body=garbage)
    desk.publish([third, *others])
    dead = desk.vhost.messages(DEAD, at_least=2, within_s=SENT_WITHIN_S)
    desk.wait_until_empty()
    expect_dead(dead, [body_of(poison), garbage])
    desk.vhost.wait_for_queue(DEAD, ready=2)
    for notice in (poison, third):
        expect_tries(mail, notice)
    expect_short_pauses(mail, (poison, third))
    # Whatever else was mailed: for the garbage there is nothing to mail.
    refused = [poison["message_id"].encode(), third["message_id"].encode()]
    sent = [m for m in mail.requests(MAILS) if not any(i in m.body for i in refused)]
    expect_mails(others, sent)
    expect_kept(desk, poisoned.relay)
    given_up.result()


def expect_kept(desk: Desk, relay: Relay) -> None:
    """Look that a message isn't acknowledged until the broker has confirmed that it's parked."""
    [mail], poison = desk.mail, desk.notice()
    its = poison["message_id"]
    mail.reply(MAILS, 503, having=its)
    with mail.holding(MAILS, having=its) as first:
        desk.publish([poison])
        first.wait()
        with mail.holding(MAILS, having=its) as second:
            first.release()
            second.wait()
            expect_unacked(desk, "while its mail is tried again")
            with relay.replies_held():
                before = relay.traffic().sent_bytes
                second.release()
                wait_for_bytes(relay, before, f"a message to {DEAD}, after {TRIES} failed tries")
                expect_unacked(desk, f"until the broker has confirmed what is in {DEAD}")
    desk.wait_until_empty()
    expect_dead(desk.vhost.messages(DEAD, at_least=3), [body_of(poison)])


def expect_unacked(desk: Desk, when: str) -> None:
    """Look that the only message that there is isn't acknowledged yet."""
    time.sleep(SURELY_S)
    found = desk.vhost.queue(NOTICES)
    # A queue that hands on its dead letters itself needs no confirm.
    if found and not found.unacked and "x-dead-letter-exchange" not in found.arguments:
        fail(f"a message that isn't acknowledged {when}", f"{found} in {NOTICES}", **AGAIN)


def expect_tries(mail: Stub, notice: Body) -> None:
    """Look that a mail that is refused was tried three times."""
    # It may wait for its next try in another queue.
    its = notice["message_id"]
    if (tried := len(mail.requests(MAILS, having=its, at_least=TRIES))) != TRIES:
        fail(f"{TRIES} tries of a mail that is refused", str(tried), **AGAIN)


def expect_short_pauses(mail: Stub, notices: Sequence[Body]) -> None:
    """Look that no pause is long for each of some mails: a busy machine is late with one."""
    came = [[m.at_s for m in mail.requests(MAILS, having=n["message_id"])] for n in notices]
    for n in range(TRIES - 1):
        pause_s = min(times[n + 1] - times[n] for times in came)
        if pause_s > MAIL_PAUSE_S + MAIL_LATE_S:
            what = f"a pause of at most {MAIL_PAUSE_S:.0f} s before another {MAILS}"
            fail(what, f"{pause_s:.1f} s", **AGAIN)


def body_of(notice: Body) -> bytes:
    """Return a message as it was published."""
    return json.dumps(notice, ensure_ascii=False).encode()


def expect_dead(dead: Sequence[Message], bodies: Sequence[bytes]) -> None:
    """Look that these messages are parked, as they were."""
    for body in bodies:
        found = [message for message in dead if message.body == body]
        if not found:
            saw = ", ".join(repr(m.body[:120]) for m in dead) or "nothing"
            fail(f"{body!r} in {DEAD}", saw)
        if found[0].properties.get("delivery_mode") != 2:
            fail(f"persistent messages in {DEAD}", "a transient one")


def expect_impatience(desk: Desk) -> None:
    """Look that a mail server that hangs, or is down, has failed as well."""
    [mail] = desk.mail
    desk.wait_until_open()
    hung, away = desk.notice(), desk.notice()
    # First the one that is down: a client may keep a connection that it has.
    mail.refuse()
    desk.publish([away])
    desk.vhost.messages(DEAD, at_least=1, within_s=SENT_WITHIN_S)
    mail.accept()
    with mail.holding(MAILS, having=hung["message_id"]):
        desk.publish([hung])
        dead = desk.vhost.messages(DEAD, at_least=2, within_s=SENT_WITHIN_S)
    expect_dead(dead, [body_of(hung), body_of(away)])
    expect_tries(mail, hung)


@points(
    1,
    hints=(
        "How many messages does the broker push to a consumer that acknowledges none?",
        (
            "As many as there are, unless you set a prefetch of 10 before you consume. And handle"
            " them at the same time: don't wait for one mail before you begin the next."
        ),
    ),
    link="How much one consumer takes",
    needs=("delivers_at_least_once",),
)
def check_shares_work(shared: Desk) -> None:
    """A notifier takes 10 messages at once and no more; a stuck one holds up only its own"""
    shared.wait_until_open()
    stuck, well = shared.mail
    notices = [shared.notice() for _ in range(MESSAGES)]
    with stuck.holding(MAILS) as held, well.holding(MAILS) as briefly:
        shared.publish(notices)
        for each in (held, briefly):
            each.wait(UNACKED, within_s=SENT_WITHIN_S)
        left = MESSAGES - 2 * UNACKED
        shared.vhost.wait_for_queue(NOTICES, ready=left, unacked=2 * UNACKED)
        briefly.release()
        well.requests(MAILS, at_least=MESSAGES - UNACKED, within_s=SENT_WITHIN_S)
        shared.vhost.wait_for_queue(NOTICES, ready=0, unacked=UNACKED)
        held.release()
        shared.wait_until_empty()
    expect_mails(notices, [*stuck.requests(MAILS), *well.requests(MAILS)])
