import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from math import floor
from typing import Any
from urllib.parse import urlsplit

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Database,
    Deadline,
    Failure,
    Image,
    Meanwhile,
    Postgres,
    Random,
    Relay,
    Relays,
    Reply,
    Server,
    Store,
    Story,
    at_rate,
    eventually,
    fail,
    points,
)

ALIVE, READY, STARTED = PATHS = ("/livez", "/readyz", "/startupz")
WORDS = {200: "ok", 503: "fail"}
IN_TIME_S, HASTY_S = 0.4, 1.5
# What is remembered for longer than the contract allows is the business of one check alone.
PATIENT_S = 5
TRUE_FOR_S = 1.0
PER_S, STORM, RUSH, CHECKS_PER_S = 100, 90, 100, 5
ENOUGH = 0.8
# A warm-up that no check sees the end of, and how long it is looked at: stuck loops show by then.
ENDLESS_MS, WARM_FOR_S = 600_000, 2.3
# The slowest round that the contract has takes 700 ms.
SLOWEST_JOB_MS, SLOW_FOR_S, POLL_S = 500, 1.5, 0.04
STUCK_WITHIN_S, UNHEALTHY_WITHIN_S, HEALTHY_WITHIN_S = 2, 4, 5
SECOND_NS = 1_000_000_000
ATTEMPTS = 3


# --- patience -------------------------------------------------------------------------------------


class Late(Failure):
    """The truth came too late: the machine may have been busy."""


def patiently(expectation: Callable[[], None]) -> None:
    """Try again what came too late; the last try counts. What is wrong at once is wrong."""
    for _ in range(ATTEMPTS - 1):
        try:
            return expectation()
        except Late:
            continue
    return expectation()


def in_time(expectation: Callable[[], object]) -> None:
    """Expect what a busy machine may be late with."""
    try:
        expectation()
    except Failure as failure:
        raise Late(failure.looked_for, failure.saw, command=CHECK_AGAIN) from failure


# --- the box office -------------------------------------------------------------------------------


@dataclass(frozen=True)
class House:
    """A server, and the ways from it to what it depends on."""

    server: Server
    database: Relay
    redis: Relay

    def expect(
        self, path: str, status: int, when: str = "", *, degraded: list[str] | None = None
    ) -> Reply:
        """Ask a probe, and compare its reply with the contract.

        Args:
            path: of the probe.
            status: that it must have.
            when: the situation, for reports.
            degraded: what it must say; of any reply it is a list.
        """
        reply = self.server.get(path, timeout_s=HASTY_S)
        wanted: dict[str, Any] = {"status": WORDS[status]}
        if degraded is None and path != READY:
            degraded = []
        if degraded is not None:
            wanted["degraded"] = degraded
        try:
            reply.expect(status, json=wanted)
            if not isinstance(reply.json().get("degraded"), list):
                reply.fail('a list "degraded"')
        except Failure as failure:
            failure.looked_for = f"{failure.looked_for} of {path} {when}".rstrip()
            raise
        self.expect_no_address(reply, path, when)
        return reply

    def expect_no_address(self, reply: Reply, path: str, when: str) -> None:
        """Expect that a reply doesn't say where a dependency is, or how to get in."""
        for url in (self.database.url, self.redis.url):
            parts = urlsplit(url)
            for secret in (parts.hostname, parts.password):
                if secret and secret in reply.text:
                    reply.fail(f"no address and no password in the body of {path} {when}".rstrip())

    def is_soon(self, path: str, status: int, when: str, **more: Any) -> None:
        """Expect that a probe comes to say this."""
        eventually(lambda: self.expect(path, status, when, **more), within_s=PATIENT_S)

    def answers_in_time(self, path: str, when: str) -> Reply:
        """Ask a probe, and expect a reply in time, whatever it says."""
        wanted = f"a reply of {path} within {IN_TIME_S * 1000:.0f} ms {when}"
        deadline = Deadline(IN_TIME_S)
        try:
            reply = self.server.get(path, timeout_s=HASTY_S)
        except Failure as failure:
            raise Late(wanted, failure.saw, command=CHECK_AGAIN) from failure
        if deadline.has_passed():
            saw = f"{reply.status} after {reply.elapsed_s * 1000:.0f} ms"
            raise Late(wanted, saw, command=CHECK_AGAIN)
        return reply

    def must_say(self, status: int, when: str) -> None:
        """Expect that readiness knows by now."""
        try:
            saw = str(self.server.get(READY, timeout_s=HASTY_S).status)
        except Failure as failure:
            saw = failure.saw
        if saw != str(status):
            raise Late(f"{status} of {READY} {when}", saw, command=CHECK_AGAIN)

    def must_not_say_ready(self, when: str) -> None:
        """Expect that readiness isn't wrong by now; no answer in time is another check's affair."""
        try:
            status = self.server.get(READY, timeout_s=HASTY_S).status
        except Failure:
            return
        if status == 200:
            raise Late(f"503 of {READY} {when}", "200", command=CHECK_AGAIN)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Database:
    """The database of all servers but one."""
    return postgres.create_database()


