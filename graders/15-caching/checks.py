import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Deadline,
    Failure,
    HeldBack,
    Image,
    Meanwhile,
    Memcached,
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

GETS, CROWD, MOST_READS, FEW = 20, 40, 2, 6
# A lifetime that a check can wait for, and how much later it may end.
BRIEF_S, MORE_S = 2, 1
KEY_MORE_S = 60
# A read may take that long; a server that forgets a second time has done so by then.
SLOW_READ_S = 3
# With them a show has some 90 KB.
MANY_LETTERS = 36_000
COMES_WITHIN_S, SECOND_READ_WITHIN_S = 1.0, 0.4
# A lock of a second has ended by then, and so has the patience of those who wait that long.
LONG_READ_S = 2.0
# A mark that a PUT leaves for ten seconds has ended by then.
LONG_AFTER_S = 11
# By then a 404 that is remembered for a second is forgotten.
LATER_S = 2
AWAY_WITHIN_S, REMEMBERS_WITHIN_S, READS_AGAIN_WITHIN_S = 0.5, 5, 3
ATTEMPTS, POLL_S, QUICK_POLL_S, PATIENT_S, HASTY_S = 3, 0.05, 0.01, 30, 2
PROBLEM = "application/problem+json"
TICKETS = "GET /me/tickets"
Show = dict[str, Any]
Result = TypeVar("Result")
Spare = TypeVar("Spare")


# --- the catalogue ------------------------------------------------------------------------------


class Catalogue:
    """The slow source behind the answer, as our stub plays it."""

    def __init__(self, stub: Stub, random: Random) -> None:
        self._stub, self._random = stub, random
        self._ids = set[int]()

    def new_id(self) -> int:
        """Return an id that nobody has asked for."""
        while (number := self._random.integer(1_000, 999_999)) in self._ids:
            pass
        self._ids.add(number)
        return number

    def draft(self, number: int, letters: int = 8) -> Show:
        """Return a show that differs from each one before, with so many letters in its title."""
        return {
            "id": number,
            "title": f"{self._random.text(letters)} {self._random.word()}",
            "starts_at": f"2027-0{self._random.integer(1, 9)}-17T19:30:00Z",
            "price_cents": self._random.integer(1_100, 9_900),
        }

    def put_on(self, number: int, letters: int = 8) -> Show:
        """Have a show from now on, another one than before, and return it."""
        show = self.draft(number, letters)
        self.have(show)
        return show

    def have(self, show: Show) -> None:
        """Have this show from now on."""
        self._stub.reply(read_of(show["id"]), 200, json=show)

    def new_show(self, letters: int = 8) -> Show:
        """Have a show that nobody has asked for, and return it."""
        return self.put_on(self.new_id(), letters)

    def lack(self, number: int) -> None:
        """Have no such show from now on."""
        self._stub.reply(read_of(number), 404, json={"error": "not_found"})

    def fails(self, number: int, *, breaks_off: bool) -> None:
        """Let every read of a show fail from now on, so that a second attempt fails too."""
        status, after = (200, 20) if breaks_off else (500, None)
        show = self.draft(number)
        self._stub.reply(read_of(number), status, json=show, breaks_off_after=after)

    def reads(self, number: int) -> int:
        """Return how often a show was read."""
        return len(self._stub.requests(read_of(number)))

    def holding_reads(self, number: int) -> AbstractContextManager[HeldBack]:
        """Hold reads of a show back."""
        return self._stub.holding(read_of(number))


def read_of(number: int) -> str:
    """Return the route of a read."""
    return f"GET /shows/{number}"


def write_of(number: int) -> str:
    """Return the route of a write."""
    return f"PUT /shows/{number}"


def patiently(expectation: Callable[[], Result]) -> Result:
    """Return what an expectation returns; on a busy machine a cache may seem to be away."""
    return eventually(expectation, attempts=ATTEMPTS)


def for_each(theatres: tuple["Theatre", ...], look: Callable[["Theatre"], Result]) -> list[Result]:
    """Look at theatres side by side, at each patiently, and return what it returns."""
    with at_once(lambda theatre: patiently(lambda: look(theatre)), theatres) as crowd:
        return crowd.results()


def with_spares(look: Callable[[Spare], object], spares: Iterable[Spare]) -> None:
    """Look patiently, each time at another one: a look that misses fills the cache again."""
    left = iter(spares)
    patiently(lambda: look(next(left)))


# --- two replicas over one cache -----------------------------------------------------------------


