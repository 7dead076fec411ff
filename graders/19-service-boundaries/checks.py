import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import PurePosixPath
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Client,
    ComposedDatabase,
    Deadline,
    Failure,
    Held,
    Random,
    Reply,
    Stack,
    at_once,
    at_rate,
    eventually,
    fail,
    points,
)

SEATS = [f"{row}{number}" for row in "ABCDEF" for number in range(1, 11)]
SOLD, TAKEN, BUYERS = 201, 409, 4
SERVICES = ("catalog", "booking")
PASSWORDS = ("db", *SERVICES)
PROBLEM = "application/problem+json"
NO_SEATS = re.compile(rb'"seats_free"\s*:\s*null')
FOLLOWS_WITHIN_S, LISTS_WITHIN_S = 2.0, 0.5
WAITS_WITHIN_S, SETTLES_WITHIN_S = 5.0, 1.5
# A copy may be 2 s old, so a service that copies in the background reads at least this often.
COPIES_WITHIN_S = 2.2
PER_S, LEAST_CALLS = 20, 40
SELLS_EACH = 8
PATIENCE_S = 10.0
PAUSE_S, POLL_S = 0.2, 0.02
ATTEMPTS = 2
DOOR = "127.0.0.1:8080"
LEFT_OPEN = (
    "A service's transaction stays open and keeps its locks. Commit at the end of each request, or"
    " switch autocommit on."
)


# Method, path and body.
Request = tuple[str, str, dict[str, Any] | None]


@dataclass(frozen=True)
class Show:
    """A show of the catalog, as it is now."""

    id: int
    title: str
    starts_at: str
    price_cents: int

    @property
    def path(self) -> str:
        """Where it is asked for."""
        return f"/api/shows/{self.id}"

    def told(self) -> dict[str, Any]:
        """Return the body of a PUT of it."""
        return {
            "title": self.title, "starts_at": self.starts_at, "price_cents": self.price_cents
        }  # fmt: skip