@pytest.fixture(scope="module")
def house_of(image: Image, relays: Relays, store: Store) -> Callable[..., House]:
    """A function that starts a server, with ways of its own to the database and to Redis."""

    def start(
        database: Database, *, warmup_ms: int, job_ms: int, port: int = 0, way: Relay | None = None,
        healthcheck: bool = False,
    ) -> House:  # fmt: skip
        way, redis = way or relays.to(database.url), relays.to(store.url)
        env = {"DATABASE_URL": way.url, "REDIS_URL": redis.url,
               "WARMUP_MS": str(warmup_ms), "JOB_MS": str(job_ms)}  # fmt: skip
        if port:
            env["PORT"] = str(port)
        server = image.start(env=env, port=port or 3000, healthcheck=healthcheck)
        return House(server, way, redis)

    return start


@pytest.fixture(scope="module")
def house(house_of: Callable[..., House], database: Database, random: Random) -> House:
    """A server that warms up and then works."""
    warmup_ms, job_ms = random.integer(900, 1300), random.integer(20, 60)
    return house_of(database, warmup_ms=warmup_ms, job_ms=job_ms)


@pytest.fixture(scope="module")
def warming(
    house_of: Callable[..., House], database: Database, random: Random, meanwhile: Meanwhile
) -> Story[None]:
    """A server that warms up as long as anybody looks."""
    house = house_of(database, warmup_ms=ENDLESS_MS, job_ms=random.integer(20, 60))
    return meanwhile(lambda: warms_up(house))


@pytest.fixture(scope="module")
def blip(
    house_of: Callable[..., House], database: Database, relays: Relays, random: Random,
    meanwhile: Meanwhile,
) -> Story[None]:  # fmt: skip
    """A server whose database is away when it starts, comes, and goes again."""
    way, job_ms = relays.to(database.url), random.integer(20, 60)

    def start() -> House:
        warmup_ms = random.integer(20, 60)
        return house_of(database, warmup_ms=warmup_ms, job_ms=job_ms, way=way, healthcheck=True)

    return meanwhile(lambda: lives_without_a_database(start, way))


@pytest.fixture(scope="module")
def stormy(
    house_of: Callable[..., House], postgres: Postgres, random: Random, meanwhile: Meanwhile
) -> Story[None]:
    """A server with a database that no other one asks, in a storm of probes."""
    recorded = postgres.create_database(recorded=True)
    house = house_of(recorded, warmup_ms=random.integer(20, 60), job_ms=random.integer(20, 60))
    return meanwhile(lambda: weathers_a_storm(house, recorded))


@pytest.fixture(scope="module")
def stuck(
    house_of: Callable[..., House], database: Database, image: Image, random: Random,
    meanwhile: Meanwhile,
) -> Story[None]:  # fmt: skip
    """A server with a slow loop, which then stops, on a port of its own."""
    port = random.port()

    def start() -> House:
        warmup_ms = random.integer(20, 60)
        return house_of(database, warmup_ms=warmup_ms, job_ms=SLOWEST_JOB_MS, port=port,
                        healthcheck=True)  # fmt: skip

    return meanwhile(lambda: gets_stuck(start, image))


