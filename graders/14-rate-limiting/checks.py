import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil, floor, inf
from typing import Any, Protocol, TypeVar

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Deadline,
    Failure,
    HeldBack,
    Image,
    Meanwhile,
    Random,
    Relay,
    Relays,
    Reply,
    Server,
    Store,
    Story,
    Stub,
    at_once,
    eventually,
    fail,
    points,
)

CALLERS, RUSH = 10, 30
TOO_FEW = "what does your server do when it loses a race, or can't get a lock?"
# Windows that a check can wait for: a bucket of several tokens, and one of a single token.
# At half of five seconds, the whole five are no longer the right answer.
BRIEF_WINDOW_S, SINGLE_WINDOW_S = 3, 5
LEAD_S, TOO_SOON_S = 0.4, 1.1
# In so little time hardly a token comes, and two or three in a whole second.
BEFORE_A_SECOND_S, AROUND_A_SECOND_S = 0.1, 0.3
POLL_S = 0.02
ATTEMPTS = 4
REMEMBERED, AT_A_TIME = 300, 10
TTL_MORE_S = 60
LET_PASS_WITHIN_S, COUNTS_WITHIN_S = 0.3, 5
SHED_WITHIN_S = 0.2
PROBLEM = "application/problem+json"
REPORT = "GET /report"
Result = TypeVar("Result")
# Rounding of an answer's own arithmetic.
EPSILON = 1e-3
# What an answer may lose of a token, or of a time to live, where it counts in whole units.
PART_OF_A_TOKEN, PART_OF_A_LIFE_S = 0.1, 1


@dataclass(frozen=True)
class Limits:
    """What a server was told, and what follows from it."""

    rate: int
    window_s: int

    @property
    def token_s(self) -> float:
        """Seconds until a bucket has one token more."""
        return self.window_s / self.rate

    def may_pass(self, elapsed_s: float) -> int:
        """Return how many requests may pass from a full bucket in a span."""
        return self.rate + floor(elapsed_s / self.token_s + EPSILON)


@dataclass(frozen=True)
class Asked:
    """A request for the shows: its reply, and between which moments the server saw it."""

    reply: Reply
    sent: float
    received: float

    @property
    def passed(self) -> bool:
        """Whether it was let in."""
        return self.reply.status == 200

    def elapsed_since(self, first: "Asked") -> tuple[float, float]:
        """Return the least and the most seconds that the server saw since another one."""
        least = 0.0 if first is self else max(0.0, self.sent - first.received)
        return least, self.received - first.sent


@dataclass(frozen=True)
class Timed:
    """A reply, and whether it was late on a machine that was not too busy for it."""

    reply: Reply
    late: bool


class Uncounted(Failure):
    """A request passed and was not counted: on a busy machine Redis may seem to be away."""


def counted(expectation: Callable[[], Result]) -> Result:
    """Return what an expectation returns; it is tried again where not every request was counted."""
    for _ in range(ATTEMPTS):
        try:
            return expectation()
        except Uncounted:
            continue
    return expectation()


def asked_at(sent: float, reply: Reply) -> Asked:
    """Return a request whose reply has just come.

    Raises:
        Uncounted: it passed without the field RateLimit.
    """
    if reply.status == 200 and "RateLimit" not in reply.headers:
        wanted = 'RateLimit: "default";r=<tokens left>;t=<seconds until full>'
        raise Uncounted(wanted, shown(reply), command=reply.command)
    return Asked(reply, sent, time.monotonic())


class Caller:
    """Somebody with a key, or behind an address."""

    def __init__(self, **fields: str) -> None:
        self.headers = {name.replace("_", "-"): value for name, value in fields.items()}

    def ask(self, server: Server) -> Asked:
        """Ask for the shows.

        Raises:
            Uncounted: it passed without the field RateLimit.
        """
        sent = time.monotonic()
        return asked_at(sent, self.get(server))

    def get(self, server: Server) -> Reply:
        """Ask for the shows, counted or not."""
        return server.get("/api/shows", headers=self.headers)


def key_of(random: Random) -> str:
    """Return a key that is new."""
    return f"{random.word()}-{random.hex(12)}"


def with_key(random: Random) -> Caller:
    """Return somebody new with a key."""
    return Caller(X_Api_Key=key_of(random))


def address_of(random: Random) -> str:
    """Return an address that is most likely new."""
    parts = [random.integer(11, 126), *(random.integer(1, 254) for _ in range(3))]
    return ".".join(map(str, parts))


def behind(*entries: str) -> Caller:
    """Return somebody whom the proxy has seen at the last of these addresses."""
    return Caller(X_Forwarded_For=", ".join(entries))


