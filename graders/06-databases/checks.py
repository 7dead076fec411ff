import itertools
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest

from coursework.checks import (
    Crowd,
    Database,
    Failure,
    Finished,
    Image,
    Meanwhile,
    Postgres,
    Random,
    Reply,
    Server,
    StartFailure,
    Story,
    advising,
    at_once,
    eventually,
    fail,
    points,
)

ROUNDS = 3
BUYERS = 40
ATTEMPTS = 3
AFFORDABLE = 5
AWAY_WITHIN_S = 2.0
# Slack for a busy machine, and for drivers that count in whole seconds.
AWAY_SLACK_S = 0.5
# Long enough to see that a late answer is late, rather than missing.
AWAY_SEEN_WITHIN_S = 4.0
BACK_WITHIN_S = 5.0
MIGRATE_WITHIN_S = 10.0
# Until two that run at once are both waiting; one that asks again and again never is.
WAIT_WITHIN_S = 3.0
# A purchase that begins again on another connection is ended again, but not for ever.
ENDINGS = 5
# Then what is held is released: an answer that asks again and again never waits for a lock.
CUT_WITHIN_S = 3.0

TABLES = ("shows", "wallets", "bookings")
NEW_SHOW = "INSERT INTO shows (id, title, starts_at, price_cents) VALUES (%s, %s, now(), %s)"
NEW_WALLET = "INSERT INTO wallets (user_name, balance_cents) VALUES (%s, %s)"
# It lets a foreign key look at the row, and holds up anybody who wants to change it.
HOLD_WALLET = "SELECT 1 FROM wallets WHERE user_name = %s FOR NO KEY UPDATE"
# Nobody can write a booking, and everybody can look.
HOLD_BOOKINGS = "LOCK TABLE bookings IN SHARE MODE"
HOLD_NOTHING = "SELECT 1"
HOLD_SEAT = "INSERT INTO bookings (show_id, seat, user_name, price_cents) VALUES (%s, %s, %s, %s)"

Order = tuple[int, str, str]


class BoxOffice:
    """A server with its database, and what a check does to both."""

    def __init__(self, server: Server, database: Database, random: Random) -> None:
        self.server = server
        self.database = database
        self.random = random
        self._show_id = random.integer(100, 900)

    def new_show(self) -> tuple[int, int]:
        """Put a show into the database; return its id and its price."""
        self._show_id += self.random.integer(1, 9)
        price = self.random.integer(1001, 9999)
        self.database.rows(NEW_SHOW, self._show_id, self.random.word(), price)
        return self._show_id, price

    def new_wallet(self, cents: int, name: str = "") -> str:
        """Put a wallet into the database; return the name of its user."""
        user = name or self.random.word()
        self.database.rows(NEW_WALLET, user, cents)
        return user

    def new_seat(self) -> str:
        """Return a seat that the other checks leave alone."""
        return f"{self.random.pick('DE')}{self.random.integer(1, 7)}"

    def buy(self, show_id: int, seat: str, user: str, *, timeout_s: float = 20.0) -> Reply:
        """Ask for a seat."""
        order = {"seat": seat, "user": user}
        return self.server.post(f"/api/shows/{show_id}/bookings", json=order, timeout_s=timeout_s)

    def wallet(self, user: str) -> Reply:
        """Ask for a balance."""
        return self.server.get(wallet_path(user))

    def balance(self, user: str) -> int:
        """Look the balance up in the database."""
        return self.balances([user])[user]

    def balances(self, users: list[str]) -> dict[str, int]:
        """Look many balances up in the database."""
        statement = "SELECT user_name, balance_cents FROM wallets WHERE user_name = ANY(%s)"
        return {
            row["user_name"]: row["balance_cents"] for row in self.database.rows(statement, users)
        }

    def sold(self, show_id: int, seat: str) -> int:
        """Count the bookings of a seat."""
        return sum(booking["seat"] == seat for booking in self.bookings(show_id))

    def bookings(self, show_id: int) -> list[dict[str, Any]]:
        """Look the show's bookings up in the database."""
        statement = "SELECT seat, user_name FROM bookings WHERE show_id = %s"
        return self.database.rows(statement, show_id)