# --- warming up -----------------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "Ask all three while WARMUP_MS=60000 is running. Which of them may say ok? And what"
            " does your liveness think of a loop that hasn't begun yet?"
        ),
        (
            "Remember that started() was called. /startupz says just that; /readyz says ok only"
            " if it was called and the database answers; /livez doesn't care, and counts the time"
            " without a round only from the moment of started()."
        ),
    ),
    link="Started: give it time",
)
def check_starts_honestly(house: House, warming: Story[None]) -> None:
    """While it warms up it is alive, but neither started nor ready; then it is all three"""
    warming.result()
    for path in PATHS:
        house.is_soon(path, 200, "after the warm-up", degraded=[])


def warms_up(house: House) -> None:
    """Look at the three probes for as long as a loop could seem to be stuck."""
    when = f"during a warm-up of {ENDLESS_MS / 1000:.0f} s"
    # A busy machine starts it late, and the loop seems stuck some time after that.
    house.is_soon(ALIVE, 200, when)
    deadline = Deadline(WARM_FOR_S)
    is_over = False
    while not is_over:
        is_over = deadline.is_reached()
        for path, status in ((ALIVE, 200), (STARTED, 503), (READY, 503)):
            eventually(lambda p=path, s=status: house.expect(p, s, when), attempts=ATTEMPTS)
        time.sleep(POLL_S)


# --- alive and ready ------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "A restart fixes a process, not a database. Which of your three probes fail while only"
            " the database is down, and does your HEALTHCHECK? And which say ok again once it's"
            " back?"
        ),
        (
            "Let /readyz alone ask the database, with a pool (or a new connection each time), so"
            " that a connection that broke is replaced. HEALTHCHECK asks /livez. Catch the error,"
            " and put nothing of its message into the body."
        ),
    ),
    link="Alive: would a restart help?",
)
def check_tells_alive_from_ready(blip: Story[None]) -> None:
    """Database down: not ready, yet alive, started and not unhealthy; then ready again by itself"""
    blip.result()


def lives_without_a_database(start: Callable[[], House], way: Relay) -> None:
    """Start while the database is away; let it come, go, come and hang."""
    with way.stopped():
        house = start()
        when = "while the database is down since before the start"
        house.is_soon(STARTED, 200, when)
        house.is_soon(READY, 503, when)
        house.is_soon(ALIVE, 200, when)
        expect_container_well(house.server)
    house.is_soon(READY, 200, "once the database is there")
    with way.stopped():
        when = "while the database is down again"
        house.is_soon(READY, 503, when)
        house.is_soon(STARTED, 200, when)
        house.is_soon(ALIVE, 200, when)
    house.is_soon(READY, 200, "once the database is back")
    with way.silent():
        house.is_soon(ALIVE, 200, "while the database hangs")
        house.is_soon(STARTED, 200, "while the database hangs")


def expect_container_well(server: Server) -> None:
    """Expect that Docker has looked twice, and doesn't call the container unhealthy."""
    server.probes(at_least=2, within_s=UNHEALTHY_WITHIN_S)

    def look() -> None:
        # A probe that ran out of time tells of the machine.
        said_no = [probe for probe in server.probes()[-2:] if probe.exit_code > 0]
        if said_no and server.health() == "unhealthy":
            saw = f"unhealthy; its last probe printed {said_no[-1].output.strip()[:200]!r}"
            fail("a container that isn't unhealthy while the database is down", saw,
                 command=CHECK_AGAIN)  # fmt: skip

    # A machine that was too busy for two probes has time for one.
    eventually(look, within_s=2)


