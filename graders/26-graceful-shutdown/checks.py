import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Connection,
    Deadline,
    Exit,
    Failure,
    HeldBack,
    Image,
    Meanwhile,
    Program,
    Random,
    Reply,
    Server,
    StartFailure,
    Store,
    Story,
    Stub,
    at_once,
    eventually,
    fail,
    points,
)

CHARGES, MAILS, READY = "POST /charges", "POST /mails", "/readyz"
HEARS_WITHIN_S, NOT_READY_WITHIN_S, REFUSES_WITHIN_S = 2.0, 1.0, 1.0
LEAVES_WITHIN_S, GIVES_UP_WITHIN_S = 1.0, 1.0
WORKER_LEAVES_WITHIN_S, MAILED_WITHIN_S = 2.0, 5.0
SILENT, KEPT, HALF = 7, 7, 6
JOBS, MORE_JOBS = 30, 10
# The clock of a timer may be coarser than ours.
EARLY_S = 0.02
# A server that ends or hangs up at a signal, or when the drain is over, has done so by then.
SURELY_OVER_S = 0.3
REPLY_WITHIN_S, PUSHED_WITHIN_S = 8.0, 1.0
# After five seconds the answer may close a connection that is idle.
MAY_IDLE_S = 4.0
# Nothing that a check looks at is ended by this.
FAR_OFF_S = 600
# The second one where the machine was too busy to see the phases of the first one apart.
DRAINS_S = (2.4, 12.0)
ATTEMPTS, POLL_S = 2, 0.02
Order = dict[str, Any]


# --- the house ----------------------------------------------------------------------------------


class House:
    """What all servers and workers share: the image, the store, the two companies."""

    def __init__(self, image: Image, store: Store, stub: Stub, random: Random) -> None:
        self._image, self.store, self.random = image, store, random
        self.payments, self.mails = stub, stub.another()
        self.payments.reply(CHARGES, 201, json={"id": f"ch_{random.hex(10)}"})
        self.mails.reply(MAILS, 202)

    def office(self, drain_s: float = 0, limit_s: float = FAR_OFF_S) -> "Office":
        """Start a server that was told these times; the drain is a brief one by default."""
        drain_ms = round(drain_s * 1000) or self.random.integer(310, 690)
        told = {"DRAIN_MS": drain_ms, "SHUTDOWN_TIMEOUT_MS": round(limit_s * 1000)}
        queue = self.new_queue()
        server = self._image.start(env=self._env(queue, told))
        return Office(server, drain_ms / 1000, limit_s, queue, self)

    def worker(self, queue: str) -> Program:
        """Start a worker of a list; its time begins when its container runs."""
        told = {"DRAIN_MS": 5000, "SHUTDOWN_TIMEOUT_MS": FAR_OFF_S * 1000}
        worker = self._image.start_program(args=["worker"], env=self._env(queue, told))
        worker.expect_running()
        return worker

    def new_queue(self) -> str:
        """Return a fresh name for a list of jobs."""
        return f"{self.random.word()}-{self.random.hex(6)}"

    def new_jobs(self, count: int) -> tuple[str, list[str]]:
        """Return jobs, and a word that is in each of them and nowhere else."""
        word, random = self.random.hex(10), self.random
        texts = [f'{random.text(5)} "{random.word()}" \\ %20{random.word()}' for _ in range(count)]
        return word, [f"{word}-{number:02} {text}" for number, text in enumerate(texts)]

    def _env(self, queue: str, told: dict[str, int]) -> dict[str, str]:
        return {
            "PAYMENTS_URL": self.payments.url,
            "MAIL_URL": self.mails.url,
            "REDIS_URL": self.store.url,
            "QUEUE": queue,
            **{name: str(ms) for name, ms in told.items()},
        }