def limit_in(reply: Reply) -> tuple[int, int]:
    """Return r and t of the item "default" in the field RateLimit."""
    found = list[tuple[int, int]]()
    for item in reply.headers.get("RateLimit", "").split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        values = dict(part.split("=", 1) for part in parameters if "=" in part)
        numbers = [values.get(parameter, "") for parameter in "rt"]
        if name == '"default"' and all(re.fullmatch(r"\d{1,9}", n) for n in numbers):
            found.append((int(numbers[0]), int(numbers[1])))
    if not found:
        reply.fail('RateLimit: "default";r=<tokens left>;t=<seconds until full>', shown(reply))
    return found[0]


def shown(reply: Reply) -> str:
    """Return what a reply says of limits, for a report."""
    fields = [
        f"{name}: {reply.headers.get(name, '(absent)')}" for name in ("RateLimit", "Retry-After")
    ]
    return " · ".join([str(reply.status), *fields])


def expect_problem(reply: Reply, status: int) -> None:
    """Compare a refusal with the contract."""
    reply.expect(status, json={"status": status}, type=PROBLEM)
    body = reply.json()
    for member in ("type", "title"):
        if not isinstance(body.get(member), str) or not body[member]:
            reply.fail(f"problem details with a string {member}")


def wait_named(reply: Reply) -> int:
    """Return the seconds in Retry-After."""
    text = reply.headers.get("Retry-After", "")
    if not re.fullmatch(r"\d{1,9}", text.strip()) or int(text) < 1:
        reply.fail("Retry-After, a whole number of seconds that is not 0", shown(reply))
    return int(text)


def expect_new(asked: Asked, limits: Limits, who: str) -> None:
    """Expect that a request took the first token of a full bucket.

    Its r may be one less: 5.9999999 may have been rounded down.
    """
    asked.reply.expect(200, json={})
    if limits.rate - limit_in(asked.reply)[0] not in (1, 2):
        asked.reply.fail(
            f"r={limits.rate - 1} for {who}: a full bucket less one", shown(asked.reply)
        )


def spend(caller: Caller, server: Server, limits: Limits) -> list[Asked]:
    """Ask until the bucket is empty; return all requests, of which the last one was refused."""
    asked: list[Asked] = []
    while not asked or asked[-1].passed:
        asked.append(caller.ask(server))
        last = asked[-1]
        if last.reply.status not in (200, 429):
            last.reply.fail("200 or 429")
        most = limits.may_pass(last.received - asked[0].sent)
        if last.passed and len(asked) > most:
            last.reply.fail(f"429 after {most} requests of one caller", shown(last.reply))
    if len(asked) - 1 < limits.rate:
        asked[-1].reply.fail(f"200 for the first {limits.rate} requests of a caller",
                             f"{shown(asked[-1].reply)}, for number {len(asked)}")  # fmt: skip
    return asked


# --- the servers --------------------------------------------------------------------------------


@dataclass(frozen=True)
class House:
    """A server and what it was told."""

    server: Server
    limits: Limits


class Start(Protocol):
    """Starts a server that was told its limits, the way to Redis, and perhaps its port."""

    def __call__(self, limits: Limits, relay: Relay, port: int = ...) -> Server:
        """Start it; see `Image.start`."""


@pytest.fixture(scope="module")
def limits(random: Random) -> Limits:
    """The limits of the replicas: a token takes more than seven seconds.

    The window is longer than the minute that it has in production.
    """
    return Limits(random.integer(5, 9), random.integer(70, 90))


@pytest.fixture(scope="module")
def most_reports(random: Random) -> int:
    """How many reports a replica may ask for at once."""
    return random.integer(3, 5)


@pytest.fixture(scope="module")
def relay(relays: Relays, store: Store) -> Relay:
    """The way to Redis that stays open."""
    return relays.to(store.url)


@pytest.fixture(scope="module")
def fragile(relays: Relays, store: Store) -> Relay:
    """The way to Redis that a check may close."""
    return relays.to(store.url)


@pytest.fixture(scope="module")
def start(image: Image, stub: Stub, most_reports: int) -> Start:
    """A function that starts a server."""

    def start_server(limits: Limits, relay: Relay, port: int = 3000) -> Server:
        told = {} if port == 3000 else {"PORT": str(port)}
        return image.start(env={
            **told, "REDIS_URL": relay.url, "RATE": str(limits.rate),
            "WINDOW_SECONDS": str(limits.window_s),
            "UPSTREAM_URL": stub.url, "MAX_IN_FLIGHT": str(most_reports),
        }, port=port)  # fmt: skip

    return start_server


@pytest.fixture(scope="module")
def brief(
    start: Start, relay: Relay, random: Random, meanwhile: Meanwhile
) -> tuple[Story[None], ...]:
    """A server with a brief window, watched around the moments at which windows could end."""
    limits = Limits(random.integer(7, 9), BRIEF_WINDOW_S)
    server = start(limits, relay)
    return (
        meanwhile(lambda: counted(lambda: watch_a_second(server, limits, random))),
        meanwhile(lambda: counted(lambda: watch_windows(server, limits, random))),
    )


