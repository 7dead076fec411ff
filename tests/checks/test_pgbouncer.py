"""PgBouncer beside the answer, with whatever the answer's pgbouncer.ini says."""

import psycopg
import pytest

from coursework.checks.failure import StartFailure
from coursework.checks.pgbouncer import PgBouncers
from coursework.checks.postgres import Postgres
from coursework.checks.relay import Relays
from coursework.images import ensure_images

pytestmark = pytest.mark.engine

INI = """
[databases]
lantern = host=postgres port=5432

[pgbouncer]
listen_addr = *
listen_port = 6432
auth_type = scram-sha-256
auth_file = /etc/pgbouncer/userlist.txt
pool_mode = transaction
default_pool_size = 2
"""


@pytest.fixture(scope="module")
def database(engine, shared_run):
    ensure_images(engine, ["course/database:1", "pgbouncer:1.24", "python:3.13-slim"])
    server = Postgres(shared_run)
    yield server.create_database("lantern")
    server.close()


@pytest.fixture
def before_database(run_of, database):
    """Return a function that starts a PgBouncer with an ini before the database."""
    return lambda ini: PgBouncers(run_of({"pgbouncer.ini": ini})).before(database.url)


def test_the_answer_reaches_the_database_through_it(before_database, database):
    """With the answer's own role and password; the database sees PgBouncer as its client."""
    pgbouncer = before_database(INI)
    with psycopg.connect(pgbouncer.url, connect_timeout=5) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("app",)
        [row] = database.rows(
            "SELECT host(client_addr) AS client FROM pg_stat_activity"
            " WHERE usename = 'app' AND state = 'idle in transaction'"
        )
    assert row["client"] == pgbouncer.address


def test_a_relay_fits_between_it_and_the_database(run_of, database):
    """At the port of the database, so that the ini need not know."""
    run = run_of({"pgbouncer.ini": INI})
    relay = Relays(run).to(database.url, port=5432)
    pgbouncer = PgBouncers(run).before(relay.url)
    with psycopg.connect(pgbouncer.url, autocommit=True, connect_timeout=5) as connection:
        connection.execute("SELECT 1")
        assert 0 < relay.open_connections() <= relay.traffic().connections


def test_each_free_connection_is_asked(before_database):
    """As many as the ini allows: who gets none is left out."""
    pgbouncer = before_database(INI)
    found = pgbouncer.ask_each("SELECT pg_backend_pid()", 5)
    assert len(set(found)) == len(found) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("default_pool_size = 2", "default_pool_size = two"), "default_pool_size"),
        (("lantern =", "theatre ="), "lantern"),
        (("listen_addr = *", "listen_addr = 127.0.0.1"), "6432"),
        (("auth_file =", "; auth_file ="), "auth"),
    ],
)
def test_an_ini_that_leads_nowhere_is_the_answers_mistake(before_database, change, said):
    """What PgBouncer says of it is told, with the command that shows its log."""
    with pytest.raises(StartFailure, match=said) as failure:
        assert before_database(INI.replace(*change)).url
    assert failure.value.command.startswith("docker logs ")


def test_an_answer_without_an_ini_is_told_so(run_of, database):
    """It is a file that the answer must have."""
    with pytest.raises(StartFailure, match=r"pgbouncer\.ini"):
        PgBouncers(run_of({})).before(database.url)