# --- a database that hangs ------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "A database that hangs accepts the connection and says nothing. How long does your"
            " probe wait for it: for a new connection, and for the answer on one it already has?"
        ),
        (
            "Give each check a time limit below 400 ms, such as 300: Promise.race with a timer, or"
            " asyncio.wait_for. Ask the database and Redis at the same time, or their limits add"
            " up; or ask in the background and let the probe say what was last found. Give up the"
            " late connection too (query_timeout and connectionTimeoutMillis in pg do that)."
        ),
    ),
    link="A dependency that hangs",
)
def check_answers_when_it_hangs(house: House) -> None:
    """While the database hangs, with or without Redis: each probe within 400 ms, not ready"""
    patiently(lambda: hangs(house))
    house.is_soon(READY, 200, "once the database answers again")
    expect_one_wait(house)


def hangs(house: House) -> None:
    """Ask again and again while the database hangs; nothing may be late."""
    house.is_soon(READY, 200, "while the database answers")
    when, patience, least = "while the database hangs", Deadline(PATIENT_S), Deadline(TRUE_FOR_S)
    with house.database.silent():
        while True:
            is_late, is_over = patience.has_passed(), least.is_reached()
            for path in (ALIVE, STARTED):
                house.answers_in_time(path, when)
            reply = house.answers_in_time(READY, when)
            if is_late or (is_over and reply.status == 503):
                break
            time.sleep(POLL_S)
        house.expect(READY, 503, when)


def expect_one_wait(house: House) -> None:
    """Let both hang: readiness may not wait for the one and then for the other."""
    if is_ever_quick(house, house.database, house.redis):
        return
    # A wait for Redis that is too long by itself is another check's affair.
    if is_ever_quick(house, house.redis):
        wanted = f"a reply of {READY} within {IN_TIME_S * 1000:.0f} ms while both hang"
        fail(wanted, f"later, {ATTEMPTS} times of {ATTEMPTS}", command=CHECK_AGAIN)


def is_ever_quick(house: House, *away: Relay) -> bool:
    """Tell whether readiness looks anew in time, if only once, while some hang.

    A busy machine is late now and then. Who waits twice is late each time, on any machine.
    """
    for _ in range(ATTEMPTS):
        house.is_soon(READY, 200, "while all answer")
        with ExitStack() as hanging:
            for relay in away:
                hanging.enter_context(relay.silent())
            # By now whatever is remembered is too old.
            time.sleep(TRUE_FOR_S)
            with suppress(Failure):
                if house.server.get(READY, timeout_s=HASTY_S).elapsed_s < IN_TIME_S:
                    return True
    return False


# --- many probes ----------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says how often the database was asked. What does your /readyz do when a"
            " hundred come while the first is still waiting? And how old may an answer be?"
        ),
        (
            "Ask the database in one place: in the background every 400 ms, or when a probe comes"
            " and the last result is older than 500 ms, and then once for all who wait. Never"
            " hand out a result that is older than a second."
        ),
    ),
    link="A storm of probes",
)
def check_makes_no_storm(stormy: Story[None]) -> None:
    """A hundred probes a second cause at most 5 database checks; the truth is at most 1 s old"""
    stormy.result()


def weathers_a_storm(house: House, database: Database) -> None:
    """Probe steadily and all at once, and see how old the truth is."""
    house.is_soon(READY, 200, "before the storm")
    patiently(lambda: probe_steadily(house, database))
    patiently(lambda: tell_the_truth(house))
    patiently(lambda: tell_of_a_hang(house))
    for _ in range(2):
        probe_at_once(house, database)


def probe_steadily(house: House, database: Database) -> None:
    """Probe at a steady rate, count what reaches the database, and take the database away."""
    house.is_soon(READY, 200, "before the storm")
    with at_rate(lambda: house.server.get(READY), per_s=PER_S) as stream:
        with counting(house, database) as count:
            stream.wait_for(STORM)
        count.expect_few(f"{STORM} probes, {PER_S} a second")
        seen = stream.count(lambda reply: reply.status)
        with house.database.stopped():
            time.sleep(TRUE_FOR_S)
            house.must_say(503, f"{TRUE_FOR_S:g} s after the database went away, in the storm")
    if seen[200] < ENOUGH * seen.total():
        what = f"200 for the probes of a storm, {PER_S} a second"
        told = ", ".join(f"{number} times {status}" for status, number in seen.most_common())
        raise Late(what, told, command=CHECK_AGAIN)


