import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NoReturn

import pytest

from coursework.checks import (
    Crowd,
    Database,
    Failure,
    Image,
    Postgres,
    Random,
    Reply,
    Server,
    at_once,
    eventually,
    fail,
    points,
)

SEATS = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 11)]
USERS = 40
SHOWS = 60
PAGE = 50
ALIASES = 20
BUYERS = 10
CALLERS_OF_EACH = 5
LIMIT_STATEMENTS = 4
LIMIT_FIELDS = 200
# A loader that collects keys for a few milliseconds may miss some on a busy machine.
ROUNDS = 3
# The first request after a start may have to load what later ones find.
FIRST_ATTEMPTS = 3
REFUSED_WITHIN_S = 2.0
# Long enough to see that a late reply is late, rather than missing.
SEEN_WITHIN_S = 6.0
# A counter that walks into each spread would take some 2^40 steps.
DOUBLINGS = 40

TABLES = (
    "CREATE TABLE users (name text PRIMARY KEY, email text NOT NULL)",
    """CREATE TABLE shows (id integer PRIMARY KEY, title text NOT NULL,
    starts_at timestamptz NOT NULL, price_cents integer NOT NULL)""",
    """CREATE TABLE bookings (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    show_id integer NOT NULL REFERENCES shows, seat text NOT NULL,
    user_name text NOT NULL REFERENCES users, CONSTRAINT sold_once UNIQUE (show_id, seat))""",
    "ALTER TABLE users OWNER TO app",
    "ALTER TABLE shows OWNER TO app",
    "ALTER TABLE bookings OWNER TO app",
)
NEW_USERS = "INSERT INTO users SELECT * FROM unnest(%s::text[], %s::text[])"
NEW_SHOWS = (
    "INSERT INTO shows"
    " SELECT * FROM unnest(%s::integer[], %s::text[], %s::timestamptz[], %s::integer[])"
)
NEW_BOOKINGS = (
    "INSERT INTO bookings (show_id, seat, user_name)"
    " SELECT * FROM unnest(%s::integer[], %s::text[], %s::text[])"
)
# The first booking of a show becomes the last, wherever a table or an index has its rows.
MOVE_FIRST = (
    "UPDATE bookings AS first SET seat = 'F9'"
    " WHERE id IN (SELECT min(id) FROM bookings GROUP BY show_id)"
    " AND NOT EXISTS (SELECT FROM bookings WHERE show_id = first.show_id AND seat = 'F9')"
)
ALL_BOOKINGS = "SELECT id, show_id, seat, user_name FROM bookings ORDER BY id"
SAME_TIME = (
    "these requests ran at the same time: keep the caller in the request's context,"
    " not in a variable of the program"
)
# Values written into a statement: without them, the statement of each row is the same.
WRITTEN = re.compile(r"'[^']*'|(?<![$\w])\d+")

Values = dict[str, Any]


