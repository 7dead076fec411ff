import json
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Database,
    Failure,
    Finished,
    Meanwhile,
    Postgres,
    Queries,
    Random,
    Rows,
    Script,
    StartFailure,
    Story,
    Submission,
    fail,
    points,
)

BUDGETS = {"q1.sql": 75, "q2.sql": 65, "q3.sql": 24, "q4.sql": 26}
INDEXES = 4
MEGABYTES = 40
LOG_RATIO = 2.5
PAGE = 10
DEEP_PAGE = 300
INSERTS = 1000
FIRST_PAGE = ("infinity", "0")
# The first and the last month that may be asked for.
BORDERS = ("2018-01", "2040-12")

# None of them is UTC at any time of the year.
ZONES = ("America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Australia/Sydney")
TABLES = ("bookings", "shows", "seats")

# With a seat, since its foreign key looks into seats; cancelled, so that the next one may have it.
BUY = (
    "INSERT INTO bookings (show_id, seat, user_name, status, price_cents, created_at)"
    " VALUES (1, 'A1', 'zoe', 'cancelled', 2500, now())"
)
ADD_SHOWS = "INSERT INTO shows SELECT * FROM jsonb_populate_recordset(NULL::shows, %s::jsonb)"
ADD_SEATS = "INSERT INTO seats SELECT * FROM jsonb_populate_recordset(NULL::seats, %s::jsonb)"
ADD_BOOKINGS = (
    "INSERT INTO bookings OVERRIDING SYSTEM VALUE"
    " SELECT * FROM jsonb_populate_recordset(NULL::bookings, %s::jsonb)"
)
CONFIRMED_SINCE = """
SELECT id FROM bookings WHERE status = 'confirmed' AND price_cents > 0 AND created_at >= %s
ORDER BY created_at, id LIMIT 50
"""
CANCEL = "UPDATE bookings SET status = 'cancelled' WHERE id = %s"
# Sold on one day for 20 new shows, by people who have booked before.
MANY_BOOKINGS = """
INSERT INTO bookings (show_id, seat, user_name, status, price_cents, created_at, note)
SELECT 8000 + n %% 20, seats.seat, 'ada-' || n %% 800, 'confirmed', 2500,
  timestamptz '2027-01-05 10:00Z' + n * interval '7 seconds', md5(n::text) || ' ' || md5('b' || n)
FROM generate_series(0, %s - 1) AS n JOIN seats ON seats.place = n / 20 + 1
"""
RELATIONS = """
SELECT oid::bigint, relname AS name, pg_relation_size(oid)::bigint AS bytes FROM pg_class
WHERE relkind IN ('r', 'i', 'm', 't', 'S')
  AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
"""
INDEXES_OF_TABLES = """
SELECT indexrelid::bigint AS oid, indexrelid::regclass::text AS name,
  indrelid::regclass::text AS of, indisvalid AND indisready AS valid
FROM pg_index WHERE indrelid IN ('bookings'::regclass, 'shows'::regclass, 'seats'::regclass)
"""
# What the answer must leave as it was, each as a line.
LEFT_ALONE = """
SELECT conrelid::regclass || ': ' || conname || ' ' || pg_get_constraintdef(oid) AS line
FROM pg_constraint WHERE conrelid IN ('bookings'::regclass, 'shows'::regclass, 'seats'::regclass)
UNION ALL
SELECT attrelid::regclass || ': column ' || attname || ' ' || format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid IN ('bookings'::regclass, 'shows'::regclass, 'seats'::regclass) AND attnum > 0
  AND NOT attisdropped
"""
# The sum doesn't depend on the order of the rows.
CONTENT = "SELECT count(*), sum(hash_record_extended(t, 0)) AS content FROM {table} AS t"
ONLY_ADDS = "indexes.sql may add things, but must change nothing that was there"
LAST_OF_PAGE = """
SELECT created_at, id FROM bookings WHERE user_name = %s
ORDER BY created_at DESC, id DESC OFFSET %s LIMIT 1
"""

# PostgreSQL's integers and numerics count as the same kind; floats don't.
KINDS = {int: "number", Decimal: "number", float: "double precision", str: "text"}