@pytest.fixture(scope="module")
def single(start: Start, relay: Relay, random: Random, meanwhile: Meanwhile) -> Story[None]:
    """A server with one token for each caller, to which they come back."""
    limits = Limits(1, SINGLE_WINDOW_S)
    server = start(limits, relay)
    return meanwhile(lambda: counted(lambda: come_back(server, limits, random)))


@pytest.fixture(scope="module")
def replica(start: Start, limits: Limits, relay: Relay) -> Server:
    """A replica."""
    return start(limits, relay)


@pytest.fixture(scope="module")
def other(start: Start, limits: Limits, relay: Relay) -> Server:
    """The other one."""
    return start(limits, relay)


@pytest.fixture(scope="module")
def shaky(start: Start, limits: Limits, fragile: Relay, random: Random) -> Server:
    """A third one, at a port of its own, whose Redis comes and goes."""
    return start(limits, fragile, random.port())


# --- one bucket ---------------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "Ask several times with one X-Api-Key, then once with another, and compare status,"
            " RateLimit and body with the contract. Does each caller have a bucket, and does a"
            " refusal have all that the contract asks for?"
        ),
        (
            "Keep tokens and time under one Redis key for each caller, such as bucket:<caller>."
            " tokens = min(RATE, tokens + seconds since then * RATE / WINDOW_SECONDS). If there"
            " is at least 1, take 1; r is what is left, rounded down, but 5.9999999 is 6: add a"
            " millionth first. Otherwise 429, application/problem+json, with type, title and"
            " status, and RateLimit as well."
        ),
    ),
    link="Token bucket: a budget that refills",
)
def check_spends_a_budget(replica: Server, limits: Limits, random: Random) -> None:
    """A caller spends RATE tokens, r falls to 0, then comes 429; other callers are untouched"""
    asked = counted(lambda: spend(with_key(random), replica, limits))
    for spent, each in enumerate(asked[: limits.rate], 1):
        reply = each.reply
        expect_shows(reply)
        least = limits.rate - spent
        _, elapsed_s = each.elapsed_since(asked[0])
        most = min(limits.rate - 1, floor(least + elapsed_s / limits.token_s + EPSILON))
        # Only the first request's r may have been rounded down from 5.9999999.
        if not least - (spent == 1) <= limit_in(reply)[0] <= most:
            reply.fail(f"r={least} after {spent} of {limits.rate} tokens", shown(reply))
    refusal = asked[-1].reply
    expect_problem(refusal, 429)
    if limit_in(refusal)[0] != 0:
        refusal.fail("r=0 in a refusal", shown(refusal))
    counted(lambda: expect_new(with_key(random).ask(replica), limits, "another key"))
    counted(lambda: expect_new(behind(address_of(random)).ask(replica), limits, "a new address"))


def expect_shows(reply: Reply) -> None:
    """Expect the list of shows, whatever is in it."""
    if not isinstance(reply.expect(200, json={}).json().get("shows"), list):
        reply.fail('a JSON object with a list "shows"')


# --- one bucket for all replicas ----------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says how many passed, or what came instead. Where is the count: in each"
            " server's memory, or in Redis? And what may happen between reading it and writing it"
            " back?"
        ),
        (
            "Let Redis do all of it in one step: a Lua script that reads the bucket, refills it,"
            " takes a token and writes it back. EVAL script 1 bucket:<caller> RATE WINDOW; the"
            " time comes from redis.call('TIME')."
        ),
    ),
    link="Two replicas, one count",
    needs=("spends_a_budget",),
)
def check_shares_across_replicas(
    replica: Server, other: Server, limits: Limits, relay: Relay, random: Random
) -> None:
    """Of 30 requests at once to two replicas exactly RATE pass, for each of ten callers"""
    for _ in range(CALLERS):
        counted(lambda: rush_of_one(replica, other, limits, relay, random))


def rush_of_one(
    replica: Server, other: Server, limits: Limits, relay: Relay, random: Random
) -> None:
    """Send many requests of a new caller to both replicas at once."""
    caller = with_key(random)
    before = relay.traffic().sent_bytes
    with at_once(caller.ask, [replica, other] * (RUSH // 2)) as crowd:
        asked = crowd.results()
    passed = sum(each.passed for each in asked)
    span_s = max(a.received for a in asked) - min(a.sent for a in asked)
    strange = [a.reply for a in asked if a.reply.status not in (200, 429)]
    if strange:
        strange[0].fail("200 or 429 for each of them")
    if not limits.rate <= passed <= limits.may_pass(span_s):
        silent = relay.traffic().sent_bytes == before
        fail(
            f"{limits.rate} of {RUSH} requests of one caller pass, with RATE={limits.rate}",
            f"{passed} passed, of {RUSH} in {span_s:.1f} s"
            + ("; meanwhile not a byte was sent to Redis" if silent else ""),
            command=CHECK_AGAIN,
            hint=TOO_FEW if passed < limits.rate else "",
        )


# --- no windows ---------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report names a span in which too many or too few passed, or a key that Redis"
            " forgets too soon. What happens to your count when a window ends, when nobody asks"
            " for a while, or when the key is gone?"
        ),
        (
            "Refill by the time that has passed, not all at once: tokens + seconds * RATE /"
            " WINDOW_SECONDS, at most RATE. Set the key's time to live to WINDOW_SECONDS again"
            " at each request: then a bucket that is forgotten was full anyway."
        ),
    ),
    link="Fixed windows, and twice the limit",
    needs=("spends_a_budget",),
)
def check_has_no_double_window(
    brief: tuple[Story[None], ...], replica: Server, limits: Limits, store: Store, random: Random
) -> None:
    """In any span of s seconds at most RATE + s * RATE / WINDOW_SECONDS + 1 requests pass"""
    for story in brief:
        story.result()
    counted(lambda: expect_remembered(replica, limits, store, random))


