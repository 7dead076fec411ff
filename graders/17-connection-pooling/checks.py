import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Crowd,
    Database,
    Failure,
    Image,
    PgBouncer,
    PgBouncers,
    Postgres,
    Random,
    Relay,
    Relays,
    Reply,
    Server,
    Submission,
    at_once,
    eventually,
    fail,
    points,
)

REPORTS, CONFLICTS, MIXED, AT_A_TIME = 60, 50, 200, 20
# What PostgreSQL may see of PgBouncer.
DOORS = 8
GRACE_S, TOO_LATE_S = 0.3, 3.0
# Timers and clocks of different programs differ by less.
TOO_EARLY_S = 0.02
WELL_WITHIN_S = 2.0
ATTEMPTS = 3
# Longer than any wait of a server whose patience isn't judged.
REPLY_WITHIN_S = 18.0
ARRIVES_WITHIN_S = 4.0
# A further connection would have come by then: PgBouncer takes one of its reserve after 5 s.
NO_MORE_WITHIN_S = 5.6
# More than twice that: nobody who waits meanwhile is late, nor is half their patience over.
LONG_PATIENCES_MS = (14_000, 16_000)
SEATS = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 11)]
HOLD_REPORTS = "SELECT pg_advisory_xact_lock(17)"
CONNECTIONS = (
    "SELECT count(*) AS count FROM pg_stat_activity"
    " WHERE usename = 'app' AND host(client_addr) = %s"
)
# A foreign key may look at the show, and nobody can change it.
HOLD_SHOW = "SELECT 1 FROM shows WHERE id = %s FOR NO KEY UPDATE"
NEW_SHOW = "INSERT INTO shows (id, theatre, title, price_cents) VALUES (%s, %s, %s, %s)"
NEW_BOOKING = "INSERT INTO bookings (theatre, show_id, seat, user_name) VALUES (%s, %s, %s, %s)"


class Theatre:
    """A theatre and its shows, as the database has them."""

    def __init__(
        self, database: Database, random: Random, name: str, shows: int = 0, sold: int = 0
    ) -> None:
        self.name = name
        self._database, self._random = database, random
        self.prices = dict[int, int]()
        # What is left is for the check that sells many at once.
        self._seats = iter(SEATS[:40])
        for _ in range(shows):
            self.new_show()
        if sold:
            self._book(next(iter(self.prices)), sold)

    @property
    def headers(self) -> dict[str, str]:
        """What a request of this theatre says."""
        return {"X-Theatre": self.name}

    def new_show(self) -> int:
        """Put a show into the database; return its id."""
        [row] = self._database.rows("SELECT coalesce(max(id), 100) AS id FROM shows")
        show_id, price = row["id"] + self._random.integer(1, 9), self._random.integer(1001, 9999)
        self._database.rows(NEW_SHOW, show_id, self.name, self._random.word(), price)
        self.prices[show_id] = price
        return int(show_id)

    def new_seat(self) -> str:
        """Return a seat that is free in all of its shows."""
        return next(self._seats)

    def _book(self, show_id: int, count: int) -> None:
        """Put bookings into the database that no server made."""
        for _ in range(count):
            values = (self.name, show_id, self.new_seat(), self._random.word())
            self._database.rows(NEW_BOOKING, *values)
        self._database.rows("UPDATE shows SET sold = %s WHERE id = %s", count, show_id)

    def report(self) -> dict[str, int]:
        """Count its shows and bookings in the database."""
        [row] = self._database.rows(
            "SELECT (SELECT count(*) FROM shows WHERE theatre = %s) AS shows,"
            " (SELECT count(*) FROM bookings WHERE theatre = %s) AS sold",
            self.name, self.name,
        )  # fmt: skip
        return {"shows": int(row["shows"]), "sold": int(row["sold"])}

    def shows(self) -> list[tuple[Any, ...]]:
        """Look its shows up in the database."""
        rows = self._database.rows(
            "SELECT id, title, price_cents, sold FROM shows WHERE theatre = %s", self.name
        )
        return sorted(tuple(row.values()) for row in rows)


