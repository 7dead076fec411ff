"""A database beside the answer: looked at, locked, crashed and frozen, while the answer uses it."""

import threading
import time

import psycopg
import pytest

from coursework.checks.failure import Failure
from coursework.checks.postgres import Postgres
from coursework.images import ensure_images

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def postgres(engine, shared_run):
    """Return a server for all of them: each has databases of its own."""
    ensure_images(engine, ["course/database:1"])
    beside = Postgres(shared_run)
    yield beside
    beside.close()


@pytest.fixture
def database(postgres):
    made = postgres.create_database()
    with answer(made) as connection:
        connection.execute("CREATE TABLE seats (seat text PRIMARY KEY, buyer text)")
        connection.execute("INSERT INTO seats VALUES ('C4', NULL)")
    return made


def answer(database):
    """Connect as the answer does, with its own role and nothing else."""
    return psycopg.connect(database.url, autocommit=True, connect_timeout=3)


def test_each_database_belongs_to_the_answer_alone(postgres, database):
    """The answer may do what it likes in its own database, and is no superuser."""
    other = postgres.create_database()
    assert other.name != database.name
    assert database.rows("SELECT seat FROM seats") == [{"seat": "C4"}]
    with answer(other) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE ROLE intruder")
    elsewhere = database.url.replace(database.name, "postgres")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(elsewhere)


def test_text_of_any_script_goes_in_and_out(database):
    """Values are handed over beside the statement, as UTF-8."""
    name = "ō'Żółć 🎟; DROP TABLE seats"
    database.rows("UPDATE seats SET buyer = %s", name)
    assert database.rows("SELECT buyer FROM seats WHERE buyer = %s", name) == [{"buyer": name}]


def test_a_recording_has_what_the_answer_sent_and_nothing_else(postgres):
    """Ours, those of other databases, those before and after, and what only begins: left out."""
    recorded, other = postgres.create_database(recorded=True), postgres.create_database()
    with answer(recorded) as connection, answer(other) as elsewhere:
        connection.execute("CREATE TABLE seats (seat text)")
        with recorded.recording() as recording:
            connection.execute("BEGIN")
            connection.execute("INSERT INTO seats VALUES (%s)", ("C4",))
            connection.execute("COMMIT")
            connection.execute("\n  SELECT seat\n  FROM seats")
            elsewhere.execute("SELECT 'elsewhere'")
            recorded.rows("SELECT seat FROM seats")
        connection.execute("SELECT 'after'")
    assert recording.statements == ["INSERT INTO seats VALUES ($1)", "SELECT seat FROM seats"]
    assert len(recording) == 2
    assert recorded.name in recording.command


def test_a_recording_keeps_pings_apart(postgres):
    """Each of them, also an empty one; what others send is left out."""
    recorded = postgres.create_database(recorded=True)
    with answer(recorded) as connection, recorded.recording() as recording:
        for ping in ("SELECT 1", "", "SELECT 1"):
            connection.execute(ping)
        connection.execute("SELECT 2")
        recorded.rows("SELECT 1")
    assert recording.statements == ["SELECT 2"]
    assert recording.pings == ["SELECT 1", "", "SELECT 1"]


def test_a_recording_without_requests_is_empty(postgres):
    """Nothing sent, nothing counted."""
    with postgres.create_database(recorded=True).recording() as recording:
        pass
    assert recording.statements == []
    assert recording.pings == []


@pytest.mark.parametrize(
    ("statement", "saw"),
    [
        ("SELECT * FROM bookings", "does not exist"),
        ("SELECT price FROM seats", "does not exist"),
        ("INSERT INTO seats VALUES ('C4')", "duplicate key"),
        ("DO 'BEGIN RAISE ''nobody sits here''; END'", "nobody sits here"),
    ],
)
def test_what_the_answers_tables_lack_is_its_failure(database, statement, saw):
    """What is missing, and what a trigger raises, is told with the psql command that shows it."""
    with pytest.raises(Failure, match=saw) as failure:
        database.rows(statement)
    assert failure.value.command.startswith("docker exec 98-checks-")
    assert "psql" in failure.value.command


def test_a_mistake_of_the_check_is_no_failure_of_the_answer(database):
    """A statement that nobody could run is raised as it is: our error, not the learner's."""
    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        database.rows("SELECT 'x'::integer")