def wallet_path(user: str) -> str:
    """Return the path of a user's wallet."""
    return f"/api/wallets/{quote(user, safe='')}"


def migrate(
    image: Image, database: Database, further: dict[str, str], within_s: float = MIGRATE_WITHIN_S
) -> Finished:
    """Run ./migrate, with further migrations laid beside those of the answer."""
    files = {f"/app/migrations/{name}": text for name, text in further.items()}
    env = {"DATABASE_URL": database.url}
    try:
        return image.run(args=["./migrate"], env=env, files=files, within_s=within_s)
    except StartFailure as failure:
        if "USER" not in failure.hint:
            failure.hint = "./migrate must be in /app, executable, and begin with #!"
        raise
    except Failure as failure:
        failure.hint = (
            "the log says how far it came: the next migration does not end, or a connection is "
            "still open and keeps the program running: end() it"
        )
        raise


@pytest.fixture(scope="module")
def database(postgres: Postgres, image: Image) -> Database:
    """A database migrated by the learner's ./migrate."""
    made = postgres.create_database()
    finished = migrate(image, made, {})
    if finished.exit_code:
        raise StartFailure(
            "./migrate brings an empty database up to date: exit code 0",
            f"exit code {finished.exit_code}",
            command=f"docker logs {finished.container_name}",
            hint="the log says why",
        )
    if missing := [name for name in TABLES if not has_table(made, name)]:
        raise StartFailure(
            f"after ./migrate the tables {', '.join(TABLES)}",
            f"no table {missing[0]}",
            command=f"docker logs {finished.container_name}",
            hint="./migrate applies each file of /app/migrations",
        )
    return made


@pytest.fixture(scope="module")
def office(image: Image, database: Database, random: Random) -> BoxOffice:
    """The server that uses that database."""
    return BoxOffice(image.start(env={"DATABASE_URL": database.url}), database, random)


@pytest.fixture(scope="module")
def neighbour(image: Image, database: Database, random: Random) -> BoxOffice:
    """A second server on the same database; it knows nothing of what the first one did."""
    return BoxOffice(image.start(env={"DATABASE_URL": database.url}), database, random)


@pytest.fixture(scope="module")
def elsewhere(image: Image, database: Database, random: Random) -> BoxOffice:
    """A third server, on a port that nobody can type in."""
    port = random.port()
    env = {"DATABASE_URL": database.url, "PORT": str(port)}
    return BoxOffice(image.start(env=env, port=port), database, random)


@pytest.fixture(scope="module")
def migrations(
    image: Image, postgres: Postgres, random: Random, meanwhile: Meanwhile
) -> Story[None]:
    """The whole of check_migrates_safely: it has its own database, and takes long."""
    own = postgres.another()
    return meanwhile(lambda: migrate_again_and_again(own, image, random))


@points(
    1,
    hints=(
        (
            "Compare the reply in the report with the contract. Does your server keep copies of"
            " prices, balances or bookings, which others may change in the database at any time?"
            " And how long does it wait for a database that says nothing?"
        ),
        (
            "Ask the database in each request, and give every query and every connection a time"
            " limit. In Node, handle the pool's error event, or a lost connection ends the"
            " server."
        ),
    ),
    link="When the database is away",
)
def check_books_a_seat(
    office: BoxOffice, neighbour: BoxOffice, elsewhere: BoxOffice, postgres: Postgres
) -> None:
    """A booking takes the show's price, and is kept in the database and nowhere else"""
    show_id, price = office.new_show()
    seat, user = office.new_seat(), office.new_wallet(3 * price + 1)
    booking = {"show_id": show_id, "seat": seat, "user": user, "price_cents": price}
    made = office.buy(show_id, seat, user).expect(201, json=booking)
    if not isinstance(number := made.json().get("id"), str):
        fail("a booking whose id is a string", f"{number!r}", command=made.command)
    office.wallet(user).expect(200, json={"balance_cents": 2 * price + 1})
    elsewhere.wallet(user).expect(200, json={"balance_cents": 2 * price + 1})
    top_up_both_ways(office, user)
    refuses(office, show_id, seat, user)
    sees_what_others_write(office)
    answers_503_while_away(office, postgres, user, show_id)
    left = {"balance_cents": 2 * price + 1 + 700 - price * office.sold(show_id, "B9")}
    office.wallet(user).expect(200, json=left)
    # It was not asked while the database was away, so it may notice only now.
    wait_until_back(neighbour, user)
    neighbour.wallet(user).expect(200, json=left)
    neighbour.buy(show_id, seat, user).expect(409, json={"error": "seat_taken"})