class Theatre:
    """A server with its database, and what both must agree on.

    Args:
        server: of the answer.
        database: recorded, with the tables of the exercise.
        random: values of this run.
    """

    def __init__(self, server: Server, database: Database, random: Random) -> None:
        self.server = server
        self.database = database
        self.random = random

    def fill(self) -> None:
        """Put users, shows and bookings into the database."""
        random = self.random
        users = random.words(USERS)
        self.database.rows(NEW_USERS, users, [f"{u}@{random.word()}.example" for u in users])
        ids = [1000 + 7 * n + random.integer(1, 6) for n in range(SHOWS)]
        titles = [f'{random.word()} "{random.text(3)}"' for _ in ids]
        times = [new_time(random) for _ in ids]
        # No two prices, and no two numbers of bookings in a row, are the same.
        prices = random.shuffled(range(1001, 1001 + 13 * SHOWS, 13))
        self.database.rows(NEW_SHOWS, random.shuffled(ids), titles, times, prices)
        booked = {i: sorted(random.shuffled(SEATS)[: n % 7]) for n, i in enumerate(ids)}
        # The bookings of a show don't lie side by side, and are in one order by id and by seat.
        sold = random.shuffled([show_id for show_id, seats in booked.items() for _ in seats])
        seats = [booked[show_id].pop(0) for show_id in sold]
        self.database.rows(NEW_BOOKINGS, sold, seats, [random.pick(users) for _ in sold])

    def ask(
        self, query: str, variables: Values | None = None, *, operation: str = "",
        user: str = "", role: str = "", timeout_s: float = SEEN_WITHIN_S,
    ) -> Reply:  # fmt: skip
        """Send one request, as somebody or as a stranger."""
        headers = {"Accept": "application/json"}
        headers |= {"X-User": user} if user else {}
        headers |= {"X-Role": role} if role else {}
        sent: Values = {"query": query}
        sent |= {"variables": variables} if variables else {}
        sent |= {"operationName": operation} if operation else {}
        return self.server.post("/graphql", json=sent, headers=headers, timeout_s=timeout_s)

    def wake(self) -> None:
        """Wait for the first reply, whatever it is."""
        eventually(lambda: self.ask("{ __typename }"), attempts=FIRST_ATTEMPTS)

    def users(self) -> dict[str, str]:
        """Look the emails up in the database, by name."""
        rows = self.database.rows("SELECT name, email FROM users ORDER BY name")
        return {row["name"]: row["email"] for row in rows}

    def shows(self) -> list[Values]:
        """Look all shows up in the database, with their bookings, as the schema calls things."""
        booked: dict[int, list[Values]] = {}
        for row in self.database.rows(ALL_BOOKINGS):
            booking = {"id": str(row["id"]), "seat": row["seat"], "user": row["user_name"]}
            booked.setdefault(row["show_id"], []).append(booking)
        return [
            {
                "id": str(row["id"]),
                "title": row["title"],
                "startsAt": f"{row['starts_at'].astimezone(UTC):%FT%TZ}",
                "priceCents": row["price_cents"],
                "bookings": (bookings := booked.get(row["id"], [])),
                "seatsFree": len(SEATS) - len(bookings),
            }
            for row in self.database.rows("SELECT * FROM shows ORDER BY id")
        ]

    def somebody(self) -> str:
        """Return the name of a user."""
        return self.random.pick([*self.users()])

    def show_with(self, bookings: int, *, among: int | None = None) -> Values:
        """Return a show that has so many bookings: any, or one among so many at the beginning."""
        shows = self.shows()[:among]
        return self.random.pick([s for s in shows if len(s["bookings"]) == bookings])

    def sell(self, seats: list[str], users: list[str]) -> Values:
        """Put a new show with bookings into the database, and return it."""
        new = self.random.integer(2000, 4000)
        times, price = [new_time(self.random)], self.random.integer(1000, 9000)
        self.database.rows(NEW_SHOWS, [new], [self.random.word()], times, [price])
        self.database.rows(NEW_BOOKINGS, [new] * len(seats), seats, users)
        return next(show for show in self.shows() if show["id"] == str(new))

    def sold(self, show_id: str, seat: str) -> list[Values]:
        """Look the bookings of a seat up in the database."""
        statement = "SELECT id, user_name FROM bookings WHERE show_id = %s AND seat = %s"
        return self.database.rows(statement, int(show_id), seat)


def new_time(random: Random) -> datetime:
    """Return a time in the years 2027 to 2029, in whole seconds."""
    start = datetime(2027, 1, 1, tzinfo=UTC)
    return start + timedelta(seconds=random.integer(1, 90_000_000))


def only(value: Values, *fields: str) -> Values:
    """Return some fields of a thing."""
    return {field: value[field] for field in fields}


def expect_data(reply: Reply, data: Values) -> None:
    """Compare a reply without errors with the whole of its data."""
    reply.expect(200, json={"data": data})
    seen = reply.json()
    if seen.get("errors"):
        reply.fail("data without errors")
    if json.dumps(seen["data"], sort_keys=True) != json.dumps(data, sort_keys=True):
        reply.fail(f"exactly the fields that were selected: {json.dumps(data)[:160]}")


def expect_refused(reply: Reply) -> None:
    """Look for errors, and for no data."""
    value = reply.json()
    errors = value.get("errors") if isinstance(value, dict) else None
    if reply.status >= 500 or not errors or value.get("data") is not None:
        reply.fail("a status below 500, and errors without data")


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> Database:
    """A database with the tables of the exercise, that notes what it is asked."""
    made = postgres.create_database(recorded=True)
    for statement in TABLES:
        made.rows(statement)
    return made


@pytest.fixture(scope="module")
def theatre(image: Image, database: Database, random: Random) -> Theatre:
    """A server in another time zone than its database."""
    env = {"DATABASE_URL": database.url, "TZ": "America/St_Johns"}
    theatre = Theatre(image.start(env=env), database, random)
    theatre.fill()
    return theatre