@dataclass(frozen=True)
class Theatre:
    """Replicas over one cache, and the catalogue behind them.

    Args:
        cache: the cache's name, for reports.
        store: the cache.
        replicas: at least one.
        catalogue: behind all of them.
        stub: which plays the catalogue.
    """

    cache: str
    store: Store
    replicas: tuple[Server, ...]
    catalogue: Catalogue
    stub: Stub

    def get(self, number: int, server: Server, **more: Any) -> Reply:
        """Ask a replica for a show."""
        return server.get(f"/api/shows/{number}", **more)

    def expect_read(self, show: Show, server: Server, when: str) -> None:
        """Expect this show from a replica that may have to read it again."""
        try:
            reply = self.get(show["id"], server, timeout_s=READS_AGAIN_WITHIN_S)
        except Failure as failure:
            failure.looked_for += f" {when}, over {self.cache}"
            # By the time it is typed, nobody waits for anything any longer.
            failure.command = CHECK_AGAIN
            raise
        self.expect_show(reply, show, when)

    def put(self, show: Show, server: Server, **more: Any) -> Reply:
        """Send a show to a replica."""
        return server.request("PUT", f"/api/shows/{show['id']}", json=show, **more)

    def expect_put(self, show: Show, server: Server, when: str) -> None:
        """Send a show to a replica, and expect what the catalogue answers."""
        try:
            self.put(show, server).expect(200, exactly=show)
        except Failure as failure:
            failure.looked_for += f" {when}, over {self.cache}"
            # By the time it is typed, no GET is under way any longer.
            failure.command = CHECK_AGAIN
            raise

    def expect_show(self, reply: Reply, show: Show, when: str = "") -> Reply:
        """Compare a reply with a show."""
        try:
            return reply.expect(200, exactly=show)
        except Failure as failure:
            failure.looked_for += f" {when}".rstrip() + f", over {self.cache}"
            # By the time it is typed, the catalogue says something else.
            failure.command = CHECK_AGAIN
            raise

    def expect_fresh(self, show: Show, when: str) -> None:
        """Expect this show from each replica, twice."""
        for server in (*self.replicas, *self.replicas):
            self.expect_show(self.get(show["id"], server), show, when)

    def expect_cache(self, reply: Reply, said: str, when: str) -> None:
        """Compare what a reply says of the cache."""
        seen = reply.headers.get("X-Cache", "(absent)")
        if seen.lower() != said:
            what = f"X-Cache: {said} {when}, over {self.cache}"
            fail(what, f"{reply.status} · X-Cache: {seen}", command=CHECK_AGAIN)

    def expect_problem(self, reply: Reply, status: int, when: str) -> None:
        """Compare a refusal or a failure with the contract."""
        try:
            reply.expect(status, json={"status": status}, type=PROBLEM)
        except Failure as failure:
            failure.looked_for += f" {when}, over {self.cache}"
            failure.command = CHECK_AGAIN
            raise
        body = reply.json()
        for member in ("type", "title"):
            if not isinstance(body.get(member), str) or not body[member]:
                reply.fail(f"problem details with a string {member}")

    def expect_lifetimes(self, longest_s: int) -> None:
        """Check that no key is kept for ever, or for much longer than what is remembered."""
        most = longest_s + KEY_MORE_S
        for key in self.store.keys():  # noqa: SIM118 - it is no dict
            left = self.store.ttl(key)
            if left is None or left > most:
                seen = "none" if left is None else f"{left:.0f} s"
                what = f"a lifetime of at most {most} s for each key in {self.cache}"
                fail(what, f"{key}: {seen}", command=CHECK_AGAIN)


def ways_of(
    theatres: tuple[Theatre, Theatre], ways: tuple[Relay, Relay]
) -> Callable[[Theatre], Relay]:
    """Return a function that gives the way of a theatre's first replica to its cache."""
    way_of = dict(zip((theatre.cache for theatre in theatres), ways, strict=True))
    return lambda theatre: way_of[theatre.cache]


@dataclass(frozen=True)
class Told:
    """The lifetimes that the replicas were told, in seconds."""

    show_s: int
    absent_s: int


@pytest.fixture(scope="module")
def told(random: Random) -> Told:
    """The lifetimes of the replicas: nothing expires while a check is watching."""
    return Told(random.integer(300, 400), random.integer(100, 200))


@pytest.fixture(scope="module")
def catalogue(stub: Stub, random: Random) -> Catalogue:
    """The catalogue behind all servers."""
    return Catalogue(stub, random)


@pytest.fixture(scope="module")
def ways(relays: Relays, store: Store, memcached: Memcached) -> tuple[Relay, Relay]:
    """The ways to Redis and to Memcached that a check may close."""
    return relays.to(store.url), relays.to(memcached.url)


@pytest.fixture(scope="module")
def start(image: Image, stub: Stub) -> Callable[[str, Told], Server]:
    """A function that starts a server."""

    def start_server(cache_url: str, told: Told) -> Server:
        return image.start(
            env={
                "CATALOG_URL": stub.url,
                "CACHE_URL": cache_url,
                "CACHE_TTL_SECONDS": str(told.show_s),
                "NEGATIVE_TTL_SECONDS": str(told.absent_s),
            }
        )

    return start_server


@pytest.fixture(scope="module")
def over_redis(
    start: Callable[[str, Told], Server],
    told: Told,
    store: Store,
    ways: tuple[Relay, Relay],
    catalogue: Catalogue,
    stub: Stub,
) -> Theatre:
    """Two replicas over Redis; the way of the first one may be closed."""
    replicas = start(ways[0].url, told), start(store.url, told)
    return Theatre("Redis", store, replicas, catalogue, stub)


@pytest.fixture(scope="module")
def over_memcached(
    start: Callable[[str, Told], Server],
    told: Told,
    memcached: Memcached,
    ways: tuple[Relay, Relay],
    catalogue: Catalogue,
    stub: Stub,
) -> Theatre:
    """Two replicas over Memcached; the way of the first one may be closed."""
    replicas = start(ways[1].url, told), start(memcached.url, told)
    return Theatre("Memcached", memcached, replicas, catalogue, stub)


@pytest.fixture(scope="module")
def theatres(over_redis: Theatre, over_memcached: Theatre) -> tuple[Theatre, Theatre]:
    """Both of them."""
    return over_redis, over_memcached