def top_up_both_ways(office: BoxOffice, user: str) -> None:
    """Top up by 300 over HTTP and by 400 in the database: the server must see both."""
    before = office.balance(user)
    topped = office.server.post(f"{wallet_path(user)}/topup", json={"cents": 300})
    topped.expect(200, json={"balance_cents": before + 300})
    office.database.rows(
        "UPDATE wallets SET balance_cents = balance_cents + 400 WHERE user_name = %s", user
    )
    office.wallet(user).expect(200, json={"balance_cents": before + 700})


def sees_what_others_write(office: BoxOffice) -> None:
    """Change prices, balances and bookings in the database: each counts from then on."""
    show_id, price = office.new_show()
    user = office.new_wallet(5 * price)
    office.buy(show_id, "B1", user).expect(201, json={"price_cents": price})
    office.database.rows("UPDATE shows SET price_cents = %s WHERE id = %s", price - 7, show_id)
    office.buy(show_id, "B2", user).expect(201, json={"price_cents": price - 7})
    office.database.rows(HOLD_SEAT, show_id, "B3", user, price)
    office.buy(show_id, "B3", user).expect(409, json={"error": "seat_taken"})
    office.database.rows("DELETE FROM bookings WHERE show_id = %s AND seat = 'B1'", show_id)
    office.buy(show_id, "B1", user).expect(201, json={"price_cents": price - 7})
    office.database.rows("UPDATE wallets SET balance_cents = 5 WHERE user_name = %s", user)
    office.buy(show_id, "B4", user).expect(402, json={"error": "no_funds"})
    office.wallet(user).expect(200, json={"balance_cents": 5})


def refuses(office: BoxOffice, show_id: int, seat: str, user: str) -> None:
    """Ask for what nobody can have."""
    poor, free_seat = office.new_wallet(1000), "A10"
    nobody, no_show = office.random.word(), show_id + 100
    office.buy(show_id, seat, user).expect(409, json={"error": "seat_taken"})
    office.buy(show_id, free_seat, poor).expect(402, json={"error": "no_funds"})
    office.buy(show_id, free_seat, nobody).expect(404, json={"error": "not_found"})
    office.buy(no_show, free_seat, user).expect(404, json={"error": "not_found"})
    # More than fits into an integer of the database.
    booking = {"seat": free_seat, "user": user}
    office.server.post("/api/shows/99999999999999999999/bookings", json=booking).expect(
        404, json={"error": "not_found"}
    )
    for none in ("G1", "c4", "A0", "A11", "A1 ", "A01", ""):
        office.buy(show_id, none, user).expect(400, json={"error": "bad_seat"})
    with advising("In Python, $ also matches before a line break at the end: use re.fullmatch."):
        office.buy(show_id, "A10\n", user).expect(400, json={"error": "bad_seat"})
    office.wallet(nobody).expect(404, json={"error": "not_found"})
    topup = office.server.post(f"{wallet_path(nobody)}/topup", json={"cents": 5})
    topup.expect(404, json={"error": "not_found"})