@dataclass(frozen=True)
class Built:
    """A copy of the database in which indexes.sql has been run.

    Args:
        database: the copy.
        finished: how the script ended while people were buying.
        waited_for: what kept a purchase waiting; empty if none waited.
    """

    database: Database
    finished: Finished
    waited_for: str


@dataclass
class Lantern:
    """Two copies of the theatre's database: one as it was given, one with the answer's indexes.

    Args:
        given: the copy that stays as it was.
        slow: asks the slow queries there.
        built: the other one.
        files: of the answer.
        random: values of this run.
        zone: the time zone of the sessions.
    """

    given: Database
    slow: Queries
    built: Story[Built]
    files: dict[str, bytes]
    random: Random
    zone: str
    settled: bool = False
    ids: set[int] = field(default_factory=set)

    @property
    def mine(self) -> Database:
        """The copy with the answer's indexes."""
        return self.built.result().database

    @cached_property
    def queries(self) -> Queries:
        """Asks the answer's queries in that copy."""
        return self.mine.queries(self.files, self.zone)

    def add(self, statement: str, rows: list[dict[str, Any]]) -> None:
        """Insert the same rows into both copies."""
        for database in (self.mine, self.given):
            database.rows(statement, json.dumps(rows))

    def settle(self) -> None:
        """Do what autovacuum does sooner or later."""
        if not self.settled:
            for table in TABLES:
                self.mine.rows(f"VACUUM (ANALYZE) {table}")
            self.settled = True


@pytest.fixture(scope="session")
def postgres(postgres_from: Callable[[str], Postgres]) -> Postgres:
    """A server with 300,000 bookings."""
    return postgres_from("course/lantern-bookings:1")


@pytest.fixture(scope="module")
def lantern(
    postgres: Postgres, submission: Submission, random: Random, meanwhile: Meanwhile
) -> Lantern:
    """Both copies; indexes.sql is being run in one of them."""
    files = dict(submission.files)
    given, zone = postgres.create_database(template="lantern"), random.pick(ZONES)
    slow = given.queries({name: files.get(f"slow/{name}", b"") for name in BUDGETS}, zone)
    built = meanwhile(lambda: build(postgres, files))
    return Lantern(given, slow, built, files, random, zone)


def build(postgres: Postgres, files: dict[str, bytes]) -> Built:
    """Run indexes.sql while people buy; if it fails then, once more in peace for other checks."""
    database = postgres.create_database(template="lantern")
    script = database.run_script(files, "indexes.sql")
    waited_for = buy_meanwhile(database, script)
    finished = script.result()
    if finished.exit_code:
        database = postgres.create_database(template="lantern")
        alone = database.run_script(files, "indexes.sql").result()
        if alone.exit_code:
            said = [line for line in alone.stderr.splitlines() if "ERROR" in line] or ["no error"]
            raise StartFailure(
                "indexes.sql ends without an error",
                f"exit code {alone.exit_code}; {said[-1][:200]}",
                command=f"docker logs {alone.container_name}",
                hint="the log shows the statement that PostgreSQL refused",
            )
    return Built(database, finished, waited_for)


def buy_meanwhile(database: Database, script: Script) -> str:
    """Have one purchase open at any moment; return what made the next one wait, or nothing.

    Whatever keeps new bookings out must first wait for the open one, so the next one meets it.
    """
    database.rows(f"ALTER ROLE postgres IN DATABASE {database.name} SET lock_timeout = '1s'")
    with ExitStack() as purchases:
        held = purchases.enter_context(database.holding(BUY))
        while not script.has_ended():
            if not database.wait_for_waiting(within_s=0.2):
                continue
            try:
                following = purchases.enter_context(database.holding(BUY))
            except Failure:
                return running(database)
            held.release()
            held = following
    return ""


def running(database: Database) -> str:
    """Return the statement with which the script waits."""
    found = database.rows(
        "SELECT query FROM pg_stat_activity WHERE datname = %s AND usename = 'app'"
        " AND wait_event_type = 'Lock' LIMIT 1",
        database.name,
    )
    return " ".join(found[0]["query"].split()) if found else "a statement of indexes.sql"


