"""What a check does in any database: it runs statements, and holds locks."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from coursework.checks.evidence import Evidence
from coursework.checks.failure import Failure

if TYPE_CHECKING:
    import psycopg

# What the answer's own tables can be guilty of: class 42 is a name or a right that is missing,
# 23 a constraint, 3D a database that is gone, 55P03 a lock that they hold for longer than
# lock_timeout, 22001 and 22003 a column that is too small, 0A, 44 and 55000 a view that can't be
# written; and what a trigger raises or does wrong: 21, 27, 2F, 39, P0, and 54001 where it never
# ends (PostgreSQL manual, appendix A).
_THEIR_CLASSES = (
    "42", "23", "3D", "55P03", "22001", "22003", "0A", "44", "55000",
    "21", "27", "2F", "39", "P0", "54001",
)  # fmt: skip

Row = dict[str, Any]


class Held:
    """Locks that a check holds."""

    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self._connection = connection

    def release(self) -> None:
        """Roll back, so that those who wait for the locks carry on."""
        import psycopg  # noqa: PLC0415 - a module without a database need not load it

        # A server that crashed meanwhile holds no lock any more.
        with suppress(psycopg.OperationalError):
            self._connection.rollback()


class SqlDatabase(ABC):
    """A database that is looked at; whose it is, and how to reach it, is said by its kinds."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    @abstractmethod
    def _session(self) -> "psycopg.Connection[Row]":
        """Return the session that looks, each statement a transaction of its own."""

    @abstractmethod
    def _connect(self) -> "psycopg.Connection[Row]":
        """Open another session like it."""

    @abstractmethod
    def _retype(self, shown: str) -> str:
        """Return the command that sends a statement again."""

    def rows(self, statement: str, *values: object) -> list[Row]:
        """Run one statement as a transaction of its own, and return its rows by column name.

        Args:
            statement: with %s for each value.
            values: of any type that PostgreSQL has.

        Raises:
            Failure: a table or column is missing, or a constraint or trigger forbids it.
        """
        return self._run(self._session(), statement, values)

    @contextmanager
    def holding(self, statement: str, *values: object) -> Iterator[Held]:
        """Run a statement and keep its locks until they are released, at the latest by the end.

        What the statement wrote is never committed.

        Args:
            statement: with %s for each value.
            values: of any type that PostgreSQL has.

        Raises:
            Failure: a table or column is missing, or a constraint or trigger forbids it.

        Example:
            >>> with database.holding("LOCK TABLE bookings") as held, at_once(buy, users) as crowd:
            ...     database.wait_for_waiting(2)
            ...     held.release()

        """
        with self._connect() as connection:
            connection.autocommit = False
            self._run(connection, statement, values)
            held = Held(connection)
            try:
                yield held
            finally:
                held.release()

    def _run(
        self, connection: "psycopg.Connection[Row]", statement: str, values: tuple[object, ...]
    ) -> list[Row]:
        import psycopg  # noqa: PLC0415 - loaded already, by the connection

        shown = psycopg.ClientCursor(connection).mogrify(statement, values)
        self._evidence.note_command(self._retype(shown))
        try:
            cursor = connection.execute(statement, values)
        except psycopg.Error as error:
            self._fail(error, shown)
        return cursor.fetchall() if cursor.description else []

    def _fail(self, error: "psycopg.Error", shown: str) -> NoReturn:
        if (error.sqlstate or "").startswith(_THEIR_CLASSES):
            raise Failure(
                f"a database that can do: {shown[:200]}",
                str(error.diag.message_primary or error),
                command=self._retype(shown),
            ) from error
        raise error