def answers_503_while_away(office: BoxOffice, postgres: Postgres, user: str, show_id: int) -> None:
    """Take the database away in both ways, and ask meanwhile."""
    late: list[Reply] = []
    # A top-up that is answered 503 may have happened: nobody counts in this wallet.
    topped = f"{wallet_path(office.new_wallet(0))}/topup"
    for away in (postgres.silent, postgres.stopped):
        with away():
            ask = [
                lambda: office.server.get(wallet_path(user), timeout_s=AWAY_SEEN_WITHIN_S),
                lambda: office.buy(show_id, "B9", user, timeout_s=AWAY_SEEN_WITHIN_S),
                lambda: office.server.post(topped, json={"cents": 5}, timeout_s=AWAY_SEEN_WITHIN_S),
            ]
            with ThreadPoolExecutor(len(ask)) as pool:
                for reply in [f.result() for f in [pool.submit(call) for call in ask]]:
                    reply.expect(503, json={"error": "database_away"})
                    if reply.elapsed_s > AWAY_WITHIN_S + AWAY_SLACK_S:
                        late.append(reply)
        wait_until_back(office, user)
    # One late answer may be the machine's doing; two of six are the server's.
    if len(late) > 1:
        late[0].fail(f"503 within {AWAY_WITHIN_S:g} s", f"503 after {late[0].elapsed_s:.1f} s")


def wait_until_back(office: BoxOffice, user: str) -> None:
    """Wait until the server has noticed that its database is back."""

    def is_back() -> None:
        if (reply := office.wallet(user)).status != 200:
            fail("an answer from the database once it is back", f"still {reply.status}")

    eventually(is_back, within_s=BACK_WITHIN_S, attempts=20)


@points(
    2,
    hints=(
        (
            "What happens if somebody else inserts after you looked whether the seat is free,"
            " but before you insert?"
        ),
        (
            "UNIQUE (show_id, seat) on bookings; insert without looking first, answer 409 "
            "when PostgreSQL reports error 23505, and send BEGIN to COMMIT on one client."
        ),
    ),
    link="A constraint settles the race",
)
def check_sells_a_seat_once(office: BoxOffice, neighbour: BoxOffice) -> None:
    """Of 40 buyers at once, at two servers, one gets the seat and 39 hear that it is taken"""
    # The same seat of another show is another seat.
    seat = office.new_seat()
    for number in range(ROUNDS):
        # What is held makes the moment certain once; then luck may try.
        hold = HOLD_BOOKINGS if number == 0 else HOLD_NOTHING
        orders, replies = answered(lambda hold=hold: sell_one_seat(office, neighbour, seat, hold))
        expect_counts(replies, {201: 1, 409: BUYERS - 1})
        show_id, _, buyer = next(
            order for order, reply in zip(orders, replies, strict=True) if reply.status == 201
        )
        found = [(b["seat"], b["user_name"]) for b in office.bookings(show_id)]
        if found != [(seat, buyer)]:
            fail(f"in the table: {[(seat, buyer)]}", f"{found}")
        balances = office.balances([user for _, _, user in orders])
        lighter = [user for user, cents in balances.items() if cents != max(balances.values())]
        if lighter != [buyer]:
            fail(f"one lighter wallet, {buyer}'s", f"{lighter}")


Rush = tuple[list[Order], list[Reply]]


def answered(attempt: Callable[[], Rush]) -> Rush:
    """Try again where a busy machine was too slow for the answer's own time limits."""
    for _ in range(ATTEMPTS):
        orders, replies = attempt()
        if all(reply.status != 503 for reply in replies):
            break
    return orders, replies


def sell_one_seat(office: BoxOffice, neighbour: BoxOffice, seat: str, hold: str) -> Rush:
    """Have many with enough money want one seat of a new show."""
    show_id, price = office.new_show()
    orders = [(show_id, seat, office.new_wallet(price + 1)) for _ in range(BUYERS)]
    return orders, rush(office, neighbour, orders, hold)


