import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Database,
    Failure,
    HeldBack,
    Image,
    Meanwhile,
    Nats,
    Postgres,
    Random,
    Received,
    Relay,
    Relays,
    Reply,
    Server,
    StartFailure,
    StoredMessage,
    Story,
    Stub,
    at_once,
    eventually,
    fail,
    points,
)

STREAM = "LANTERN"
CHARGES, REFUNDS = "POST /charges", "POST /refunds"
# So often a charge or a refund gets no answer before it gets one.
REFUSED = 3
# The contract's pause, and what a busy machine may add to the shortest of several.
PAUSE_S, SLACK_S = 1.0, 1.5
# So many bookings wait for the company while one more is charged.
WAITING = 20
# A time limit other than the given one, such as 2 s, would be over by then.
HELD_S = 4.0
MIGRATES_WITHIN_S = 10.0
# The contract's one promise of time.
SETTLED_WITHIN_S = 5.0
# Where a right answer may come another way, nobody waits for long.
MOMENT_S = 2.0
# Longer than pauses that another check refuses: one mistake fails one check.
PATIENTLY_S = 15.0
RUSH, SALES = 5, 10
NOT_IN_LINE = "begin the steps of all bookings that are due, and don't wait for one before the next"
NEW_SHOW = "INSERT INTO shows (id, title, starts_at, price_cents) VALUES (%s, %s, now(), %s)"
SEATS = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 11)]


@dataclass(frozen=True)
class Show:
    """A show; its price is in no other show's charges, so a rule of a stub can mean it alone."""

    id: int
    price: int

    @property
    def price_text(self) -> str:
        """Its price as a charge has it."""
        return str(self.price)


@dataclass(frozen=True)
class Booking:
    """A booking, as the server promised it."""

    id: str
    show: Show
    seat: str
    what: str = field(default="the booking", compare=False)