def expect_remembered(server: Server, limits: Limits, store: Store, random: Random) -> None:
    """Spend a budget, and expect Redis to remember that until the bucket is full again."""
    begun = spend(with_key(random), server, limits)[0].sent
    lives = [inf if left is None else left for left in map(store.ttl, store.keys())]
    full_in_s = limits.window_s - (time.monotonic() - begun)
    # Whoever counts without Redis learns that from another check.
    if lives and max(lives) < full_in_s - PART_OF_A_LIFE_S:
        fail(f"a key that lives for another {full_in_s:.0f} s, until a spent bucket is full again,"
             f" with WINDOW_SECONDS={limits.window_s}",
             f"the longest time to live of {len(lives)} keys is {max(lives):.0f} s",
             command=CHECK_AGAIN)  # fmt: skip


def watch_a_second(server: Server, limits: Limits, random: Random) -> None:
    """Rush just before and just after a second of the clock begins.

    A bucket that counts whole seconds gets the tokens of a whole one in between.
    """
    for _ in range(ATTEMPTS):
        caller = with_key(random)
        time.sleep((-BEFORE_A_SECOND_S - time.time()) % 1)
        begins = time.monotonic() + BEFORE_A_SECOND_S
        asked = rush(caller, server, limits.rate + 1)
        sleep_until(begins + POLL_S)
        asked += rush(caller, server, limits.rate // 2)
        expect_no_more_than(asked, limits)
        if asked[-1].received - asked[0].sent < AROUND_A_SECOND_S:
            return


def watch_windows(server: Server, limits: Limits, random: Random) -> None:
    """Rush at the moments at which a window could end, or a key be forgotten too soon."""
    caller, idle = with_key(random), with_key(random)
    begun, asked = idle.ask(server), list[Asked]()
    refilled = list[tuple[float, list[Asked]]]()
    for _ in range(ATTEMPTS):
        asked += rush(caller, server, 2 * limits.rate)
        before, after = next_to_pass(caller, server, asked, limits)
        # Where that was the beginning of a window, the next one begins a window later.
        sleep_until(before + limits.window_s - LEAD_S)
        rushed = rush(caller, server, limits.rate + 2)
        refilled.append((after, rushed))
        asked += rushed
        in_time = asked[-1].received < before + limits.window_s
        sleep_until(after + limits.window_s + POLL_S)
        asked += rush(caller, server, 2 * limits.rate)
        if in_time:
            break
    # A key that lives for a third of the window is gone by then, and the bucket is far from full.
    time.sleep(TOO_SOON_S)
    asked += rush(caller, server, 2 * limits.rate)
    expect_no_more_than(asked, limits)
    # By now a bucket without an upper end holds more than twice as much as it should.
    expect_no_more_than([begun, *rush(idle, server, 2 * limits.rate)], limits)
    for after, rushed in refilled:
        expect_no_fewer_than(rushed, after, limits)


def rush(caller: Caller, server: Server, count: int) -> list[Asked]:
    """Ask one after the other, as fast as that goes."""
    return [caller.ask(server) for _ in range(count)]


def next_to_pass(
    caller: Caller, server: Server, asked: list[Asked], limits: Limits
) -> tuple[float, float]:
    """Ask until one passes; return the moments between which the bucket had a token again."""
    before = time.monotonic()
    deadline = before + limits.window_s + 1
    while True:
        asked.append(caller.ask(server))
        if asked[-1].passed or time.monotonic() > deadline:
            return before, asked[-1].received
        before = asked[-1].sent
        time.sleep(POLL_S)


def sleep_until(moment: float) -> None:
    """Sleep until a moment of the monotonic clock."""
    time.sleep(max(0.0, moment - time.monotonic()))


def expect_no_more_than(asked: list[Asked], limits: Limits) -> None:
    """Look at each span between two requests that passed; the worst one is told."""
    passed = [each for each in asked if each.passed]
    spans = [(a.sent, b.received) for a in passed for b in passed if a.sent <= b.sent]
    worst, told = 0.0, None
    for begin, end in spans:
        inside = sum(begin <= each.sent and each.received <= end for each in passed)
        most = limits.rate + (end - begin) / limits.token_s + 1
        if inside - most > worst:
            worst, told = inside - most, (inside, most, end - begin)
    if told:
        inside, most, span_s = told
        fail(
            f"at most {floor(most)} requests of one caller pass in {span_s:.2f} s, with"
            f" RATE={limits.rate} and WINDOW_SECONDS={limits.window_s}",
            f"{inside} passed",
            command=CHECK_AGAIN,
        )


def expect_no_fewer_than(rushed: list[Asked], empty_at: float, limits: Limits) -> None:
    """Expect that as many passed as came back to a bucket while nobody asked."""
    waited_s = rushed[0].sent - empty_at
    due = floor(min(limits.rate, waited_s / limits.token_s) - PART_OF_A_TOKEN)
    passed = sum(each.passed for each in rushed)
    if passed < due:
        fail(
            f"at least {due} of {len(rushed)} requests of one caller pass, {waited_s:.2f} s after"
            f" the bucket was empty, with RATE={limits.rate} and WINDOW_SECONDS={limits.window_s}",
            f"{passed} passed",
            command=CHECK_AGAIN,
        )


# --- when to come back --------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "The report says how long the wait really was. Does your Retry-After depend on how"
            " empty the bucket is, and on how fast it fills? And does a refusal cost anything?"
        ),
        (
            "Retry-After = ceil((1 - tokens) * WINDOW_SECONDS / RATE), and t = ceil((RATE -"
            " tokens) * WINDOW_SECONDS / RATE), with the tokens as a fraction, after this"
            " request. A refused request leaves the tokens as they were."
        ),
    ),
    link="Telling callers when to come back",
    needs=("spends_a_budget", "has_no_double_window"),
)
def check_says_when(replica: Server, limits: Limits, random: Random, single: Story[None]) -> None:
    """Retry-After says when a caller is let in, and not sooner; t when the bucket is full"""
    asked = counted(lambda: spend(with_key(random), replica, limits))
    for spent, each in enumerate(asked[: limits.rate], 1):
        expect_wait(limit_in(each.reply)[1], spent * limits.token_s, each, asked[0], "t")
    if len(asked) == limits.rate + 1:
        refused = asked[-1]
        wait = wait_named(refused.reply)
        expect_wait(wait, limits.token_s, refused, asked[0], "Retry-After")
        full = limit_in(refused.reply)[1]
        expect_wait(full, limits.window_s, refused, asked[0], "t")
    single.result()