def buy_too_much(office: BoxOffice, neighbour: BoxOffice) -> Rush:
    """Have one with little money want twenty seats of a new show."""
    show_id, price = office.new_show()
    user = office.new_wallet(AFFORDABLE * price)
    orders = [(show_id, f"{row}{n}", user) for row in "AF" for n in range(1, 11)]
    return orders, rush(office, neighbour, orders, HOLD_WALLET, user)


def rush(
    office: BoxOffice, neighbour: BoxOffice, orders: list[Order], hold: str, *values: str
) -> list[Reply]:
    """Buy all at once, half of them next door, and let them go when some wait for what is held."""
    calls = list(zip(itertools.cycle((office, neighbour)), orders, strict=False))
    with (
        office.database.holding(hold, *values) as held,
        at_once(lambda call: call[0].buy(*call[1]), calls) as crowd,
    ):
        if hold != HOLD_NOTHING:
            office.database.wait_for_waiting(2, within_s=1.0)
        held.release()
    return crowd.results()


def expect_counts(replies: list[Reply], wanted: dict[int, int]) -> None:
    """Compare how many replies have which status."""
    seen = dict(sorted(Counter(reply.status for reply in replies).items()))
    if seen != wanted:
        fail(told(wanted), told(seen), command=replies[0].command)


def told(counts: dict[int, int]) -> str:
    """Return counts by status as a sentence."""
    return ", ".join(f"{count} times {status}" for status, count in counts.items())


@points(
    2,
    hints=(
        "A balance you read a moment ago may be wrong by the time you write it back.",
        (
            "Let one statement do it: UPDATE wallets SET balance_cents = balance_cents - "
            "$1 WHERE user_name = $2 AND balance_cents >= $1; no row changed means "
            "no_funds."
        ),
    ),
    link="A balance that cannot go below zero",
)
def check_never_overdraws(office: BoxOffice, neighbour: BoxOffice) -> None:
    """With money for 5 of 20 purchases at once, 5 succeed; of two top-ups at once, both count"""
    orders, replies = answered(lambda: buy_too_much(office, neighbour))
    show_id, _, user = orders[0]
    expect_counts(replies, {201: AFFORDABLE, 402: len(orders) - AFFORDABLE})
    if (balance := office.balance(user)) != 0:
        fail("a balance of 0", f"{balance}")
    if (count := len(office.bookings(show_id))) != AFFORDABLE:
        fail(f"{AFFORDABLE} bookings in the table", f"{count}")
    _, replies = answered(lambda: top_up_at_once(office, neighbour))
    with advising(
        "One UPDATE that adds is enough for a top-up. A transaction that PostgreSQL ends with "
        "error 40001 is tried again, not given up."
    ):
        expect_counts(replies, {200: 2})


def top_up_at_once(office: BoxOffice, neighbour: BoxOffice) -> Rush:
    """Have two servers top up one wallet while a check holds it: both wait to write."""
    user = office.new_wallet(1000)
    path = f"{wallet_path(user)}/topup"
    with (
        office.database.holding(HOLD_WALLET, user) as held,
        at_once(
            lambda where: where.server.post(path, json={"cents": 70}), (office, neighbour)
        ) as crowd,
    ):
        office.database.wait_for_waiting(2, within_s=1.0)
        held.release()
    replies = crowd.results()
    # What was answered 503 may have happened all the same: nothing can be counted.
    if any(reply.status == 503 for reply in replies):
        return [], replies
    succeeded = sum(reply.status == 200 for reply in replies)
    if (balance := office.balance(user)) != 1000 + 70 * succeeded:
        replies[0].fail(
            f"a balance of {1000 + 70 * succeeded}: 1000 and {succeeded} top-ups of 70 at once",
            f"{balance}",
        )
    return [], replies


