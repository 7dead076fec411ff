import shlex
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import count, product
from typing import Literal

import pytest

from coursework.checks import (
    Backend,
    Backends,
    Deadline,
    Failure,
    Image,
    Random,
    Reply,
    Server,
    Stream,
    at_once,
    at_rate,
    eventually,
    fail,
    points,
)

PORT = 8080
REQUESTS, LEAST_PERCENT, MOST_PERCENT = 300, 23, 43
GETS, PER_S = 400, 150
HUNG_GETS, HUNG_PER_S = 200, 100
ANSWERED_WITHIN_S, RETURNS_WITHIN_S, GIVES_UP_WITHIN_S = 2, 3, 5
USERS, STAY_PERCENT, LEAST_USERS_PERCENT = 300, 95, 10
HUNG_USERS = 30
SIDE_BY_SIDE = 10
WATCHED_S = 2
GONE = "b1"
ATTEMPTS = 3
# What takes seconds is seen again only where a busy machine may have spoiled it.
BUSY_ATTEMPTS = 2
FAILURES = (502, 503, 504)
WRITES = ("POST", "PUT", "PATCH", "DELETE")
POLL_S = 0.05
AS_SENT = ("X-Ticket", "X-User", "Cookie", "Authorization")
# How long a client waits at most if the machine is too busy to tell.
PATIENCE_S = 10.0


@dataclass(frozen=True)
class House:
    """The balancer and what is behind it."""

    door: Server
    backends: Backends

    @property
    def inside(self) -> tuple[str, int]:
        """Where the balancer listens among the containers."""
        return self.door.container.network_address, PORT

    def get(self, path: str, user: str = "", timeout_s: float = PATIENCE_S) -> Reply:
        """Send GET through the door."""
        headers = {"X-User": user} if user else None
        return self.door.get(path, headers=headers, timeout_s=timeout_s)

    def asking(self, path: str, user: str, cookie: str = "") -> str:
        """Return the command that asks thirty times, and counts who answers.

        Args:
            path: `$n` in it is the number of the request.
            user: the same.
            cookie: what the door gave this user.
        """
        basket = f" -b {shlex.quote(cookie)}" if cookie else ""
        ask = f'curl -s -H "X-User: {user}"{basket} "localhost:{self.door.port}{path}"'
        names = """grep -o '"backend": ".."' | sort | uniq -c"""
        return f"for n in $(seq 30); do {ask}; done | {names}"

    def signal(self, name: str, signal: str) -> str:
        """Return the command that has a backend hang (USR1), die (USR2) or be well (CONT)."""
        return f"docker kill --signal={signal} {self.backends[name].container.name}"


@dataclass(frozen=True)
class Asked:
    """A GET, below /checkout or not, and whether it was late on a machine that was not too busy."""

    reply: Reply
    buys: bool
    late: bool


def backend_in(reply: Reply) -> str:
    """Return the name of the backend that a reply comes from."""
    said = reply.expect(200).json()
    if not isinstance(said, dict) or said.get("backend") not in ("b1", "b2", "b3"):
        reply.fail('200 and the reply of a backend, with {"backend": "b1"} or b2 or b3')
    return str(said["backend"])


def shown(counts: "Counter[str]") -> str:
    """Return how often each backend was met, those that were."""
    return ", ".join(f"{name} {counts[name]}" for name in sorted(counts)) or "none"


def all_well(house: House) -> None:
    """Let each backend be well, and wait until each is used."""
    house.backends.revive()
    for name in house.backends:
        expect_used(house, name, "/api")