# --- same_answers -------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Which rows does the slow query keep that yours loses, or the other way round? Look at "
            "equal moments, NULLs, days without sales, cancelled bookings and the time zone."
        ),
        (
            "Compare created_at and id together: (created_at, id) < ($2, $3). Begin with all days "
            "of the month, and LEFT JOIN what was sold. Days are those of created_at AT TIME ZONE "
            "'UTC'. NOT IN is never true if the list has a NULL: write NOT EXISTS."
        ),
    ),
    link="The same answer, or it is no improvement",
)
def check_same_answers(lantern: Lantern) -> None:
    """The four queries answer what the slow ones do, whatever is in the tables"""
    past = change_past(lantern)
    shows, user, month = add_shows(lantern), add_buyer(lantern), add_month(lantern)
    random = lantern.random
    for show in (*shows, random.integer(1, 6000)):
        expect_same(lantern, "q1.sql", str(show))
    pages_through(lantern, user)
    for name in (user.upper(), f"club-{random.integer(1, 6)}"):
        expect_same(lantern, "q2.sql", name, *FIRST_PAGE)
    for text in (*month, past, *BORDERS):
        expect_same(lantern, "q3.sql", text)
    for text in add_titles(lantern):
        expect_same(lantern, "q4.sql", text)


def change_past(lantern: Lantern) -> str:
    """Sell one more ticket in a month long gone, cancel another one there; return the month."""
    random = lantern.random
    first = datetime(random.integer(2019, 2025), random.integer(1, 12), 1, tzinfo=UTC)
    sold = sale(lantern, first + timedelta(days=random.integer(0, 4), hours=9))
    lantern.add(ADD_BOOKINGS, [sold])
    # On a later day, so that one never makes up for the other.
    found = random.pick(lantern.given.rows(CONFIRMED_SINCE, first + timedelta(days=9)))
    for database in (lantern.mine, lantern.given):
        database.rows(CANCEL, found["id"])
    return f"{first:%Y-%m}"


def add_shows(lantern: Lantern) -> tuple[int, int, int]:
    """Add three shows: sold in all ways, sold otherwise on the same seats, and not sold at all."""
    random = lantern.random
    # A seat whose place on the map doesn't follow from its name.
    extra = {"seat": f"{random.pick('ABCDE')}0", "place": random.integer(61, 99)}
    lantern.add(ADD_SEATS, [extra])
    first = random.integer(7000, 7300)
    ids = (first, first + random.integer(1, 9), first + random.integer(10, 99))
    lantern.add(ADD_SHOWS, [show(id_, random.word().title()) for id_ in ids])
    seats = random.shuffled([f"{row}{n}" for row in "ABCDEF" for n in range(1, 11)])
    sold, pending, freed, again = seats[:9], seats[9:14], seats[14:21], seats[21:26]
    rows = [booking(lantern, ids[0], seat) for seat in (*sold, *again)]
    rows += [booking(lantern, ids[0], seat, status="pending") for seat in pending]
    rows += [booking(lantern, ids[0], seat, status="cancelled") for seat in (*freed, *again)]
    # A standing place has no seat.
    rows += [booking(lantern, ids[0], None) for _ in range(3)]
    rows += [booking(lantern, ids[1], seat) for seat in (*freed[:3], *seats[30:34])]
    lantern.add(ADD_BOOKINGS, rows)
    return ids


def add_buyer(lantern: Lantern) -> str:
    """Add bookings of one user: pages end amid equal moments, and ids are in no order."""
    random = lantern.random
    user = f"{random.word()}-o'{random.word()}"
    newest = datetime(2030, random.integer(1, 12), random.integer(2, 27), 10, tzinfo=UTC)
    moments = [newest + timedelta(hours=8, microseconds=n) for n in (9, 8, 7, 7, 3)]
    moments += [newest] * 9 + [newest - timedelta(days=n) for n in (3, 40)]
    moments += [newest - timedelta(days=50)] * 7
    statuses = random.shuffled(["confirmed"] * 15 + ["pending"] * 3 + ["cancelled"] * 5)
    rows = [
        booking(lantern, random.integer(1, 6000), None, user, status, created_at=moment)
        for moment, status in zip(moments, statuses, strict=True)
    ]
    # Somebody else, who only looks alike.
    rows += [booking(lantern, 1, None, user.upper(), created_at=newest)]
    rows += [booking(lantern, 1, None, None, created_at=newest)]
    lantern.add(ADD_BOOKINGS, rows)
    return user