@points(
    2,
    hints=(
        ("What has happened in the database if the connection ends between your two writes?"),
        ("BEGIN, both writes and COMMIT on one and the same connection; ROLLBACK on any error."),
    ),
    link="All or nothing",
)
def check_all_or_nothing(office: BoxOffice, postgres: Postgres) -> None:
    """A purchase that is cut off halfway leaves neither a booking nor a payment"""
    show_id, price = office.new_show()
    user, rival = office.new_wallet(2 * price), office.new_wallet(2 * price)
    expect_all_or_nothing(office, show_id, "E8", user, price, "the wallet", HOLD_WALLET, user)
    expect_all_or_nothing(
        office, show_id, "E9", user, price, "the seat", HOLD_SEAT, show_id, "E9", rival, price
    )

    survives_a_crash(office, postgres, show_id, price)


def survives_a_crash(office: BoxOffice, postgres: Postgres, show_id: int, price: int) -> None:
    """Crash the database while a purchase waits at each write: nothing can be tidied up."""
    payer, buyer, rival = (office.new_wallet(2 * price) for _ in range(3))

    def buy(order: tuple[str, str]) -> None:
        # Whether the server lives on is judged elsewhere.
        with suppress(Failure):
            office.buy(show_id, *order)

    orders = [("E10", payer), ("F1", buyer)]
    with (
        office.database.holding(HOLD_WALLET, payer),
        office.database.holding(HOLD_SEAT, show_id, "F1", rival, price),
        at_once(buy, orders) as crowd,
    ):
        office.database.wait_for_waiting(len(orders), within_s=1.0)
        with postgres.stopped():
            crowd.results()
    # The next check needs its pool mended.
    with suppress(Failure):
        wait_until_back(office, payer)
    for (seat, user), what in zip(orders, ("the wallet", "the seat"), strict=True):
        paid, booked = 2 * price - office.balance(user), office.sold(show_id, seat)
        if (paid, booked) not in [(0, 0), (price, 1)]:
            fail(
                "after the database crashed all of the purchase or nothing",
                f"{paid} paid and {booked} booked; it was waiting for {what} then",
            )


def expect_all_or_nothing(
    office: BoxOffice, show_id: int, seat: str, user: str, price: int, what: str,
    hold: str, *values: object,
) -> None:  # fmt: skip
    """Cut a purchase while it waits for what the check holds; nothing of it may be left."""
    before = office.balance(user)
    with (
        office.database.holding(hold, *values) as held,
        at_once(lambda _: office.buy(show_id, seat, user), [0]) as crowd,
    ):
        cut_off(office.database, crowd)
        held.release()
    with advising(
        "A connection that ends is a 503, and must not end the server: in Node, the client taken "
        "from the pool needs its own error listener."
    ):
        reply = crowd.results()[0]
        if reply.status not in (201, 503):
            fail(f"503, as its connection was ended while it waited for {what}", f"{reply.status}")
    paid = before - office.balance(user)
    booked = office.sold(show_id, seat)
    if (paid, booked) not in ([(price, 1)] if reply.status == 201 else [(0, 0), (price, 1)]):
        fail(
            f"after {reply.status} all of the purchase or nothing",
            f"{paid} paid and {booked} booked; it was cut while it waited for {what}",
        )


def cut_off(database: Database, crowd: Crowd[int, Reply]) -> None:
    """End each session that waits for what is held, until the purchase is answered."""
    ended, deadline = 0, time.monotonic() + CUT_WITHIN_S
    while crowd.busy and ended < ENDINGS and time.monotonic() < deadline:
        for session in database.wait_for_waiting(within_s=0.05):
            database.end_session(session)
            ended += 1