@dataclass(frozen=True)
class House:
    """A server, what it was told, and the way from it to PgBouncer."""

    server: Server
    relay: Relay
    most: int
    patience_s: float

    def get_shows(self, theatre: Theatre, timeout_s: float = REPLY_WITHIN_S) -> Reply:
        """Ask for the shows of a theatre."""
        return self.server.get("/api/shows", headers=theatre.headers, timeout_s=timeout_s)

    def get_report(self, theatre: Theatre, timeout_s: float = REPLY_WITHIN_S) -> Reply:
        """Ask for the report of a theatre."""
        return self.server.get("/api/report", headers=theatre.headers, timeout_s=timeout_s)

    def book(
        self,
        theatre: Theatre,
        show_id: int,
        seat: str,
        timeout_s: float = REPLY_WITHIN_S,
        *,
        user: str = "ada",
    ) -> Reply:
        """Ask for a seat."""
        order = {"show_id": show_id, "seat": seat, "user": user}
        return self.server.post(
            "/api/bookings", json=order, headers=theatre.headers, timeout_s=timeout_s
        )


@dataclass(frozen=True)
class Way:
    """How servers get to the database."""

    image: Image
    relays: Relays
    pgbouncer: PgBouncer

    def start(self, most: int, patience_ms: int, port: int | None = None) -> House:
        """Start a server; it isn't told where to listen unless a port is given."""
        relay = self.relays.to(self.pgbouncer.url)
        env = {"DATABASE_URL": relay.url, "POOL_MAX": str(most),
               "POOL_TIMEOUT_MS": str(patience_ms)}  # fmt: skip
        if port:
            env["PORT"] = str(port)
        server = self.image.start(env=env, port=port or 3000)
        return House(server, relay, most, patience_ms / 1000)


@pytest.fixture(scope="module")
def database(postgres: Postgres, submission: Submission) -> Database:
    """The theatres' database, with the tables of schema.sql as the course has it."""
    made = postgres.create_database("lantern")
    made.rows(submission.files["schema.sql"].decode())
    return made


@pytest.fixture(scope="module")
def way_of(image: Image, relays: Relays) -> Callable[[PgBouncer], Way]:
    """A function that tells how servers get to the database through a PgBouncer."""
    return partial(Way, image, relays)


@pytest.fixture(scope="module")
def way(database: Database, pgbouncers: PgBouncers, way_of: Callable[[PgBouncer], Way]) -> Way:
    """The way of the servers that share eight connections; nothing happens to it."""
    return way_of(pgbouncers.before(database.url))


@pytest.fixture(scope="module")
def behind(database: Database, relays: Relays) -> Relay:
    """What is between the other PgBouncer and the database, to be held and cut."""
    return relays.to(database.url, port=5432)


@pytest.fixture(scope="module")
def shaky_way(behind: Relay, pgbouncers: PgBouncers, way_of: Callable[[PgBouncer], Way]) -> Way:
    """The way of the servers to which things happen."""
    return way_of(pgbouncers.before(behind.url))


# No PgBouncer has more than eight connections of servers that are used one after another: a pool
# for each session would do there, and only where three servers work at once it does not.


@pytest.fixture(scope="module")
def house(way: Way, random: Random) -> House:
    """A server with a pool of five or six."""
    return way.start(random.integer(5, 6), random.integer(*LONG_PATIENCES_MS))


@pytest.fixture(scope="module")
def small(way: Way, house: House, random: Random) -> House:
    """A server with so small a pool that no number suits both."""
    return way.start(DOORS - house.most, random.integer(*LONG_PATIENCES_MS))


@pytest.fixture(scope="module")
def third(way: Way, random: Random) -> House:
    """One server more than there are connections for, on a port of our choice."""
    return way.start(4, random.integer(*LONG_PATIENCES_MS), random.port())


@pytest.fixture(scope="module")
def hasty(
    behind: Relay, pgbouncers: PgBouncers, way_of: Callable[[PgBouncer], Way], random: Random
) -> House:
    """A server that does not wait long; what it abandons takes connections from nobody."""
    return way_of(pgbouncers.before(behind.url)).start(2, random.integer(450, 650))


@pytest.fixture(scope="module")
def lender(shaky_way: Way, random: Random) -> House:
    """A server whose connections are borrowed in all ways."""
    return shaky_way.start(3, random.integer(6000, 8000))


@pytest.fixture(scope="module")
def phoenix(shaky_way: Way, random: Random) -> House:
    """A server whose connections are cut."""
    return shaky_way.start(3, random.integer(6000, 8000))