def expect_used(
    house: House, name: str, half: str, signal: Literal["USR1", "USR2"] = "USR2"
) -> None:
    """Expect that a backend that is well again is used within its time, in a half of the site."""
    deadline, met = Deadline(RETURNS_WITHIN_S), Counter[str]()
    path = f"{half}/seats"
    while not met[name]:
        is_late = deadline.has_passed()
        for number in range(SIDE_BY_SIDE):
            # Where all have failed just now, none may be used for a moment.
            reply = house.get(path, f"{name}-{time.monotonic_ns()}-{number}")
            met[backend_in(reply) if reply.status not in FAILURES else "none"] += 1
        if is_late and not met[name]:
            steps = (returned(house, name, half, signal), house.asking(path, "$n"))
            fail(
                f"replies of {name} at {half}/…, {RETURNS_WITHIN_S} s after it came back",
                shown(+met),
                command="; sleep 3; ".join(steps),
            )


def returned(house: House, name: str, half: str, signal: Literal["USR1", "USR2"]) -> str:
    """Return the command that has a backend die, or hang while nine ask, and come back."""
    ask = f'curl -s -m 10 -o /dev/null -H "X-User: $n" localhost:{house.door.port}{half}/$n'
    while_away = {"USR1": f"for n in $(seq 9); do {ask} & done; wait", "USR2": "sleep 3"}[signal]
    return f"{house.signal(name, signal)}; {while_away}; {house.signal(name, 'CONT')}"


# --- the house ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(backends: Backends, image: Image) -> House:
    """The answer in front of the three backends."""
    return House(image.start(port=PORT, hosts=backends.hosts), backends)


@pytest.fixture(scope="module")
def second(backends: Backends, image: Image) -> House:
    """Another balancer, so that what a hang leaves behind is seen in one check only."""
    return House(image.start(port=PORT, hosts=backends.hosts), backends)


# --- each its share -----------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "The report counts who answered. Ask the door a few times yourself: each reply names"
            " its backend. Are all three in your configuration, and what decides between them"
            " outside /checkout?"
        ),
        (
            "Outside /checkout nothing about the request may decide: no user, cookie or path,"
            " not even one with checkout somewhere in it. HAProxy: balance roundrobin,"
            " and three lines server b1 b1:3000 … b3 b3:3000. nginx: an upstream with three lines"
            " server b1:3000; … and no ip_hash or hash."
        ),
    ),
    link="Whose turn is it?",
)
def check_spreads(house: House, random: Random) -> None:
    """Of 300 requests for the same thing outside /checkout, each backend gets 23 to 43 %"""
    eventually(lambda: share(house, random), attempts=ATTEMPTS)