@pytest.fixture(scope="session")
def port(random: Random) -> int:
    """A port that nobody can type in beforehand."""
    return random.port()


@pytest.fixture(scope="module")
def neighbour(image: Image, database: Database, random: Random, port: int) -> Theatre:
    """A second server on the same database, at another port."""
    env = {"DATABASE_URL": database.url, "PORT": str(port)}
    return Theatre(image.start(env=env, port=port), database, random)


@points(
    2,
    hints=(
        (
            "Which parts of a document does your own code read? A library can parse, validate"
            " and execute all of it; your part is the resolvers."
        ),
        (
            "Hand query, variables and operationName to the library's execute, and return its "
            "result as it is. A page asks for one row more than `first`: if it comes, `next` is "
            "the id of the last row on this page."
        ),
    ),
    link="One request, one screen",
)
def check_answers_any_selection(theatre: Theatre, neighbour: Theatre) -> None:
    """Aliases, fragments, variables, directives, operations and pages give what was selected"""
    theatre.wake()
    selects_with_variables(theatre)
    chooses_the_operation(theatre)
    knows_the_caller(theatre)
    # First the one that leaves no rest on the last page.
    for size in (SHOWS // 4, 7):
        turns_pages(theatre, size)
    first = [only(show, "id") for show in theatre.shows()[:20]]
    expect_data(theatre.ask("{ shows { nodes { id } } }"), {"shows": {"nodes": first}})
    for wrong in invalid_documents(theatre.random):
        expect_refused(theatre.ask(wrong))
    neighbour.wake()
    expect_data(neighbour.ask("{ __typename }"), {"__typename": "Query"})


def selects_with_variables(theatre: Theatre) -> None:
    """Ask one document with three sets of variables."""
    one, two, free, title, seats, buyer, none, f1, f2, name = theatre.random.words(10)
    # One booking each: whether many users come in order is another check's question.
    found = [show for show in theatre.shows() if len(show["bookings"]) == 1]
    shows = theatre.random.shuffled(found)[:3]
    document = (
        f"query {name}($id: ID!, $other: ID! = {json.dumps(shows[1]['id'])}, $yes: Boolean!) {{"
        f" {one}: show(id: $id) {{ ...{f1} {free}: seatsFree priceCents @skip(if: $yes)"
        f" startsAt @include(if: $yes) }}"
        f" {two}: show(id: $other) {{ __typename ... on Show {{"
        f" {seats}: bookings {{ seat {buyer}: user {{ name }} show {{ id }} }} }} }}"
        f' {none}: show(id: "{theatre.random.integer(5000, 9000)}") {{ title }} }}'
        f" fragment {f1} on Show {{ {title}: title ...{f2} }} fragment {f2} on Show {{ id }}"
    )
    for first, second, yes in ((0, 1, True), (1, 2, False), (2, 0, True)):
        sent = {"id": shows[first]["id"], "yes": yes}
        # The first time the default is used.
        sent |= {"other": shows[second]["id"]} if first else {}
        expected = only(shows[first], "id", "startsAt" if yes else "priceCents")
        expected |= {title: shows[first]["title"], free: shows[first]["seatsFree"]}
        bookings = [
            {"seat": b["seat"], buyer: {"name": b["user"]}, "show": {"id": shows[second]["id"]}}
            for b in shows[second]["bookings"]
        ]
        other = {"__typename": "Show", seats: bookings}
        expect_data(theatre.ask(document, sent), {one: expected, two: other, none: None})


def chooses_the_operation(theatre: Theatre) -> None:
    """Ask each of two operations in one document."""
    show = theatre.show_with(4)
    first, second, alias = theatre.random.words(3)
    document = (
        f'query {first} {{ {alias}: show(id: "{show["id"]}") {{ title }} }}'
        f' query {second} {{ {alias}: show(id: "{show["id"]}") {{ priceCents }} }}'
    )
    for name, field in ((second, "priceCents"), (first, "title")):
        expect_data(theatre.ask(document, operation=name), {alias: only(show, field)})


def knows_the_caller(theatre: Theatre) -> None:
    """Ask for `me` as a stranger, as somebody unknown, and as two users."""
    query = "{ me { name } }"
    expect_data(theatre.ask(query), {"me": None})
    for unknown in (theatre.random.word(), f"{theatre.random.word()}' OR 'a' < 'b"):
        expect_data(theatre.ask(query, user=unknown), {"me": None})
    for user in theatre.random.shuffled([*theatre.users()])[:2]:
        expect_data(theatre.ask(query, user=user), {"me": {"name": user}})


def turns_pages(theatre: Theatre, size: int) -> None:
    """Follow `next` from the first page to the last; a show that is new is on none of them."""
    query = "query($n: Int!, $after: String) { shows(first: $n, after: $after)"
    query += " { next nodes { id priceCents } } }"
    shows = [only(show, "id", "priceCents") for show in theatre.shows()]
    after = None
    for start in range(0, len(shows), size):
        sent = {"n": size, "after": after} if after else {"n": size}
        reply = theatre.ask(query, sent).expect(
            200, json={"data": {"shows": {"nodes": shows[start : start + size]}}}
        )
        after = reply.json()["data"]["shows"].get("next")
        if isinstance(after, str) is (start + size >= len(shows)):
            left = max(0, len(shows) - start - size)
            reply.fail(f"a string as next if shows follow, else null; {left} follow", repr(after))
        if start == 0:
            new = [[size], [theatre.random.word()], [new_time(theatre.random)], [size]]
            theatre.database.rows(NEW_SHOWS, *new)


def invalid_documents(random: Random) -> list[str]:
    """Return documents that don't fit the schema, or are none."""
    word = random.word()
    return [
        f"{{ {word} }}",
        f"{{ shows {{ nodes {{ id {word} }} }} }}",
        "{ shows { nodes { id }",
        f"{{ ...{word} }}",
        "query($id: ID!) { show(id: $id) { id } }",
        "{ show { id } }",
    ]


@points(
    3,
    hints=(
        (
            "Print each statement that your server sends. Which of them comes once for every"
            " row, and could wait until all the keys are known?"
        ),
        (
            "A DataLoader for each kind of thing (shows, users, bookings by show, counts by"
            " show), made anew for each request: one SELECT … WHERE key = ANY($1), and then the"
            " rows in the order of the keys, with null, 0 or an empty list for a key without"
            " rows."
        ),
    ),
    link="The N+1 storm, and how a loader ends it",
)
def check_batches_loading(theatre: Theatre) -> None:
    """50 shows with bookings and users take at most 4 statements, and each gets its own rows"""
    page = f"{{ shows(first: {PAGE}) {{ nodes"
    twice = "seatsFree left: seatsFree bookings { id seat user { name } } again: bookings { seat }"
    documents = (
        f"{page} {{ id title {twice} }} }} }}",
        f"{page} {{ priceCents bookings {{ seat show {{ id title }} }} }} }} }}",
    )
    theatre.wake()
    theatre.database.rows(MOVE_FIRST)
    # Connections are opened, and drivers ask what they ask once.
    theatre.ask(documents[0]).expect(200)
    for _ in range(2):
        for document, project in zip(documents, (with_users_twice, with_shows), strict=True):
            nodes = [project(show) for show in theatre.shows()[:PAGE]]
            expect_few_statements(theatre, document, {"shows": {"nodes": nodes}})
        many_aliases(theatre)
        change_rows(theatre)


def with_users(show: Values) -> Values:
    """Return a show with its bookings and their buyers."""
    bookings = [{**b, "user": {"name": b["user"]}} for b in show["bookings"]]
    return only(show, "id", "title", "seatsFree") | {"bookings": bookings}


def with_users_twice(show: Values) -> Values:
    """Return a show as the first document selects it, some of it under aliases once more."""
    again = [only(booking, "seat") for booking in show["bookings"]]
    return with_users(show) | {"left": show["seatsFree"], "again": again}


def with_shows(show: Values) -> Values:
    """Return a show as the second document selects it."""
    bookings = [{"seat": b["seat"], "show": only(show, "id", "title")} for b in show["bookings"]]
    return only(show, "priceCents") | {"bookings": bookings}


def many_aliases(theatre: Theatre) -> None:
    """Ask for many shows by their ids, in no order."""
    shows = theatre.random.shuffled(theatre.shows())[:ALIASES]
    aliases = theatre.random.words(ALIASES)
    fields = " ".join(
        f'{alias}: show(id: "{show["id"]}")'
        " { id title seatsFree bookings { id seat user { name } } }"
        for alias, show in zip(aliases, shows, strict=True)
    )
    data = {alias: with_users(show) for alias, show in zip(aliases, shows, strict=True)}
    expect_few_statements(theatre, f"{{ {fields} }}", data)


def expect_few_statements(theatre: Theatre, document: str, data: Values) -> None:
    """Compare a reply, and count what the database was asked for it."""
    # As somebody: looking the caller up would be a statement too.
    user, command, statements = theatre.somebody(), "", list[str]()
    for _ in range(ROUNDS):
        with theatre.database.recording() as recording:
            reply = theatre.ask(document, user=user)
        # In each round: rows in a wrong order may be right by chance.
        expect_data(reply, data)
        if len(recording) <= LIMIT_STATEMENTS:
            return
        command = f"{reply.command}\n{recording.command}"
        statements = recording.statements
    fail_for_many(statements, command)


def fail_for_many(statements: list[str], command: str) -> NoReturn:
    """Fail with the statement that comes most often, or with all of them where none repeats."""
    often, count = Counter(WRITTEN.sub("?", text) for text in statements).most_common(1)[0]
    seen, hint = f"{count} times: {often[:120]}", ""
    if count == 1:
        seen = "; ".join(text[:60] for text in statements)
        hint = "no statement repeats: which one could another already answer?"
    fail(
        f"at most {LIMIT_STATEMENTS} statements for one request",
        f"{len(statements)} statements; {seen}",
        command=command,
        hint=hint,
    )


def change_rows(theatre: Theatre) -> None:
    """Change what later requests see: a title, an email, a booking more and less, a new buyer."""
    random, rows = theatre.random, theatre.database.rows
    # Of the page: a change elsewhere may never be asked for.
    more, less, other = (theatre.show_with(n, among=PAGE) for n in (2, 3, 5))
    statement = "UPDATE shows SET title = %s, price_cents = price_cents + 1 WHERE id = %s"
    rows(statement, random.word(), int(more["id"]))
    free = next(s for s in SEATS if s not in [b["seat"] for b in more["bookings"]])
    buyer, next_buyer = random.pick([*theatre.users()]), random.word()
    rows(NEW_USERS, [next_buyer], [f"{next_buyer}@{random.word()}.example"])
    rows(NEW_BOOKINGS, [int(more["id"])], [free], [buyer])
    rows("DELETE FROM bookings WHERE id = %s", int(less["bookings"][0]["id"]))
    statement = "UPDATE bookings SET user_name = %s WHERE show_id = %s"
    rows(statement, next_buyer, int(other["id"]))
    email = f"{buyer}@{random.word()}.example"
    rows("UPDATE users SET email = %s WHERE name = %s", email, buyer)
    expect_data(theatre.ask("{ me { email } }", user=buyer), {"me": {"email": email}})


@points(
    2,
    hints=(
        "Who asks, and for whose email? The resolver of that one field can know both.",
        (
            "Give User.email a resolver that throws unless the caller is staff or has this name,"
            " and make the field nullable in the schema: then the error stays with its field."
        ),
    ),
    link="Half a reply is a reply",
)
def check_fails_in_parts(theatre: Theatre) -> None:
    """An email that isn't the caller's is null with its path in errors; the rest is intact"""
    theatre.wake()
    random, users = theatre.random, theatre.users()
    # One buyer twice; and in one order by id and by seat, as order is another check's question.
    caller, other, *buyers = random.shuffled([*users])[:6]
    show = theatre.sell(sorted(random.shuffled(SEATS)[:6]), [*buyers, caller, buyers[0]])
    names = tuple(random.words(4))
    cases = [
        (caller, "", {caller}), (caller, f"{random.word()}-staff", {caller}),
        (caller, "Staff", {caller}), ("", "", set()), ("", "staff", set(users)),
        (caller, "staff", set(users)), (other, "staff", set(users)),
    ]  # fmt: skip
    document = screen(show, names)
    for user, role, readable in cases:
        expect_screen(theatre.ask(document, user=user, role=role), show, names, users, readable)
    expect_data(theatre.ask("{ me { email } }", user=caller), {"me": {"email": users[caller]}})
    crowd: Crowd[tuple[str, str, set[str]], Reply]
    callers = [(caller, "", {caller}), ("", "staff", set(users)), (other, "", set[str]())]
    callers *= CALLERS_OF_EACH
    with (
        theatre.database.holding("LOCK TABLE bookings") as held,
        at_once(lambda case: theatre.ask(document, user=case[0], role=case[1]), callers) as crowd,
    ):
        theatre.database.wait_for_waiting(2, within_s=1.0)
        held.release()
    replies = crowd.results()
    try:
        for (_, _, readable), reply in zip(callers, replies, strict=True):
            expect_screen(reply, show, names, users, readable)
    except Failure as failure:
        failure.hint = SAME_TIME
        raise


Names = tuple[str, ...]


def screen(show: Values, names: Names) -> str:
    """Return a document that asks for the email of everybody who booked a show."""
    root, seats, owner, address = names
    return (
        f'{{ {root}: show(id: "{show["id"]}") {{ title'
        f" {seats}: bookings {{ seat {owner}: user {{ name {address}: email }} }} }} }}"
    )


def expect_screen(
    reply: Reply, show: Values, names: Names, users: dict[str, str], readable: set[str]
) -> None:
    """Compare the reply to `screen` for a caller who may read some emails."""
    root, seats, owner, address = names
    buyers = [booking["user"] for booking in show["bookings"]]
    bookings = [
        {"seat": booking["seat"],
         owner: {"name": name, address: users[name] if name in readable else None}}
        for booking, name in zip(show["bookings"], buyers, strict=True)
    ]  # fmt: skip
    reply.expect(200, json={"data": {root: {"title": show["title"], seats: bookings}}})
    paths = [
        [root, seats, index, owner, address]
        for index, name in enumerate(buyers) if name not in readable
    ]  # fmt: skip
    expect_paths(reply, paths)
    if leaked := [u for u in {*buyers} - readable if users[u] in reply.text]:
        reply.fail("no email that the caller may not read", f"{users[leaked[0]]} in the reply")


def expect_paths(reply: Reply, paths: list[list[Any]]) -> None:
    """Compare the paths of all errors, in any order."""
    errors = reply.json().get("errors") or []
    seen = [error.get("path") for error in errors if isinstance(error, dict)]
    if sorted(map(json.dumps, seen)) != sorted(map(json.dumps, paths)):
        reply.fail(f"errors with the paths {json.dumps(paths)}", json.dumps(seen)[:300])


@points(
    1,
    hints=(
        "What does the caller have to do next? If that depends on the outcome, it is data.",
        (
            "Return an object with __typename SeatTaken or UnknownShow instead of throwing; insert"
            " with ON CONFLICT DO NOTHING, and see whether a row came back."
        ),
    ),
    link="Expected failures are data",
)
def check_books_as_data(theatre: Theatre, neighbour: Theatre) -> None:
    """A seat is booked once; a taken seat and an unknown show are data, not errors"""
    theatre.wake()
    show, other = theatre.show_with(1), theatre.show_with(0)
    buyer, rival, *crowd = theatre.random.shuffled([*theatre.users()])
    free = theatre.random.shuffled([s for s in SEATS if s != show["bookings"][0]["seat"]])
    stranger = book(theatre, show["id"], free[0], "")
    if not stranger.json().get("errors") or theatre.sold(show["id"], free[0]):
        stranger.fail("errors for a stranger who books, and nothing booked")
    expect_booked(theatre, show["id"], free[0], buyer)
    expect_outcome(book(theatre, show["id"], free[0], rival), "SeatTaken", {"seat": free[0]})
    # Nor by the one who has it.
    expect_outcome(book(theatre, show["id"], free[0], buyer), "SeatTaken", {"seat": free[0]})
    expect_booked(theatre, other["id"], free[0], rival)
    unknown = str(theatre.random.integer(5000, 9000))
    expect_outcome(book(theatre, unknown, free[0], rival), "UnknownShow", {"showId": unknown})
    books_in_order(theatre, show["id"], free[1], free[2], buyer)
    neighbour.wake()
    offices = [(theatre, neighbour)[n % 2] for n in range(BUYERS)]
    sells_once(offices, show["id"], free[3], crowd[:BUYERS])


OUTCOME = (
    "{ __typename ... on Booking { id seat show { id } user { name } }"
    " ... on SeatTaken { takenSeat: seat } ... on UnknownShow { showId } }"
)


def book(theatre: Theatre, show_id: str, seat: str, user: str) -> Reply:
    """Ask for a seat."""
    call = f'book(showId: "{show_id}", seat: "{seat}")'
    return theatre.ask(f"mutation {{ outcome: {call} {OUTCOME} }}", user=user)


def expect_outcome(reply: Reply, kind: str, fields: Values) -> None:
    """Compare an outcome that sells nothing."""
    renamed = {"takenSeat" if k == "seat" else k: v for k, v in fields.items()}
    expect_data(reply, {"outcome": {"__typename": kind, **renamed}})


def expect_booked(theatre: Theatre, show_id: str, seat: str, user: str) -> None:
    """Buy a seat, and look it up in the database."""
    reply = book(theatre, show_id, seat, user)
    fields = {"seat": seat, "show": {"id": show_id}, "user": {"name": user}}
    reply.expect(200, json={"data": {"outcome": {"__typename": "Booking", **fields}}})
    sold = theatre.sold(show_id, seat)
    if [row["user_name"] for row in sold] != [user]:
        reply.fail(f"seat {seat} booked by {user} in the database", f"{sold}")
    booking = {"__typename": "Booking", "id": str(sold[0]["id"]), **fields}
    expect_data(reply, {"outcome": booking})


def books_in_order(theatre: Theatre, show_id: str, seat: str, more: str, user: str) -> None:
    """Book one seat twice and another one, in one request."""
    first, again, last = theatre.random.words(3)
    seats_free = next(s["seatsFree"] for s in theatre.shows() if s["id"] == show_id)
    outcome = "{ __typename ... on Booking { seat show { seatsFree } } }"
    document = "mutation {" + "".join(
        f' {alias}: book(showId: "{show_id}", seat: "{wanted}") {outcome}'
        for alias, wanted in ((first, seat), (again, seat), (last, more))
    )

    def booked(wanted: str, left: int) -> Values:
        return {"__typename": "Booking", "seat": wanted, "show": {"seatsFree": left}}

    data = {
        first: booked(seat, seats_free - 1),
        again: {"__typename": "SeatTaken"},
        last: booked(more, seats_free - 2),
    }
    expect_data(theatre.ask(f"{document} }}", user=user), data)


def sells_once(offices: list[Theatre], show_id: str, seat: str, users: list[str]) -> None:
    """Have many buy one seat at once, at two servers."""
    calls = list(zip(offices, users, strict=True))
    crowd: Crowd[tuple[Theatre, str], Reply]
    # All may look; who wants to write waits until several do.
    with (
        offices[0].database.holding("LOCK TABLE bookings IN SHARE MODE") as held,
        at_once(lambda call: book(call[0], show_id, seat, call[1]), calls) as crowd,
    ):
        offices[0].database.wait_for_waiting(2, within_s=1.0)
        held.release()
    replies = crowd.results()
    kinds: Counter[str] = Counter()
    for reply in replies:
        reply.expect(200, json={"data": {"outcome": {}}})
        kinds[reply.json()["data"]["outcome"].get("__typename", "no __typename")] += 1
    if kinds != {"Booking": 1, "SeatTaken": len(users) - 1}:
        fail(f"1 Booking and {len(users) - 1} SeatTaken", f"{dict(kinds)}")


@points(
    2,
    hints=(
        (
            "What is the cheapest moment to find out that a request is too expensive, and what do"
            " you know about it by then?"
        ),
        (
            "Walk over the parsed document before anything is validated or executed: each field"
            " counts 1 and is one level deeper than the field around it, a fragment adds what it"
            " contains. Measure each fragment once and remember the result."
        ),
    ),
    link="A small query with a huge reply",
)
def check_bounds_cost(theatre: Theatre) -> None:
    """Depth over 10 and more than 200 fields are refused before any statement; less is served"""
    theatre.wake()
    show = theatre.show_with(4)
    for document in allowed(theatre.random, show["id"]):
        expect_served(theatre.ask(document))
    serves_one_of_two(theatre, show["id"])
    excess = (*excessive(theatre.random, show["id"]), bomb(theatre.random, show["id"]))
    for document in excess:
        eventually(partial(expect_free_refusal, theatre, document), attempts=2)
    small, large = theatre.random.words(2)
    two = f"query {small} {{ me {{ name }} }} query {large} {excess[0]}"
    eventually(partial(expect_free_refusal, theatre, two, operation=large), attempts=2)
    free = next(s for s in SEATS if s not in [b["seat"] for b in show["bookings"]])
    fields = " ".join(f"{theatre.random.word()}: seat" for _ in range(LIMIT_FIELDS))
    outcome = f"{{ ... on Booking {{ {fields} }} }}"
    mutation = f'mutation {{ book(showId: "{show["id"]}", seat: "{free}") {outcome} }}'
    reply = theatre.ask(mutation, user=theatre.somebody())
    expect_refused(reply)
    if theatre.sold(show["id"], free):
        reply.fail("nothing booked by a request that is refused", f"seat {free} is booked")


def expect_served(reply: Reply) -> None:
    """Look for data, and for no errors."""
    if not reply.expect(200).json().get("data") or reply.json().get("errors"):
        reply.fail("data without errors, as depth and fields are within the limits")


def serves_one_of_two(theatre: Theatre, show_id: str) -> None:
    """Ask one of two operations, of which each is allowed and both together would be too much."""
    names, count = theatre.random.words(2), LIMIT_FIELDS * 3 // 4 - 1
    both = [f"query {n} {wrapped(show_id, titles(theatre.random, count))}" for n in names]
    expect_served(theatre.ask(" ".join(both), operation=theatre.random.pick(names)))


def expect_free_refusal(theatre: Theatre, document: str, *, operation: str = "") -> None:
    """Check that a request is refused soon, and that the database hears nothing of it."""
    # As somebody: looking the caller up would be a statement too.
    user = theatre.somebody()
    with theatre.database.recording() as recording:
        reply = theatre.ask(document, operation=operation, user=user)
    expect_refused(reply)
    if recording.statements:
        fail(
            "no statement for a request that is refused",
            f"{len(recording)}, first {recording.statements[0][:120]}",
            command=f"{reply.command}\n{recording.command}",
        )
    if reply.elapsed_s > REFUSED_WITHIN_S:
        reply.fail(f"a refusal within {REFUSED_WITHIN_S:g} s", f"after {reply.elapsed_s:.1f} s")


def wrapped(show_id: str, selection: str) -> str:
    """Return a document with a selection of one show."""
    return f'{{ show(id: "{show_id}") {{ {selection} }} }}'


def titles(random: Random, count: int) -> str:
    """Return so many fields."""
    return " ".join(f"{random.word()}: title" for _ in range(count))


def allowed(random: Random, show_id: str) -> list[str]:
    """Return documents of depth 10, and of 200 fields; a list of 50 shows counts as its fields."""
    deep = "bookings { show { " * 3 + "bookings { user { name } }" + " } }" * 3
    inner = " ... on Show { bookings { show { bookings { ...F } } } }"
    fragment = random.word()
    half = LIMIT_FIELDS // 2 - 1
    return [
        wrapped(show_id, deep),
        wrapped(show_id, f"bookings {{ show {{ {inner} }} }}")
        + " fragment F on Booking { show { bookings { user { name } } } }",
        wrapped(show_id, titles(random, LIMIT_FIELDS - 1)),
        wrapped(show_id, f"...{fragment} ...{fragment} {random.word()}: id")
        + f" fragment {fragment} on Show {{ {titles(random, half)} }}",
    ]


def excessive(random: Random, show_id: str) -> list[str]:
    """Return documents that are too deep or too wide, plainly or behind fragments."""
    level = "bookings { show { "
    half = LIMIT_FIELDS // 2
    f1, f2 = random.words(2)
    by_alias = " ".join(f'{random.word()}: show(id: "{show_id}") {{ ...{f1} }}' for _ in range(2))
    return [
        wrapped(show_id, level * 5 + "id" + " } }" * 5),
        wrapped(show_id, level * 7 + "id" + " } }" * 7),
        wrapped(show_id, f"{level * 3} ...{f1} {' } }' * 3}")
        + f" fragment {f1} on Show {{ bookings {{ ...{f2} }} }}"
        + f" fragment {f2} on Booking {{ ... on Booking {{ show {{ bookings {{ id }} }} }} }}",
        wrapped(show_id, titles(random, LIMIT_FIELDS)),
        "{ "
        + " ".join(f'{random.word()}: show(id: "{show_id}") {{ id }}' for _ in range(300))
        + " }",
        f"{{ {by_alias} }} fragment {f1} on Show {{ {titles(random, half)} }}",
        wrapped(show_id, f"...{f1} ...{f1}")
        + f" fragment {f1} on Show {{ {titles(random, half)} }}",
    ]


def bomb(random: Random, show_id: str) -> str:
    """Return a small document whose fragments double at each step."""
    prefix = random.word()
    steps = "".join(
        f" fragment {prefix}{n} on Show {{ ...{prefix}{n + 1} ...{prefix}{n + 1} }}"
        for n in range(DOUBLINGS)
    )
    last = f" fragment {prefix}{DOUBLINGS} on Show {{ title }}"
    return wrapped(show_id, f"...{prefix}0") + steps + last