@points(
    1,
    hints=(
        (
            "A name may contain a quote. Where does your program put it into the text of "
            "a statement?"
        ),
        ("Write $1 (Node) or %s (psycopg) in the statement, and pass the value beside it."),
    ),
    link="Keep values out of the statement",
)
def check_treats_input_as_data(office: BoxOffice) -> None:
    """Quotes, semicolons and SQL in names and seats are only text"""
    show_id, price = office.new_show()
    word = office.random.word()
    names = [f"o'{word}", f'{word}"; DROP TABLE bookings; --', f"{word}'); DROP TABLE bookings; --",
             f"{word}\\' OR 1=1 --", f"{word} $1 %s :user {office.random.text(3)}",
             f"{word}/{word} 100%25 ?#&+",
             # Capitals, and an accent that is a separate character: nothing is tidied up.
             f"{word.title()} e\u0301"]  # fmt: skip
    for seat, name in zip(("C1", "C2", "C3", "C4", "C5", "C6", "C7"), names, strict=True):
        user = office.new_wallet(2 * price, name)
        office.wallet(user).expect(200, json={"balance_cents": 2 * price})
        booking = {"show_id": show_id, "seat": seat, "user": user}
        office.buy(show_id, seat, user).expect(201, json=booking)
        topup = office.server.post(f"{wallet_path(user)}/topup", json={"cents": 5})
        topup.expect(200, json={"balance_cents": price + 5})
    victim = office.new_wallet(2 * price)
    for trick in (f"{word}' OR '1'='1", f"nobody' OR user_name='{victim}"):
        office.wallet(trick).expect(404, json={"error": "not_found"})
        topup = office.server.post(f"{wallet_path(trick)}/topup", json={"cents": 5})
        topup.expect(404, json={"error": "not_found"})
    refuses_sql_as_a_show(office, show_id, victim)
    for seat in ("D1'; DROP TABLE bookings; --", "D1' OR '1'='1", "D1\nD2"):
        office.buy(show_id, seat, victim).expect(400, json={"error": "bad_seat"})
    if (balance := office.balance(victim)) != 2 * price:
        fail(f"a bystander's balance of {2 * price}", f"{balance}")
    if (count := len(office.bookings(show_id))) != len(names):
        fail(f"{len(names)} bookings in the table", f"{count}")


def refuses_sql_as_a_show(office: BoxOffice, show_id: int, user: str) -> None:
    """Name a show by a condition that is true for one: there is no such show."""
    trick = quote(f"{show_id + 100} OR id = {show_id}", safe="")
    order = {"seat": "D1", "user": user}
    reply = office.server.post(f"/api/shows/{trick}/bookings", json=order)
    with advising(
        "An id that isn't a number is no show: answer 404 before you ask the database. And keep "
        "the id out of the statement's text, as you do with names."
    ):
        if reply.status not in (400, 404, 422):
            reply.fail("400, 404 or 422, as this id isn't a number")


@points(
    2,
    hints=(
        (
            "Run ./migrate twice, then twice at the same time, then with a file that "
            "fails half-way: which of these leaves something wrong behind?"
        ),
        (
            "Take pg_advisory_lock for the whole run, record each applied name in a "
            "table, and put a migration and its record into one transaction."
        ),
    ),
    link="Migrations: change tables that are in use",
)
def check_migrates_safely(migrations: Story[None]) -> None:
    """./migrate applies each file once, even two at a time, and a bad one leaves nothing behind"""
    migrations.result()