def share(house: House, random: Random) -> None:
    """Send requests of one user for one path, and count who answers."""
    # Its last part is the name of the other half of the site; it isn't below it.
    user, path = f"{random.word()}-{random.hex(8)}", f"/api/{random.hex(12)}/checkout"
    first = house.get(path, user)
    backend_in(first)
    # Whatever a door uses to recognise them.
    cookie = first.headers.get("Set-Cookie", f"seen={random.word()}").partition(";")[0]
    headers = {"X-User": user, "Cookie": cookie}

    def ask(numbers: Sequence[int]) -> list[Reply]:
        return [one(number) for number in numbers]

    def one(number: int) -> Reply:
        # Every fifth one isn't a GET: those have to be spread as well.
        method = "GET" if number % 5 else WRITES[number // 5 % len(WRITES)]
        body = b"" if number % 5 else b"{}"
        return house.door.request(method, path, headers=headers, body=body, timeout_s=PATIENCE_S)

    with at_once(ask, [range(n, REQUESTS, SIDE_BY_SIDE) for n in range(SIDE_BY_SIDE)]) as crowd:
        replies = [reply for some in crowd.results() for reply in some]
    counts = Counter(backend_in(reply) for reply in replies)
    for name in house.backends:
        if not LEAST_PERCENT <= 100 * counts[name] / REQUESTS <= MOST_PERCENT:
            fail(
                f"{LEAST_PERCENT} to {MOST_PERCENT} % of {REQUESTS} requests for each backend",
                shown(+counts),
                command=house.asking(path, user, cookie),
            )


# --- a backend that dies ------------------------------------------------------------------------


class Visitors:
    """Callers who ask with GET at a steady rate, for seats to buy and for everything else."""

    def __init__(self, house: House, random: Random) -> None:
        self._house, self.word, self._numbers = house, random.hex(12), count()

    def ask(self) -> Asked:
        """Ask for something, each third time below /checkout."""
        number = next(self._numbers)
        buys = number % 3 == 0
        path = f"/{'checkout' if buys else 'api'}/{self.word}/{number}"
        deadline = Deadline(ANSWERED_WITHIN_S)
        reply = self._house.get(path, f"{self.word}-{number}")
        return Asked(reply, buys, deadline.has_passed())

    def expect_read(self, backend: Backend) -> None:
        """Expect that a backend reads another one of their requests, as soon as one comes."""
        before = len(backend.received(self.word))

        def reads_more() -> None:
            if len(backend.received(self.word)) == before:
                fail(f"requests for {backend.name} among all others", "none")

        eventually(reads_more, within_s=2)


def expect_all_served(stream: Stream[Asked], house: House, name: str, signal: str) -> None:
    """Expect that none of the GETs failed, and none was late."""
    total, what = len(stream.outcomes()), {"USR1": "hung", "USR2": "dead"}[signal]
    command = again_while(house, stream, name, signal)
    bad = stream.count(lambda asked: asked.reply.status)
    del bad[200]
    if bad:
        saw = "; ".join(f"{seen}, {count} of {total}" for seen, count in bad.most_common(3))
        looked_for = f"200 to each of {total} GETs, before and while {name} was {what}"
        fail(looked_for, saw, command=command)
    late = [asked.reply for asked in stream.results() if asked.late]
    if late:
        slowest = max(reply.elapsed_s for reply in late)
        looked_for = f"200 within {ANSWERED_WITHIN_S} s to each of {total} GETs while {name} was"
        saw = f"200 after {slowest:.1f} s; too late were {len(late)} in all"
        fail(f"{looked_for} {what}", saw, command=command)
    for asked in stream.results():
        backend_in(asked.reply)


def again_while(house: House, stream: Stream[Asked], name: str, signal: str) -> str:
    """Return the command that asks nine times at once while a backend hangs, and when it dies."""
    buying = any(a.buys for a in stream.results() if a.late or a.reply.status != 200)
    path = "/checkout" if buying else "/api"
    ask = "curl -s -m 10 -o /dev/null -w 'HTTP %{http_code} after %{time_total} s\\n'"
    asked = f'{ask} -H "X-User: $n" localhost:{house.door.port}{path}/$n'
    steps = [house.signal(name, "USR1"), f"for n in $(seq 9); do {asked} & done; sleep 0.3"]
    if signal == "USR2":
        steps += [house.signal(name, signal), f"for n in $(seq 9); do {asked} & done"]
    return "; ".join([*steps, "wait", house.signal(name, "CONT")])


@points(
    2,
    hints=(
        (
            "The report says how many GETs failed, and how. What does your balancer do with a"
            " request whose backend refuses the connection, and with one whose backend hangs up"
            " before it has answered? And how does it notice that a backend is back?"
        ),
        (
            "HAProxy: option redispatch 1, retries 3, retry-on conn-failure empty-response, and"
            " `check inter 500ms fall 2 rise 1` behind each server. nginx: proxy_next_upstream"
            " error timeout, and max_fails=1 fail_timeout=1s behind each server."
        ),
    ),
    link="A backend that dies",
    needs=("spreads",),
)
def check_survives_a_death(house: House, random: Random) -> None:
    """b2 dies under load: none of 400 GETs fails or takes 2 s; once back, it serves within 3 s"""
    eventually(lambda: outlives(house, random), attempts=BUSY_ATTEMPTS)


def outlives(house: House, random: Random) -> None:
    """Let a backend die with requests in its hands, and come back, while many ask."""
    all_well(house)
    b2, visitors = house.backends["b2"], Visitors(house, random)
    with at_rate(visitors.ask, per_s=PER_S) as stream:
        stream.wait_for(GETS // 8)
        b2.hang()
        visitors.expect_read(b2)
        b2.die()
        # Two seconds: a check twice a second has failed three times by then.
        stream.wait_for(7 * GETS // 8)
        b2.revive()
        stream.wait_for(GETS)
    expect_all_served(stream, house, "b2", "USR2")
    expect_used(house, "b2", "/api")


# --- a backend that hangs -----------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "A hung backend accepts the connection and says nothing, so nothing fails: only a clock"
            " can tell. How long does your balancer wait for the first byte of a reply, and what"
            " does it do then?"
            " And when the backend is back, is all as before below /checkout, too?"
        ),
        (
            "HAProxy: timeout server 800ms, and response-timeout in retry-on; option httpchk with"
            " timeout check 1s. nginx: proxy_read_timeout 800ms, and timeout in"
            " proxy_next_upstream."
        ),
    ),
    link="A backend that hangs",
    needs=("survives_a_death",),
)
def check_survives_a_hang(second: House, random: Random) -> None:
    """b3 says nothing: none of 200 GETs fails or takes 2 s; once back, it serves within 3 s"""
    all_well(second)
    users = [f"{random.word()}-{random.hex(16)}" for _ in range(HUNG_USERS)]
    homes = kept_homes(second, users, random)
    eventually(lambda: endures(second, homes, random), attempts=BUSY_ATTEMPTS)