class Theatre:
    """A server, and the database, broker and payment company that only it uses."""

    def __init__(
        self, server: Server, database: Database, broker: Nats, payments: Stub, random: Random
    ) -> None:
        self.server, self.database, self.broker = server, database, broker
        self.payments, self.random = payments, random
        self._seats = iter(random.shuffled(SEATS))
        self._show_ids = iter(range(random.integer(11, 999), 10**6, random.integer(3, 9)))
        first = random.integer(110_001, 120_000)
        self._prices = iter(range(first, 10**6, random.integer(7001, 8999)))

    def new_show(self) -> Show:
        """Put a show into the database."""
        show = Show(next(self._show_ids), next(self._prices))
        self.database.rows(NEW_SHOW, show.id, self.random.word().title(), show.price)
        return show

    def reprice(self, show: Show) -> Show:
        """Change a show's price in the database, so that later charges differ from earlier ones."""
        dearer = Show(show.id, next(self._prices))
        statement = "UPDATE shows SET price_cents = %s WHERE id = %s"
        self.database.rows(statement, dearer.price, dearer.id)
        return dearer

    def ask(self, show: Show, seat: str) -> Reply:
        """Ask for a seat, as somebody new."""
        order = {"show_id": show.id, "seat": seat, "user": self.random.word()}
        return self.server.post("/api/bookings", json=order)

    def book(self, show: Show, seat: str = "", what: str = "the booking") -> Booking:
        """Book a seat that is free."""
        seat = seat or next(self._seats)
        reply = self.ask(show, seat).expect(202, json={"status": "pending"})
        made = reply.json()
        if not isinstance(made.get("id"), str) or not made["id"]:
            reply.fail("202 and a booking whose id is a string")
        return Booking(made["id"], show, seat, what)

    def sell(self, show: Show, seat: str = "", what: str = "the booking") -> Booking:
        """Book a seat, and wait until it is confirmed."""
        booking = self.book(show, seat, what)
        self.expect_status(booking, "confirmed")
        return booking

    def look(self, booking: Booking) -> Reply:
        """Ask for a booking."""
        return self.server.get(f"/api/bookings/{booking.id}").expect(200, json={"id": booking.id})

    def expect_status(self, booking: Booking, wanted: str, why: str = "") -> None:
        """Wait until a booking has a status; one that was cancelled is never confirmed."""

        def look() -> None:
            status = self.look(booking).json().get("status")
            if status != wanted and (wanted, status) != ("confirmed", "cancelled"):
                self.expect_still(booking, wanted, why)

        eventually(look, within_s=SETTLED_WITHIN_S)
        self.expect_still(booking, wanted, why)

    def expect_still(self, booking: Booking, wanted: str, why: str = "") -> None:
        """Look that a booking has a status now."""
        reply = self.look(booking)
        if reply.json().get("status") != wanted:
            reply.fail(f'"status": "{wanted}" for {booking.what}{why}')

    def cancel(self, show: Show, event_id: str, subject: str = "show.cancelled") -> None:
        """Tell the theatre that a show is cancelled."""
        self.broker.publish(subject, json={"event_id": event_id, "show_id": show.id})

    def new_event_id(self) -> str:
        """Return an id that no event had."""
        return f"{self.random.word()}-{self.random.hex(12)}"

    def requests(self, route: str, booking: Booking) -> list[Received]:
        """Return what the payment company was asked about a booking."""
        return [r for r in self.payments.requests(route) if sent(r)["booking_id"] == booking.id]

    def expect_charged(self, booking: Booking) -> list[Received]:
        """Look that a booking was charged its price; return the requests."""
        charges = self.requests(CHARGES, booking)
        if not charges:
            fail(f"{CHARGES} for {booking.what}", "none", command=CHECK_AGAIN)
        for charge in charges:
            if sent(charge)["amount_cents"] != booking.show.price:
                wanted = {"booking_id": booking.id, "amount_cents": booking.show.price}
                saw = charge.body[:200].decode(errors="replace")
                what = f"{CHARGES} with {json.dumps(wanted)} for {booking.what}"
                fail(what, saw, command=CHECK_AGAIN)
        return charges

    def expect_refunded(self, booking: Booking, times: int = 1) -> None:
        """Wait until a booking was refunded, or look that it was not; always under one key."""
        if times:
            eventually(lambda: self._is_refunded(booking), within_s=SETTLED_WITHIN_S)
        refunds = self.requests(REFUNDS, booking)
        if not times and refunds:
            what = f"no {REFUNDS} for {booking.what}"
            fail(what, f"{len(refunds)}", command=CHECK_AGAIN)
        if times:
            expect_one_key(REFUNDS, refunds, booking)

    def _is_refunded(self, booking: Booking) -> None:
        if not self.requests(REFUNDS, booking):
            fail(f"{REFUNDS} for {booking.what}", "none", command=CHECK_AGAIN)

    def events(self, booking: Booking, subject: str = "booking.*") -> list[StoredMessage]:
        """Return what the stream has about a booking."""
        messages = self.broker.messages(STREAM, subject)
        return [message for message in messages if told(message)["booking_id"] == booking.id]

    def expect_event(
        self, booking: Booking, subject: str, within_s: float = SETTLED_WITHIN_S
    ) -> str:
        """Wait until the stream has an event of a booking; return its id. A second one fails."""

        def look(most: int = 1) -> list[StoredMessage]:
            events = self.events(booking, subject)
            if not 1 <= len(events) <= most:
                fail(f"one {subject} in the stream for {booking.what}", shown(events))
            return events

        eventually(lambda: look(2), within_s=within_s)
        [event] = look()
        return str(told(event)["event_id"])


def sent(request: Received) -> dict[str, object]:
    """Return the body of a charge or a refund, with nothing where it lacks something."""
    body = request.json()
    return {"booking_id": None, "amount_cents": None} | (body if isinstance(body, dict) else {})