@pytest.fixture(scope="module")
def brief_shows(
    start: Callable[[str, Told], Server],
    store: Store,
    catalogue: Catalogue,
    random: Random,
    meanwhile: Meanwhile,
) -> Story[None]:
    """A server that remembers shows briefly and 404s for long, watched while a show ends."""
    server = start(store.url, Told(BRIEF_S, random.integer(100, 200)))
    return meanwhile(lambda: forgets_a_show(server, catalogue))


@pytest.fixture(scope="module")
def brief_absence(
    start: Callable[[str, Told], Server],
    memcached: Memcached,
    catalogue: Catalogue,
    random: Random,
    meanwhile: Meanwhile,
) -> Story[None]:
    """A server that remembers 404s briefly and shows for long, watched while a 404 ends."""
    server = start(memcached.url, Told(random.integer(100, 200), BRIEF_S))
    return meanwhile(lambda: forgets_an_absence(server, catalogue))


@pytest.fixture(scope="module")
def slow_read(
    start: Callable[[str, Told], Server],
    told: Told,
    store: Store,
    catalogue: Catalogue,
    stub: Stub,
    meanwhile: Meanwhile,
) -> Story[None]:
    """A server with a slow read during a PUT; much later, it's asked for a show once more."""
    server = start(store.url, told)
    return meanwhile(lambda: writes_last(Theatre("Redis", store, (server,), catalogue, stub)))


# --- remembering --------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Ask the same show twice with curl -i: which X-Cache do you get, and what is in the"
            " cache meanwhile? Look at both caches, and at the time each key has left."
        ),
        (
            "Look in the cache under show:<id>; if nothing is there, ask the catalogue and"
            " store what it said with a lifetime: SET key value EX <seconds> in Redis, set key 0"
            " <seconds> <bytes> in Memcached, with the seconds from CACHE_TTL_SECONDS. Count the"
            " bytes of the text in UTF-8, not its letters. The ETag is a hash of the body."
        ),
    ),
    link="Cache aside: look, ask, remember",
)
def check_saves_the_origin(
    theatres: tuple[Theatre, Theatre], told: Told, brief_shows: Story[None]
) -> None:
    """20 GETs on two replicas cause one read of the catalogue, and each key has a lifetime"""
    rounds = [for_each(theatres, reads_once) for _ in range(ATTEMPTS)]
    for_each(theatres, carries_a_long_show)
    for_each(theatres, speaks_http)
    for_each(theatres, lambda theatre: expect_lifetimes_always(theatre, told))
    for theatre in theatres:
        another = theatre.catalogue.new_show()
        theatre.stub.reply(write_of(another["id"]), 200, json=another)
        theatre.put(another, theatre.replicas[0])
    brief_shows.result()
    for theatre, shows in zip(theatres, zip(*rounds, strict=True), strict=True):
        with_spares(partial(still_remembers, theatre, told), shows)