def expect_wait(said: int, whole_s: float, each: Asked, first: Asked, name: str) -> None:
    """Compare a wait that began with the first request with what its reply says is left of it."""
    elapsed_least, elapsed_most = each.elapsed_since(first)
    least = max(1, ceil(whole_s - elapsed_most - EPSILON))
    most = max(1, ceil(whole_s - elapsed_least + EPSILON)) + 1
    if not least <= said <= most:
        wanted = f"{name}={least}" if least + 1 >= most else f"{name} from {least} to {most}"
        each.reply.fail(f"{wanted}: {whole_s:.1f} s of waiting, {elapsed_most:.1f} s ago",
                        shown(each.reply))  # fmt: skip


def come_back(server: Server, limits: Limits, random: Random) -> None:
    """Come back at half of Retry-After, and after it."""
    with_key(random).ask(server)
    for _ in range(ATTEMPTS):
        caller = with_key(random)
        first, refused = caller.ask(server), caller.ask(server)
        first.reply.expect(200)
        if refused.passed and refused.received - first.sent > limits.token_s:
            continue
        refused.reply.expect(429)
        wait = wait_named(refused.reply)
        expect_wait(wait, limits.token_s, refused, first, "Retry-After")
        sleep_until(refused.received + wait / 2)
        early = caller.ask(server)
        if early.passed and early.received - first.sent > limits.token_s - EPSILON:
            # The machine has lost so much time that the token was there.
            continue
        if early.passed:
            early.reply.fail(f"429 at half of Retry-After: {wait}", shown(early.reply))
        if limit_in(early.reply)[0] != 0:
            early.reply.fail("r=0 for less than one token", shown(early.reply))
        expect_wait(wait_named(early.reply), limits.token_s, early, first, "Retry-After")
        expect_wait(limit_in(early.reply)[1], limits.token_s, early, first, "t")
        sleep_until(refused.received + wait + POLL_S)
        late = caller.ask(server)
        if not late.passed:
            late.reply.fail(f"200 after Retry-After: {wait}, with a refusal in between",
                            shown(late.reply))  # fmt: skip
        return


# --- who is asking ------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says who got whose bucket. Which part of X-Forwarded-For did the caller"
            " write, and which did the proxy write? And which of your keys does Redis keep"
            " forever?"
        ),
        (
            "With X-Api-Key the caller is key:<its value>; otherwise it is address:<the last"
            " entry of the last X-Forwarded-For, without blanks>. Set the time to live in the"
            " script that writes the bucket: EXPIRE key WINDOW_SECONDS."
        ),
    ),
    link="Who is asking? A forged address",
    needs=("spends_a_budget",),
)
def check_is_not_fooled(
    replica: Server, other: Server, limits: Limits, store: Store, random: Random
) -> None:
    """Only the proxy's entry counts, a key is no address, and Redis forgets its callers"""
    counted(lambda: tells_callers_apart(replica, other, limits, store, random))
    counted(lambda: expect_forgotten(replica, limits, store, random))