@dataclass
class House:
    """The box office that came up, and what it must know."""

    stack: Stack
    door: Client
    owner: ComposedDatabase
    passwords: dict[str, str]
    shows: dict[int, Show]
    # By id, as they were sold.
    bookings: dict[str, dict[str, Any]]
    free: dict[int, list[str]] = field(default_factory=dict)

    def expected_shows(self, *, seats: bool = True) -> list[dict[str, Any]]:
        """Return the list of all shows, with free seats, or with null."""
        by_time = sorted(self.shows.values(), key=lambda show: show.starts_at)
        return [
            {"id": s.id, **s.told(), "seats_free": len(self.free[s.id]) if seats else None}
            for s in by_time
        ]

    def expected_bookings(self, user: str) -> list[dict[str, Any]]:
        """Return a user's bookings, under the titles of now."""
        mine = [b for b in self.bookings.values() if b["user"] == user]
        return [{**b, "title": self.shows[b["show_id"]].title} for b in mine]

    def listed(self, path: str) -> Reply:
        """Ask for shows, again while seats are null: on a busy machine a count may come late."""
        deadline = Deadline(FOLLOWS_WITHIN_S)
        while True:
            reply = self.door.get(path)
            if not NO_SEATS.search(reply.body) or deadline.has_passed():
                return reply

    def sell(self, show: Show, user: str) -> Reply:
        """Ask for the next free seat; it stays free unless the answer is 201."""
        seat = self.free[show.id].pop()
        reply = self.door.post(f"{show.path}/bookings", json={"seat": seat, "user": user})
        if reply.status != SOLD:
            self.free[show.id].append(seat)
        # Asked again, it would be taken.
        reply.comes_again, reply.command = None, CHECK_AGAIN
        return reply

    def sold(self, show: Show, user: str, *, knows_now: bool = True) -> dict[str, Any]:
        """Sell a seat and return the booking; if knows_now, it has today's title and price.

        Raises:
            Failure: it isn't sold, or not like that.
        """
        seat = self.free[show.id][-1]
        reply = self.sell(show, user)
        booking = {"show_id": show.id, "seat": seat, "user": user, "status": "confirmed"}
        now = {"title": show.title, "price_cents": show.price_cents} if knows_now else {}
        told = reply.expect(SOLD, json={**booking, **now}).json()
        self.note(reply, {**booking, "price_cents": told.get("price_cents")})
        return dict(told)

    def note(self, reply: Reply, booking: dict[str, Any]) -> None:
        """Remember a booking that was just sold."""
        told = reply.json().get("id")
        if not isinstance(told, str) or not told or told in self.bookings:
            reply.fail("a booking with an id that is text, and new")
        self.bookings[told] = {"id": told, **booking}

    def expect_bookings(self, user: str, *, prices: bool = False) -> Reply:
        """Compare a user's bookings, in any order; prices, too, only where they are looked at."""
        reply = self.door.get(f"/api/bookings?user={user}")
        told = reply.expect(200, json={}).json().get("bookings")
        wanted = sorted(self.expected_bookings(user), key=lambda b: str(b["id"]))
        wanted = (
            wanted
            if prices
            else [{name: told for name, told in b.items() if name != "price_cents"} for b in wanted]
        )
        if not isinstance(told, list) or not all(isinstance(b, dict) for b in told):
            reply.fail('200 and {"bookings": […]}')
        seen = sorted(told, key=lambda b: str(b.get("id")))
        replace(reply, body=json.dumps(seen, ensure_ascii=False).encode()).expect(200, json=wanted)
        return reply

    def change(self, show: Show, **how: Any) -> Show:
        """Change a show by a PUT, and return it."""
        changed = replace(show, **how)
        reply = self.door.request("PUT", show.path, json=changed.told())
        reply.expect(200, json={"id": show.id, **changed.told()})
        self.shows[show.id] = changed
        return changed

    def expect_all_well(self) -> None:
        """Wait until shows are listed with free seats again."""
        is_well_soon(
            lambda: self.door.get("/api/shows").expect(200, json={"shows": self.expected_shows()})
        )

    @contextmanager
    def killed(self, service: str) -> Iterator[None]:
        """Kill a service; it is started again when the block ends, however it ends."""
        self.stack.kill(service)
        try:
            yield
        except BaseException:
            # The next check finds both of them, whatever became of this one.
            for each in SERVICES:
                with suppress(Failure):
                    self.stack.start(each)
            raise
        self.stack.start(service)

    def tables(self, schema: str) -> list[str]:
        """Return the tables of a schema, quoted.

        Raises:
            Failure: there is none.
        """
        rows = self.owner.rows(
            "SELECT format('%%I.%%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname = %s",
            schema,
        )
        if not rows:
            fail(f"tables in the schema {schema}", "none", command=self.asking(r"\d *.*"))
        return [str(row["name"]) for row in rows]

    @contextmanager
    def locked(self, schema: str) -> Iterator[Held]:
        """Keep all tables of a schema locked until the block ends.

        Raises:
            Failure: somebody else's lock on one of them stays for too long.
        """
        tables = ", ".join(self.tables(schema))
        with ExitStack() as block:
            try:
                held = block.enter_context(self.owner.holding(f"LOCK TABLE {tables}"))
            except Failure as failure:
                failure.hint, failure.command = LEFT_OPEN, CHECK_AGAIN
                raise
            yield held

    def waiting(self) -> list[str]:
        """Return the role of each session that waits for a lock."""
        found = self.owner.rows(
            "SELECT usename::text AS role FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        return [str(row["role"]) for row in found]

    def waiting_for(self, schema: str) -> set[str]:
        """Return the roles of the sessions that wait for a schema's tables, and not for a row."""
        found = self.owner.rows(
            "SELECT usename::text AS role FROM pg_stat_activity JOIN pg_locks USING (pid)"
            " JOIN pg_class c ON c.oid = relation JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE NOT granted AND usename IS NOT NULL AND n.nspname = %s",
            schema,
        )
        return {str(row["role"]) for row in found}

    def asking(self, statement: str) -> str:
        """Return the command that asks the database."""
        return f"docker compose exec db psql -U lantern -c '{statement}'"


def is_well_soon(expectation: Callable[[], object]) -> None:
    """Wait until all is well again; what was sent to an old address may take longer to fail."""
    eventually(expectation, within_s=FOLLOWS_WITHIN_S, attempts=ATTEMPTS)


def moments(random: Random, many: int) -> list[str]:
    """Return times of shows, all different, in no order."""
    days = [10 * n + random.integer(1, 9) for n in range(many)]
    start = datetime(2027, 1, 1, tzinfo=UTC)
    minutes = 60 * random.integer(17, 20) + random.integer(1, 59)
    told = [start + timedelta(days=day, minutes=minutes) for day in days]
    # The first one is neither first nor last by time.
    told = [*told[1:2], *told[2:], told[0]]
    return [f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in told]


@pytest.fixture(scope="session")
def shows(random: Random) -> list[Show]:
    """Return five shows; ids, times and prices are in different orders.

    Nobody has booked the last one: changing it disturbs no other check.
    """
    ids = [random.integer(low, low + 80) for low in (700, 100, 400, 200, 300)]
    prices = [random.integer(low, low + 800) for low in (2000, 5000, 3000, 4000, 1000)]
    titles = [f"{random.word().title()}'s {random.text(4)}" for _ in ids]
    whole = zip(ids, titles, moments(random, len(ids)), prices, strict=True)
    return [Show(*show) for show in whole]


@pytest.fixture(scope="session")
def users(random: Random) -> list[str]:
    """Return four users."""
    return random.words(4)


@pytest.fixture(scope="session")
def house(stack: Stack, random: Random, shows: list[Show], users: list[str]) -> House:
    """Bring all of it up, from a monolith's rows that nobody knows beforehand."""
    passwords = {name: f"{random.word()}-{random.hex(12)}" for name in PASSWORDS}
    for name, password in passwords.items():
        stack.write(f"secrets/{name}.txt", f"{password}\n")
    free = {show.id: random.shuffled(SEATS) for show in shows}
    bookings: dict[str, dict[str, Any]] = {}
    # Each show has another number of them, and each was sold at another price than today's.
    for number, show in enumerate(shows[:-1], 2):
        for user in (users[0], users[1], *[users[0]] * number):
            booking: dict[str, Any] = {
                "id": f"{random.word()}-{random.hex(6)}", "show_id": show.id,
                "seat": free[show.id].pop(), "user": user, "status": "confirmed",
                "price_cents": show.price_cents - random.integer(100, 900),
            }  # fmt: skip
            bookings[booking["id"]] = booking
    stack.write("sql/data.sql", rows_of(shows, bookings))
    stack.build()
    stack.up()
    for service in ("gateway", *SERVICES):
        stack.container(service)
    owner = stack.database("db", name="lantern", user="lantern", password=passwords["db"])
    # For the sessions that lock tables: a transaction that's left open would keep them waiting.
    owner.rows("ALTER ROLE lantern SET lock_timeout = '10s'")
    told = {show.id: show for show in shows}
    return House(stack, stack.server(8080), owner, passwords, told, bookings, free)


def rows_of(shows: list[Show], bookings: dict[str, dict[str, Any]]) -> str:
    """Return the SQL that adds the monolith's rows."""
    of_shows = [(s.id, s.title, s.starts_at, s.price_cents) for s in shows]
    names = ("id", "show_id", "seat", "user", "price_cents")
    of_bookings = [tuple(b[name] for name in names) for b in bookings.values()]
    written = [
        ("shows (id, title, starts_at, price_cents)", of_shows),
        ("bookings (id, show_id, seat, user_name, price_cents)", of_bookings),
    ]
    return "\n".join(f"INSERT INTO {table} VALUES {all_of(rows)};" for table, rows in written)  # noqa: S608 - our own


def all_of(rows: Sequence[tuple[object, ...]]) -> str:
    """Return rows as SQL."""
    return ", ".join(map(row, rows))


def row(told: tuple[object, ...]) -> str:
    """Return a row as SQL."""
    return f"({', '.join(map(quoted, told))})"


def quoted(value: object) -> str:
    """Return a value as SQL."""
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


@points(
    2,
    hints=(
        (
            "After a 500, type docker compose logs catalog booking: permission denied means that a"
            " GRANT is missing. Otherwise send the monolith and your gateway the same requests, and"
            " compare: the order of shows, each field, each status. Which service does each"
            " request go to?"
        ),
        (
            "POST /api/shows/:id/bookings begins like a route of the catalog, so it must win. In"
            " nginx: location ~ ^/api/shows/[^/]+/bookings$. Bookings carry the show's title."
        ),
    ),
    link="One route at a time",
)
def check_keeps_the_api(house: House, shows: list[Show], users: list[str]) -> None:
    """The gateway, the only way in, answers each request as the monolith did"""
    show, user = shows[0], users[0]
    house.listed("/api/shows").expect(200, json={"shows": house.expected_shows()})
    by_id = {s["id"]: s for s in house.expected_shows()}
    for each in shows:
        house.listed(each.path).expect(200, json=by_id[each.id])
    for name in (user, users[1], users[3]):
        house.expect_bookings(name)
    booked = house.sold(show, users[2])
    house.expect_bookings(users[2])
    left = {"seats_free": len(house.free[show.id])}
    house.listed(show.path).expect(200, json=left)
    house.listed("/api/shows").expect(200, json={"shows": house.expected_shows()})
    house.change(
        shows[-1], title=f'The "{shows[1].title}"', price_cents=shows[2].price_cents + 7,
        starts_at="2026-12-31T18:45:00Z",
    )  # fmt: skip
    house.listed("/api/shows").expect(200, json={"shows": house.expected_shows()})
    expect_refusals(house, show, booked["seat"], user)
    expect_one_buyer(house, show, users[2])
    expect_one_way_in(house)


def expect_one_way_in(house: House) -> None:
    """Compare the published ports with the contract."""
    for container in house.stack.containers():
        seen = ", ".join(container.published)[:200]
        if container.service != "gateway":
            if seen:
                what = f"{container.service} at {seen}, too"
                fail("no service published but gateway", what, command="docker compose ps")
        elif len(container.published) != 1 or not seen.startswith(f"{DOOR} to "):
            fail(f"gateway published at {DOOR}, and nowhere else", seen or "nothing published",
                 command="docker compose ps")  # fmt: skip


def expect_one_buyer(house: House, show: Show, user: str) -> None:
    """Have several ask for one seat, all held at booking's locked tables until they are there."""
    seat = house.free[show.id].pop()
    order, path = {"seat": seat, "user": user}, f"{show.path}/bookings"

    def buy(_: int) -> Reply:
        return house.door.post(path, json=order, timeout_s=PATIENCE_S)

    with house.locked("booking") as held, at_once(buy, range(BUYERS)) as crowd:
        settles = Deadline(SETTLES_WITHIN_S)
        while crowd.busy and len(house.waiting()) < BUYERS and not settles.has_passed():
            time.sleep(POLL_S)
        held.release()
    replies = crowd.results()
    for reply in replies:
        if reply.status == SOLD:
            booking = {"show_id": show.id, **order, "status": "confirmed"}
            house.note(reply, {**booking, "price_cents": show.price_cents})
    statuses = sorted(reply.status for reply in replies)
    if statuses != [SOLD, *[TAKEN] * (BUYERS - 1)]:
        seen = ", ".join(map(str, statuses))
        fail(f"one 201 and {BUYERS - 1} times 409 for a seat that {BUYERS} ask for at once", seen,
             command=CHECK_AGAIN)  # fmt: skip


def expect_refusals(house: House, show: Show, taken: str, user: str) -> None:
    """Ask for what can't be had."""
    unknown = max(house.shows) + 7
    good = show.told()
    refused: list[tuple[str, str, object, int, str]] = [
        ("GET", f"/api/shows/{unknown}", None, 404, "not_found"),
        ("PUT", f"/api/shows/{unknown}", good, 404, "not_found"),
        ("PUT", show.path, {**good, "price_cents": 0}, 400, "bad_show"),
        ("PUT", show.path, {**good, "price_cents": 19.5}, 400, "bad_show"),
        ("PUT", show.path, {**good, "price_cents": -5}, 400, "bad_show"),
        ("PUT", show.path, {**good, "price_cents": "1900"}, 400, "bad_show"),
        ("PUT", show.path, {**good, "title": ""}, 400, "bad_show"),
        ("PUT", show.path, {**good, "starts_at": "tomorrow"}, 400, "bad_show"),
        ("PUT", show.path, {**good, "starts_at": good["starts_at"][:10]}, 400, "bad_show"),
    ]
    path = f"{show.path}/bookings"
    order = {"seat": house.free[show.id][0], "user": user}
    refused += [
        ("POST", f"/api/shows/{unknown}/bookings", order, 404, "not_found"),
        ("POST", path, {"seat": taken, "user": user}, 409, "seat_taken"),
        ("POST", path, {**order, "seat": "G4"}, 400, "bad_seat"),
        ("POST", path, {**order, "seat": "B11"}, 400, "bad_seat"),
        ("POST", path, {**order, "seat": "A0"}, 400, "bad_seat"),
        ("POST", path, {"user": user}, 400, "bad_seat"),
        ("POST", path, {"seat": order["seat"]}, 400, "user_required"),
        ("GET", "/api/bookings", None, 400, "user_required"),
    ]
    for method, asked, body, status, code in refused:
        reply = house.door.request(method, asked, json=body)
        reply.expect(status, json={"status": status, "code": code}, type=PROBLEM)
    # What was refused has changed nothing.
    house.listed("/api/shows").expect(200, json={"shows": house.expected_shows()})


@points(
    2,
    hints=(
        (
            "Log in as one role and try a SELECT on the other's table. As which role does each"
            " service log in, and which tables do its statements touch, even through a view?"
        ),
        (
            "In split.sql: ALTER TABLE … SET SCHEMA; GRANT USAGE ON SCHEMA and GRANT SELECT … to"
            " the schema's own role; drop the foreign key from bookings to shows. In compose.yaml:"
            " give each service only its own secret."
        ),
    ),
    link="Each service its own data",
    needs=("keeps_the_api",),
)
def check_separates_data(house: House, shows: list[Show], users: list[str]) -> None:
    """Each service logs in as its own role, and neither role gets at the other's data"""
    for service in SERVICES:
        expect_own_secret(house, service)
        role = f"{service}_app"
        session = house.stack.database(
            "db", name="lantern", user=role, password=house.passwords[service]
        )
        session.rows("SELECT 1")
        expect_password(house, role)
        expect_no_rights_beyond(house, role, service)
    show, user = shows[1], users[3]
    put, listing = ("PUT", show.path, show.told()), ("GET", f"/api/bookings?user={user}", None)
    sale = {"seat": house.free[show.id][-1], "user": user}
    sell = ("POST", f"{show.path}/bookings", sale)
    roles, replies = waiting_roles(house, "catalog", put, [sell, listing])
    note_sale(house, show, sale, replies[sell[1]])
    expect_own_role(roles, "catalog", put)
    # Mostly it's taken now: then whatever is answered, nothing changes.
    roles, replies = waiting_roles(house, "booking", sell, [put, ("GET", "/api/shows", None)])
    note_sale(house, show, sale, replies[sell[1]])
    expect_own_role(roles, "booking", sell)


def note_sale(house: House, show: Show, sale: dict[str, str], reply: Reply | None) -> None:
    """Remember a seat as sold if the reply says so."""
    if reply and reply.status == SOLD and sale["seat"] in house.free[show.id]:
        house.free[show.id].remove(sale["seat"])
        booking = {"show_id": show.id, **sale, "status": "confirmed"}
        house.note(reply, {**booking, "price_cents": show.price_cents})


def expect_own_secret(house: House, service: str) -> None:
    """Compare the passwords that a service's container has with the one that it needs."""
    container = house.stack.container(service)
    told = json.dumps(container.facts["Config"], ensure_ascii=False)
    folder = container.facts["Config"]["Labels"]["com.docker.compose.project.working_dir"]
    mounted = [PurePosixPath(f) for f in container.files]
    for other in PASSWORDS:
        file = PurePosixPath(folder) / "secrets" / f"{other}.txt"
        has_file = any(m in (file, *file.parents) for m in mounted)
        if other != service and (has_file or house.passwords[other] in told):
            fail(
                f"no password but secrets/{service}.txt in {service}", f"secrets/{other}.txt, too",
                command=f"docker inspect {container.name}",
            )  # fmt: skip
    expect_no_secret_inside(house, service, container.facts["Config"]["WorkingDir"])


def expect_no_secret_inside(house: House, service: str, folder: str) -> None:
    """Look for the passwords of others among the program's files, such as after COPY . ."""
    # An image without a WORKDIR has /, and /proc has no end.
    if folder in ("", "/"):
        return
    others = [f"-e{house.passwords[other]}" for other in PASSWORDS if other != service]
    words = ["exec", "-T", "--user=0", service, "grep", "-rlsF", *others, folder]
    ran = house.stack.compose(*words)
    # An image without grep ends with another code.
    if ran.exit_code == 0:
        file = ran.stdout.partition("\n")[0]
        fail(
            f"no password but secrets/{service}.txt in {service}'s image", f"{file}, too",
            command=f"docker compose exec {service} ls {file}",
        )  # fmt: skip


def expect_password(house: House, role: str) -> None:
    """Try to log in as a role with a password that isn't its own."""
    wrong = house.passwords["db"]
    session = house.stack.database("db", name="lantern", user=role, password=wrong)
    try:
        session.rows("SELECT 1")
    except Failure:
        return
    seen = f"{role} logs in with another password"
    psql = f"psql -h db -U {role} lantern -c 'SELECT 1'"
    fail(
        f"{role} refused with any password but its own", seen,
        command=f"docker compose exec -e PGPASSWORD=wrong db {psql} && echo {seen}",
    )  # fmt: skip


def expect_no_rights_beyond(house: House, role: str, schema: str) -> None:
    """Look for tables of others that a role, or one that it may become, can read or write."""
    found = house.owner.rows(
        "SELECT format('%%I.%%I', n.nspname, c.relname) AS name, rolname::text AS role"
        " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, pg_roles"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> %s"
        " AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'"
        " AND rolname NOT LIKE 'pg\\_%%' AND pg_has_role(%s, pg_roles.oid, 'MEMBER')"
        " AND has_schema_privilege(rolname, n.oid, 'USAGE')"
        " AND (has_table_privilege(rolname, c.oid, 'SELECT, INSERT, UPDATE, DELETE')"
        " OR has_any_column_privilege(rolname, c.oid, 'SELECT, INSERT, UPDATE'))",
        schema, role,
    )  # fmt: skip
    if found:
        table = str(found[0]["name"])
        fail(
            f"nothing outside the schema {schema} that {role} can read or write", table,
            command=f"docker compose exec db psql -U {role} lantern -c 'TABLE {table}'",
        )  # fmt: skip


def waiting_roles(
    house: House, schema: str, write: Request, others: list[Request]
) -> tuple[set[str], dict[str, Reply | None]]:
    """Ask while a schema's tables are locked, and look which roles' sessions wait for them.

    Args:
        house: that is asked.
        schema: whose tables are locked.
        write: that has to wait for them.
        others: that must not; whether they are answered at all is what other checks ask.

    Returns:
        The roles, and by path the replies; None where none came.
    """
    replies: dict[str, Reply | None] = {}

    def ask(request: Request) -> None:
        method, path, body = request
        reply = None
        with suppress(Failure):
            reply = house.door.request(method, path, json=body, timeout_s=PATIENCE_S)
        replies[path] = reply

    roles = set[str]()
    with house.locked(schema) as held, at_once(ask, [write, *others]) as crowd:
        waits, copies = Deadline(WAITS_WITHIN_S), Deadline(COPIES_WITHIN_S)
        while crowd.busy and not waits.has_passed() and not roles - {f"{schema}_app"}:
            roles |= house.waiting_for(schema)
            is_enough = len(replies) >= len(others) and copies.is_reached()
            if roles and (is_enough or copies.has_passed()):
                break
            time.sleep(POLL_S)
        held.release()
    return roles, replies


def expect_own_role(roles: set[str], schema: str, write: Request) -> None:
    """Compare the roles that waited for a schema's tables with the one that should."""
    role = f"{schema}_app"
    if strangers := roles - {role}:
        seen = f"one of {', '.join(sorted(strangers))} does, too"
        fail(f"only sessions of {role} wait for {schema}'s locked tables", seen,
             command=CHECK_AGAIN)  # fmt: skip
    if not roles:
        what = f"{write[0]} {write[1]} waits for {schema}'s locked tables"
        fail(what, "it's answered without them", command=CHECK_AGAIN)


@points(
    2,
    hints=(
        (
            "Does booking ask the catalog for title and price at each sale? What happens when it"
            " gets no answer, and what does it know just after its own start? A 502 or 504 comes"
            " from the gateway: a container that's started again may have another address."
        ),
        (
            "A table booking.shows with id, title and price_cents: filled in split.sql, refreshed"
            " in the background, read at each sale. If the catalog doesn't answer, log that and"
            " carry on."
        ),
    ),
    link="A copy of your own",
    needs=("keeps_the_api",),
)
def check_sells_without_catalog(house: House, shows: list[Show], users: list[str]) -> None:
    """While catalog is away, booking lists bookings and sells seats, even after its own restart"""
    # The last one has just been changed, and a copy may be 2 s old: any price will do.
    *known, changed = [house.shows[show.id] for show in shows]
    with house.killed("catalog"):
        for show in known:
            house.sold(show, users[2])
        house.expect_bookings(users[0])
        house.stack.kill("booking")
        house.stack.start("booking")
        is_well_soon(lambda: house.expect_bookings(users[0]))
        for show in known:
            house.sold(show, users[2])
        house.expect_bookings(users[2])
        house.sold(changed, users[2], knows_now=False)
    house.expect_all_well()


@points(
    1,
    hints=(
        (
            "How long does the catalog wait for the number of seats, and what does it answer if no"
            " reply comes? A service can be gone, or accept the request and say nothing."
        ),
        (
            "Set a time limit of 250 ms around the whole call, connecting included, and return null"
            " for whatever goes wrong: a list without seats is better than none."
        ),
    ),
    link="What you can do without",
    needs=("keeps_the_api",),
)
def check_lists_without_booking(house: House, shows: list[Show], random: Random) -> None:
    """While booking is away or hangs, shows are listed in 500 ms, with null for seats_free"""
    show = shows[1]
    with house.killed("booking"):
        expect_quick(house, "/api/shows", {"shows": house.expected_shows(seats=False)})
        expect_quick(house, show.path, {"id": show.id, "seats_free": None})
        when = f"2027-0{random.integer(5, 9)}-30T21:15:00Z"
        show = house.change(house.shows[show.id], starts_at=when)
        expect_quick(house, "/api/shows", {"shows": house.expected_shows(seats=False)})
    house.expect_all_well()
    titles = [{"id": each["id"], "title": each["title"]} for each in house.expected_shows()]
    one = {"id": show.id, "title": show.title}
    with house.locked("booking"):
        for path, wanted in (("/api/shows", {"shows": titles}), (show.path, one)):
            listed = expect_quick(house, path, wanted)
            told = listed.json()
            for each in told.get("shows", [told]):
                if each.get("seats_free", ...) not in (None, len(house.free[each["id"]])):
                    listed.fail("seats_free null, or the right number")
    house.expect_all_well()


def expect_quick(house: House, path: str, wanted: object) -> Reply:
    """Ask for shows, which must come in time; a busy machine may spoil a try."""

    def ask() -> Reply:
        deadline = Deadline(LISTS_WITHIN_S)
        reply = house.door.get(path, timeout_s=4 * LISTS_WITHIN_S)
        if deadline.has_passed():
            took = f"one after {reply.elapsed_s * 1000:.0f} ms"
            reply.fail(f"an answer within {LISTS_WITHIN_S * 1000:.0f} ms", took)
        return reply.expect(200, json=wanted)

    return eventually(ask, attempts=ATTEMPTS)


@points(
    2,
    hints=(
        (
            "Is the price of a sold seat a column of the booking, or looked up when it's listed?"
            " How does a new price reach booking, and what if booking was away just then?"
        ),
        (
            "Write price_cents into the booking when it's sold. Ask the catalog for all shows every"
            " 500 ms and update the copy; a call without an answer must not end the loop. If"
            " booking only listens for changes, it must also catch up when it starts."
        ),
    ),
    link="A price is history",
    needs=("keeps_the_api",),
)
def check_remembers_the_price(
    house: House, shows: list[Show], users: list[str], random: Random
) -> None:
    """After PUT, seats sold keep their price; new ones and titles follow within 2 s"""
    show = house.shows[shows[2].id]
    house.sold(show, users[2])
    house.expect_bookings(users[2], prices=True)
    house.expect_bookings(users[0], prices=True)
    dearer = random.integer(6000, 9000)
    show = house.change(show, price_cents=dearer, title=f"{random.word().title()} {random.text(3)}")
    expect_following(house, show, users)
    with house.killed("booking"):
        show = house.change(
            show, price_cents=dearer - random.integer(200, 900), title=f"{random.word()} again"
        )
    expect_following(house, show, users)
    with house.killed("booking"):
        show = house.change(
            show, price_cents=dearer + random.integer(200, 900), title=f"{random.word()} at last"
        )
        # What's in catalog's memory is lost, and booking looks for a catalog that isn't there:
        # neither may give up.
        with house.killed("catalog"):
            house.stack.start("booking")
    house.expect_all_well()
    expect_following(house, show, users)


def expect_following(house: House, show: Show, users: list[str]) -> None:
    """Wait until a seat costs what the catalog says, and bookings carry its title."""
    expect_price(house, show, users[3])
    is_well_soon(lambda: house.expect_bookings(users[0], prices=True))
    house.expect_bookings(users[3], prices=True)


def expect_price(house: House, show: Show, user: str) -> None:
    """Wait until a seat costs what the catalog says."""
    deadline, price = Deadline(FOLLOWS_WITHIN_S), None
    while price != show.price_cents:
        # Looked at before the question: an answer to what was asked in time counts.
        is_late = deadline.has_passed()
        seat, reply = house.free[show.id][-1], house.sell(show, user)
        # A service that has just come back may need a moment.
        if reply.status == SOLD or is_late:
            booking = {"show_id": show.id, "seat": seat, "user": user, "status": "confirmed"}
            price = reply.expect(SOLD, json=booking).json().get("price_cents")
            house.note(reply, {**booking, "price_cents": price})
        if is_late and price != show.price_cents:
            limit = f"at the latest {FOLLOWS_WITHIN_S:g} s after PUT, or after both are back"
            reply.fail(f"the new price, {show.price_cents}, {limit}", f"still {price}")
        time.sleep(PAUSE_S)


def follows(house: House, show: Show, user: str) -> bool:
    """Change a show's price, and tell whether a seat costs that in time."""
    with suppress(Failure):
        expect_price(house, house.change(show, price_cents=show.price_cents + 300), user)
        return True
    return False


@points(
    1,
    hints=(
        (
            "When does the gateway look up the name catalog: at each request, or once at its own"
            " start? A new container has another address."
        ),
        (
            "In nginx: resolver 127.0.0.11 valid=1s; set $catalog http://catalog:3000; proxy_pass"
            " $catalog. And don't let compose.yaml restart another service together with the"
            " catalog."
        ),
    ),
    link="nginx remembers an address",
    needs=("keeps_the_api", "sells_without_catalog"),
)
def check_ships_alone(house: House, shows: list[Show], users: list[str]) -> None:
    """A new catalog at another address: bookings never fail, and the gateway finds it"""
    show, user, numbers = house.shows[shows[3].id], users[1], count()
    # Whether booking hears of new prices at all is what another check asks.
    is_told = follows(house, house.shows[shows[0].id], user)
    before = house.stack.container("gateway")

    def ask() -> Reply:
        if next(numbers) % SELLS_EACH or not house.free[show.id]:
            return house.door.get(f"/api/bookings?user={user}", timeout_s=PATIENCE_S)
        return house.sell(show, user)

    with at_rate(ask, per_s=PER_S) as stream:
        house.stack.replace("catalog")
        is_well_soon(lambda: house.door.get("/api/shows").expect(200))
        stream.wait_for(LEAST_CALLS)
    gateway = house.stack.container("gateway")
    if (gateway.id, gateway.started_at) != (before.id, before.started_at):
        fail("the gateway as it was", "it has been restarted", command=CHECK_AGAIN)
    counts = stream.count(lambda reply: reply.status)
    if wrong := {kind: n for kind, n in counts.items() if kind not in (200, SOLD)}:
        kind, many = next(iter(wrong.items()))
        seen = f"{many} of {counts.total()}: {kind}"
        fail("every request for bookings answered with 200 or 201", seen, command=CHECK_AGAIN)
    house.expect_all_well()
    if is_told:
        other = house.shows[shows[0].id]
        expect_price(house, house.change(other, price_cents=other.price_cents + 300), user)