def endures(house: House, homes: Mapping[str, str], random: Random) -> None:
    """Let a backend hang until everybody has a reply, or has given up.

    Args:
        house: with the balancer.
        homes: each user's backend below /checkout; empty where it isn't kept.
        random: the run's.
    """
    all_well(house)
    b3, visitors = house.backends["b3"], Visitors(house, random)
    with at_rate(visitors.ask, per_s=HUNG_PER_S) as stream:
        stream.wait_for(HUNG_GETS // 4)
        b3.hang()
        visitors.expect_read(b3)
        stream.wait_for(HUNG_GETS)
    b3.revive()
    expect_all_served(stream, house, "b3", "USR1")
    expect_used(house, "b3", "/api", "USR1")
    # Whoever sends all buyers to the others did so before: that's another check's matter.
    if not homes or "b3" in homes.values():
        expect_used(house, "b3", "/checkout", "USR1")
    if homes:
        # Whatever shares the work among several processes learns it in each of them.
        eventually(lambda: stay_after_a_hang(house, [*homes], random), within_s=RETURNS_WITHIN_S)


def kept_homes(house: House, users: Sequence[str], random: Random) -> dict[str, str]:
    """Return each user's backend below /checkout; nothing where another check has to tell."""
    homes: dict[str, str] = {}
    try:
        eventually(lambda: homes.update(stay(house, users, random)), attempts=ATTEMPTS)
    except Failure:
        return {}
    return homes


def stay_after_a_hang(house: House, users: Sequence[str], random: Random) -> None:
    """Expect that those who kept their backend before it hung have one again."""
    try:
        stay(house, users, random)
    except Failure as failure:
        steps = (returned(house, "b3", "/checkout", "USR1"), failure.command)
        what = f"{failure.looked_for}, after b3 has hung and come back as before"
        fail(what, failure.saw, command="; sleep 3; ".join(steps))


# --- purchases ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Purchase:
    """A request that must not be repeated."""

    method: str
    path: str

    def send(self, house: House, body: bytes, user: str) -> Reply:
        """Send it."""
        headers = {"X-User": user, "Content-Type": "text/plain"}
        return house.door.request(
            self.method, self.path, headers=headers, body=body, timeout_s=PATIENCE_S
        )


def deliveries(house: House, path: str) -> "Counter[str]":
    """Return how often each backend has read a request for a path."""
    return Counter({name: len(got) for name, got in house.backends.received(path).items()})


@points(
    2,
    hints=(
        (
            "Somebody's purchase was read by more than one backend, or its caller was not told of"
            " the failure. The report says which method, and who read it. Which methods does your"
            " balancer repeat, because it considers them harmless?"
        ),
        (
            "HAProxy: http-request disable-l7-retry unless METH_GET. nginx without non_idempotent"
            " still repeats PUT and DELETE: send all but GET and HEAD to a separate location with"
            " proxy_next_upstream off (error_page 418 = @writes; if ($request_method !~"
            " ^(GET|HEAD)$) { return 418; })."
        ),
    ),
    link="A ticket bought twice",
    needs=("survives_a_hang",),
)
def check_never_repeats_a_purchase(house: House, random: Random) -> None:
    """Backends read a POST, PUT, PATCH or DELETE, then die or hang: one delivery, and 502 to 504"""
    all_well(house)
    for method, half in (("POST", "/checkout"), ("PUT", "/api")):
        word = f"{random.word()}-{random.hex(8)}"
        arrives = partial(is_delivered, house, method, f"{half}/{word}", random)
        eventually(arrives, attempts=ATTEMPTS)
    hows: tuple[Literal["die", "hang"], ...] = ("die", "hang")
    for how in hows:
        word = f"{random.word()}-{random.hex(8)}"
        for backend in house.backends.values():
            backend.spoil(how, having=word)
        purchases = [
            Purchase(method, f"{half}/{word}/{method.lower()}")
            for method, half in product(WRITES, ("/checkout", "/api"))
        ]
        with at_once(partial(spoiled, house, how, random), purchases) as crowd:
            crowd.results()


def is_delivered(house: House, method: str, path: str, random: Random) -> None:
    """Expect that a request arrives once and whole while all are well."""
    body = random.text().encode()
    purchase = Purchase(method, f"{path}-{random.hex(6)}")
    reply = purchase.send(house, body, random.hex(8))
    backend_in(reply)
    seen = [got for some in house.backends.received(purchase.path).values() for got in some]
    if [(got.method, got.body) for got in seen] != [(method, body)]:
        came = ", ".join(f"{got.method} with {got.body[:80]!r}" for got in seen) or "nothing"
        reply.fail(f"one {method} with the body {body!r} at the backends", came)


def spoiled(house: House, how: Literal["die", "hang"], random: Random, purchase: Purchase) -> None:
    """Send a request whose backend fails once it has read it; expect one delivery in all."""
    deadline = Deadline(PATIENCE_S)
    # The seat may be in the path, and the body empty.
    bare = purchase.method == "DELETE" or purchase.path.startswith("/checkout")
    while True:
        each = Purchase(purchase.method, f"{purchase.path}-{random.hex(8)}")
        patience = Deadline(GIVES_UP_WITHIN_S)
        reply = each.send(house, b"" if bare else b"seat C4", random.hex(8))
        was_late = patience.has_passed()
        read = deliveries(house, each.path)
        whose = f"{each.method} whose backend reads it, then {how}s"
        logs = house.backends["b1"].container.name.removesuffix("b1")
        reading = f"docker logs {logs}$b 2>&1 | grep {each.path[-8:]}"
        reply.command = f"{reply.command}; for b in b1 b2 b3; do {reading}; done"
        if read.total() > 1:
            saw = f"{reply.status}, and read by {shown(+read)}"
            reply.fail(f"502, 503 or 504, and one delivery in all of a {whose}", saw)
        if reply.status not in FAILURES:
            reply.fail(f"502, 503 or 504 for a {whose}")
        if was_late:
            saw = f"{reply.status} after {reply.elapsed_s:.1f} s"
            reply.fail(f"502, 503 or 504 within {GIVES_UP_WITHIN_S} s for a {whose}", saw)
        if read.total() == 1:
            return
        # It reached nobody: for a moment the balancer thinks they are all dead.
        if deadline.has_passed():
            reply.fail(f"one delivery of a {whose}", f"{reply.status}, and none")
        time.sleep(POLL_S)


# --- users --------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says whose backend changed, or how the users are spread. From what does"
            " your balancer compute a user's backend, and what does it compute when there are two"
            " backends instead of three?"
        ),
        (
            "HAProxy: `use_backend buyers if { path /checkout } || { path_beg /checkout/ }`, and a"
            " backend buyers with `balance hash req.hdr(X-User)` and `hash-type consistent`. nginx:"
            " a second upstream with `hash $http_x_user consistent;`."
        ),
    ),
    link="A user keeps a server",
    needs=("survives_a_death",),
)
def check_remembers_the_buyer(house: House, random: Random) -> None:
    """300 users keep their backend below /checkout; with b1 gone, 95 % of the others stay"""
    all_well(house)
    # Where this fails, the users below show it better.
    with suppress(Failure):
        for name in house.backends:
            expect_used(house, name, "/checkout")
    users = [f"{random.word()}-{random.hex(16)}" for _ in range(USERS)]
    homes = eventually(lambda: stay(house, users, random), attempts=ATTEMPTS)
    counts = Counter(homes.values())
    for name in house.backends:
        if 100 * counts[name] < LEAST_USERS_PERCENT * USERS:
            fail(
                f"at least {LEAST_USERS_PERCENT} % of {USERS} users for each backend",
                shown(counts),
                command=house.asking("/checkout", "$n"),
            )
    others = [user for user in users if homes[user] != GONE]
    theirs = [user for user in users if homes[user] == GONE]
    house.backends[GONE].die()
    until = time.monotonic() + WATCHED_S
    while time.monotonic() < until:
        eventually(lambda: expect_most_stay(house, others, homes), attempts=BUSY_ATTEMPTS)
        # Another backend serves them, because this one is gone.
        met(house, theirs[:SIDE_BY_SIDE], lambda n: f"/checkout/{n}")
    house.backends[GONE].revive()
    expect_used(house, GONE, "/checkout")