def add_month(lantern: Lantern) -> tuple[str, ...]:
    """Add sales to a month: at its borders, and days with none that count; return months to ask."""
    random = lantern.random
    year, month = random.integer(2031, 2038), random.pick([1, 3, 5, 7, 8, 10])
    first = datetime(year, month, 1, tzinfo=UTC)
    following = datetime(year, month + 1, 1, tzinfo=UTC)
    moment = timedelta(microseconds=1)
    counted = [first, following - moment, first - moment, following]
    counted += [first + timedelta(days=4, hours=hour, minutes=30) for hour in (0, 2, 12, 21, 23)]
    rows = [sale(lantern, at) for at in counted]
    rows += [sale(lantern, first + timedelta(days=d, hours=9), "cancelled") for d in (4, 9)]
    rows += [sale(lantern, first + timedelta(days=d, hours=9), "pending") for d in (4, 12)]
    free = [sale(lantern, first + timedelta(days=d, hours=9)) for d in (4, 15)]
    december = datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    rows += [{**row, "price_cents": None} for row in free]
    rows += [sale(lantern, at) for at in (december, december + timedelta(seconds=1))]
    lantern.add(ADD_BOOKINGS, rows)
    leap = random.pick([2032, 2036, 2040])
    return f"{year}-{month:02d}", f"{year}-12", f"{leap}-02"


def add_titles(lantern: Lantern) -> list[str]:
    """Add shows whose titles begin alike; return beginnings to look for."""
    random = lantern.random
    word, other = random.word(), random.word()
    titles = random.shuffled([
        word.title(), f"{word.upper()} II", f"{word}% sold", f"{word}_x", f"{word}yx", f"{word}\\n",
        f"{word[:-1]}", f"The {word}", f"{other} {word}", f"Ćao {word}", f"ćao {word} 2",
        # After any upper bound that somebody may guess.
        f"{word}zz", f"{word}ñ {other}",
    ])  # fmt: skip
    first = random.integer(9000, 9300)
    # All at one moment, so that only the id tells their order; and an earlier one with a later id.
    shows = [show(first + n, title) for n, title in enumerate(titles)]
    shows.append(show(first + len(titles), f"{word} again", days=-9))
    lantern.add(ADD_SHOWS, shows)
    return [
        word, word.upper(), f"{word.title()}%", f"{word}_", f"{word}\\", f"ĆAO {word[:3]}",
        f"{word} {other}", "quiet pIa",
    ]  # fmt: skip


def show(id_: int, title: str, days: int = 0) -> dict[str, Any]:
    """Return a row of shows; all start at one moment, or so many days after it."""
    starts = datetime(2029, 5, 1, 18, tzinfo=UTC) + timedelta(days=days)
    return {"id": id_, "title": title, "starts_at": starts.isoformat(), "price_cents": 2500,
            "description": ""}  # fmt: skip


def booking(
    lantern: Lantern,
    show_id: int,
    seat: str | None,
    user: str | None = "zoe",
    status: str = "confirmed",
    created_at: datetime = datetime(2029, 1, 5, tzinfo=UTC),
) -> dict[str, Any]:
    """Return a row of bookings with its own id, larger or smaller than the others'."""
    return {
        "id": new_id(lantern), "show_id": show_id, "seat": seat, "user_name": user,
        "status": status, "price_cents": lantern.random.integer(1001, 9999),
        "created_at": created_at.isoformat(), "note": "",
    }  # fmt: skip


def sale(lantern: Lantern, at: datetime, status: str = "confirmed") -> dict[str, Any]:
    """Return a row of bookings that brings money, if it is confirmed."""
    return booking(lantern, 1, None, None, status, at)