@pytest.fixture(scope="module")
def theatres(database: Database, random: Random) -> tuple[Theatre, Theatre]:
    """Two theatres with different numbers of shows and bookings."""
    few = random.integer(2, 4)
    return (
        Theatre(database, random, random.word().title(), few, random.integer(2, 5)),
        Theatre(
            database, random, random.word().title(), few + random.integer(1, 3),
            random.integer(6, 9),
        ),
    )  # fmt: skip


def shows_in(reply: Reply) -> list[tuple[Any, ...]]:
    """Return id, title, price and sold of each show in a reply, in an order of our own."""
    shows = reply.expect(200, json={}).json().get("shows")
    if not isinstance(shows, list) or not all(isinstance(show, dict) for show in shows):
        reply.fail('a JSON object with a list "shows" of objects')
    names = ("id", "title", "price_cents", "sold")
    return sorted((tuple(show.get(name) for name in names) for show in shows), key=str)


def expect_shows(reply: Reply, theatre: Theatre) -> None:
    """Expect the shows that the database has of a theatre, and no others."""
    found, wanted = shows_in(reply), sorted(theatre.shows(), key=str)
    if found != wanted:
        reply.fail(f"{len(wanted)} shows of {theatre.name}: {wanted}", f"{len(found)}: {found}")