def reads_once(theatre: Theatre) -> Show:
    """Ask both replicas in turn for a show; return it."""
    show = theatre.catalogue.new_show()
    asked = [theatre.get(show["id"], s) for s in theatre.replicas * (GETS // 2)]
    for reply in asked:
        theatre.expect_show(reply, show)
    reads = theatre.catalogue.reads(show["id"])
    if reads != 1:
        what = f"1 read of the catalogue for {GETS} GETs, over {theatre.cache}"
        fail(what, f"{reads}", command=CHECK_AGAIN)
    theatre.expect_cache(asked[0], "miss", "for the first GET of a show")
    for reply in asked[1:]:
        theatre.expect_cache(reply, "hit", "for each further GET of a show")
    return show


def still_remembers(theatre: Theatre, told: Told, show: Show) -> None:
    """Expect a show that was read before from both replicas, without another read."""
    when = (
        f"a few seconds later, with CACHE_TTL_SECONDS={told.show_s},"
        " though another show was written"
    )
    for server in theatre.replicas:
        reply = theatre.expect_show(theatre.get(show["id"], server), show)
        theatre.expect_cache(reply, "hit", when)


def carries_a_long_show(theatre: Theatre) -> None:
    """Ask for a show that comes in many packets."""
    show = theatre.catalogue.new_show(MANY_LETTERS)
    for server in theatre.replicas:
        theatre.expect_show(theatre.get(show["id"], server), show)


def speaks_http(theatre: Theatre) -> None:
    """Look at what a reply tells other caches, and ask with what it told."""
    shows = [theatre.catalogue.new_show() for _ in range(2)]
    first, other = (theatre.get(show["id"], theatre.replicas[0]) for show in shows)
    tag = tag_of(first)
    if tag_of(other) == tag:
        fail("another ETag for another show", f"ETag: {tag} for both", command=CHECK_AGAIN)
    for server in theatre.replicas:
        reply = theatre.expect_show(theatre.get(shows[0]["id"], server), shows[0])
        expect_directives(reply, "public", "max-age=1")
        if tag_of(reply) != tag:
            fail(
                f"ETag: {tag}, as another reply with the same JSON had it",
                f"ETag: {tag_of(reply)}",
                command=CHECK_AGAIN,
            )
        for named in (tag, f'"{shows[0]["id"]}", {tag}, W/"x"'):
            asked = theatre.get(shows[0]["id"], server, headers={"If-None-Match": named})
            asked.expect(304, body=b"", headers={"ETag": tag})
            expect_directives(asked, "public", "max-age=1")
        asked = theatre.get(shows[0]["id"], server, headers={"If-None-Match": tag_of(other)})
        theatre.expect_show(asked, shows[0], "for the ETag of another show")
    keeps_its_tag(theatre, shows[0], tag)


def keeps_its_tag(theatre: Theatre, show: Show, tag: str) -> None:
    """Write a show as it is, so that it is read again, and ask with the ETag it had before."""
    theatre.stub.reply(write_of(show["id"]), 200, json=show)
    theatre.put(show, theatre.replicas[0])
    for server in theatre.replicas:
        reply = theatre.get(show["id"], server, headers={"If-None-Match": tag})
        if (reply.status, reply.headers.get("ETag")) != (304, tag):
            fail(
                f"304 · ETag: {tag} for If-None-Match: {tag}, after a PUT that changed nothing,"
                f" over {theatre.cache}",
                f"{reply.status} · ETag: {reply.headers.get('ETag', '(absent)')}",
                command=CHECK_AGAIN,
            )


def expect_lifetimes_always(theatre: Theatre, told: Told) -> None:
    """Look at the keys' lifetimes while a show is read, and afterwards."""
    show = theatre.catalogue.new_show()
    with (
        theatre.catalogue.holding_reads(show["id"]) as held,
        at_once(lambda server: theatre.get(show["id"], server), theatre.replicas[:1]) as crowd,
    ):
        held.wait()
        theatre.expect_lifetimes(told.show_s)
        held.release()
    theatre.expect_show(crowd.results()[0], show)
    theatre.expect_lifetimes(told.show_s)


def tag_of(reply: Reply) -> str:
    """Return a reply's ETag."""
    tag = reply.headers.get("ETag", "")
    if not re.fullmatch(r'(W/)?"[^"]*"', tag):
        reply.fail('an ETag, such as "5d41402a"', f"{reply.status} · ETag: {tag or '(absent)'}")
    return tag


def expect_directives(reply: Reply, *wanted: str) -> None:
    """Expect a reply to have these directives in Cache-Control, in any order."""
    field = reply.headers.get("Cache-Control", "")
    if {part.strip().lower() for part in field.split(",")} != set(wanted):
        reply.fail(
            f"Cache-Control: {', '.join(wanted)}",
            f"{reply.status} · Cache-Control: {field or '(absent)'}",
        )


def forgets_a_show(server: Server, catalogue: Catalogue) -> None:
    """Ask again and again for a show that has changed in the catalogue, until it is read again."""
    old = catalogue.new_show()
    path = f"/api/shows/{old['id']}"
    server.get(path).expect(200, exactly=old)
    new = catalogue.put_on(old["id"])
    deadline = Deadline(BRIEF_S + MORE_S)
    while True:
        is_late = deadline.has_passed()
        reply = server.get(path).expect(200, type="application/json")
        if reply.json() == new:
            return
        if is_late:
            fail(
                f"a show that is read again after CACHE_TTL_SECONDS={BRIEF_S} at the latest"
                f" (and {MORE_S} s)",
                "the one that was read first",
                command=CHECK_AGAIN,
            )
        time.sleep(POLL_S)


# --- forgetting ---------------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "The report says which PUT it was, and what came afterwards. When does your server"
            " forget: before the catalogue has written, or after? Does it also forget if the"
            " catalogue answered an error, or hung up? And is there a copy outside the cache?"
        ),
        (
            "Pass the PUT on, then forget in a finally block, and only then answer. Keep"
            " nothing in the memory of a replica: the other one cannot reach it."
        ),
    ),
    link="Forgetting on writes",
    needs=("saves_the_origin",),
)
def check_forgets_after_a_write(theatres: tuple[Theatre, Theatre], told: Told) -> None:
    """Once a PUT is answered, both replicas give the new show, whatever the catalogue answered"""
    for_each(theatres, lambda theatre: writes(theatre, theatre.replicas[0]))
    for_each(theatres, lambda theatre: writes(theatre, theatre.replicas[1]))
    for_each(theatres, loses_an_answer)
    for_each(theatres, creates)
    for_each(theatres, lambda theatre: theatre.expect_lifetimes(told.show_s))


def writes(theatre: Theatre, server: Server) -> None:
    """Write a show that is remembered; then try a change that the catalogue refuses."""
    old = theatre.catalogue.new_show()
    theatre.expect_fresh(old, "before a PUT")
    tag = tag_of(theatre.get(old["id"], server))
    new = change(theatre, server, old["id"])
    theatre.expect_fresh(new, "after a PUT")
    for replica in theatre.replicas:
        reply = theatre.get(old["id"], replica, headers={"If-None-Match": tag})
        theatre.expect_show(reply, new, "for the ETag of the old show, after a PUT")
        if tag_of(reply) == tag:
            fail("another ETag after a PUT", f"ETag: {tag} before and after", command=CHECK_AGAIN)
    # The catalogue changes by itself, so only a server that forgets now sees it.
    newest = theatre.catalogue.put_on(old["id"])
    refusal = {"error": new["title"][::-1]}
    theatre.stub.reply(write_of(old["id"]), 422, json=refusal)
    theatre.put(old, server).expect(422, exactly=refusal)
    theatre.expect_fresh(newest, "after a PUT that the catalogue answered with 422")