def told(message: StoredMessage) -> dict[str, object]:
    """Return the body of an event, with nothing where it lacks something."""
    body = message.json()
    return {"booking_id": None, "event_id": None} | (body if isinstance(body, dict) else {})


def shown(events: list[StoredMessage]) -> str:
    """Return events as the stream has them."""
    return " and ".join(e.body[:120].decode(errors="replace") for e in events[:3]) or "none"


def expect_own_keys(theatre: Theatre) -> None:
    """Look that no two charges or refunds have the same Idempotency-Key."""
    owners = dict[str, str]()
    for route in (CHARGES, REFUNDS):
        for request in theatre.payments.requests(route):
            key = request.headers.get("Idempotency-Key", "")
            owner = f"{route} for {sent(request)['booking_id']}"
            other = owners.setdefault(key, owner)
            if other != owner:
                what = "an Idempotency-Key that no other charge or refund has"
                fail(what, f"{key[:60]} in {other} and in {owner}", command=CHECK_AGAIN)


def expect_one_key(route: str, requests: list[Received], booking: Booking) -> None:
    """Look that all requests about a booking have one Idempotency-Key."""
    keys = {request.headers.get("Idempotency-Key", "") for request in requests}
    if "" in keys:
        fail(f"an Idempotency-Key in {route}", "none", command=CHECK_AGAIN)
    if len(keys) > 1:
        what = f"one Idempotency-Key in every {route} for {booking.what}"
        fail(what, " and ".join(sorted(keys)[:3]), command=CHECK_AGAIN)


@pytest.fixture(scope="module")
def template(postgres: Postgres, image: Image) -> str:
    """The name of a database that the answer's ./migrate brought up to date."""
    made = postgres.create_database("lantern")
    env = {"DATABASE_URL": made.url}
    finished = image.run(args=["./migrate"], env=env, within_s=MIGRATES_WITHIN_S)
    if finished.exit_code:
        raise StartFailure(
            "./migrate brings an empty database up to date: exit code 0",
            f"exit code {finished.exit_code}",
            command=f"docker logs {finished.container_name}",
            hint="the log says which statement PostgreSQL refused",
        )
    return made.name


Opened = Callable[[Nats, int, str], Theatre]


@pytest.fixture(scope="module")
def opened(image: Image, postgres: Postgres, template: str, stub: Stub, random: Random) -> Opened:
    """A function that opens a theatre with its broker, a patience in ms, and a way to the broker"""

    def open_theatre(broker: Nats, patience_ms: int, broker_url: str) -> Theatre:
        broker.create_stream(STREAM, ["booking.*", "show.*"])
        database = postgres.create_database(template=template, holds_commits=True)
        payments = stub.another()
        payments.reply(CHARGES, 201, json={"id": f"ch_{random.hex(12)}"})
        payments.reply(REFUNDS, 201, json={"id": f"re_{random.hex(12)}"})
        env = {
            "DATABASE_URL": database.url,
            "NATS_URL": broker_url,
            "PAYMENTS_URL": payments.url,
            "PAYMENTS_TIMEOUT_MS": str(patience_ms),
        }
        return Theatre(image.start(env=env), database, broker, payments, random)

    return open_theatre


@pytest.fixture(scope="module")
def theatre(opened: Opened, nats: Nats, random: Random) -> Theatre:
    """A theatre that soon asks the payment company again."""
    return opened(nats, random.integer(1501, 1999), nats.url)


@pytest.fixture(scope="module")
def killed(
    opened: Opened, nats: Nats, relays: Relays, random: Random, meanwhile: Meanwhile
) -> Story[None]:
    """The whole of check_survives_being_killed, with a relay before the broker."""
    broker = nats.another()
    relay = relays.to(broker.url)
    theatre = opened(broker, random.integer(61_000, 99_000), relay.url)
    return meanwhile(lambda: kill_between_steps(theatre, relay))