# --- few connections, and not too few -------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "How many connections does your server open for sixty requests, and what tells it"
            " how many it may open? Does PgBouncer let that many through at once?"
        ),
        (
            "One pool for the whole process, made once, of the size"
            " Number(process.env.POOL_MAX) in Node or int(os.environ['POOL_MAX']) in Python;"
            " each request borrows from it. In pgbouncer.ini, default_pool_size = 8."
        ),
    ),
    link="A pool: connect once, lend often",
)
def check_shares_connections(
    house: House, small: House, database: Database, theatres: tuple[Theatre, Theatre]
) -> None:
    """Sixty reports at once share POOL_MAX connections, and all but one of these are at work"""
    for each, reports in ((house, REPORTS), (small, REPORTS // 3)):
        each.get_shows(theatres[0]).expect(200, json={})
        # All kinds of requests share the connections: one of a booking's own would be open now.
        [show_id, *_] = theatres[0].prices
        each.book(theatres[0], show_id, theatres[0].new_seat()).expect(201, json={})
        eventually(partial(share, each, reports, database, theatres), attempts=2)


def share(
    house: House, reports: int, database: Database, theatres: tuple[Theatre, Theatre]
) -> None:
    """Have many reports wait in the database, count connections, and let them go."""
    most, before = house.most, house.relay.traffic().connections
    told = f"with POOL_MAX={most} and {reports} reports at once"
    asked = list(itertools.islice(itertools.cycle(theatres), reports))
    others = asks_beside(house, theatres[0])
    with (
        database.holding(HOLD_REPORTS) as held,
        at_once(house.get_report, asked) as crowd,
    ):
        at_work = len(database.wait_for_waiting(most - 1, within_s=ARRIVES_WITHIN_S))
        is_open = house.relay.open_connections()
        if is_open > most:
            fail(f"at most {most} connections {told}", f"{is_open} open", command=CHECK_AGAIN)
        if at_work < most - 1:
            fail(f"at least {most - 1} reports at work in the database {told}", f"{at_work}",
                 command=CHECK_AGAIN)  # fmt: skip
        # They share the connections too; how they are answered is for other checks to judge.
        with at_once(lambda ask: ask(), others):
            held.release()
    for reply in crowd.results():
        reply.expect(200, json={})
    made = house.relay.traffic().connections - before
    if made > most:
        told = f"{told}, then {2 * most} bookings and {2 * most} lists of shows"
        fail(f"at most {most} new connections {told}", f"{made}", command=CHECK_AGAIN)


def asks_beside(house: House, theatre: Theatre) -> list[Callable[[], Reply]]:
    """Return more bookings and more requests for shows than a server has connections."""
    show_id, count = theatre.new_show(), 2 * house.most
    bookings = [partial(house.book, theatre, show_id, seat) for seat in SEATS[:count]]
    return [*bookings, *([partial(house.get_shows, theatre)] * count)]


# --- no endless waits -----------------------------------------------------------------------------


class Late(Failure):
    """An answer came too late, or seemed too early: the machine may have been busy."""


@points(
    2,
    hints=(
        (
            "Two waits have no end by default: for a free connection, and for the answer to a"
            " query. Which of them has a limit in your server, and is it POOL_TIMEOUT_MS? What"
            " happens to a connection whose answer is late?"
        ),
        (
            "In Node's pg: connectionTimeoutMillis and query_timeout, both POOL_TIMEOUT_MS; in"
            " Python, ConnectionPool(timeout=…) and a limit around the query. Throw the"
            " connection away when its answer is late (release(true), or close it), and answer"
            " 503. When you cancel a query, psycopg first asks the silent server to stop it:"
            " don't wait for that; answer, and shut down the connection's socket."
        ),
    ),
    link="Bounded waits",
)
def check_gives_up_in_time(
    hasty: House, behind: Relay, database: Database, theatres: tuple[Theatre, Theatre]
) -> None:
    """While the database hangs, 503 comes within POOL_TIMEOUT_MS + 300 ms; then all works again"""
    theatre, before = theatres[0], open_transactions(database)
    # More places than all tries together can take.
    places = itertools.product([theatre.new_show() for _ in range(3)], SEATS)
    kinds: list[Callable[[float], Reply]] = [
        lambda timeout_s: hasty.get_report(theatre, timeout_s),
        lambda timeout_s: hasty.get_shows(theatre, timeout_s),
        lambda timeout_s: hasty.book(theatre, *next(places), timeout_s),
    ]
    expect_well([*kinds, *kinds], hasty)
    usual = hasty.relay.open_connections()
    in_time(lambda: wait_for_a_connection(hasty, database, theatre))
    expect_well(kinds, hasty)
    # In front of PgBouncer, where new connections hang as well: more requests than connections.
    in_time(lambda: ask_the_silent(hasty, hasty.relay, [*kinds, *kinds]))
    expect_well(kinds, hasty)
    # Behind it new connections are quick: a single request, so that none waits twice.
    in_time(lambda: expect_patient(hasty, ask_the_silent(hasty, behind, kinds[2:])))
    expect_well(kinds, hasty)
    eventually(lambda: expect_few(hasty, usual), within_s=WELL_WITHIN_S)
    expect_nothing_open(database, before)


def in_time(expectation: Callable[[], object]) -> None:
    """Try again what came at the wrong time; one good try of several is enough."""
    for _ in range(ATTEMPTS - 1):
        with suppress(Late):
            expectation()
            return
    expectation()


def expect_in_time(house: House, reply: Reply, allowed: tuple[int, ...], told: str) -> None:
    """Expect one of some statuses within the house's patience."""
    wanted = (
        f"{' or '.join(map(str, allowed))} within {house.patience_s * 1000:.0f} + 300 ms {told}"
    )
    if reply.status not in allowed:
        reply.fail(wanted)
    if reply.status == 503:
        reply.expect(503, json={"error": "database_busy"})
    if reply.elapsed_s > house.patience_s + GRACE_S:
        saw = f"{reply.status} after {reply.elapsed_s * 1000:.0f} ms"
        raise Late(wanted, saw, command=CHECK_AGAIN)


def wait_for_a_connection(house: House, database: Database, theatre: Theatre) -> None:
    """Have reports take the connections, and ask for something quick meanwhile."""
    timeout_s = house.patience_s + TOO_LATE_S
    with (
        database.holding(HOLD_REPORTS),
        at_once(lambda _: house.get_report(theatre, timeout_s), range(house.most)),
    ):
        database.wait_for_waiting(house.most, within_s=house.patience_s / 4)
        with at_once(lambda _: house.get_shows(theatre, timeout_s), range(3)) as crowd:
            pass
        for reply in crowd.results():
            expect_in_time(house, reply, (503, 200), "while reports have all connections")
            if reply.status == 503:
                expect_patient(house, [reply])


def ask_the_silent(
    house: House, relay: Relay, kinds: list[Callable[[float], Reply]]
) -> list[Reply]:
    """Ask while nothing flows through a relay; return the replies, all of them 503 and in time."""
    timeout_s = house.patience_s + TOO_LATE_S
    with relay.silent(), at_once(lambda ask: ask(timeout_s), kinds) as crowd:
        pass
    for reply in crowd.results():
        expect_in_time(house, reply, (503,), "while the database hangs")
    return crowd.results()


def expect_patient(house: House, replies: list[Reply]) -> None:
    """Expect that nobody was told 503 before the whole time was over."""
    for reply in replies:
        if reply.elapsed_s < house.patience_s - TOO_EARLY_S:
            wanted = f"503 after {house.patience_s * 1000:.0f} ms, and not before"
            saw = f"{reply.status} after {reply.elapsed_s * 1000:.0f} ms"
            # A client that stalls between sending and looking at its clock measures too little.
            raise Late(wanted, saw, command=CHECK_AGAIN)


def expect_few(house: House, usual: int) -> None:
    """Expect that what was given up is closed, not only forgotten."""
    most = max(house.most, usual)
    if (is_open := house.relay.open_connections()) > most:
        fail(f"at most {most} connections open after late ones were given up",
             f"{is_open} open", command=CHECK_AGAIN)  # fmt: skip


def expect_well(kinds: list[Callable[[float], Reply]], house: House) -> None:
    """Expect that each kind of request is served again."""

    def ask_all() -> None:
        with at_once(lambda ask: ask(REPLY_WITHIN_S), kinds) as crowd:
            pass
        for reply in crowd.results():
            if reply.status not in (200, 201):
                reply.fail(f"200 or 201 within {WELL_WITHIN_S:g} s of the time when the database"
                           f" answers again, with POOL_MAX={house.most}")  # fmt: skip

    eventually(ask_all, within_s=WELL_WITHIN_S)


# --- every path returns its connection ------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Follow a request that is refused, line by line: where is its transaction ended, and"
            " where does its connection go back? And what about one whose caller has left?"
        ),
        (
            "Put the work between try and finally (or into a with block): COMMIT at its end,"
            " ROLLBACK in every other case, and release always. No path goes around it."
        ),
    ),
    link="A leak: the connection that never came back",
)
def check_returns_what_it_borrows(
    lender: House, database: Database, theatres: tuple[Theatre, Theatre], random: Random
) -> None:
    """After refusals and callers who hung up, each connection is free and no transaction is open"""
    theatre, other = theatres
    before = open_transactions(database)
    show_id, seat, user = theatre.new_show(), theatre.new_seat(), random.word()
    booking = {"show_id": show_id, "seat": seat, "user": user}
    made = lender.book(theatre, show_id, seat, user=user)
    made.expect(201, json={**booking, "price_cents": theatre.prices[show_id]})
    if not isinstance(made.json().get("id"), str):
        made.fail("a booking whose id is a string")
    wanted = [{"seat": seat, "user_name": user}]
    rows = database.rows("SELECT seat, user_name FROM bookings WHERE show_id = %s", show_id)
    if rows != wanted:
        fail(f"in the bookings of show {show_id}: {wanted}", f"{rows}")
    refuse(lender, "seat_taken", 409, [(theatre, show_id, seat)] * CONFLICTS)
    expect_free(lender, theatre, f"{CONFLICTS} bookings of a seat that was sold")
    unknown = [(theatre, show_id + 1000, "E5"), (theatre, next(iter(other.prices)), "E6")]
    refuse(lender, "not_found", 404, unknown * (lender.most + 1))
    expect_free(lender, theatre, "bookings for shows that the theatre doesn't have")
    refuse(lender, "bad_seat", 400, [(theatre, show_id, "G11")] * (2 * lender.most))
    expect_free(lender, theatre, "bookings of a seat that doesn't exist")
    hang_up(lender, database, theatre)
    expect_free(lender, theatre, "callers who hung up")
    expect_nothing_open(database, before)
    sell_at_once(lender, database, theatre, show_id)


