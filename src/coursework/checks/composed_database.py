"""A PostgreSQL that is a service of a stack, looked at as any of its roles."""

import shlex
from typing import TYPE_CHECKING

from coursework.checks.composed import Composed
from coursework.checks.evidence import Evidence
from coursework.checks.exposed import expose
from coursework.checks.failure import Failure
from coursework.checks.sql import Row, SqlDatabase
from coursework.engine import Engine

if TYPE_CHECKING:
    import psycopg

_PORT = 5432
_CONNECTS_WITHIN_S = 10


class ComposedDatabase(SqlDatabase):
    """One database of a service, looked at by sessions of one role; see `Stack.database`.

    Args:
        engine: of the sandbox.
        evidence: of the run.
        container: of the service.
        name: of the database.
        user: the role.
        password: its own.

    Example:
        >>> owner = stack.database("db", name="lantern", user="lantern", password=password)
        >>> with owner.holding("LOCK TABLE shows"):
        ...     owner.rows("SELECT usename FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    """

    def __init__(
        self, engine: Engine, evidence: Evidence, container: Composed,
        *, name: str, user: str, password: str,
    ) -> None:  # fmt: skip
        super().__init__(evidence)
        self._engine, self._container = engine, container
        self._name, self._user, self._password = name, user, password
        self._sessions: list[psycopg.Connection[Row]] = []

    def close(self) -> None:
        """Close the session that looks."""
        while self._sessions:
            self._sessions.pop().close()

    def _session(self) -> "psycopg.Connection[Row]":
        if not self._sessions:
            self._sessions.append(self._connect())
        return self._sessions[-1]

    def _connect(self) -> "psycopg.Connection[Row]":
        import psycopg  # noqa: PLC0415 - a module without a database need not load it
        from psycopg.rows import dict_row  # noqa: PLC0415 - as above

        if not self._container.addresses:
            service = self._container.service
            raise Failure(f"a network that {service} is in", self._container.status)
        port = expose(self._engine, self._container.addresses[0], _PORT)
        try:
            return psycopg.connect(
                host=self._engine.reached_at, port=port, dbname=self._name, user=self._user,
                password=self._password, connect_timeout=_CONNECTS_WITHIN_S, autocommit=True,
                row_factory=dict_row,
            )  # fmt: skip
        except psycopg.OperationalError as error:
            last = (str(error).strip().splitlines() or ["no answer"])[-1]
            reason = last.rpartition("FATAL:")[2].strip()
            command = self._retype("SELECT 1")
            raise Failure(f"a session of {self._user}", reason[:200], command=command) from error

    def _retype(self, shown: str) -> str:
        service = self._container.service
        psql = ["psql", "-U", self._user, "-d", self._name, "-c", shown]
        return shlex.join(["docker", "compose", "exec", service, *psql])
