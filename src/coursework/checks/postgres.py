"""The sql instrument: PostgreSQL beside the answer, and sessions that look, lock and end others."""

import secrets
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest

from coursework.checks.evidence import Evidence
from coursework.checks.failure import Failure
from coursework.checks.querying import ANSWER, Queries, Script
from coursework.checks.run import CheckRun
from coursework.checks.sql import Row, SqlDatabase
from coursework.checks.statements import Recording, statements_between
from coursework.containers.container import Container, Settings
from coursework.trouble import CourseError

if TYPE_CHECKING:
    import psycopg

IMAGE = "course/database:1"
_PORT = 5432
# Each CREATE DATABASE makes some 300 files: see on_disk and prepared in bench/database.py.
_DATA = "/var/lib/postgresql/in-memory"
_READY_WITHIN_S = 20.0
_POLL_S = 0.01
_LOGGED_WITHIN_S = 5.0


class Postgres:
    """A PostgreSQL server beside the answer, with a database for whoever asks.

    It starts in the background; the first database waits for it.

    Args:
        run: of the checks.
        name: of its container.
        image: made from `course/database:1`.
        files: content by absolute path, laid into its container.

    Example:
        >>> database = postgres.create_database()
        >>> server = image.start(env={"DATABASE_URL": database.url})
        >>> with postgres.stopped():
        ...     server.get("/api/wallets/ada").expect(503)

    """

    def __init__(
        self,
        run: CheckRun,
        name: str = "database",
        image: str = IMAGE,
        files: Mapping[str, bytes] = MappingProxyType({}),
    ) -> None:
        self._run = run
        self._name = name
        self._image = image
        self._admin_password, self._password = secrets.token_hex(12), secrets.token_hex(12)
        self._databases = 0
        self._sessions: dict[str, psycopg.Connection[Row]] = {}
        self._of_answer: list[psycopg.Connection[Any]] = []
        self._others: list[Postgres] = []
        variables = {"ADMIN_PASSWORD": self._admin_password, "APP_PASSWORD": self._password}
        settings = Settings(image, variables, files, port=_PORT, memory="2g", in_memory=[_DATA])
        self._starting = run.services.start_service(name, settings)

    def another(self) -> "Postgres":
        """Start another server, for a story that must not meet a crash of this one."""
        self._others.append(Postgres(self._run, f"{self._name}-{len(self._others) + 2}"))
        return self._others[-1]

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    def create_database(
        self, name: str = "", *, template: str = "", recorded: bool = False
    ) -> "Database":
        """Make a database that belongs to the answer's role.

        Args:
            name: where the contract says it; any by default.
            template: the database of this server that it is a copy of; an empty one by default.
            recorded: the server logs each statement of the answer there; see `recording`.

        Example:
            >>> postgres.create_database().url
            'postgres://app:5f1c…@10.201.0.3:5432/app_1'

        """
        self._databases += 1
        name = name or f"app_{self._databases}"
        # Its files are copied: a large template is not written to the log once more.
        copied = f" TEMPLATE {template} STRATEGY file_copy" if template else ""
        self.session("postgres").execute(f"CREATE DATABASE {name} OWNER app{copied}".encode())
        # A query that never ends must not fill the memory in which all databases are.
        limit = f"ALTER ROLE app IN DATABASE {name} SET temp_file_limit = '256MB'"
        self.session("postgres").execute(limit.encode())
        if recorded:
            setting = f"ALTER ROLE app IN DATABASE {name} SET log_statement = 'all'"
            self.session("postgres").execute(setting.encode())
        address = f"{self.container.network_address}:{_PORT}"
        url = f"postgres://app:{self._password}@{address}/{name}"
        return Database(self, self._run.evidence, name, url)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Crash the server: connections break and new ones are refused until the block ends.

        Then it is started again, at the same address; what was committed is there.
        """
        self._close_sessions()
        self.container.run_inside("pg_ctl", "stop", "--mode=immediate", "--silent")
        try:
            yield
        finally:
            command = ("pg_ctl", "start", "--wait", "--silent", "--log=/proc/1/fd/1")
            self.container.run_inside(*command)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Freeze the server: connections are accepted and nothing answers until the block ends."""
        # By signals: an engine on cgroup v1 cannot always pause a busy container.
        self.container.run_inside("bash", "-c", "kill -STOP -1")
        try:
            yield
        finally:
            self.container.run_inside("bash", "-c", "kill -CONT -1")

    def close(self) -> None:
        """Close the sessions that are open, also those of the other servers."""
        self._close_sessions()
        for other in self._others:
            other.close()

    def _close_sessions(self) -> None:
        while self._sessions:
            self._sessions.popitem()[1].close()
        while self._of_answer:
            self._of_answer.pop().close()

    def session(self, database: str) -> "psycopg.Connection[Row]":
        """Return the session of the superuser that looks at a database; see `connect`."""
        if database not in self._sessions:
            self._sessions[database] = self.connect(database)
        return self._sessions[database]

    def connect(self, database: str) -> "psycopg.Connection[Row]":
        """Open a session of the superuser, each statement a transaction of its own.

        Args:
            database: its name; `postgres` is always there.

        Raises:
            Failure: there is no such database any more.
            CourseError: the server does not come up.
        """
        from psycopg.rows import dict_row  # noqa: PLC0415 - a module without a database need not load it

        return self._connect(
            database, user="postgres", password=self._admin_password, row_factory=dict_row
        )

    def connect_as_answer(self, database: str) -> "psycopg.Connection[Any]":
        """Open a session of the answer's role, in which $1 is a parameter and rows are tuples.

        Args:
            database: its name.

        Raises:
            Failure: there is no such database any more.
            CourseError: the server does not come up.
        """
        from psycopg import RawCursor  # noqa: PLC0415 - a module without a database need not load it

        connection = self._connect(
            database, user="app", password=self._password, cursor_factory=RawCursor,
            # Prepared by the driver, a query is planned without its values from the tenth time on.
            prepare_threshold=None,
        )  # fmt: skip
        self._of_answer.append(connection)
        return connection

    def _connect(self, database: str, **how: Any) -> "psycopg.Connection[Any]":
        import psycopg  # noqa: PLC0415 - as above

        deadline = time.monotonic() + _READY_WITHIN_S
        host, port = self.container.near_address() or ("", 0)
        while True:
            try:
                return psycopg.connect(
                    host=host, port=port, dbname=database, autocommit=True, connect_timeout=5, **how
                )
            except psycopg.OperationalError as error:
                if "does not exist" in str(error):
                    raise Failure(f"a database {database}", "it is gone") from error
                if time.monotonic() > deadline or self.container.exit_code() is not None:
                    why = f"{error}\n{self.container.log()[-500:]}"
                    raise CourseError("The checks' database does not start.", why=why) from error
            time.sleep(_POLL_S)

    def run_script(self, name: str, text: bytes, url: str) -> Script:
        """Return a file of the answer as a script: psql runs it once it is looked at.

        Args:
            name: of the file.
            text: of the file.
            url: of the database.
        """
        return Script(self._run, name, text, url, self._image)