def tells_callers_apart(
    replica: Server, other: Server, limits: Limits, store: Store, random: Random
) -> None:
    """Ask as callers who look alike, and as one who looks like many."""
    address, victim = address_of(random), address_of(random)
    expect_one_bucket(
        lambda: behind(*(address_of(random) for _ in range(random.integer(1, 3))), address),
        replica, limits, f"the last address in X-Forwarded-For, {address}",
    )  # fmt: skip
    expect_refused(behind(victim, address).ask(replica), limits, "behind another left entry")
    expect_refused(in_two_lines(replica, victim, address), limits, "in a second line")
    expect_refused(behind(address).ask(replica), limits, "alone in the field")
    close_up = Caller(X_Forwarded_For=f"{victim},{address}")
    expect_refused(close_up.ask(replica), limits, "without a blank behind the comma")
    expect_new(behind(victim).ask(replica), limits, "an address that others have put in front")
    key = key_of(random)
    expect_one_bucket(
        lambda: Caller(X_Api_Key=key, X_Forwarded_For=address_of(random)),
        other, limits, "one X-Api-Key from several addresses",
    )  # fmt: skip
    # Three of each kind: r may be one less than it should.
    long = key + random.hex(80)
    alike_keys = [f"{key[:-1]}x", f"{key}:", f"-{key}", *(f"{long}{end}" for end in "xyz")]
    for similar in (key.swapcase(), *alike_keys):
        expect_new(Caller(X_Api_Key=similar).ask(other), limits, f"another key, {similar}")
    # Of one network, and of one beginning where somebody cuts at a colon.
    network = f"2001:db8:{random.hex(4)}:{random.hex(4)}:"
    for host in (random.hex(4), random.hex(4), random.hex(4)):
        seen = f"{network}:{host}"
        expect_new(behind(victim, seen).ask(replica), limits, f"a new address, {seen}")
    for alike in lookalikes(address, store):
        expect_new(Caller(X_Api_Key=alike, X_Forwarded_For=victim).ask(replica), limits,
                   f"the key {alike}, while the address {address} has nothing left")  # fmt: skip


def lookalikes(address: str, store: Store) -> list[str]:
    """Return keys that read like an address, or like a part of the names Redis has for it."""
    found = {address}
    for name in store.keys(f"*{address}*"):
        at = name.index(address)
        starts = [start for start in range(at + 1) if start == 0 or not name[start - 1].isalnum()]
        for start in starts:
            found |= {name[start:].strip(), name[start : at + len(address)].strip()}
    return sorted(key for key in found if key.isascii() and key.isprintable())


def expect_one_bucket(
    caller: Callable[[], Caller], server: Server, limits: Limits, who: str
) -> None:
    """Expect that requests that look different share a bucket."""
    first = caller().ask(server)
    expect_new(first, limits, who)
    passed, last = 1, first
    while last.passed:
        last = caller().ask(server)
        passed += last.passed
        most = limits.may_pass(last.received - first.sent)
        if passed > most:
            last.reply.fail(f"429 after {most} requests of {who}", shown(last.reply))
    if passed < limits.rate:
        last.reply.fail(f"200 for {limits.rate} requests of {who}", shown(last.reply))