def change(theatre: Theatre, server: Server, number: int, status: int = 200) -> Show:
    """Write another show, which is read while the catalogue is about to write; return it."""
    new, route = theatre.catalogue.draft(number), write_of(number)
    theatre.stub.reply(route, status, json=new)
    with (
        theatre.stub.holding(route) as held,
        at_once(lambda s: theatre.put(new, s), [server]) as crowd,
    ):
        [sent] = held.wait()
        for replica in theatre.replicas:
            theatre.get(number, replica)
        theatre.catalogue.have(new)
        held.release()
    [reply] = crowd.results()
    if sent.json() != new or "application/json" not in sent.headers.get("Content-Type", ""):
        kind = sent.headers.get("Content-Type", "no Content-Type")
        fail(
            f"{route} with the body of the PUT, application/json",
            f"{kind} · {sent.body[:200]!r}",
            command=CHECK_AGAIN,
        )
    reply.expect(status, exactly=new)
    return new


def loses_an_answer(theatre: Theatre) -> None:
    """Write, and have the catalogue fail after it has written."""
    server = theatre.replicas[0]
    old = theatre.catalogue.new_show()
    for status, breaks_off in ((500, None), (200, 10)):
        theatre.expect_fresh(old, "before a PUT")
        new = theatre.catalogue.put_on(old["id"])
        theatre.stub.reply(write_of(old["id"]), status, json=new, breaks_off_after=breaks_off)
        how = "that the catalogue hung up on" if breaks_off else f"that it answered {status}"
        theatre.expect_problem(theatre.put(new, server), 502, f"for a PUT {how}")
        theatre.expect_fresh(new, f"after a PUT {how}, having written it")
        old = new


def creates(theatre: Theatre) -> None:
    """Write a show that was not there."""
    server, number = theatre.replicas[1], theatre.catalogue.new_id()
    theatre.catalogue.lack(number)
    for replica in theatre.replicas:
        theatre.expect_problem(theatre.get(number, replica), 404, "for a show that is not there")
    new = change(theatre, server, number, status=201)
    theatre.expect_fresh(new, "after a PUT that created it")


# --- no way back --------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "A read began before the PUT, and its answer came after it. What does your server do"
            " with that answer, and how could it know that it is too old? Who else waits for it?"
        ),
        (
            "Two ways: store under show:<id>:<version>, the version read before you ask the"
            " catalogue, and let a PUT write another random version that outlives what is stored."
            " Or leave a mark under the key before you ask, let a PUT delete it, and store only if"
            " your mark is still there, in one step: cas in Memcached, a script in Redis."
        ),
    ),
    link="The old value that comes back",
    needs=("saves_the_origin", "forgets_after_a_write"),
)
def check_never_resurrects(
    theatres: tuple[Theatre, Theatre], ways: tuple[Relay, Relay], slow_read: Story[None]
) -> None:
    """A read that began before a PUT and ends after it brings nothing old back"""
    for_each(theatres, lambda theatre: overtake(theatre, *theatre.replicas))
    for_each(theatres, lambda theatre: overtake(theatre, *theatre.replicas, was_there=False))
    for_each(theatres, overtake_and_read_again)
    way_of = ways_of(theatres, ways)
    for_each(theatres, lambda theatre: overtake(theatre, *theatre.replicas, way=way_of(theatre)))
    slow_read.result()


def overtake_and_read_again(theatre: Theatre) -> None:
    """Write through the replica that reads, then through the other one, and read again there."""
    reader, other = theatre.replicas
    for writer in (reader, other):
        overtake(theatre, reader, writer, reads_again=True)


def overtake(
    theatre: Theatre,
    reader: Server,
    writer: Server,
    *,
    reads_again: bool = False,
    was_there: bool = True,
    takes_s: float = 0.0,
    way: Relay | None = None,
) -> None:
    """Hold a read at the catalogue while a PUT passes, then let it go.

    Args:
        theatre: the replicas.
        reader: whose read is held.
        writer: through which the PUT passes.
        reads_again: the reader is asked again before the old read comes back.
        was_there: there was a show before the PUT; else the read brings a 404.
        takes_s: how long the read is held after the PUT.
        way: of the reader to its cache; then the PUT passes while the reader stores what it read.
    """
    number, catalogue = theatre.catalogue.new_id(), theatre.catalogue
    old = catalogue.put_on(number) if was_there else None
    if old is None:
        catalogue.lack(number)
    new = catalogue.draft(number)
    theatre.stub.reply(write_of(number), 200, json=new)

    def ask(server: Server) -> Reply:
        return theatre.get(number, server, timeout_s=PATIENT_S)

    with ExitStack() as under_way:
        held = under_way.enter_context(catalogue.holding_reads(number))
        early = under_way.enter_context(at_once(ask, [reader]))
        held.wait()
        catalogue.have(new)
        if way:
            under_way.enter_context(while_it_stores(way, held))
        doing = "stores what it read" if way else "waits for the catalogue"
        theatre.expect_put(new, writer, f"while a GET of the show {doing}")
        later = None
        if reads_again:
            again = under_way.enter_context(catalogue.holding_reads(number))
            later = under_way.enter_context(at_once(ask, [reader]))
            comes_within(COMES_WITHIN_S, lambda: again.wait(0) or not later.busy)
            again.release()
            comes_within(COMES_WITHIN_S, lambda: not later.busy)
        time.sleep(takes_s)
        held.release()
    [reply] = early.results()
    if reply.status not in ((200,) if was_there else (200, 404)):
        fail(
            "the old show or the new one for a GET that began before a PUT",
            f"{reply.status}" + (f", after a read that took {takes_s} s" if takes_s else ""),
            command=CHECK_AGAIN,
        )
    if reply.status == 200 and reply.json() not in (old, new):
        theatre.expect_show(reply, new, "or the old show, for a GET that began before a PUT")
    if later:
        theatre.expect_show(
            later.results()[0],
            new,
            "for a GET that began after a PUT, while an older one still waited for the catalogue",
        )
    what = "show" if was_there else "404"
    came = "while a replica stored" if way else "before a slow read brought"
    theatre.expect_fresh(new, f"after a PUT that was answered {came} the old {what}")