def sell_at_once(house: House, database: Database, theatre: Theatre, show_id: int) -> None:
    """Sell different seats all at once; each counts, and what was refused does not."""
    seats = [theatre.new_seat() for _ in range(2 * house.most)]
    with (
        database.holding(HOLD_SHOW, show_id) as held,
        at_once(lambda seat: house.book(theatre, show_id, seat), seats) as crowd,
    ):
        # Who reads first and writes then has read now.
        database.wait_for_waiting(house.most - 1, within_s=1.0)
        held.release()
    for reply in crowd.results():
        reply.expect(201, json={"show_id": show_id})
    [row] = database.rows("SELECT sold FROM shows WHERE id = %s", show_id)
    if row["sold"] != 1 + len(seats):
        fail(f"sold = {1 + len(seats)} after so many bookings, whatever was refused meanwhile",
             f"{row['sold']}", hint="let the database add: SET sold = sold + 1, in the transaction"
             " that inserts the booking")  # fmt: skip


def refuse(house: House, error: str, status: int, orders: list[tuple[Theatre, int, str]]) -> None:
    """Ask at once for what nobody can have."""
    for _ in range(ATTEMPTS):
        with at_once(lambda order: house.book(*order), orders) as crowd:
            pass
        replies = crowd.results()
        # On a busy machine so many may take longer than the server's patience.
        if all(reply.status != 503 for reply in replies):
            break
    for reply in replies:
        reply.expect(status, json={"error": error})