@pytest.fixture(scope="module")
def cut_off(opened: Opened, nats: Nats, random: Random, meanwhile: Meanwhile) -> Story[None]:
    """The whole of check_loses_no_event."""
    broker = nats.another()
    theatre = opened(broker, random.integer(61_000, 99_000), broker.url)

    def story() -> None:
        sells_without_the_broker(theatre)
        tells_nothing_before_the_commit(theatre)

    return meanwhile(story)


@points(
    1,
    hints=(
        "Follow one booking: what is in the table after each step, and who takes the next step?",
        (
            "Insert the booking as pending and answer 202. A loop beside the requests takes each "
            "booking that isn't finished, asks for the charge with {booking_id, amount_cents} and "
            "an Idempotency-Key, and writes the new status and the event."
        ),
    ),
    link="A saga: steps that survive",
)
def check_finishes(theatre: Theatre) -> None:
    """A booking is answered 202 at once, then charged, confirmed, and published in one event"""
    show = theatre.new_show()
    with theatre.payments.holding(CHARGES, having=show.price_text) as held:
        booking = theatre.book(show)
        held.wait()
        theatre.look(booking).expect(200, json={"id": booking.id, "status": "pending"})
        theatre.ask(show, booking.seat).expect(409)
        held.release()
    theatre.expect_status(booking, "confirmed")
    theatre.ask(show, booking.seat).expect(409)
    other = theatre.sell(theatre.new_show(), booking.seat, "the same seat of another show")
    ids = [theatre.expect_event(each, "booking.confirmed") for each in (booking, other)]
    if "None" in ids or "" in ids or len(set(ids)) < len(ids):
        fail("another event_id in each event", " and ".join(ids))
    for each in (booking, other):
        theatre.expect_charged(each)
        theatre.expect_refunded(each, 0)
    theatre.server.get(f"/api/bookings/{theatre.random.word()}").expect(404)
    theatre.ask(Show(show.id + 10**6, 1), "A1").expect(404)


@points(
    2,
    hints=(
        "Which of the company's replies are a yes, which are a no, and what is everything else?",
        (
            "201 confirms and 402 cancels; anything else, and no reply within PAYMENTS_TIMEOUT_MS,"
            " means ask again with the same key. A unique index on (show_id, seat) WHERE status <>"
            " 'cancelled' holds a seat once, and frees it when the booking is cancelled."
        ),
    ),
    link="No answer is not a no",
    needs=("finishes",),
)
def check_gives_the_seat_back(theatre: Theatre) -> None:
    """402 cancels a booking and frees its seat; anything but 201 and 402 decides nothing"""
    is_declined(theatre)
    holds_a_seat_once(theatre)
    answers_late(theatre)
    says_neither_yes_nor_no(theatre)
    is_away(theatre)


def is_declined(theatre: Theatre) -> None:
    """Have the company decline one booking, and another one buy its seat."""
    show = theatre.new_show()
    theatre.payments.reply(CHARGES, 402, json={}, having=show.price_text)
    declined = theatre.book(show, what="a booking that the company declined")
    theatre.expect_status(declined, "cancelled")
    theatre.expect_event(declined, "booking.cancelled")
    another = theatre.sell(theatre.reprice(show), declined.seat, "the next booking of the seat")
    theatre.expect_still(declined, "cancelled")
    for booking, never in ((declined, "booking.confirmed"), (another, "booking.cancelled")):
        theatre.expect_refunded(booking, 0)
        if theatre.events(booking, never):
            fail(f"no {never} for {booking.what}", "one")


def holds_a_seat_once(theatre: Theatre) -> None:
    """Have many ask for one seat, and keep their commits until all have come that far."""
    show, seat = theatre.new_show(), theatre.random.pick(SEATS)
    with (
        theatre.database.holding_commits() as held,
        at_once(lambda _: theatre.ask(show, seat), range(RUSH)) as crowd,
    ):
        theatre.database.wait_for_waiting(RUSH, within_s=1.0)
        held.release()
    seen = sorted(reply.status for reply in crowd.results())
    if seen != [202] + [409] * (RUSH - 1):
        what = f"one 202 and {RUSH - 1} times 409 for {RUSH} who want one seat at once"
        fail(what, ", ".join(map(str, seen)), command=CHECK_AGAIN)