def new_id(lantern: Lantern) -> int:
    """Return an id that no booking has."""
    while (id_ := lantern.random.integer(1_000_000, 9_999_999)) in lantern.ids:
        continue
    lantern.ids.add(id_)
    return id_


def pages_through(lantern: Lantern, user: str) -> None:
    """Ask page after page, each from the last row of the one before."""
    after = FIRST_PAGE
    for _ in range(4):
        page = expect_same(lantern, "q2.sql", user, *after)
        if not page.rows:
            return
        last = page.rows[-1]
        after = (last[1].isoformat(), str(last[0]))


def expect_same(lantern: Lantern, name: str, *values: str) -> Rows:
    """Compare what both queries answer; return what is right."""
    right = lantern.slow.rows(name, *values)
    expect_rows(lantern.queries, right, name, *values)
    return right


def expect_rows(queries: Queries, right: Rows, name: str, *values: str) -> None:
    """Compare the answer's rows with the right ones."""
    seen, asked = queries.rows(name, *values), f"{name} with {', '.join(values)}"
    if seen.columns != right.columns:
        fail(f"{asked}: columns {', '.join(right.columns)}", f"columns {', '.join(seen.columns)}")
    for number, (row, wanted) in enumerate(zip(seen.rows, right.rows, strict=False), start=1):
        if not all(map(is_right, row, wanted)):
            expected, saw = told_apart(wanted, row, right.columns)
            fail(f"{asked}: {expected} as row {number} of {len(right.rows)}", saw)
    if len(seen.rows) != len(right.rows):
        fail(f"{asked}: {len(right.rows)} rows", f"{len(seen.rows)} rows")


def is_right(value: object, wanted: object) -> bool:
    """Tell whether a value is the one wanted; a float may equal it, but it isn't exact."""
    return value == wanted and not isinstance(value, float)


def told_apart(
    wanted: tuple[Any, ...], row: tuple[Any, ...], columns: tuple[str, ...]
) -> tuple[str, str]:
    """Return both rows as psql would print them; where types differ, one column with its type."""
    pairs = zip(columns, row, wanted, strict=True)
    name, value, right = next(pair for pair in pairs if not is_right(*pair[1:]))
    alike = kind(value) == kind(right) or value is None or right is None
    if alike and told(row) != told(wanted):
        return told(wanted), told(row)
    return f"{name} = {right} ({kind(right)})", f"{name} = {value} ({kind(value)})"


def kind(value: object) -> str:
    """Return the type of a value, in PostgreSQL's words."""
    if isinstance(value, datetime):
        return "timestamptz" if value.tzinfo else "timestamp"
    return KINDS.get(type(value), type(value).__name__)


def told(row: tuple[Any, ...]) -> str:
    """Return a row as psql would print it."""
    shown = (f"{v:%Y-%m-%d %H:%M:%S}" if isinstance(v, datetime) else v for v in row)
    return " | ".join("NULL" if value is None else str(value) for value in shown)


# --- touches_little -----------------------------------------------------------------------------


@points(
    3,
    hints=(
        (
            "Look at the plan with explain: which step touches the most blocks, and is there an"
            " index with the columns in its condition, in the order it needs?"
        ),
        (
            "Leave columns bare: show_id = $1, and a range of created_at instead of a function of "
            "it. q2: an index on (user_name, created_at, id). q3: created_at with INCLUDE "
            "(price_cents), only for confirmed bookings, and one range for the month, not one per "
            "day. q4: lower(title) text_pattern_ops."
        ),
    ),
    link="Reading a plan",
    needs=("same_answers",),
)
def check_touches_little(lantern: Lantern) -> None:
    """Each query touches few blocks: at most 75, 65, 24 and 26"""
    lantern.settle()
    random = lantern.random
    for _ in range(2):
        expect_cost(lantern, "q1.sql", str(random.integer(1, 6000)))
    for user in (some_user(lantern), f"club-{random.integer(1, 6)}"):
        expect_cost(lantern, "q2.sql", user, *FIRST_PAGE)
    for _ in range(2):
        month = f"{random.integer(2019, 2025)}-{random.integer(1, 12):02d}"
        expect_cost(lantern, "q3.sql", month)
    for _ in range(2):
        found = lantern.given.rows("SELECT title FROM shows WHERE id = %s", random.integer(1, 6000))
        # Three letters of the second word: no other title begins like that.
        first, second = found[0]["title"].split()
        expect_cost(lantern, "q4.sql", f"{first} {second[:3]}".upper())