def hang_up(house: House, database: Database, theatre: Theatre) -> None:
    """Have callers leave while their reports are under way."""
    lines = [house.server.connect() for _ in range(2 * house.most)]
    with database.holding(HOLD_REPORTS) as held:
        for line in lines:
            line.send(f"GET /api/report HTTP/1.1\r\nHost: localhost\r\n"
                      f"X-Theatre: {theatre.name}\r\n\r\n".encode())  # fmt: skip
        database.wait_for_waiting(house.most - 1, within_s=ARRIVES_WITHIN_S)
        for line in lines:
            line.close()
        held.release()


def expect_free(house: House, theatre: Theatre, after: str) -> None:
    """Expect that as many connections as before are free."""
    with at_once(lambda _: house.get_shows(theatre), range(2 * house.most)) as crowd:
        pass
    for reply in crowd.results():
        if reply.status != 200:
            reply.fail(f"200 after {after}, with POOL_MAX={house.most}")


def open_transactions(database: Database) -> dict[int, str]:
    """Return the sessions of servers that are idle in a transaction, with their last query."""
    rows = database.rows(
        "SELECT pid, state, query FROM pg_stat_activity"
        " WHERE usename = 'app' AND state LIKE 'idle in transaction%%'"
    )
    return {row["pid"]: f"{row['state']}, last query: {row['query'][:80]}" for row in rows}


def expect_nothing_open(database: Database, before: dict[int, str]) -> None:
    """Expect that no transaction is left open, besides what an earlier check has met."""

    def look() -> None:
        now = open_transactions(database)
        if left := [told for pid, told in now.items() if pid not in before]:
            fail("no session idle in transaction, as every request is answered",
                 f"{len(left)}: {left[0]}")  # fmt: skip

    eventually(look, within_s=WELL_WITHIN_S)


# --- connections that break -----------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "An idle connection that breaks is an event that belongs to no request. What does"
            " your program do with it, and what happens to the connection?"
        ),
        (
            "In Node's pg: pool.on('error', …) with anything that doesn't end the process. A"
            " connection that broke is closed, never put back: release(true), or a pool that"
            " checks it. A break behind PgBouncer can reach you as a database error whose code"
            " begins with 08 or 57P: that is 503 too."
        ),
    ),
    link="Connections break",
)
def check_heals(
    phoenix: House, behind: Relay, database: Database, theatres: tuple[Theatre, Theatre]
) -> None:
    """With every connection cut, on either side of PgBouncer, the server works again within 2 s"""
    for relay, where in ((phoenix.relay, "in front of PgBouncer"), (behind, "behind PgBouncer")):
        cut_all(phoenix, relay, where, database, theatres[0])
    cut_bookings(phoenix, database, theatres[0])


def cut_all(house: House, relay: Relay, where: str, database: Database, theatre: Theatre) -> None:
    """Cut every connection while some are idle and others at work; then all must be served."""
    with hold_reports(database, house, theatre, house.most) as (held, crowd):
        held.release()
    for reply in crowd.results():
        reply.expect(200, json={})
    with hold_reports(database, house, theatre, house.most - 1) as (held, crowd):
        relay.cut()
        held.release()
        eventually(lambda: serve_all(house, theatre, where), within_s=WELL_WITHIN_S)
    expect_broken(crowd.results(), 200, where)