class Database(SqlDatabase):
    """One database, looked at by sessions that see everything.

    Example:
        >>> database.rows("SELECT seat FROM bookings WHERE user_name = %s", "ada")
        [{'seat': 'C4'}]
        >>> with database.holding("SELECT 1 FROM wallets WHERE user_name = %s FOR UPDATE", "ada"):
        ...     for session in database.wait_for_waiting():
        ...         database.end_session(session)

    """

    def __init__(self, postgres: Postgres, evidence: Evidence, name: str, url: str) -> None:
        super().__init__(evidence)
        self.name = name
        self.url = url
        self._postgres = postgres

    def wait_for_waiting(self, at_least: int = 1, *, within_s: float = 3.0) -> list[int]:
        """Wait until sessions of the answer wait for a lock, and return their process ids.

        Args:
            at_least: so many of them.
            within_s: seconds; then those that there are are given, perhaps none.
        """
        deadline = time.monotonic() + within_s
        session = self._postgres.session("postgres")
        while True:
            found = session.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = %s"
                " AND usename = 'app' AND wait_event_type = 'Lock'",
                (self.name,),
            ).fetchall()
            if len(found) >= at_least or time.monotonic() > deadline:
                return [int(row["pid"]) for row in found]
            time.sleep(_POLL_S)

    def end_session(self, process_id: int) -> None:
        """End a session from outside, as a crash or an operator would."""
        session = self._postgres.session("postgres")
        session.execute("SELECT pg_terminate_backend(%s)", (process_id,))

    @contextmanager
    def recording(self) -> Iterator[Recording]:
        """Note what the answer sends until the block ends; the database must be `recorded`.

        What only begins, ends or sets something is left out, and so is all that others send.

        Raises:
            CourseError: the server's log does not show it.

        Example:
            >>> with database.recording() as recording:
            ...     server.get("/api/shows")
            >>> len(recording)
            1

        """
        container = self._postgres.container
        grep = f"grep -F {shlex.quote(f'app@{self.name} LOG')}"
        recording = Recording(f"docker logs {container.name} 2>&1 | {grep}")
        first = self._mark_log()
        yield recording
        last = self._mark_log()
        deadline = time.monotonic() + _LOGGED_WITHIN_S
        while (
            sent := statements_between(container.log(lines="all"), first, last, self.name)
        ) is None:
            if time.monotonic() > deadline:
                raise CourseError("The checks' database does not log what it is asked.")
            time.sleep(_POLL_S)
        recording.statements = sent

    def _mark_log(self) -> str:
        """Write a line into the server's log; all that comes later is behind it."""
        mark = f"mark-{secrets.token_hex(8)}"
        self._postgres.session(self.name).execute(f"DO $$BEGIN RAISE LOG '{mark}'; END$$".encode())
        return mark

    def queries(self, files: Mapping[str, bytes], timezone: str = "UTC") -> Queries:
        """Ask the answer's own queries here, as the answer's role.

        Args:
            files: the queries, by file name.
            timezone: of the session.
        """
        postgres = self._postgres
        return Queries(
            self._evidence, self.name, files, lambda: postgres.connect_as_answer(self.name),
            lambda: postgres.container.name, timezone,
        )  # fmt: skip

    def run_script(self, files: Mapping[str, bytes], name: str) -> Script:
        """Return a file of the answer as a script: psql runs it once it is looked at.

        Args:
            files: of the answer.
            name: of the file.

        Raises:
            Failure: there is no such file.
        """
        if name not in files:
            raise Failure(f"a file {name}", "there is none")
        return self._postgres.run_script(name, files[name], self.url)

    def _session(self) -> "psycopg.Connection[Row]":
        return self._postgres.session(self.name)

    def _connect(self) -> "psycopg.Connection[Row]":
        return self._postgres.connect(self.name)

    def _retype(self, shown: str) -> str:
        psql = ["docker", "exec", self._postgres.container.name, "psql", self.name, "-c", shown]
        return shlex.join(psql)


@pytest.fixture(scope="session")
def postgres(check_run: CheckRun) -> Iterator[Postgres]:
    """Return a PostgreSQL server beside the submission."""
    server = Postgres(check_run)
    yield server
    server.close()


@pytest.fixture(scope="session")
def postgres_from(check_run: CheckRun) -> Iterator[Callable[[str], Postgres]]:
    """Return a function that starts a PostgreSQL server from an image with tables and rows.

    The answer's SQL files are in its folder /answer.
    """
    servers: list[Postgres] = []

    def start(image: str) -> Postgres:
        files = check_run.task.submission.files.items()
        laid = {f"{ANSWER}/{name}": data for name, data in files if name.endswith(".sql")}
        servers.append(Postgres(check_run, image=image, files=laid))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