def met(
    house: House, users: Sequence[str], path: Callable[[int], str], *, writes: bool = False
) -> dict[str, Reply]:
    """Ask for something below /checkout for each user, also by writing; return the replies."""

    def ask(some: Sequence[str]) -> list[tuple[str, Reply]]:
        return [(user, one(number, user)) for number, user in enumerate(some)]

    def one(number: int, user: str) -> Reply:
        # The number within a group: every third one writes, each method in its turn.
        method = WRITES[number // 3 % len(WRITES)] if writes and number % 3 == 0 else "GET"
        headers = {"X-User": user}
        return house.door.request(method, path(number), headers=headers, timeout_s=PATIENCE_S)

    groups = [users[n::SIDE_BY_SIDE] for n in range(min(SIDE_BY_SIDE, len(users)))]
    with at_once(ask, groups) as crowd:
        replies = dict(pair for some in crowd.results() for pair in some)
    for reply in replies.values():
        backend_in(reply)
    return replies


def stay(house: House, users: Sequence[str], random: Random) -> dict[str, str]:
    """Ask twice for each user, at different paths; return the backend of each."""
    word = random.word()
    first = met(house, users, lambda n: f"/checkout/{word}/{n}?seat=C{n}")
    others = ("/checkout", "/checkout?seat=C4", f"/checkout/{word}", "/checkout/")
    second = met(house, users, lambda n: others[n % len(others)], writes=True)
    homes = {user: backend_in(reply) for user, reply in first.items()}
    changed = [user for user in users if backend_in(second[user]) != homes[user]]
    if changed:
        user = changed[0]
        fail(
            f"one backend for each of {len(users)} users, at every path below /checkout",
            f"{user} met {homes[user]}, then {backend_in(second[user])};"
            f" {len(changed)} users changed in all",
            command=f"{first[user].command}; {second[user].command}",
        )
    return homes


def expect_most_stay(house: House, others: Sequence[str], homes: dict[str, str]) -> None:
    """Expect that nearly all users of living backends stay where they were."""
    now = met(house, others, lambda n: f"/checkout/{n}")
    moved = [user for user in others if backend_in(now[user]) != homes[user]]
    if 100 * len(moved) > (100 - STAY_PERCENT) * len(others):
        user, ask = moved[0], now[moved[0]].command
        steps = (house.signal(GONE, "CONT"), ask + "; " + house.signal(GONE, "USR2"), ask)
        fail(
            f"at least {STAY_PERCENT} % of the users of b2 and b3 stay when {GONE} is gone",
            f"{len(moved)} of {len(others)} moved, such as {user}:"
            f" {homes[user]}, then {backend_in(now[user])}",
            command="; sleep 3; ".join(steps),
        )


# --- the truth ----------------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "Look at what the backend got: each reply shows its headers. Who wrote the last entry"
            " of X-Forwarded-For, and what happened to the fields that the caller invented?"
        ),
        (
            "HAProxy: option forwardfor, and http-request set-header X-Forwarded-Proto http. nginx:"
            " proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for, X-Forwarded-Proto"
            " $scheme and Host $http_host, in each location that passes something on."
        ),
    ),
    link="Who was it?",
    needs=("spreads",),
)
def check_tells_the_truth(house: House, random: Random) -> None:
    """Invented X-Forwarded-For and -Proto are not believed; Host and all else arrive as sent"""
    all_well(house)
    for name, method, half in (
        ("b1", "GET", "/api"), ("b3", "GET", "/checkout"), ("b3", "POST", "/api"),
        ("b1", "POST", "/checkout"), ("b2", "GET", "/checkout"),
    ):  # fmt: skip
        asks = partial(believes, house, house.backends[name], method, half, random)
        eventually(asks, attempts=ATTEMPTS)