def migrate_again_and_again(postgres: Postgres, image: Image, random: Random) -> None:
    """Bring its own database up to date, in all the ways that go wrong."""
    database = postgres.create_database()
    first, second, half, after, early = random.words(5)
    # Names whose order is the same by bytes and in every dictionary.
    further = {"0003_first_0.sql": f"CREATE TABLE {first} (n integer);"}
    # Each needs the one before it, and none of the others is a migration.
    steps = {
        f"0003_first_{n}.sql": f"ALTER TABLE {first} RENAME n{n - 1 or ''} TO n{n};"
        for n in range(1, 7)
    }
    notes = {"0003_first.sql.orig": "DROP TABLE shows;", "README.md": "# Migrations"}
    at_the_same_time(image, database, random.integer(1000, 9999), further, {**notes, **steps})
    further |= steps | notes
    show_id, user = random.integer(1, 900), random.word()
    database.rows(NEW_SHOW, show_id, "Hamlet", 2500)
    database.rows(NEW_WALLET, user, 2500)
    database.rows(HOLD_SEAT, show_id, "E5", user, 2500)
    further["0004_second.sql"] = f"CREATE TABLE {second} (n integer);"
    # A quoted semicolon doesn't end a statement, not even at the end of a line.
    text = f"CREATE TABLE {half} (t text DEFAULT ';'); INSERT INTO {half} VALUES ('a;\nb');"  # noqa: S608 - our own word
    further["0006_after.sql"] = f"CREATE TABLE {after} (n integer);"
    bad = {**further, "0005_half.sql": f"{text}\nSELECT * FROM {random.word()};"}
    expect_exit(migrate(image, database, bad), "a migration that fails", good=False)
    if not has_table(database, second):
        fail("the migration before the bad one applied", f"there is no table {second}")
    if has_table(database, half):
        fail("nothing of a migration that failed", f"its table {half} is there")
    if has_table(database, after):
        fail("no migration after the one that failed", f"the table {after} of 0006 is there")
    # Merged later, with a name from before and in another style: it is applied like any other.
    further["0003-early.sql"] = f"CREATE TABLE {early} (n integer);"
    good = {**further, "0005_half.sql": text}
    expect_exit(migrate(image, database, good), "the repaired migration", good=True)
    if not has_table(database, half):
        fail("the repaired migration applied", f"there is no table {half}")
    if not has_table(database, early):
        fail("0003-early.sql applied, which came after the others", f"there is no table {early}")
    if len(database.rows("SELECT seat FROM bookings")) != 1:
        fail("the booking that was there before", "it is gone after further migrations")
    # The first server answers but lacks the database; the second refuses every connection.
    for url in (f"{database.url}_away", database.url.replace(":5432/", ":1/")):
        with advising("A database that can't be reached: print why, and exit with code 1."):
            nowhere = image.run(args=["./migrate"], env={"DATABASE_URL": url})
            expect_exit(nowhere, "a database that can't be reached", good=False)


def at_the_same_time(
    image: Image, database: Database, key: int, first: dict[str, str], more: dict[str, str]
) -> None:
    """Run two at once; both stop where 0003 waits for the check, if nothing stops them before."""
    waiting = {
        name: f"SELECT pg_advisory_xact_lock({key}); {text}" for name, text in first.items()
    } | more

    is_held, early = True, list[Finished]()

    def run(_: int) -> Finished:
        finished = migrate(image, database, waiting, 2 * MIGRATE_WITHIN_S)
        if is_held:
            early.append(finished)
        return finished

    with (
        database.holding("SELECT pg_advisory_xact_lock(%s::bigint)", key) as held,
        at_once(run, range(2)) as crowd,
    ):
        deadline = time.monotonic() + WAIT_WITHIN_S
        while not early and time.monotonic() < deadline:
            if len(database.wait_for_waiting(2, within_s=0.1)) > 1:
                break
        is_held = False
        held.release()
    if early and not early[0].exit_code:
        fail(
            "a second ./migrate that waits for the first",
            "it ended with exit code 0 while the first was still at work",
            command=f"docker logs {early[0].container_name}",
        )
    for finished in crowd.results():
        expect_exit(finished, "two ./migrate at the same time", good=True)


def expect_exit(finished: Finished, case: str, *, good: bool) -> None:
    """Compare an exit code with what the contract asks."""
    if (finished.exit_code == 0) != good:
        wanted = "exit code 0" if good else "an exit code that is not 0"
        last = finished.log().strip().splitlines()[-1:] or [""]
        saw = f"exit code {finished.exit_code}; {last[0][:160]}"
        fail(f"{wanted} with {case}", saw, command=f"docker logs {finished.container_name}")


def has_table(database: Database, name: str) -> bool:
    """Look for a table."""
    return bool(database.rows("SELECT to_regclass(%s) IS NOT NULL AS found", name)[0]["found"])