@dataclass(frozen=True)
class Office:
    """A server, and what it was told.

    Args:
        server: of the answer.
        drain_s: for so long it still accepts connections.
        limit_s: after that long it has given up.
        queue: name of the list that its jobs go to.
        house: around it.
    """

    server: Server
    drain_s: float
    limit_s: float
    queue: str
    house: House

    def order(self) -> Order:
        """Return an order by somebody new."""
        random = self.house.random
        seat = f"{random.pick('ABCDEF')}{random.integer(1, 10)}"
        return {"show_id": random.integer(11, 9999), "seat": seat, "user": random.word()}

    def send(self, order: Order) -> Connection:
        """Send an order on a connection of its own."""
        line = self.server.connect()
        line.send(b"".join(in_halves(order)))
        return line

    def expect_sold(self, line: Connection, order: Order, when: str) -> Reply:
        """Read the reply to an order that is paid, and look for its job in the list."""
        with self.explained(when):
            reply = line.reply(to="POST", timeout_s=REPLY_WITHIN_S)
            reply.expect(201, json={**order, "status": "confirmed"})
            number = reply.json().get("id")
            eventually(lambda: self.expect_job(number), within_s=PUSHED_WITHIN_S)
        return reply

    def jobs(self) -> list[str]:
        """Return the jobs that are in the list."""
        return list(self.house.store.run("LRANGE", self.queue, "0", "-1"))

    def expect_job(self, number: object) -> None:
        """Look that a job is in the list."""
        jobs = self.jobs()
        if number not in jobs:
            fail("the booking's id in the list of jobs", f"id {number!r}, jobs {jobs}"[:300])

    def expect_last(self, line: Connection, reply: Reply, when: str) -> None:
        """Look that a reply announces the end of its connection, and that it comes."""
        with self.explained(when):
            said = reply.headers.get("Connection", "(absent)")
            if "close" not in [word.strip() for word in said.lower().split(",")]:
                fail("Connection: close in the reply", f"{reply.status} · Connection: {said}")
            line.expect_closed(REPLY_WITHIN_S)

    @contextmanager
    def explained(self, when: str, what: str = "") -> Iterator[None]:
        """Say of a failure what it was about, and that the server has ended, where it has."""
        try:
            yield
        except Failure as failure:
            failure.looked_for = f"{what or failure.looked_for} {when}".strip()
            if not self.server.is_running:
                code = self.server.container.exit_code()
                failure.saw += f"; the server ended with exit code {code}"
            raise

    def wait_for_exit(self, within_s: float, since: float, what: str) -> Exit:
        """Wait for the server's exit, at most so many seconds after a moment."""
        try:
            return self.server.wait_for_exit(within_s=left(within_s, since))
        except Failure as failure:
            failure.looked_for = what
            raise

    def wait_until_drained(self, told: float) -> float:
        """Wait until the server accepts no new connections, and return the moment."""
        within_s = self.drain_s + REFUSES_WITHIN_S
        try:
            return self.server.wait_until_refused(within_s=left(within_s, told))
        except Failure as failure:
            failure.looked_for = f"no new connections, {shown(within_s)} after SIGTERM"
            raise