def expect_refused(asked: Asked, limits: Limits, how: str) -> None:
    """Expect the bucket of an address to be as good as empty."""
    if asked.passed and limit_in(asked.reply)[0] > max(0, limits.rate // 2):
        asked.reply.fail(f"429 for an address that has spent everything, {how}",
                         shown(asked.reply))  # fmt: skip


def in_two_lines(server: Server, invented: str, seen: str) -> Asked:
    """Ask with a field line of the caller's own, and one that the proxy has added."""
    sent = time.monotonic()
    with server.connect() as line:
        line.send(
            f"GET /api/shows HTTP/1.1\r\nHost: localhost:{server.port}\r\n"
            f"X-Forwarded-For: {invented}\r\nX-Forwarded-For: {seen}\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        reply = line.reply()
    reply.command = (
        f"curl -i -H 'X-Forwarded-For: {invented}' -H 'X-Forwarded-For: {seen}'"
        f" http://localhost:{server.port}/api/shows"
    )
    return asked_at(sent, reply)


def expect_forgotten(server: Server, limits: Limits, store: Store, random: Random) -> None:
    """Have many come once, and look how long Redis will remember them."""
    each = REMEMBERED // AT_A_TIME
    crowds = [
        [with_key(random) if n % 2 else behind(address_of(random)) for n in range(each)]
        for _ in range(AT_A_TIME)
    ]
    with at_once(lambda some: [c.ask(server) for c in some], crowds) as crowd:
        crowd.results()
    longest = limits.window_s + TTL_MORE_S
    keys = store.keys()
    for key in keys:
        left = store.ttl(key)
        if left is None or left > longest:
            seen = "none" if left is None else f"{left:.0f} s"
            fail(f"a time to live of at most {longest} s for each of {len(keys)} keys,"
                 f" after {REMEMBERED} callers", f"{key}: {seen}",
                 command=f"docker exec {store.container.name} redis-cli TTL '{key}'")  # fmt: skip


# --- when something is away ---------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says what was away. How long does your server wait for Redis, and what"
            " does it do then? What does it count while reports are under way, and is that count"
            " put right again however a report ends?"
        ),
        (
            "Wait at most about 100 ms for Redis, then let the request pass; have your client"
            " refuse commands at once while it has no connection, and connect again by itself,"
            " several times a second. After EVALSHA, NOSCRIPT means that the script must be loaded"
            " again. Reports: if inFlight >= MAX_IN_FLIGHT answer 503 with"
            " Retry-After; else inFlight += 1, and inFlight -= 1 in a finally block."
        ),
    ),
    link="When the counter is away",
    needs=("spends_a_budget",),
)
def check_degrades(
    replica: Server,
    shaky: Server,
    fragile: Relay,
    store: Store,
    stub: Stub,
    limits: Limits,
    most_reports: int,
    random: Random,
) -> None:
    """Without Redis all pass within 300 ms; reports beyond MAX_IN_FLIGHT get 503 within 200 ms"""
    house = House(shaky, limits)
    counted(lambda: expect_new(with_key(random).ask(shaky), limits, "a new key"))
    content = {"sold": random.integer(100, 900), "note": random.text()}
    stub.reply(REPORT, 200, json=content)
    lets_pass(house, partial(restarting, fragile, store), "Redis refuses connections", random)
    lets_pass(house, fragile.silent, "Redis does not answer", random)
    curious = with_key(random)
    for _ in range(2):
        shaky.get("/api/report", headers=curious.headers).expect(200, exactly=content)
    counted(lambda: expect_new(curious.ask(shaky), limits, "a key that has asked for reports only"))

    def shed() -> None:
        eventually(
            lambda: sheds(house, replica, stub, most_reports, content, random), attempts=ATTEMPTS
        )

    shed()
    makes_room(shaky, stub, most_reports, content, random)
    counts_right_still(shed)


@contextmanager
def restarting(relay: Relay, store: Store) -> Iterator[None]:
    """Refuse connections; meanwhile Redis forgets its scripts, as one that restarts does."""
    with relay.stopped():
        store.run("SCRIPT", "FLUSH")
        yield


def lets_pass(
    house: House, away: Callable[[], AbstractContextManager[None]], what: str, random: Random
) -> None:
    """Take Redis away and bring it back; only requests that were late are tried again."""
    quickest = ask_without_redis(house, away, what, random)
    for _ in range(ATTEMPTS - 1):
        # A server that doesn't ask Redis for a while is quick, however long it waited before.
        counts_again(house, what, random)
        if not any(each.late for each in quickest):
            return
        tried = zip(quickest, ask_without_redis(house, away, what, random), strict=True)
        quickest = [before if again.late else again for before, again in tried]
    counts_again(house, what, random)
    expect_in_time(quickest, f"200 within {LET_PASS_WITHIN_S * 1000:.0f} ms while {what}")


def ask_without_redis(
    house: House, away: Callable[[], AbstractContextManager[None]], what: str, random: Random
) -> list[Timed]:
    """Ask more often than there are tokens while Redis is away, one after the other and at once."""
    caller = with_key(random)

    def ask() -> Timed:
        return timed(lambda: caller.get(house.server), LET_PASS_WITHIN_S)

    with away():
        asked = [ask() for _ in range(2)]
        with at_once(lambda _: ask(), range(house.limits.rate)) as crowd:
            asked += crowd.results()
        report = house.server.get("/api/report", headers=caller.headers)
    for reply in (*(each.reply for each in asked), report):
        if reply.status != 200:
            reply.fail(f"200 while {what}")
    for each in asked:
        expect_shows(each.reply)
    return asked


def timed(ask: Callable[[], Reply], within_s: float) -> Timed:
    """Ask, and tell whether the reply was late."""
    deadline = Deadline(within_s)
    reply = ask()
    return Timed(reply, deadline.has_passed())


def expect_in_time(asked: list[Timed], what: str) -> None:
    """Expect that none of them was late."""
    late = [each.reply for each in asked if each.late]
    if late:
        slowest = max(late, key=lambda reply: reply.elapsed_s)
        slowest.fail(what, f"{slowest.status} after {slowest.elapsed_s * 1000:.0f} ms")