def tell_the_truth(house: House) -> None:
    """Ask just once, a second after the database went and a second after it came."""
    house.is_soon(READY, 200, "while the database answers")
    when = f"{TRUE_FOR_S:g} s after the database %s, when nobody has asked in between"
    with house.database.stopped():
        time.sleep(TRUE_FOR_S)
        house.must_say(503, when % "went away")
    time.sleep(TRUE_FOR_S)
    house.must_say(200, when % "came back")


def tell_of_a_hang(house: House) -> None:
    """Ask just once, a second after the database began to hang."""
    house.is_soon(READY, 200, "while the database answers")
    with house.database.silent():
        time.sleep(TRUE_FOR_S)
        house.must_not_say_ready(f"{TRUE_FOR_S:g} s after the database began to hang")


def probe_at_once(house: House, database: Database) -> None:
    """Send many probes while the first one's check is under way."""
    # By now whatever is remembered is too old.
    time.sleep(TRUE_FOR_S)
    with counting(house, database) as count:
        with house.database.silent():
            lines = [house.server.connect() for _ in range(RUSH)]
            for line in lines:
                line.send(f"GET {READY} HTTP/1.1\r\nHost: localhost\r\n"
                          "Connection: close\r\n\r\n".encode())  # fmt: skip
        for line in lines:
            line.reply()
            line.close()
    count.expect_few(f"{RUSH} probes at once")
    house.is_soon(READY, 200, "after many probes at once")


@dataclass
class Count:
    """What reached the database in a span of time."""

    statements: int = 0
    connections: int = 0
    span_s: float = 0.0

    def expect_few(self, what: str) -> None:
        """Expect at most as many checks as the contract allows for the time that it took."""
        most = CHECKS_PER_S * (floor(self.span_s) + 1)
        if max(self.statements, self.connections) > most:
            saw = f"{self.statements} statements and {self.connections} new connections"
            fail(f"at most {most} database checks for {what}, in {self.span_s:.1f} s", saw,
                 command=CHECK_AGAIN)  # fmt: skip


@contextmanager
def counting(house: House, database: Database) -> Iterator[Count]:
    """Count what reaches the database until the block ends."""
    count = Count()
    with database.recording() as recording:
        before, begun = house.database.traffic().connections, time.monotonic()
        yield count
        count.span_s = time.monotonic() - begun
        count.connections = house.database.traffic().connections - before
    count.statements = len(recording.statements) + len(recording.pings)


# --- an optional dependency -----------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "Redis only makes the box office faster. What does /readyz say while Redis is down,"
            " and while it hangs, and where could it mention that?"
        ),
        (
            "Ask Redis like the database, with a limit of 300 ms, but let its result only decide"
            ' between "degraded": [] and "degraded": ["redis"]; the status stays 200 and "ok".'
        ),
    ),
    link="Needed or nice to have",
)
def check_tolerates_a_lost_cache(house: House) -> None:
    """Redis down or hanging: ready, "degraded": ["redis"], in time; then [] again"""
    ways: list[tuple[str, Callable[[], AbstractContextManager[None]]]] = [
        ("while Redis is down", house.redis.stopped), ("while Redis hangs", house.redis.silent),
    ]  # fmt: skip
    for when, away in ways:
        patiently(lambda a=away, w=when: loses_its_cache(house, a, w))


def loses_its_cache(
    house: House, away: Callable[[], AbstractContextManager[None]], when: str
) -> None:
    """Ask while Redis is away, and once it's back."""
    house.is_soon(READY, 200, "while Redis answers", degraded=[])
    with away():
        deadline, is_over = Deadline(TRUE_FOR_S), False
        while not is_over:
            is_over = deadline.is_reached()
            for path in PATHS:
                house.answers_in_time(path, when)
            time.sleep(POLL_S)
        told = f"{when}, for {TRUE_FOR_S:g} s"
        in_time(lambda: house.expect(READY, 200, told, degraded=["redis"]))
        house.is_soon(ALIVE, 200, when)
        house.is_soon(STARTED, 200, when)
    time.sleep(TRUE_FOR_S)
    back = f"{TRUE_FOR_S:g} s after Redis came back"
    in_time(lambda: house.expect(READY, 200, back, degraded=[]))