def answers_late(theatre: Theatre) -> None:
    """Hold a charge until the server has asked for it once more."""
    show, limit = theatre.new_show(), "no reply within PAYMENTS_TIMEOUT_MS"
    with theatre.payments.holding(CHARGES, having=show.price_text) as held:
        booking = theatre.book(show, what=f"a booking whose charge gets {limit}")
        expect_asked_again(theatre, CHARGES, booking)
        expect_open(theatre, booking)
        held.release()
    theatre.expect_status(booking, "confirmed")


def says_neither_yes_nor_no(theatre: Theatre) -> None:
    """Have the company answer something else, twice and more; then it says yes."""
    bookings = list[Booking]()
    for status in (theatre.random.pick((500, 503)), theatre.random.pick((404, 409, 429)), 200):
        show = theatre.new_show()
        theatre.payments.reply(CHARGES, status, json={}, having=show.price_text)
        what = f"a booking whose charge was answered {status}"
        bookings.append(theatre.book(show, what=what))
    for booking in bookings:
        expect_asked_again(theatre, CHARGES, booking, REFUSED, PATIENTLY_S)
        expect_open(theatre, booking)
    # The last ones: pauses that grow begin short.
    expect_short([pauses(theatre, CHARGES, booking)[-1] for booking in bookings], CHARGES)
    for booking in bookings:
        price = booking.show.price_text
        theatre.payments.reply(CHARGES, 201, json={"id": "ch_late"}, having=price)
    for booking in bookings:
        theatre.expect_status(booking, "confirmed", " and then 201")


def is_away(theatre: Theatre) -> None:
    """Have the company refuse connections for a while."""
    theatre.payments.refuse()
    booking = theatre.book(theatre.new_show(), what="a booking while the company is away")
    expect_open(theatre, booking)
    theatre.payments.accept()
    theatre.expect_status(booking, "confirmed", ", now that it is back")


def expect_asked_again(
    theatre: Theatre,
    route: str,
    booking: Booking,
    refused: int = 1,
    within_s: float = SETTLED_WITHIN_S,
) -> None:
    """Wait until the company, which gave no answer so many times, was asked once more."""

    def look() -> None:
        asked = len(theatre.requests(route, booking))
        if asked <= refused:
            what = f"another {route} for {booking.what}"
            fail(what, f"only {asked}, without an answer", command=CHECK_AGAIN)

    eventually(look, within_s=within_s)


def pauses(theatre: Theatre, route: str, booking: Booking) -> list[float]:
    """Return the seconds between the first requests about a booking, none of which is answered."""
    came = [request.at_s for request in theatre.requests(route, booking)[: REFUSED + 1]]
    return [after - before for before, after in pairwise(came)]


def expect_short(seconds: list[float], route: str) -> None:
    """Look that the shortest of some pauses is the contract's, as far as a busy machine tells."""
    if min(seconds) > PAUSE_S + SLACK_S:
        what = f"a pause of at most {PAUSE_S:.0f} s before another {route}"
        seen = ", ".join(f"{pause:.1f}" for pause in seconds)
        fail(what, f"pauses of {seen} s", command=CHECK_AGAIN)


def expect_open(theatre: Theatre, booking: Booking) -> None:
    """Look that a booking is pending and keeps its seat."""
    theatre.expect_still(booking, "pending")
    reply = theatre.ask(booking.show, booking.seat)
    if reply.status != 409:
        reply.fail(f"409 for the seat of {booking.what}")