def counts_again(house: House, what: str, random: Random) -> None:
    """Expect that a new caller can spend a budget, and no more."""
    try:
        eventually(
            lambda: spend(with_key(random), house.server, house.limits), within_s=COUNTS_WITHIN_S
        )
    except Failure as failure:
        failure.looked_for += f", {COUNTS_WITHIN_S} s after this was over: {what}"
        raise


def sheds(
    house: House, replica: Server, stub: Stub, most: int, content: object, random: Random
) -> None:
    """Ask for three times as many reports as may be under way, while the upstream holds them."""
    spent = with_key(random)
    counted(lambda: spend(spent, house.server, house.limits))
    # Half of them from one caller without a token, the others each from somebody new.
    callers = iter([spent if n % 2 else with_key(random) for n in range(3 * most + 1)])
    done = list[Timed]()

    def ask(server: Server) -> None:
        headers = next(callers).headers

        def get() -> Reply:
            return server.get("/api/report", headers=headers, timeout_s=15)

        done.append(timed(get, SHED_WITHIN_S))

    # A report whose beginning is there is under way still.
    with stub.holding(REPORT, after_bytes=3) as held:
        with at_once(ask, [house.server] * 3 * most) as crowd:
            held.wait(most)
            wait_for_replies(done, 2 * most)
            under_way = len(held.wait(most))
            statuses = ", ".join(str(each.reply.status) for each in done)
            if under_way != most or len(done) != 2 * most:
                fail(f"{most} of {3 * most} reports at the upstream with MAX_IN_FLIGHT={most},"
                     f" the other {2 * most} refused at once",
                     f"{under_way} at the upstream, {len(done)} replies: {statuses}")  # fmt: skip
            with at_once(ask, [replica]) as at_replica:
                held.wait(most + 1)
                house.server.get("/api/shows", headers=with_key(random).headers).expect(200)
                held.release()
            at_replica.results()
        crowd.results()
    refused, answered = done[: 2 * most], done[2 * most :]
    for each in refused:
        expect_problem(each.reply, 503)
        wait_named(each.reply)
    for each in answered:
        each.reply.expect(200, exactly=content)
    what = f"503 within {SHED_WITHIN_S * 1000:.0f} ms while {most} reports are under way"
    expect_in_time(refused, what)


def counts_right_still(shed: Callable[[], None]) -> None:
    """Expect the same cap once more, however the reports in between have ended."""
    try:
        shed()
    except Failure as failure:
        failure.looked_for += ", after reports that failed and callers who hung up"
        raise


def wait_for_replies(done: list[Timed], count: int) -> None:
    """Wait until that many replies are there, or two seconds have passed."""
    deadline = Deadline(2.0)
    while len(done) < count and not deadline.has_passed():
        time.sleep(POLL_S)


def makes_room(server: Server, stub: Stub, most: int, content: object, random: Random) -> None:
    """Let more reports fail than may be under way, in four ways; then one must work."""
    headers = with_key(random).headers
    ways: list[dict[str, Any]] = [{"status": random.pick((500, 502, 503))}, {"breaks_off_after": 3}]
    for broken in ways:
        stub.reply(REPORT, json=content, times=most, **broken)
        for _ in range(most):
            expect_problem(server.get("/api/report", headers=headers), 502)
        server.get("/api/report", headers=headers).expect(200, exactly=content)
    stub.refuse()
    for _ in range(most):
        expect_problem(server.get("/api/report", headers=headers), 502)
    stub.accept()
    server.get("/api/report", headers=headers).expect(200, exactly=content)
    done = list[Reply]()

    def ask(_: int) -> None:
        done.append(server.get("/api/report", headers=headers, timeout_s=15))

    with stub.holding(REPORT) as held:
        lines = [server.connect() for _ in range(most)]
        for line in lines:
            line.send(f"GET /api/report HTTP/1.1\r\nHost: localhost\r\n"
                      f"X-Api-Key: {headers['X-Api-Key']}\r\n\r\n".encode())  # fmt: skip
        held.wait(most)
        for line in lines:
            line.close()
        # By the time of this reply, a server that watches its callers has seen them leave.
        server.get("/api/shows", headers=headers)
        with at_once(ask, range(most)) as crowd:
            eventually(lambda: expect_cap(held, done, most), within_s=5)
            held.release()
        crowd.results()
    for reply in done:
        if reply.status != 503:
            reply.expect(200, exactly=content)
    eventually(
        lambda: server.get("/api/report", headers=headers).expect(200, exactly=content),
        within_s=5,
    )


def expect_cap(held: HeldBack, done: list[Reply], most: int) -> None:
    """Expect the cap to hold for new reports after as many callers have hung up.

    A server that hangs up on the upstream as well has room for the new ones.
    """
    came = len(held.wait(most)) + len(done)
    under_way = held.awaited()
    if came < 2 * most or under_way > most:
        fail(f"at most {most} reports under way at the upstream with MAX_IN_FLIGHT={most}, and the"
             f" others refused, after {most} callers have hung up",
             f"{under_way} under way, {len(done)} replies", command=CHECK_AGAIN)  # fmt: skip