def some_user(lantern: Lantern) -> str:
    """Return somebody with more than a page of bookings."""
    found = lantern.given.rows(
        "SELECT user_name FROM bookings WHERE user_name LIKE 'ada-%%'"
        " GROUP BY user_name HAVING count(*) BETWEEN 20 AND 40 ORDER BY user_name"
    )
    return str(lantern.random.pick(found)["user_name"])


def expect_cost(lantern: Lantern, name: str, *values: str) -> None:
    """Compare the blocks that a query touches with its budget."""
    cost = lantern.queries.cost(name, *values)
    if cost.blocks > BUDGETS[name]:
        most = cost.costliest
        fail(
            f"{name} with {', '.join(values)}: at most {BUDGETS[name]} blocks",
            f"{cost.blocks} blocks, {most.blocks} of them in: {most.name}",
        )


# --- pages_deep_cheaply -------------------------------------------------------------------------


@points(
    2,
    hints=(
        "What does the database do with the 2,990 bookings before page 300?",
        (
            "Begin right after the last row of the page before: "
            "WHERE (created_at, id) < ($2, $3), an index that ends with these two, and no OFFSET."
        ),
    ),
    link="Paging by key",
    needs=("touches_little",),
)
def check_pages_deep_cheaply(lantern: Lantern) -> None:
    """Page 300 touches at most twice as many blocks as page 1, and new bookings don't move it"""
    lantern.settle()
    club = f"club-{lantern.random.integer(1, 6)}"
    before = lantern.given.rows(LAST_OF_PAGE, club, (DEEP_PAGE - 1) * PAGE - 1)[0]
    after = (before["created_at"].isoformat(), str(before["id"]))
    right = lantern.slow.rows("q2.sql", club, *after)
    expect_rows(lantern.queries, right, "q2.sql", club, *after)
    first = lantern.queries.cost("q2.sql", club, *FIRST_PAGE)
    deep = lantern.queries.cost("q2.sql", club, *after)
    if deep.blocks > 2 * first.blocks:
        fail(
            f"q2.sql, page {DEEP_PAGE}: at most twice the {first.blocks} blocks of page 1",
            f"{deep.blocks} blocks, {deep.costliest.blocks} of them in: {deep.costliest.name}",
        )
    newer = [booking(lantern, 1, None, club) for _ in range(25)]
    lantern.add(ADD_BOOKINGS, newer)
    expect_rows(lantern.queries, right, "q2.sql", club, *after)


# --- pays_for_writes ----------------------------------------------------------------------------


@points(
    2,
    hints=(
        "Each index is written to with every booking. Which of yours does no query use?",
        (
            "One index for each slow query at most, with the columns that the query needs and no "
            "others; with WHERE, leave out the rows that it never asks for."
        ),
    ),
    link="What an index costs",
    needs=("touches_little",),
)
def check_pays_for_writes(lantern: Lantern) -> None:
    """At most 4 new indexes, 40 MB, and 2.5 times the log of 1,000 bookings; nothing is lost"""
    keeps_what_was_there(lantern)
    old = {row["oid"] for row in lantern.given.rows(RELATIONS)}
    indexes = [row for row in lantern.mine.rows(INDEXES_OF_TABLES) if row["oid"] not in old]
    if len(indexes) > INDEXES:
        names = ", ".join(row["name"] for row in indexes)
        fail(f"at most {INDEXES} new indexes on the tables", f"{len(indexes)}: {names}")
    new = [row for row in lantern.mine.rows(RELATIONS) if row["oid"] not in old]
    if (size := sum(row["bytes"] for row in new)) > MEGABYTES * 2**20:
        largest = max(new, key=lambda row: row["bytes"])
        fail(
            f"at most {MEGABYTES} MB of new indexes and tables",
            f"{size / 2**20:.1f} MB, {largest['bytes'] / 2**20:.1f} of them in {largest['name']}",
        )
    before, after = log_of_inserts(lantern.given), log_of_inserts(lantern.mine)
    if after > LOG_RATIO * before:
        fail(
            f"{INSERTS:,} bookings log at most {LOG_RATIO} times {before / 1000:.0f} kB, as before",
            f"{after / 1000:.0f} kB, {after / before:.1f} times as much",
            command=CHECK_AGAIN,
        )