@points(
    3,
    hints=(
        "Imagine your server killed after each line: what does the next start know, and how?",
        (
            "Everything that is still to be done is a row: a booking's next step, an event that "
            "isn't sent. The loops look for such rows after each start and again and again. Keys "
            "and event ids are stored before the first attempt, or derived from the booking's id; "
            "its charge and its refund have different keys."
        ),
    ),
    link="Killed between two lines",
    needs=("finishes",),
)
def check_survives_being_killed(killed: Story[None]) -> None:
    """Killed between any two steps, each booking is charged under its own key and published once"""
    killed.result()


def kill_between_steps(theatre: Theatre, relay: Relay) -> None:
    """Stop many bookings between two steps each, kill the server, and start it again."""
    payments, database = theatre.payments, theatre.database
    is_tried_twice(theatre)
    cancelled, unpaid, paid, untold = (theatre.new_show() for _ in range(4))
    refunding = theatre.sell(cancelled, what="the booking whose refund had no answer")
    beside = theatre.sell(cancelled, what="another booking of the same show")
    with (
        payments.holding(REFUNDS, having=refunding.id) as refund,
        payments.holding(CHARGES, having=unpaid.price_text) as first,
        payments.holding(CHARGES, having=paid.price_text) as second,
    ):
        theatre.cancel(cancelled, theatre.new_event_id())
        refund.wait()
        what = "a booking whose charge had no answer"
        charging = [theatre.book(unpaid, what=what) for _ in range(WAITING - 1)]
        expect_held(first, WAITING - 1, f"for {WAITING - 1} bookings at once")
        began = time.monotonic()
        theatre.reprice(unpaid)
        confirming = theatre.book(paid, what="the booking that was charged and not yet confirmed")
        expect_held(second, 1, f"for one more booking while {WAITING} wait for the company")
        expect_patience(theatre, charging[0], began + HELD_S)
        with relay.replies_held():
            telling = theatre.book(untold, what="the booking whose event had no receipt")
            # A server that connects for each event has not sent it, which is fine too.
            with suppress(Failure):
                theatre.expect_event(telling, "booking.confirmed", MOMENT_S)
            with database.holding_commits():
                second.release()
                database.wait_for_waiting(within_s=MOMENT_S)
                theatre.server.kill()
                for session in database.wait_for_waiting(within_s=0):
                    database.end_session(session)
    theatre.server.start_again()
    why = " when the server was killed"
    for booking in (*charging, confirming, telling):
        theatre.expect_status(booking, "confirmed", why)
        theatre.expect_event(booking, "booking.confirmed")
        expect_one_key(CHARGES, theatre.expect_charged(booking), booking)
        theatre.expect_refunded(booking, 0)
    theatre.expect_status(refunding, "cancelled", why)
    theatre.expect_event(refunding, "booking.cancelled")
    expect_asked_again(theatre, REFUNDS, refunding)
    for booking in (refunding, beside):
        theatre.expect_refunded(booking)
    theatre.expect_event(telling, "booking.confirmed")
    theatre.sell(cancelled, refunding.seat, "the next booking of the seat")
    expect_own_keys(theatre)


def is_tried_twice(theatre: Theatre) -> None:
    """Have the company give no answer twice; the third charge has the key of the first."""
    show = theatre.new_show()
    theatre.payments.reply(CHARGES, 503, json={}, having=show.price_text, times=2)
    booking = theatre.book(show, what="a booking that was answered 503 twice")
    expect_asked_again(theatre, CHARGES, booking, 2, PATIENTLY_S)
    theatre.expect_status(booking, "confirmed")
    expect_one_key(CHARGES, theatre.expect_charged(booking), booking)


def expect_held(held: HeldBack, at_least: int, whom: str) -> None:
    """Wait until charges are held; fewer mean that bookings wait in line."""
    try:
        held.wait(at_least)
    except Failure as failure:
        failure.looked_for = f"{CHARGES} {whom}"
        failure.saw, _, _ = failure.saw.partition(";")
        failure.command, failure.hint = CHECK_AGAIN, NOT_IN_LINE
        raise


