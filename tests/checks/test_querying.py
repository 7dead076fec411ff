"""An answer that is SQL: its queries asked and counted as its own role, its scripts run by psql."""

import pytest

from coursework.checks.failure import Failure
from coursework.checks.postgres import Postgres
from coursework.images import ensure_images

pytestmark = pytest.mark.engine
FILES = {
    "seats.sql": b"-- by number\nSELECT seat, n FROM seats WHERE n > $1 AND seat <> $2 ORDER BY n;",
    "empty.sql": b"\n",
    "comment.sql": b"-- YOUR CODE HERE\n/* nothing\n */",
    "two.sql": b"SELECT $1::text; DROP TABLE seats",
    "writes.sql": b"DELETE FROM seats WHERE seat = $1",
    "endless.sql": b"SELECT $1::text, generate_series(1, 1000000000)",
    "piles_up.sql": b"SELECT $1::text FROM generate_series(1, 1000000000)",
    "untyped.sql": b"SELECT $1 IS NULL",
    "zone.sql": b"SELECT current_setting($1)",
    "lifts.sql": b"SELECT set_config($1, 'off', false)",
}


@pytest.fixture(scope="module")
def postgres(engine, shared_run):
    """Return a server for all of them."""
    ensure_images(engine, ["course/database:1"])
    beside = Postgres(shared_run)
    yield beside
    beside.close()


@pytest.fixture(scope="module")
def database(postgres):
    made = postgres.create_database()
    with postgres.connect_as_answer(made.name) as connection:
        connection.execute("CREATE TABLE seats (seat text PRIMARY KEY, n integer)")
        connection.execute("INSERT INTO seats SELECT 'C' || n, n FROM generate_series(1, 9000) n")
    return made


def test_values_are_bound_and_their_types_inferred(database):
    """A quote in a value is a letter, and '8998' becomes a number where one is asked for."""
    found = database.queries(FILES).rows("seats.sql", "8998", "o'hara'; DROP TABLE seats; --")
    assert found.columns == ("seat", "n")
    assert found.rows == [("C8999", 8999), ("C9000", 9000)]


def test_no_rows_have_columns_all_the_same(database):
    """An empty answer is told from another one."""
    found = database.queries(FILES).rows("seats.sql", "9000", "")
    assert (found.columns, found.rows) == (("seat", "n"), [])


def test_cost_is_what_the_plan_touched(database):
    """Each block of the table is counted once, and the step that reads it is named."""
    cost = database.queries(FILES).cost("seats.sql", "0", "C4")
    size = database.rows("SELECT pg_relation_size('seats')::integer / 8192 AS blocks")
    assert cost.costliest.name == "Seq Scan on seats"
    assert cost.costliest.blocks == size[0]["blocks"]
    assert cost.blocks >= cost.costliest.blocks


@pytest.mark.parametrize(
    ("name", "saw"),
    [
        ("absent.sql", "there is none"),
        ("empty.sql", "empty"),
        ("two.sql", "multiple commands"),
        ("writes.sql", "read-only"),
        ("seats.sql", "parameters"),
        ("piles_up.sql", "temporary file size"),
    ],
)
def test_what_is_no_query_is_the_answers_failure(database, name, saw):
    """It is told in PostgreSQL's own words, with the command that shows it again."""
    queries = database.queries(FILES)
    with pytest.raises(Failure, match=saw):
        queries.rows(name, "C4")
    assert database.rows("SELECT count(*) FROM seats") == [{"count": 9000}]


def test_an_error_is_not_told_as_slowness(database):
    """The hint says how to give a parameter its type."""
    with pytest.raises(Failure, match="answers without an error") as caught:
        database.queries(FILES).rows("untyped.sql", "C4")
    assert "$1::text" in caught.value.hint


def test_a_comment_is_no_query(database):
    """A file that holds nothing else is told as empty."""
    with pytest.raises(Failure, match="empty"):
        database.queries(FILES).rows("comment.sql", "C4")


def test_an_endless_result_is_not_read_to_its_end(database):
    """A thousand rows are enough to see that it is wrong; the session can be used again."""
    queries = database.queries(FILES)
    assert len(queries.rows("endless.sql", "x").rows) == 1000
    assert len(queries.rows("seats.sql", "8998", "").rows) == 2


def test_no_query_lifts_the_limits_of_the_next(database):
    """What a query sets in its session is set again before the next one."""
    queries = database.queries(FILES)
    queries.rows("lifts.sql", "default_transaction_read_only")
    with pytest.raises(Failure, match="read-only"):
        queries.rows("writes.sql", "C4")


def test_the_session_has_the_time_zone_asked_for(database):
    """Days depend on it."""
    queries = database.queries(FILES, "Asia/Tokyo")
    assert queries.rows("zone.sql", "timezone").rows == [("Asia/Tokyo",)]


def test_a_database_is_a_copy_of_another(postgres):
    """Rows and owners come along, and what changes in the copy changes nothing else."""
    postgres.session("postgres").execute("CREATE DATABASE original OWNER app")
    with postgres.connect_as_answer("original") as connection:
        connection.execute("CREATE TABLE shows AS SELECT 7 AS id")
    copy = postgres.create_database(template="original")
    with postgres.connect_as_answer(copy.name) as connection:
        connection.execute("DROP TABLE shows")
    assert postgres.create_database(template="original").rows("SELECT id FROM shows") == [{"id": 7}]


def test_a_script_runs_statement_by_statement(database):
    """It may contain what no transaction allows; its output names each statement."""
    text = b"CREATE INDEX CONCURRENTLY by_n ON seats (n);\nDROP INDEX CONCURRENTLY by_n;\n"
    script = {"indexes.sql": text}
    finished = database.run_script(script, "indexes.sql").result()
    assert finished.exit_code == 0
    assert "CREATE INDEX CONCURRENTLY by_n" in finished.stdout


def test_a_script_ends_at_its_first_error(database):
    """What comes after the error is not run."""
    script = {"indexes.sql": b"SELECT nonsense;\nDROP TABLE seats;\n"}
    finished = database.run_script(script, "indexes.sql").result()
    assert finished.exit_code == 3
    assert "nonsense" in finished.stderr
    assert database.rows("SELECT count(*) FROM seats") == [{"count": 9000}]


def test_a_lock_that_a_script_waits_for_keeps_others_waiting(postgres):
    """With lock_timeout, who queues behind it fails and says so."""
    made = postgres.create_database()
    with postgres.connect_as_answer(made.name) as connection:
        connection.execute("CREATE TABLE seats (seat text)")
    made.rows(f"ALTER ROLE postgres IN DATABASE {made.name} SET lock_timeout = '50ms'")
    insert = "INSERT INTO seats VALUES ('C4')"
    with made.holding(insert):
        script = made.run_script({"i.sql": b"CREATE INDEX ON seats (seat);"}, "i.sql")
        assert not script.has_ended()
        assert made.wait_for_waiting(within_s=20)
        with pytest.raises(Failure, match="lock timeout"), made.holding(insert):
            pass
    assert script.result().exit_code == 0