def in_halves(order: Order) -> tuple[bytes, bytes]:
    """Return the bytes of an order's request, cut in the middle of its head."""
    body = json.dumps(order).encode()
    head = (
        "POST /api/bookings HTTP/1.1\r\nHost: lantern.example\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode()
    return head[:60], head[60:] + body


def ask_ready(line: Connection) -> Reply:
    """Ask on a connection that may be used again whether the server is ready."""
    line.send(f"GET {READY} HTTP/1.1\r\nHost: lantern.example\r\n\r\n".encode())
    return line.reply(timeout_s=REPLY_WITHIN_S)


def left(within_s: float, since: float) -> float:
    """Return how many of these seconds after a moment are left."""
    return max(within_s - (time.monotonic() - since), 0.01)


def shown(seconds: float) -> str:
    """Return a time as the contract has it."""
    return f"{seconds * 1000:.0f} ms"


def side_by_side(looks: Sequence[Callable[[House], None]], house: House) -> None:
    """Look at several servers at the same time, at each once more where a look fails."""

    def look_at(look: Callable[[House], None]) -> None:
        eventually(lambda: look(house), attempts=ATTEMPTS)

    with at_once(look_at, looks) as all_of_them:
        pass
    all_of_them.results()


@contextmanager
def shown_by_checking_again() -> Iterator[None]:
    """Have a failure offer no request: by the time it is typed, the server is gone."""
    try:
        yield
    except StartFailure:
        raise
    except Failure as failure:
        if not failure.command.startswith("docker logs"):
            failure.command = CHECK_AGAIN
        raise


@pytest.fixture(scope="module")
def house(image: Image, store: Store, stub: Stub, random: Random) -> House:
    """What all servers and workers share."""
    return House(image, store, stub, random)


# --- who gets the signal ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first_office(house: House) -> Office:
    """A server that nobody asks."""
    return house.office()


@points(
    1,
    hints=(
        "The report names process 1 of the container. Is that your server, or what started it?",
        (
            'A script ends in exec: exec node "$1.js" makes the shell become Node. Then the'
            " server needs a handler for SIGTERM, and has to end with exit code 0."
        ),
    ),
    link="Who gets the signal",
)
def check_hears_the_signal(first_office: Office) -> None:
    """SIGTERM reaches the server through whatever starts it, and it ends with exit code 0"""
    server = first_office.server
    server.get(READY).expect(200)
    server.signal("SIGTERM")
    when = f"{HEARS_WITHIN_S:g} s after SIGTERM"
    what = f"a server that has ended with exit code 0, or is no longer ready, {when}"
    try:
        ended = server.wait_for_exit(within_s=HEARS_WITHIN_S)
    except Failure as failure:
        # Whether it finishes what it has heard is for another check.
        if says_ready(server):
            failure.looked_for = what
            raise
        return
    if ended.code != 0:
        fail(what, f"it ended with exit code {ended.code}")


def says_ready(server: Server) -> bool:
    """Tell whether a server says on a new connection that it is ready."""
    try:
        return server.get(READY).status == 200
    except Failure:
        return False


# --- three phases -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def goodbye(house: House, meanwhile: Meanwhile) -> Story[None]:
    """A server that is told to end while it is used in every way."""

    def tell() -> None:
        for drain_s in DRAINS_S:
            office = house.office(drain_s + house.random.integer(1, 499) / 1000)
            if says_goodbye(office, is_last=drain_s == DRAINS_S[-1]):
                return

    return meanwhile(tell)


@points(
    2,
    hints=(
        "Which of the three phases does the report speak of: before, during or after the drain?",
        (
            "On SIGTERM only set a flag: /readyz looks at it, and so does whatever writes a reply's"
            " head. Requests that came before the signal get Connection: close too, when they are"
            " answered. After DRAIN_MS close the listening socket, and nothing else."
        ),
    ),
    link="The order of leaving",
    needs=("hears_the_signal",),
)
def check_says_goodbye_first(goodbye: Story[None]) -> None:
    """From SIGTERM on it isn't ready, serves for DRAIN_MS, and closes connections after replying"""
    with shown_by_checking_again():
        goodbye.result()


def says_goodbye(office: Office, *, is_last: bool) -> bool:
    """Look at the three phases; return False where the machine was too busy to tell them apart."""
    server, payments = office.server, office.house.payments
    early, late = office.order(), office.order()
    with (
        ExitStack() as hold,
        server.connect() as kept,
        server.connect() as half,
    ):
        opened = time.monotonic()
        expect_kept(kept)
        ordered = office.order()
        first, second = in_halves(ordered)
        half.send(first)
        held = hold.enter_context(payments.holding(CHARGES, having=early["user"]))
        before = office.send(early)
        held.wait()
        told = server.signal("SIGTERM")
        try:
            expect_not_ready(office, told)
            expect_served(office, kept, half, second, ordered)
            held.release()
            when = "to a booking that was under way at SIGTERM, paid during the drain"
            office.expect_last(before, office.expect_sold(before, early, when), when)
            held = hold.enter_context(payments.holding(CHARGES, having=late["user"]))
            during = office.send(late)
            held.wait(within_s=REPLY_WITHIN_S)
            server.get(READY).expect(503)
        except Failure:
            now = time.monotonic()
            is_blurred = now - told > office.drain_s or now - opened > MAY_IDLE_S
            if is_blurred and not is_last:
                return False
            raise
        # Somebody still waits for the payment: the port is closed all the same.
        expect_drained(office, told)
        during.close()
    return True


def expect_kept(line: Connection) -> None:
    """Look that a connection is kept for further requests as long as nobody leaves."""
    reply = ask_ready(line).expect(200)
    if "close" in reply.headers.get("Connection", "").lower() or not line.stays_open(0.05):
        saw = f"Connection: {reply.headers.get('Connection', '(absent)')}, and it was closed"
        fail("a connection that is kept open before SIGTERM", saw)
    ask_ready(line).expect(200)


def expect_not_ready(office: Office, told: float) -> None:
    """Wait until the server says on new connections that it is not ready."""
    deadline = Deadline(NOT_READY_WITHIN_S)
    what = f"GET {READY} answers 503 at once after SIGTERM, on a new connection"
    while True:
        is_late = deadline.has_passed()
        with office.explained("", what):
            status = office.server.get(READY, timeout_s=REPLY_WITHIN_S).status
        if status == 503:
            return
        if is_late:
            fail(what, f"{status}, {shown(time.monotonic() - told)} after SIGTERM")


def expect_served(
    office: Office, kept: Connection, half: Connection, second: bytes, ordered: Order
) -> None:
    """Look that old and new connections are served during the drain, each for the last time."""
    when = "on a connection that was idle at SIGTERM"
    with office.explained(f"{when}, during the drain"):
        reply = ask_ready(kept).expect(503)
    office.expect_last(kept, reply, when)
    when = "to a request that was half sent at SIGTERM, and whole during the drain"
    half.send(second)
    office.expect_last(half, office.expect_sold(half, ordered, when), when)
    when = "on a new connection, during the drain"
    order = office.order()
    with office.explained(when):
        line = office.send(order)
    office.expect_last(line, office.expect_sold(line, order, when), when)


def expect_drained(office: Office, told: float) -> None:
    """Wait until the server accepts no new connections: after the drain, and not before."""
    after_s = office.wait_until_drained(told) - told
    if after_s < office.drain_s - EARLY_S:
        what = f"new connections are accepted for {shown(office.drain_s)} after SIGTERM"
        with office.explained(""):
            fail(what, f"refused after {shown(after_s)}")


# --- what is under way --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busy_office(house: House) -> Office:
    """A server that is told to end while people pay."""
    return house.office(house.random.integer(910, 1290) / 1000)


@points(
    2,
    hints=(
        "What ends the process, or the connection, while somebody is still waiting?",
        (
            "Count a request in when it arrives, and out when its reply is sent. Close Redis"
            " and end the process only when none is left. A booking's job is pushed once, when"
            " the company has answered."
        ),
    ),
    link="Finish what you started",
    needs=("hears_the_signal",),
)
def check_finishes_what_it_started(busy_office: Office) -> None:
    """Bookings under way at SIGTERM are finished, even if a payment outlasts the drain"""
    orders = [busy_office.order() for _ in range(4)]
    with shown_by_checking_again(), ExitStack() as hold:
        paying = [Paying(busy_office, order, hold) for order in orders[:3]]
        told = busy_office.server.signal("SIGTERM")
        # Whether it is let in is for another check.
        with suppress(Failure):
            paying.append(Paying(busy_office, orders[3], hold))
        with suppress(Failure):
            busy_office.wait_until_drained(told)
        for each in paying:
            each.expect_silence(SURELY_OVER_S / len(paying))
        expect_unpaid(busy_office)
        expect_one_job_each(busy_office, [each.expect_finished() for each in paying])


def expect_unpaid(office: Office) -> None:
    """Look that no booking has a job yet: the payment company still has all of them."""
    if jobs := office.jobs():
        fail(
            "no job in the list before its booking is paid",
            f"jobs {jobs}"[:300],
            hint="push the job when the payment company has answered, and not before",
        )


def expect_one_job_each(office: Office, ids: list[str]) -> None:
    """Look that each booking has an id and a job that no other one has."""
    if len(set(ids)) < len(ids):
        fail("an id that no other booking has", f"ids {ids}"[:300], hint="make a random one")
    if sorted(jobs := office.jobs()) != sorted(ids):
        fail(f"one job in the list for each of {len(ids)} bookings", f"jobs {jobs}"[:300])


class Paying:
    """Somebody whose booking is under way, as long as the payment company takes its time."""

    def __init__(self, office: Office, order: Order, hold: ExitStack) -> None:
        self._office, self._order = office, order
        payments = office.house.payments
        self._held = hold.enter_context(payments.holding(CHARGES, having=order["user"]))
        self._line = hold.enter_context(office.send(order))
        self._held.wait(within_s=REPLY_WITHIN_S)
        self._when = f"to a booking that was paid after the drain of {shown(office.drain_s)}"

    def expect_silence(self, for_s: float) -> None:
        """Look that the server waits for the payment."""
        with self._office.explained(self._when):
            self._line.expect_silence(for_s, until="the reply")

    def expect_finished(self) -> str:
        """Let the payment be made, look that the booking is answered, and return its id."""
        self._held.release()
        reply = self._office.expect_sold(self._line, self._order, self._when)
        charges = self._office.house.payments.requests(CHARGES, having=self._order["user"])
        if len(charges) != 1:
            fail(f"one {CHARGES} for each booking", f"{len(charges)}")
        asked = charges[0].json()
        if not isinstance(asked, dict) or not self._order.items() <= asked.items():
            what = f"{CHARGES} with {json.dumps(self._order)}"
            fail(what, json.dumps(asked)[:300], hint="send all three fields as JSON")
        return str(reply.json()["id"])


# --- leaving promptly ---------------------------------------------------------------------------


@points(
    2,
    hints=(
        "Something keeps your process alive. Which connections are still open, and who owns them?",
        (
            "When nothing is in flight any more, close every connection, even the silent ones and"
            " those with half a request, then the pools. Node: server.closeAllConnections() and"
            " redis.close()."
        ),
    ),
    link="What keeps a process alive",
    needs=("hears_the_signal",),
)
def check_leaves_promptly(house: House) -> None:
    """With nothing left to do it exits with 0 within a second, whatever connections are open"""
    with shown_by_checking_again():
        side_by_side((leaves_the_idle, leaves_after_the_last), house)


def leaves_the_idle(house: House) -> None:
    """Look that a server with many connections and no request is gone after its drain."""
    office = house.office()
    order = office.order()
    with office.send(order) as line:
        office.expect_sold(line, order, "before SIGTERM")
    with ExitStack() as opened:
        open_idle(office, opened, (SILENT, KEPT, HALF))
        told = office.server.signal("SIGTERM")
        within_s = office.drain_s + LEAVES_WITHIN_S
        count = SILENT + KEPT + HALF
        what = f"gone {shown(within_s)} after SIGTERM, with {count} idle connections"
        ended = office.wait_for_exit(within_s, told, what)
    expect_success(ended, what)


def open_idle(office: Office, opened: ExitStack, counts: tuple[int, int, int]) -> None:
    """Open connections that are silent, kept after a reply, and in the middle of a head."""
    silent, kept, half = counts
    for number in range(silent + kept + half):
        line = opened.enter_context(office.server.connect())
        if number < kept:
            ask_ready(line).expect(200)
        elif number < kept + half:
            line.send(in_halves(office.order())[0])


def leaves_after_the_last(house: House) -> None:
    """Look that a server is gone once it has answered what was under way."""
    office = house.office()
    order = office.order()
    with (
        ExitStack() as opened,
        house.payments.holding(CHARGES, having=order["user"]) as held,
    ):
        line = opened.enter_context(office.send(order))
        held.wait()
        open_idle(office, opened, (1, 1, 1))
        told = office.server.signal("SIGTERM")
        with suppress(Failure):
            office.wait_until_drained(told)
        held.release()
        with suppress(Failure):
            line.reply(to="POST", timeout_s=REPLY_WITHIN_S)
        what = f"gone {shown(LEAVES_WITHIN_S)} after the last reply, three connections idle"
        ended = office.wait_for_exit(LEAVES_WITHIN_S, time.monotonic(), what)
    expect_success(ended, what)


def expect_success(ended: Exit, what: str) -> None:
    """Compare an exit code with 0."""
    if ended.code != 0:
        fail(f"{what}: exit code 0", f"exit code {ended.code}")


# --- giving up ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stuck(house: House, meanwhile: Meanwhile) -> Story[None]:
    """Servers whose payments never come."""
    looks = (gives_up_after_the_drain, gives_up_during_it, gives_up_when_told_twice)
    return meanwhile(lambda: side_by_side(looks, house))


@points(
    1,
    hints=(
        "What ends your process if a payment never comes? When does that clock start?",
        (
            "Start one timer in the handler of SIGTERM, before anything else, that ends the process"
            " with exit code 1 after SHUTDOWN_TIMEOUT_MS. A second signal does the same at once."
        ),
    ),
    link="A limit on all of it",
    needs=("hears_the_signal",),
)
def check_gives_up_in_time(stuck: Story[None]) -> None:
    """A stuck request ends it with exit code 1 after SHUTDOWN_TIMEOUT_MS, or at a second SIGTERM"""
    with shown_by_checking_again():
        stuck.result()


@contextmanager
def stuck_office(house: House, drain_s: float, limit_s: float) -> Iterator[tuple[Office, float]]:
    """Yield a server with a payment that does not come, and the moment it was told to end."""
    office = house.office(drain_s, limit_s)
    order = office.order()
    with house.payments.holding(CHARGES, having=order["user"]) as held, office.send(order):
        held.wait()
        yield office, office.server.signal("SIGTERM")


def gives_up_after_the_drain(house: House) -> None:
    """Look that the limit ends a server that waits for the last request."""
    limit_s = house.random.integer(1300, 1700) / 1000
    # A server that doesn't wait for it, and ends earlier, fails another check.
    expect_limit(house, 0.4, limit_s, may_be_early=True)


def gives_up_during_it(house: House) -> None:
    """Look that the limit counts from the signal, and not from the end of the drain."""
    limit_s = house.random.integer(900, 1300) / 1000
    expect_limit(house, FAR_OFF_S, limit_s, may_be_early=False)


def expect_limit(house: House, drain_s: float, limit_s: float, *, may_be_early: bool) -> None:
    """Look that a server that is stuck ends at its limit, with exit code 1."""
    with stuck_office(house, drain_s, limit_s) as (office, told):
        drain = f"DRAIN_MS={office.drain_s * 1000:.0f}"
        what = f"exit code 1, {shown(limit_s)} after SIGTERM, a payment stuck ({drain})"
        ended = office.wait_for_exit(limit_s + GIVES_UP_WITHIN_S, told, what)
    after_s = ended.at - told
    is_early = after_s < limit_s - EARLY_S
    if is_early and may_be_early:
        return
    if ended.code != 1 or is_early:
        fail(what, f"exit code {ended.code} after {shown(after_s)}")


def gives_up_when_told_twice(house: House) -> None:
    """Look that a second signal ends a server at once."""
    with stuck_office(house, FAR_OFF_S, 2 * FAR_OFF_S) as (office, told):
        # Two signals that come before either was heard are one. Who never says so is judged above.
        with suppress(Failure):
            expect_not_ready(office, told)
        again = office.server.signal("SIGTERM")
        what = "exit code 1 at once after a second SIGTERM"
        ended = office.wait_for_exit(GIVES_UP_WITHIN_S, again, what)
    if ended.code != 1:
        fail(what, f"exit code {ended.code}")


# --- jobs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workers(house: House, meanwhile: Meanwhile) -> Story[None]:
    """Workers that are told to end, and killed."""
    return meanwhile(lambda: eventually(lambda: lose_no_job(house), attempts=ATTEMPTS))


@points(
    2,
    hints=(
        "Where is a job between the moment it leaves the list and the moment it is mailed?",
        (
            "Move it to a second list in one step (BLMOVE), mail it, then remove it there (LREM). A"
            " worker that starts moves back what it finds in the second list. It takes the next job"
            " when this one is mailed. SIGTERM sets a flag that the loop looks at before it takes a"
            " job, and the wait for a job has a limit."
        ),
    ),
    link="A job in hand",
    needs=("hears_the_signal",),
)
def check_loses_no_job(workers: Story[None]) -> None:
    """Each job is mailed once, across a SIGTERM; after SIGKILL only the one in hand comes twice"""
    with shown_by_checking_again():
        workers.result()


def lose_no_job(house: House) -> None:
    """Tell a worker to end in the middle of its jobs, and kill the next one in the middle."""
    queue = house.new_queue()
    word, jobs = house.new_jobs(JOBS)
    house.store.run("RPUSH", queue, *jobs)
    ends_after_the_one_in_hand(house, queue, word, jobs)
    second = house.worker(queue)
    wait_for_mails(house, word, Counter(jobs), "by the next worker")
    more_word, more = house.new_jobs(MORE_JOBS)
    in_hand = more[house.random.integer(3, 6)]
    with house.mails.holding(MAILS, having=in_hand[:13]) as held:
        house.store.run("RPUSH", queue, *more)
        held.wait()
        second.signal("SIGKILL")
        second.wait_for_exit(within_s=WORKER_LEAVES_WITHIN_S)
        held.release()
    third = house.worker(queue)
    twice = Counter(more) + Counter([in_hand])
    wait_for_mails(house, more_word, twice, "by the worker that comes after one that was killed")
    third.signal("SIGTERM")
    expect_worker_gone(third, "a worker without a job")
    expect_mails(house, word, Counter(jobs), "in the end")
    expect_mails(house, more_word, twice, "in the end")


def ends_after_the_one_in_hand(house: House, queue: str, word: str, jobs: list[str]) -> None:
    """Tell a worker to end while it mails; it finishes that job, and takes no other."""
    in_hand = jobs[house.random.integer(12, 17)]
    with (
        house.mails.holding(MAILS, having=word) as first,
        house.mails.holding(MAILS, having=in_hand[:13]) as held,
    ):
        worker = house.worker(queue)
        expect_one_in_hand(house, word)
        first.release()
        held.wait(within_s=3 * MAILED_WITHIN_S)
        with house.mails.holding(MAILS, having=word) as others:
            worker.signal("SIGTERM")
            worker.expect_running(SURELY_OVER_S, until="the job in hand is mailed")
            held.release()
            expect_worker_gone(worker, "a worker that has mailed its job in hand", others)
    mailed = mails_of(house, word)
    if doubled := [job for job, times in mailed.items() if times > 1]:
        fail("each job mailed once", f"{doubled[0]!r} {mailed[doubled[0]]} times")


def expect_one_in_hand(house: House, word: str) -> None:
    """Look that a worker asks for one mail, and for no other until that is answered."""
    house.mails.requests(MAILS, having=word, at_least=1, within_s=3 * MAILED_WITHIN_S)
    time.sleep(SURELY_OVER_S)
    if (count := len(house.mails.requests(MAILS, having=word))) > 1:
        fail(
            "one job after the other: no mail while another isn't answered yet",
            f"{count} at once",
            hint="wait for the mail server's reply before you take the next job",
        )


def expect_worker_gone(worker: Program, who: str, others: HeldBack | None = None) -> None:
    """Look that a worker that was told to end has ended well."""
    what = f"{who} ends with exit code 0 within {WORKER_LEAVES_WITHIN_S:g} s of SIGTERM"
    try:
        ended = worker.wait_for_exit(within_s=WORKER_LEAVES_WITHIN_S)
    except Failure as failure:
        failure.looked_for = what
        taken = others.wait(0) if others else []
        failure.saw += f", and has taken another job: {taken[0].json()}" if taken else ""
        raise
    if ended.code != 0:
        fail(what, f"exit code {ended.code}")


def mails_of(house: House, word: str) -> "Counter[str]":
    """Return how often each job with a word in it was mailed."""
    bodies = [request.json() for request in house.mails.requests(MAILS, having=word)]
    return Counter(str(body.get("job")) if isinstance(body, dict) else "" for body in bodies)


def wait_for_mails(house: House, word: str, wanted: "Counter[str]", when: str) -> None:
    """Wait until each job was mailed as often as it must be, as long as one follows another."""
    missing, deadline = wanted, Deadline(MAILED_WITHIN_S)
    while missing:
        is_late = deadline.has_passed()
        still = wanted - mails_of(house, word)
        if still == missing and is_late:
            job = next(iter(missing))
            saw = f"{missing.total()} missing, such as {job!r}"
            if wanted[job] > 1:
                saw = f"{job!r}, which was in hand, was not mailed again"
            fail(f"each job mailed {when}, none later than {MAILED_WITHIN_S:g} s", saw)
        if still != missing:
            missing, deadline = still, Deadline(MAILED_WITHIN_S)
        time.sleep(POLL_S)


def expect_mails(house: House, word: str, wanted: "Counter[str]", when: str) -> None:
    """Compare how often each job was mailed."""
    if extra := mails_of(house, word) - wanted:
        job = next(iter(extra))
        saw = f"{job!r} {wanted[job] + extra[job]} times"
        fail(f"no job mailed more often than it must be, {when}", saw)