def expect_patience(theatre: Theatre, booking: Booking, until: float) -> None:
    """Look, until a moment of the clock, that a charge isn't asked for again before its time."""
    while True:
        asked = len(theatre.requests(CHARGES, booking))
        if asked > 1:
            what = f"one {CHARGES} for {booking.what}, until PAYMENTS_TIMEOUT_MS are over"
            fail(what, f"{asked}, before they were over", command=CHECK_AGAIN)
        if time.monotonic() > until:
            return
        time.sleep(0.1)


@points(
    2,
    hints=(
        (
            "Where does an event wait while the broker is away? Is it still there after your server"
            " was killed, and gone if PostgreSQL rolled its booking back?"
        ),
        (
            "Insert the event into a table in the same transaction as the new status. A loop "
            "publishes what is in the table, and marks a row only when the broker has confirmed "
            "it. The server's start doesn't wait for the broker."
        ),
    ),
    link="The outbox",
    needs=("finishes",),
)
def check_loses_no_event(cut_off: Story[None]) -> None:
    """Ten bookings while the broker is down: their events come later, and none before its commit"""
    cut_off.result()


def sells_without_the_broker(theatre: Theatre) -> None:
    """Sell while the broker is down, also after being killed, and then look for the events."""
    show, cancelled = theatre.new_show(), theatre.new_show()
    known = theatre.sell(cancelled, what="a booking of a show that is cancelled")
    theatre.expect_event(known, "booking.confirmed")
    what = "a booking while the broker was down"
    with theatre.broker.stopped():
        sold = [theatre.book(show, what=what) for _ in range(SALES // 2)]
        for booking in sold:
            theatre.expect_status(booking, "confirmed")
        theatre.server.kill()
        theatre.server.start_again()
        sold += [theatre.book(show, what=what) for _ in range(SALES - len(sold))]
        for booking in sold:
            theatre.expect_status(booking, "confirmed")
    ids = {theatre.expect_event(booking, "booking.confirmed") for booking in sold}
    if len(ids) < SALES:
        fail(f"{SALES} different event_id for {SALES} bookings", f"{len(ids)}")
    theatre.cancel(cancelled, theatre.new_event_id())
    theatre.expect_status(known, "cancelled", ", now that the broker is back")


def tells_nothing_before_the_commit(theatre: Theatre) -> None:
    """Keep the commit of a booking, roll it back, and let the next attempt through."""
    show = theatre.new_show()
    with theatre.payments.holding(CHARGES, having=show.price_text) as charge:
        booking = theatre.book(show, what="a booking whose transaction was rolled back")
        charge.wait()
        with theatre.database.holding_commits():
            charge.release()
            for session in theatre.database.wait_for_waiting():
                expect_nothing_told(theatre, booking)
                theatre.database.end_session(session)
            expect_nothing_told(theatre, booking)
    theatre.expect_status(booking, "confirmed", " and made again")
    theatre.expect_event(booking, "booking.confirmed")


def expect_nothing_told(theatre: Theatre, booking: Booking) -> None:
    """Look that no event tells of a booking yet."""
    if early := theatre.events(booking):
        fail(f"no event yet for {booking.what}", shown(early), command=CHECK_AGAIN)


@points(
    2,
    hints=(
        "What does your handler do when the same message comes again, an hour and a restart later?",
        (
            "In one transaction: insert the event_id into a table with ON CONFLICT DO NOTHING, stop"
            " if no row was inserted; otherwise cancel the show's bookings and note what is to be"
            " refunded. Acknowledge after the commit, from a durable consumer."
        ),
    ),
    link="The inbox: twice is as good as once",
    needs=("finishes",),
)
def check_tolerates_repeats(theatre: Theatre) -> None:
    """A cancelled show refunds each booking once, however often its message comes"""
    before, event_id = theatre.new_show(), theatre.new_event_id()
    theatre.payments.reply(CHARGES, 402, json={}, having=before.price_text)
    declined = theatre.book(before, what="a booking declined before its show was cancelled")
    theatre.expect_status(declined, "cancelled")
    show = theatre.reprice(before)
    known = [theatre.sell(show, what="a booking of a cancelled show") for _ in range(2)]
    theatre.payments.reply(REFUNDS, 503, json={}, having=known[0].id, times=2)
    bystander = theatre.sell(theatre.new_show(), what="a booking of another show")
    theatre.cancel(bystander.show, theatre.new_event_id(), "show.moved")
    refused = theatre.new_show()
    theatre.payments.reply(CHARGES, 402, json={}, having=refused.price_text)
    with (
        theatre.payments.holding(CHARGES, having=show.price_text) as held,
        theatre.payments.holding(CHARGES, having=refused.price_text) as other,
    ):
        during = "a booking whose show was cancelled during its charge"
        open_one = theatre.book(show, what=during)
        unpaid = theatre.book(refused, what=f"{during}, which was declined")
        held.wait()
        other.wait()
        theatre.cancel(refused, theatre.new_event_id())
        for _ in range(3):
            theatre.cancel(show, event_id)
        expect_cancelled(theatre, known)
        held.release()
        other.release()
    expect_cancelled(theatre, [open_one])
    later = theatre.sell(show, known[1].seat, "a booking made after its show was cancelled")
    barriers = [theatre.sell(theatre.new_show(), what="a booking whose show was cancelled last")
                for _ in range(2)]  # fmt: skip
    theatre.cancel(show, event_id)
    theatre.cancel(barriers[0].show, theatre.new_event_id())
    expect_cancelled(theatre, barriers[:1])
    theatre.expect_still(later, "confirmed", ", after a repeat")
    theatre.server.kill()
    theatre.cancel(show, event_id)
    theatre.cancel(barriers[1].show, theatre.new_event_id())
    theatre.server.start_again()
    expect_cancelled(theatre, barriers)
    theatre.expect_still(later, "confirmed", ", after a repeat and a restart")
    theatre.expect_still(bystander, "confirmed")
    for booking in known:
        theatre.expect_refunded(booking)
        theatre.expect_event(booking, "booking.cancelled")
        theatre.expect_event(booking, "booking.confirmed")
    for booking in (declined, unpaid):
        theatre.expect_status(booking, "cancelled")
        theatre.expect_event(booking, "booking.cancelled")
        theatre.expect_refunded(booking, 0)
    theatre.cancel(show, theatre.new_event_id())
    expect_cancelled(theatre, [later])
    asks_for_refunds_again(theatre)


def asks_for_refunds_again(theatre: Theatre) -> None:
    """Have the company give no answer to one refund three times, and to another for too long."""
    refused = theatre.sell(theatre.new_show(), what="a booking whose refund had no answer")
    theatre.payments.reply(REFUNDS, 503, json={}, having=refused.id, times=REFUSED - 1)
    theatre.payments.reply(REFUNDS, 402, json={}, having=refused.id, times=1)
    theatre.cancel(refused.show, theatre.new_event_id())
    expect_asked_again(theatre, REFUNDS, refused, REFUSED, PATIENTLY_S)
    expect_short(pauses(theatre, REFUNDS, refused), REFUNDS)
    late = theatre.sell(theatre.new_show(), what="a booking whose refund came late")
    with theatre.payments.holding(REFUNDS, having=late.id) as held:
        theatre.cancel(late.show, theatre.new_event_id())
        expect_asked_again(theatre, REFUNDS, late)
        held.release()
    expect_cancelled(theatre, [refused, late])


def expect_cancelled(theatre: Theatre, bookings: list[Booking]) -> None:
    """Wait until bookings are cancelled, refunded and told."""
    for booking in bookings:
        theatre.expect_status(booking, "cancelled")
        theatre.expect_refunded(booking)
        theatre.expect_event(booking, "booking.cancelled")