def cut_bookings(house: House, database: Database, theatre: Theatre) -> None:
    """Cut every connection in the middle of bookings; each happens completely or not at all."""
    show_id = theatre.new_show()
    with (
        database.holding(HOLD_SHOW, show_id) as held,
        at_once(lambda seat: house.book(theatre, show_id, seat), SEATS[: house.most]) as crowd,
    ):
        # They can insert their rows by now, but not change the show.
        sessions = set(database.wait_for_waiting(house.most - 1))
        house.relay.cut()
        with suppress(Failure):
            eventually(partial(expect_ended, database, sessions), within_s=WELL_WITHIN_S)
        held.release()
    expect_broken(crowd.results(), 201, "in the middle of a booking")
    [row] = database.rows(
        "SELECT sold, (SELECT count(*) FROM bookings WHERE show_id = shows.id) AS booked"
        " FROM shows WHERE id = %s", show_id,
    )  # fmt: skip
    if row["sold"] != row["booked"]:
        fail(
            "as many bookings as the show's sold says, though connections were cut meanwhile",
            f"sold = {row['sold']}, and {row['booked']} bookings",
            command=CHECK_AGAIN,
            hint="insert the booking and add to sold in one transaction: BEGIN before both, COMMIT"
            " after both",
        )


def expect_ended(database: Database, sessions: set[int]) -> None:
    """Expect the database to have ended sessions whose client is gone; it looks every 100 ms."""
    if left := sessions.intersection(database.wait_for_waiting(0, within_s=0.0)):
        fail("no session whose client is gone", f"{len(left)}")


def expect_broken(replies: list[Reply], regular: int, where: str) -> None:
    """Expect 503 of each, or the regular status from a server that tries again."""
    for reply in replies:
        if reply.status == 503:
            reply.expect(503, json={"error": "database_busy"})
        elif reply.status != regular:
            reply.fail(f"503, or {regular} after a second try: its connection was cut {where}")


@contextmanager
def hold_reports(
    database: Database, house: House, theatre: Theatre, count: int
) -> Iterator[tuple[Any, Crowd[int, Reply]]]:
    """Have reports at work in the database until they are released."""
    with (
        database.holding(HOLD_REPORTS) as held,
        at_once(lambda _: house.get_report(theatre), range(count)) as crowd,
    ):
        database.wait_for_waiting(min(count, house.most - 1), within_s=ARRIVES_WITHIN_S)
        yield held, crowd


def serve_all(house: House, theatre: Theatre, where: str) -> None:
    """Expect that more requests are served than there are connections."""
    with at_once(lambda _: house.get_shows(theatre), range(3 * house.most)) as crowd:
        pass
    wanted = f"200 within {WELL_WITHIN_S:g} s of the moment when all connections were cut {where}"
    for reply in crowd.results():
        if reply.status != 200:
            reply.fail(wanted)
        if reply.elapsed_s > WELL_WITHIN_S:
            fail(wanted, f"200 after {reply.elapsed_s:.1f} s", command=CHECK_AGAIN)


# --- one theatre's rows ---------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "SET lasts as long as the connection, and the connection is somebody else's a moment"
            " later. How long should your theatre last? And how does its name get into the"
            " statement?"
        ),
        (
            "Inside a transaction: BEGIN, then SELECT set_config('app.theatre', $1, true) with"
            " the name as a parameter, then the queries, then COMMIT. The third argument makes"
            " it SET LOCAL."
        ),
    ),
    link="State that stays on the connection",
)
def check_keeps_theatres_apart(
    house: House, way: Way, database: Database, theatres: tuple[Theatre, Theatre], random: Random
) -> None:
    """Of 200 mixed requests for two theatres, each sees its own rows only; no theatre stays set"""
    name, more = f"{random.word().title()}'s 100% House", len(theatres[0].prices) + 2
    pair = (theatres[0], Theatre(database, random, name, more, 3))
    for theatre in pair:
        expect_shows(house.get_shows(theatre), theatre)
    missing = {"error": "theatre_missing"}
    for path in ("/api/shows", "/api/report"):
        house.server.get(path).expect(400, json=missing)
    order = {"show_id": max(pair[0].prices), "seat": "F9", "user": "ada"}
    house.server.post("/api/bookings", json=order).expect(400, json=missing)
    mix(house, pair, random)
    for theatre, other in (pair, pair[::-1]):
        expect_shows(house.get_shows(theatre), theatre)
        house.get_report(theatre).expect(200, json=theatre.report())
        quoted = other.name.replace("'", "''")
        trick = f"{random.word()}'; SET LOCAL app.theatre = '{quoted}"
        stranger = Theatre(database, random, trick)
        expect_shows(house.get_shows(stranger), stranger)
    [row] = database.rows(CONNECTIONS, way.pgbouncer.address)
    left = way.pgbouncer.ask_each("SELECT current_setting('app.theatre', true)", row["count"])
    if names := [name for name in left if name]:
        fail(
            "through the same PgBouncer, a program that sets no theatre finds none set",
            f"{len(names)} of {len(left)} connections say app.theatre = {names[0]!r}",
            command=CHECK_AGAIN,
        )