def writes_last(theatre: Theatre) -> None:
    """Write a show that is remembered, overtake a slow read, then look for the show once more."""
    [server] = theatre.replicas
    new = patiently(lambda: replaces(theatre, server))
    replaced_at = time.monotonic()
    patiently(lambda: overtake(theatre, server, server, takes_s=SLOW_READ_S))
    time.sleep(max(0.0, replaced_at + LONG_AFTER_S - time.monotonic()))
    theatre.expect_fresh(new, f"{LONG_AFTER_S} s after a PUT")


def replaces(theatre: Theatre, server: Server) -> Show:
    """Write a show that is remembered, and return it once the new one is remembered."""
    old = theatre.catalogue.new_show()
    theatre.expect_fresh(old, "before a PUT")
    new = change(theatre, server, old["id"])
    theatre.expect_fresh(new, "after a PUT")
    return new


@contextmanager
def while_it_stores(way: Relay, held: HeldBack) -> Iterator[None]:
    """Let a read go, and hold the cache's reply to the command that follows, in this block."""
    before = way.traffic().sent_bytes
    with way.replies_held():
        held.release()
        comes_within(COMES_WITHIN_S, lambda: way.traffic().sent_bytes > before)
        yield


def comes_within(seconds: float, condition: Callable[[], object]) -> None:
    """Wait until a condition holds; no longer than so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(QUICK_POLL_S)


# --- a crowd ------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says how many asked the catalogue at the same time. How do the requests"
            " on one replica learn that one of them is asking already, and how do those on the"
            " other replica?"
        ),
        (
            "A lock in the cache that only one can get, with a lifetime: SET lock:<key> 1 NX EX 15"
            " in Redis, add in Memcached; <key> is the show's, with its version. The request that"
            " gets it asks the catalogue, stores, and deletes the lock. The others sleep a little"
            " and look again: into the cache, then for the lock."
        ),
    ),
    link="Forty at once: the stampede",
    needs=("saves_the_origin", "forgets_after_a_write"),
)
def check_meets_a_stampede(theatres: tuple[Theatre, Theatre]) -> None:
    """40 GETs at once on two replicas: one read at a time, and at most 2 in all"""
    for_each(theatres, rushes)


def rushes(theatre: Theatre) -> None:
    """Ask at once for a show that is new, and again when it has been written."""
    show = theatre.catalogue.new_show()
    rush(theatre, show, "that nobody has asked for", LONG_READ_S)
    new = change(theatre, theatre.replicas[0], show["id"])
    rush(theatre, new, "that has just been forgotten", SECOND_READ_WITHIN_S)


def rush(theatre: Theatre, show: Show, which: str, watch_s: float) -> None:
    """Ask for a show many times at once, and hold the catalogue a while after all are there."""
    number, catalogue = show["id"], theatre.catalogue
    known = catalogue.new_show()
    theatre.expect_fresh(known, "before a crowd comes")
    before = catalogue.reads(number)
    with (
        catalogue.holding_reads(number) as held,
        at_once(
            lambda server: theatre.get(number, server, timeout_s=PATIENT_S),
            theatre.replicas * (CROWD // 2),
        ) as crowd,
    ):
        held.wait()
        # A reply to a request sent after the crowd shows that the server has read the crowd.
        theatre.expect_fresh(known, "while a crowd waits for another show")
        unknown = catalogue.new_show()
        for server in theatre.replicas:
            reply = theatre.get(unknown["id"], server, timeout_s=HASTY_S)
            theatre.expect_show(reply, unknown, "while a crowd waits for another show")
        comes_within(watch_s, lambda: len(held.wait(0)) > 1)
        at_a_time = len(held.wait(0))
        if at_a_time > 1:
            fail(
                f"1 read at a time, for {CROWD} GETs of a show {which}, over {theatre.cache}",
                f"{at_a_time} while the first one had not been answered",
                command=CHECK_AGAIN,
            )
        held.release()
    for reply in crowd.results():
        theatre.expect_show(reply, show, f"for each of {CROWD} GETs at once")
    reads = catalogue.reads(number) - before
    if reads > MOST_READS:
        fail(
            f"at most {MOST_READS} reads for {CROWD} GETs of a show {which}, over {theatre.cache}",
            f"{reads}",
            command=CHECK_AGAIN,
        )


# --- without a cache ----------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says what the cache did, and what your server answered. What does your"
            " server do with an error from the cache, and how long does it wait for an answer? Does"
            " each command wait again?"
        ),
        (
            "Wait at most about 100 ms for the cache. After the first command that fails or is"
            " late, ask the catalogue and don't try the cache again in this request. Have your"
            " client fail at once while it has no connection, and connect again by itself."
        ),
    ),
    link="When the cache is away",
    needs=("saves_the_origin",),
)
def check_outlives_the_cache(theatres: tuple[Theatre, Theatre], ways: tuple[Relay, Relay]) -> None:
    """With the cache down or hung, all answers are right, and at most 500 ms late"""
    way_of = ways_of(theatres, ways)
    for_each(theatres, lambda theatre: outlives(theatre, way_of(theatre)))


def outlives(theatre: Theatre, way: Relay) -> None:
    """Take the cache away in two ways, and bring it back."""
    for what, away in (("refuses connections", way.stopped), ("does not answer", way.silent)):
        when = f"while {theatre.cache} {what}"
        works_without(theatre, away, when)
        remembers_again(theatre, f"after a time in which {theatre.cache} {what}")


def works_without(
    theatre: Theatre, away: Callable[[], AbstractContextManager[None]], when: str
) -> None:
    """Read and write while the cache is away, one after the other and at once."""
    server, catalogue = theatre.replicas[0], theatre.catalogue
    known, others = catalogue.new_show(), [catalogue.new_show() for _ in range(FEW)]
    tag = tag_of(theatre.expect_show(theatre.get(known["id"], server), known))
    new, absent = catalogue.draft(known["id"]), catalogue.new_id()
    catalogue.lack(absent)
    theatre.stub.reply(write_of(known["id"]), 200, json=new)

    def read(show: Show) -> str:
        reply = in_time(lambda: theatre.get(show["id"], server, timeout_s=HASTY_S), when)
        theatre.expect_show(reply, show, when)
        theatre.expect_cache(reply, "miss", when)
        expect_directives(reply, "public", "max-age=1")
        return tag_of(reply)

    def read_absent() -> None:
        reply = in_time(lambda: theatre.get(absent, server, timeout_s=HASTY_S), when)
        theatre.expect_problem(reply, 404, f"for a show that is not there, {when}")

    def write() -> None:
        reply = in_time(lambda: theatre.put(new, server, timeout_s=HASTY_S), when)
        reply.expect(200, exactly=new)

    with away():
        # Of several tries the quickest counts, for each request.
        seen = patiently(lambda: read(known))
        if seen != tag:
            fail(f"ETag: {tag} {when}, as before", f"ETag: {seen}", command=CHECK_AGAIN)
        for _ in range(2):
            patiently(lambda: read(others[0]))
        patiently(read_absent)
        catalogue.have(new)
        patiently(write)
        patiently(lambda: read(new))
        with at_once(lambda show: patiently(partial(read, show)), others) as crowd:
            crowd.results()


def in_time(ask: Callable[[], Reply], when: str) -> Reply:
    """Ask, and expect the reply in time."""
    deadline = Deadline(AWAY_WITHIN_S)
    reply = ask()
    if deadline.has_passed():
        fail(
            f"a reply within {AWAY_WITHIN_S * 1000:.0f} ms {when}",
            f"{reply.status} after {reply.elapsed_s * 1000:.0f} ms",
            command=CHECK_AGAIN,
        )
    return reply


def remembers_again(theatre: Theatre, when: str) -> None:
    """Expect that a show is remembered again."""

    def look() -> None:
        show = theatre.catalogue.new_show()
        for said in ("miss", "hit"):
            reply = theatre.get(show["id"], theatre.replicas[0])
            theatre.expect_show(reply, show, when)
            theatre.expect_cache(reply, said, when)

    eventually(look, within_s=REMEMBERS_WITHIN_S)


# --- private tickets, and shows that don't exist yet --------------------------------------------


@points(
    1,
    hints=(
        (
            "The report says whose reply it was, or what was remembered for how long. Which"
            " requests may share an answer, and which answers may be kept?"
        ),
        (
            "Tickets: pass X-User on, ask the catalogue each time, and keep the cache and any"
            " shared promise out of it. Store nothing but a 200 and a 404, the 404 for"
            " NEGATIVE_TTL_SECONDS; and release the lock when the catalogue fails, too."
        ),
    ),
    link="What must not be shared",
    needs=("saves_the_origin",),
)
def check_keeps_people_apart(
    theatres: tuple[Theatre, Theatre], told: Told, random: Random, brief_absence: Story[None]
) -> None:
    """Users see their own tickets only; a 404 ends in time, and a failure is never remembered"""
    rounds = [for_each(theatres, remembers_absence) for _ in range(ATTEMPTS)]
    remembered_at = time.monotonic()
    for theatre in theatres:
        patiently(partial(keeps_tickets_apart, theatre, random))
        patiently(partial(remembers_no_failure, theatre))
    brief_absence.result()
    time.sleep(max(0.0, remembered_at + LATER_S - time.monotonic()))
    for theatre, absent in zip(theatres, zip(*rounds, strict=True), strict=True):
        with_spares(partial(still_knows_absence, theatre, told), absent)
    # No story needs the catalogue any more.
    for theatre in theatres:
        patiently(partial(lives_through_a_refusal, theatre))


def tickets_of(user: str, random: Random) -> dict[str, Any]:
    """Return tickets that only this user has."""
    return {"user": user, "tickets": [{"seat": f"C{random.integer(1, 10)}", "code": random.hex(8)}]}


def ask_for_tickets(server: Server, user: str) -> Reply:
    """Ask for the tickets of a user."""
    return server.get("/api/me/tickets", headers={"X-User": user}, timeout_s=HASTY_S)


def keeps_tickets_apart(theatre: Theatre, random: Random) -> None:
    """Ask as two users in turn, then at once, one of them twice."""
    ada, ben = random.words(2)
    one, two = theatre.replicas
    for user, server in ((ada, one), (ben, one), (ben, two), (ada, two), (ada, one)):
        before, tickets = len(theatre.stub.requests(TICKETS)), tickets_of(user, random)
        theatre.stub.reply(TICKETS, 200, json=tickets)
        reply = ask_for_tickets(server, user).expect(200, exactly=tickets)
        expect_directives(reply, "private", "no-store")
        expect_asked(theatre, before, [user])
    mine = [tickets_of(user, random) for user in (ada, ben, ben)]
    before = len(theatre.stub.requests(TICKETS))
    with ExitStack() as under_way:
        held = under_way.enter_context(theatre.stub.holding(TICKETS))
        crowds = []
        for number, tickets in enumerate(mine, 1):
            theatre.stub.reply(TICKETS, 200, json=tickets)
            ask = at_once(lambda user: ask_for_tickets(one, user), [tickets["user"]])
            crowds.append(under_way.enter_context(ask))
            held.wait(number, within_s=COMES_WITHIN_S)
        held.release()
    for crowd, tickets in zip(crowds, mine, strict=True):
        crowd.results()[0].expect(200, exactly=tickets)
    expect_asked(theatre, before, [ada, ben, ben])
    theatre.stub.reply(TICKETS, 500, json={"error": "broken"})
    reply = ask_for_tickets(one, ada)
    theatre.expect_problem(reply, 502, "for tickets when the catalogue fails")


def expect_asked(theatre: Theatre, before: int, users: list[str]) -> None:
    """Check that the catalogue was asked once for each of these users since then."""
    asked = [r.headers.get("X-User", "") for r in theatre.stub.requests(TICKETS)[before:]]
    if asked != users:
        fail(
            f"{TICKETS} with X-User: {', '.join(users)}",
            ", ".join(asked) or "no request",
            command=CHECK_AGAIN,
        )


def remembers_absence(theatre: Theatre) -> int:
    """Ask twice for a show that is not there; return its id."""
    number = theatre.catalogue.new_id()
    theatre.catalogue.lack(number)
    for server, said in zip(theatre.replicas, ("miss", "hit"), strict=True):
        reply = theatre.get(number, server)
        theatre.expect_problem(reply, 404, "for a show that is not there")
        theatre.expect_cache(reply, said, "for a show that is not there")
    reads = theatre.catalogue.reads(number)
    if reads != 1:
        fail(
            f"1 read of a show that is not there, over {theatre.cache}",
            f"{reads}",
            command=CHECK_AGAIN,
        )
    return number


def still_knows_absence(theatre: Theatre, told: Told, number: int) -> None:
    """Expect a 404 that was read before, without another read."""
    when = (
        "for a show that was not there a few seconds ago, with"
        f" NEGATIVE_TTL_SECONDS={told.absent_s}"
    )
    reply = theatre.get(number, theatre.replicas[0])
    theatre.expect_problem(reply, 404, when)
    theatre.expect_cache(reply, "hit", when)


def remembers_no_failure(theatre: Theatre) -> None:
    """Ask for a show while the catalogue fails, and again when it works."""
    for breaks_off in (False, True):
        show = theatre.catalogue.new_show()
        theatre.catalogue.fails(show["id"], breaks_off=breaks_off)
        how = "hangs up" if breaks_off else "answers 500"
        reply = theatre.get(show["id"], theatre.replicas[0])
        theatre.expect_problem(reply, 502, f"when the catalogue {how}")
        theatre.catalogue.have(show)
        for server in theatre.replicas:
            theatre.expect_read(show, server, f"after a time in which the catalogue {how}")


def lives_through_a_refusal(theatre: Theatre) -> None:
    """Ask while the catalogue refuses connections, and afterwards."""
    show, server = theatre.catalogue.new_show(), theatre.replicas[0]
    theatre.stub.refuse()
    try:
        reply = theatre.get(show["id"], server)
    finally:
        theatre.stub.accept()
    theatre.expect_problem(reply, 502, "when the catalogue refuses connections")
    theatre.expect_read(show, server, "after a time in which the catalogue refused connections")


def forgets_an_absence(server: Server, catalogue: Catalogue) -> None:
    """Ask again and again for a show that has appeared in the catalogue, until it is seen."""
    number = catalogue.new_id()
    path = f"/api/shows/{number}"
    catalogue.lack(number)
    server.get(path).expect(404)
    show = catalogue.put_on(number)
    deadline = Deadline(BRIEF_S + MORE_S)
    while True:
        is_late = deadline.has_passed()
        reply = server.get(path)
        if reply.status == 200:
            reply.expect(exactly=show)
            return
        if is_late:
            fail(
                f"200 for a show that has appeared, after NEGATIVE_TTL_SECONDS={BRIEF_S} at"
                f" the latest (and {MORE_S} s)",
                f"{reply.status}",
                command=CHECK_AGAIN,
            )
        time.sleep(POLL_S)