def test_a_dropped_database_is_told_as_gone(postgres, database):
    """An answer that drops its own database is told so, at once."""
    other = postgres.create_database()
    with answer(other) as connection:
        connection.execute(f"DROP DATABASE {database.name}".encode())
    with pytest.raises(Failure, match="it is gone"):
        database.rows("SELECT 1")


def test_a_held_row_holds_up_the_answer_until_it_is_released(database):
    """The check sees who waits; after the release the answer's statement is done."""
    with database.holding("SELECT 1 FROM seats WHERE seat = 'C4' FOR UPDATE") as held:
        buying = threading.Thread(target=buy, args=(database, "ada"))
        buying.start()
        assert len(database.wait_for_waiting()) == 1
        held.release()
        buying.join(5)
        assert database.rows("SELECT buyer FROM seats") == [{"buyer": "ada"}]


def test_what_a_hold_wrote_is_never_committed(database):
    """A row that was inserted to hold a place is gone afterwards, also when the block raises."""
    with pytest.raises(ZeroDivisionError), database.holding("INSERT INTO seats VALUES ('A1')"):
        raise ZeroDivisionError
    assert database.rows("SELECT seat FROM seats") == [{"seat": "C4"}]


def test_a_waiting_session_can_be_ended(database):
    """The answer's connection is cut in the middle of its statement, and nothing is written."""
    errors: list[psycopg.Error] = []
    with database.holding("SELECT 1 FROM seats FOR UPDATE"):
        buying = threading.Thread(target=buy, args=(database, "ada", errors))
        buying.start()
        for session in database.wait_for_waiting():
            database.end_session(session)
        buying.join(5)
    assert isinstance(errors[0], psycopg.errors.AdminShutdown)
    assert database.rows("SELECT buyer FROM seats") == [{"buyer": None}]


def test_nobody_waits_is_an_answer_too(database):
    """An answer that takes no lock is not waited for longer than was asked."""
    start = time.monotonic()
    assert database.wait_for_waiting(within_s=0.2) == []
    assert time.monotonic() - start < 2


def buy(database, name, errors=None):
    try:
        with answer(database) as connection:
            connection.execute("UPDATE seats SET buyer = %s", (name,))
    except psycopg.Error as error:
        if errors is None:
            raise
        errors.append(error)


def test_a_crash_keeps_what_was_committed(postgres, database):
    """A stopped server refuses; started again, at the same address, it has every commit."""
    with answer(database) as connection:
        connection.execute("UPDATE seats SET buyer = 'ada'")
        with postgres.stopped():
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")
            with pytest.raises(psycopg.OperationalError, match="refused"):
                answer(database)
    with answer(database) as connection:
        assert connection.execute("SELECT buyer FROM seats").fetchone() == ("ada",)


def test_a_silent_server_accepts_and_says_nothing(postgres, database):
    """A frozen server lets connections in, and answers when it thaws."""
    with answer(database) as connection:
        seen = []
        with postgres.silent():
            asking = threading.Thread(
                target=lambda: seen.append(connection.execute("SELECT 1").fetchone())
            )
            asking.start()
            asking.join(0.3)
            assert asking.is_alive()
        asking.join(5)
        assert seen == [(1,)]


def test_a_commit_can_be_held_and_rolled_back(postgres):
    """All of its statements were carried out; a session that is ended leaves nothing behind."""
    prepared = postgres.create_database("prepared")
    with answer(prepared) as connection:
        connection.execute("CREATE TABLE seats (seat text PRIMARY KEY, buyer text)")
    copied = postgres.create_database(template="prepared", holds_commits=True)
    told = []

    def sell(seat):
        try:
            with answer(copied) as connection:
                connection.execute("INSERT INTO seats VALUES (%s, 'ada')", (seat,))
                told.append(seat)
        except psycopg.OperationalError as error:
            told.append(type(error).__name__)

    sell("A1")
    with copied.holding_commits() as held:
        for seat in ("B1", "B2"):
            thread = threading.Thread(target=sell, args=(seat,))
            thread.start()
            [session] = copied.wait_for_waiting()
            assert copied.rows("SELECT seat FROM seats") == [{"seat": "A1"}]
            if seat == "B1":
                copied.end_session(session)
            else:
                held.release()
            thread.join()
    assert told == ["A1", "AdminShutdown", "B2"]
    assert copied.rows("SELECT seat FROM seats") == [{"seat": "A1"}, {"seat": "B2"}]