def mix(house: House, theatres: tuple[Theatre, Theatre], random: Random) -> None:
    """Send many requests of both theatres, in any order, many at a time."""
    asks = [ask for theatre in theatres for ask in asks_of(house, theatre, theatres)]
    asks = random.shuffled(asks)
    lots = [asks[n::AT_A_TIME] for n in range(AT_A_TIME)]
    with at_once(lambda lot: [ask() for ask in lot], lots) as crowd:
        pass
    crowd.results()


def asks_of(
    house: House, theatre: Theatre, theatres: tuple[Theatre, Theatre]
) -> list[Callable[[], object]]:
    """Return half of the requests: those of one theatre, each with what it must be answered."""
    other = theatres[theatre is theatres[0]]
    ids, show_id = sorted(theatre.prices, key=str), max(theatre.prices)
    foreign = next(iter(other.prices))

    def shows() -> None:
        reply = house.get_shows(theatre)
        found = [show_id for show_id, *_ in shows_in(reply)]
        if sorted(found, key=str) != ids:
            fail(f"{theatre.name}'s own shows {ids}", f"{found}", command=CHECK_AGAIN)

    def report() -> None:
        house.get_report(theatre).expect(200, json={"shows": len(ids)})

    def booking(seat: str) -> Callable[[], object]:
        wanted = {"show_id": show_id, "seat": seat, "price_cents": theatre.prices[show_id]}
        return lambda: house.book(theatre, show_id, seat).expect(201, json=wanted)

    def elsewhere() -> None:
        house.book(theatre, foreign, "F10").expect(404, json={"error": "not_found"})

    bookings = [booking(f"E{n}") for n in range(1, 11)]
    half = [*bookings, elsewhere, *([report] * 15)]
    return [*half, *([shows] * (MIXED // 2 - len(half)))]


# --- eight doors for all --------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "PgBouncer lends PostgreSQL's connections. For how long does a client keep one in"
            " your pool_mode, how many are there for one user and database, and what happens to"
            " a client that waits for one for a few seconds?"
        ),
        (
            "pool_mode = transaction and default_pool_size = 8, both under [pgbouncer]; no"
            " reserve_pool_size, no short query_wait_timeout, and a max_client_conn above what all"
            " servers open together."
        ),
    ),
    link="PgBouncer: few connections for many servers",
)
def check_bounds_the_server(
    house: House, small: House, third: House, way: Way, database: Database,
    theatres: tuple[Theatre, Theatre],
) -> None:  # fmt: skip
    """With three servers at work PostgreSQL has at most 8 connections, and serves each report"""
    asked, report = [house, small, third] * DOORS, theatres[0].report()
    for each in asked[:3]:
        # Wait until it listens: the reports of a server that starts slowly would queue too late.
        _ = each.server.port
    with (
        database.holding(HOLD_REPORTS) as held,
        at_once(lambda each: each.get_report(theatres[0]), asked) as crowd,
    ):
        database.wait_for_waiting(DOORS, within_s=ARRIVES_WITHIN_S / 2)
        database.wait_for_waiting(DOORS + 1, within_s=NO_MORE_WITHIN_S)
        count = database.rows(CONNECTIONS, way.pgbouncer.address)[0]["count"]
        held.release()
    replies = crowd.results()
    after = database.rows(CONNECTIONS, way.pgbouncer.address)[0]["count"]
    if max(count, after) > DOORS:
        fail(f"at most {DOORS} connections of PgBouncer in PostgreSQL", f"{max(count, after)}")
    for each, reply in zip(asked, replies, strict=True):
        if reply.status != 200:
            reply.fail(f"200 for each report, while three servers with pools of {house.most},"
                       f" {small.most} and {third.most} share {DOORS} connections; this one's"
                       f" pool has {each.most}")  # fmt: skip
        reply.expect(200, json=report)