def keeps_what_was_there(lantern: Lantern) -> None:
    """Compare columns, constraints, indexes and rows with those of the other copy."""
    right = lantern.given.rows(LEFT_ALONE)
    seen = {row["line"] for row in lantern.mine.rows(LEFT_ALONE)}
    if changed := [row["line"] for row in right if row["line"] not in seen]:
        saw = "it is gone or another one"
        fail(f"as before: {changed[0]}", saw, command=CHECK_AGAIN, hint=ONLY_ADDS)
    if added := sorted(seen - {row["line"] for row in right}):
        saw = f"a new one: {added[0]}"
        fail("no new columns or constraints", saw, command=CHECK_AGAIN, hint=ONLY_ADDS)
    right, left = lantern.given.rows(INDEXES_OF_TABLES), lantern.mine.rows(INDEXES_OF_TABLES)
    kept = {row["oid"] for row in left}
    if gone := [row["name"] for row in right if row["oid"] not in kept]:
        names = ", ".join(row["name"] for row in left)
        fail(f"the index {gone[0]} as before", f"only {names}", hint=ONLY_ADDS)
    for table in TABLES:
        content = CONTENT.format(table=table)
        was, found = lantern.given.rows(content)[0], lantern.mine.rows(content)[0]
        if found["count"] != was["count"]:
            fail(f"{was['count']} rows in {table}", f"count {found['count']}", hint=ONLY_ADDS)
        if found != was:
            fail(f"the rows of {table} as before", "other values in some of them", hint=ONLY_ADDS)


def log_of_inserts(database: Database) -> int:
    """Return how many bytes 1,000 new bookings write to the write-ahead log."""
    shows = [show(8000 + n, "Hamlet") for n in range(20)]
    database.rows(ADD_SHOWS, json.dumps(shows))
    begin = database.rows("SELECT pg_current_wal_insert_lsn()::text AS at")[0]["at"]
    database.rows(MANY_BOOKINGS, INSERTS)
    written = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %s::pg_lsn)::bigint AS bytes"
    return int(database.rows(written, begin)[0]["bytes"])


# --- builds_online ------------------------------------------------------------------------------


@points(
    1,
    hints=(
        "Which lock does CREATE INDEX take, and who has to wait for it, even before it begins?",
        "CREATE INDEX CONCURRENTLY … in a file that begins no transaction.",
    ),
    link="Building an index during the sale",
)
def check_builds_online(lantern: Lantern) -> None:
    """While indexes.sql runs, no new booking has to wait; in the end its indexes are valid"""
    built = lantern.built.result()
    if built.waited_for:
        fail(
            "purchases that don't wait while indexes.sql runs",
            f"an INSERT INTO bookings waited behind: {built.waited_for[:160]}",
            command=CHECK_AGAIN,
        )
    if built.finished.exit_code:
        errors = [line for line in built.finished.stderr.splitlines() if "ERROR" in line]
        fail(
            "indexes.sql ends without an error while somebody has a purchase open",
            f"exit code {built.finished.exit_code}; {errors[-1] if errors else ''}",
            command=f"docker logs {built.finished.container_name}",
        )
    old = {row["oid"] for row in lantern.given.rows(INDEXES_OF_TABLES)}
    new = [row for row in built.database.rows(INDEXES_OF_TABLES) if row["oid"] not in old]
    if not any(row["of"] == "bookings" for row in new):
        fail("at least one new index on bookings", f"{len(new)} new indexes, none on bookings")
    if broken := [row["name"] for row in new if not row["valid"]]:
        fail("valid indexes", f"{', '.join(broken)} is invalid: its build was given up")