def believes(house: House, caller: Backend, method: str, half: str, random: Random) -> None:
    """Send a request full of inventions from a container whose address is known."""
    seat, places = f"{random.word().title()}-{random.hex(6)}", "stalls%2Fleft//row"
    path = f"{half}/{seat}/{places}?seat={random.hex(4).upper()}&q=a%20b"
    host = f"{random.word()}.example"
    body = random.text().encode() if method == "POST" else b""
    headers = {
        "Host": host, "X-Forwarded-For": f"203.0.113.{random.integer(1, 254)}",
        "X-Forwarded-Proto": "https", "X-User": random.hex(8), "X-Ticket": random.hex(12),
        "Authorization": f"Bearer {random.hex(8)}",
        "Cookie": f"basket={random.hex(8)}",
    }  # fmt: skip
    reply = caller.send(house.inside, method, path, headers=headers, body=body)
    fields = [("-H", f"{name}: {value}") for name, value in headers.items()]
    words = ["curl", "-i", *(word for pair in fields for word in pair)]
    words += ["--data-raw", body.decode()] if body else []
    reply.command = shlex.join([*words, f"http://localhost:{house.door.port}{path}"])
    backend_in(reply)
    seen = reply.json()
    if (seen.get("method"), seen.get("path")) != (method, path):
        reply.fail(f"{method} {path} at the backend", f"{seen.get('method')} {seen.get('path')}")
    arrived = [got for some in house.backends.received(path).values() for got in some]
    if not arrived:
        reply.fail(f"{method} {path} at a backend of ours", "none got it")
    got = arrived[-1]
    peer = caller.container.network_address
    absent = f"no such field among {', '.join(got.headers)}"
    entries = got.headers.get("X-Forwarded-For", "").split(",")
    last = entries[-1].strip() or absent
    facts = (
        ("the last entry of X-Forwarded-For", peer, last),
        ("X-Forwarded-Proto", "http", got.headers.get("X-Forwarded-Proto", absent)),
        ("Host", host, got.headers.get("Host", absent).partition(":")[0]),
        *((name, headers[name], got.headers.get(name, absent)) for name in AS_SENT),
        ("the body", body.decode(), got.body.decode(errors="replace")),
    )
    for what, wanted, saw in facts:
        if saw != wanted:
            where = f"at {half}/… with {method}, sent from {peer}"
            reply.fail(f"{what}: {wanted}, {where}", saw)