# --- a loop that stops ----------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "After POST /debug/wedge the server still answers, but its loop does nothing. What"
            " does your liveness look at? And what does Docker make of its answer?"
        ),
        (
            "Remember when roundDone() was last called. /livez says fail once that is more than,"
            " say, 1.3 s ago: longer than the slowest round, 700 ms, and short enough for 2 s."
            " HEALTHCHECK --interval=1s --timeout=1s --retries=2, with a command that exits with"
            " 1 unless the reply of /livez is 200."
        ),
    ),
    link="A loop that stops behind a cheerful 200",
)
def check_notices_being_stuck(stuck: Story[None]) -> None:
    """A loop that stops: /livez 503 within 2 s, Docker unhealthy within 4 s; a slow one is alive"""
    stuck.result()


def gets_stuck(start: Callable[[], House], image: Image) -> None:
    """Watch a slow loop, stop it, and see who notices."""
    expect_healthcheck(image)

    def watch() -> None:
        house = start()
        house.is_soon(STARTED, 200, "after the warm-up")
        patiently(lambda: is_slow_but_alive(house))
        in_time(lambda: house.server.wait_for_health("healthy", within_s=HEALTHY_WITHIN_S))
        wedge(house)

    patiently(watch)


def expect_healthcheck(image: Image) -> None:
    """Compare the image's HEALTHCHECK with the contract."""
    probe = image.config.get("Healthcheck") or {}
    command = f"docker image inspect --format '{{{{json .Config.Healthcheck}}}}' {image.image_id}"
    if not probe.get("Test") or probe["Test"] == ["NONE"]:
        fail("a HEALTHCHECK in the image", "there is none", command=command)
    for name, value, wanted in (
        ("interval", probe.get("Interval", 0) / SECOND_NS or 30, 1),
        ("timeout", probe.get("Timeout", 0) / SECOND_NS or 30, 1),
        ("retries", probe.get("Retries", 0) or 3, 2),
    ):
        if value != wanted:
            unit = "" if name == "retries" else "s"
            saw = f"--{name}={value:g}{unit}"
            fail(f"HEALTHCHECK --{name}={wanted}{unit}", saw, command=command)


def is_slow_but_alive(house: House) -> None:
    """Look at a loop whose rounds are as slow as they may be."""
    when = f"with JOB_MS={SLOWEST_JOB_MS}: a slow loop, but it moves"
    house.is_soon(ALIVE, 200, when)
    deadline, is_over = Deadline(SLOW_FOR_S), False
    while not is_over:
        is_over = deadline.is_reached()
        # Where the machine itself stood still, the loop did too: then all of it is watched again.
        in_time(lambda: house.expect(ALIVE, 200, when))
        time.sleep(POLL_S)


def wedge(house: House) -> None:
    """Stop the loop, and wait until the probe and Docker say so."""
    reply = house.server.post("/debug/wedge")
    if reply.status // 100 != 2:
        reply.fail("a status from 200 to 299")
    begun = time.monotonic()
    when = f"within {STUCK_WITHIN_S} s of the moment when the loop stopped"
    eventually(lambda: house.expect(ALIVE, 503, when), within_s=STUCK_WITHIN_S)
    left_s = UNHEALTHY_WITHIN_S - (time.monotonic() - begun)
    try:
        house.server.wait_for_health("unhealthy", within_s=max(0.0, left_s))
    except Failure as failure:
        failure.looked_for = f"unhealthy within {UNHEALTHY_WITHIN_S} s of that moment"
        probes = house.server.probes()
        if probes and probes[-1].exit_code == 0:
            raise
        raise Late(failure.looked_for, failure.saw, command=failure.command) from failure
    house.expect(ALIVE, 503, "for as long as the loop stands still")
    house.expect(STARTED, 200, "for as long as the loop stands still")
