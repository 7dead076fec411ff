"""The answer's own SQL: queries with their rows and their cost, and scripts that psql runs."""

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from coursework.checks.deadline import Deadline
from coursework.checks.evidence import Evidence
from coursework.checks.failure import Failure
from coursework.checks.finished import Finished
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings

if TYPE_CHECKING:
    import psycopg

# Where a container of the database, and one that runs a script, has the answer's files.
ANSWER = "/answer"
_STATEMENT_WITHIN_S = 10
_SCRIPT_WITHIN_S = 60.0
_ENDS_WITHIN_S = 5.0
_POLL_S = 0.01
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_TIMED_OUT = "57014"
_PARAMETERS = "use each parameter, and say its type: $1::text"
# By SQLSTATE, where PostgreSQL has no hint: a parameter of no type, and one that is not used.
_HINTS = {"42P18": _PARAMETERS, "08P01": _PARAMETERS}
# A result that is longer is wrong: the rest of it is not read.
_ROWS_AT_MOST = 1000
_LIMITS = {
    "default_transaction_read_only": "on",
    # So long as on a busy machine; `Deadline` says whether it was one.
    "statement_timeout": f"{4 * _STATEMENT_WITHIN_S}s",
}


@dataclass(frozen=True)
class Rows:
    """What a query answered.

    Args:
        columns: their names, in order.
        rows: the values of each row; at most 1,000 rows are read.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class PlanStep:
    """One node of a plan.

    Args:
        name: such as `Seq Scan on bookings`.
        blocks: that it touched itself, without those of the nodes below it.
    """

    name: str
    blocks: int


@dataclass(frozen=True)
class Cost:
    """What a query touched when it ran.

    Args:
        blocks: of 8 KiB, each as often as it was looked at, in memory or not.
        steps: of its plan, from top to bottom.
    """

    blocks: int
    steps: tuple[PlanStep, ...]

    @property
    def costliest(self) -> PlanStep:
        """The step that touched most."""
        return max(self.steps, key=lambda step: step.blocks)


class Queries:
    """Asks queries of the answer, each in a transaction that only reads, as the answer's role.

    Parameters are bound by the protocol, never pasted; PostgreSQL infers their types.

    Example:
        >>> asked = database.queries(submission.files, "Asia/Tokyo")
        >>> asked.rows("q4.sql", "ham").rows
        [(7, 'Hamlet')]
        >>> asked.cost("q4.sql", "ham").blocks
        17

    """

    def __init__(
        self,
        evidence: Evidence,
        database: str,
        files: Mapping[str, bytes],
        connect: Callable[[], "psycopg.Connection[Any]"],
        container_name: Callable[[], str],
        timezone: str,
    ) -> None:
        self._evidence, self._database, self._files = evidence, database, files
        self._connect, self._container_name = connect, container_name
        self._timezone = timezone
        self._connection: psycopg.Connection[Any] | None = None

    @property
    def container_name(self) -> str:
        """The container of the database, which shows it again."""
        return self._container_name()

    def log(self) -> str:
        """Return nothing: what PostgreSQL says of a query is in the report already."""
        return ""

    def end_check(self, *, passed: bool) -> None:
        """The next check may ask in the same session."""

    def rows(self, name: str, *values: str) -> Rows:
        """Return what a query answers.

        Args:
            name: of its file.
            values: of $1, $2 … as text.

        Raises:
            Failure: the file is missing, PostgreSQL refuses it, or it takes more than 10 s.
        """
        sql = self._note(name, values)
        rows: list[tuple[Any, ...]] = []
        with self._session().cursor() as cursor, self._answering(name):
            for row in cursor.stream(sql, values):
                rows.append(row)
                if len(rows) == _ROWS_AT_MOST:
                    break
            if not rows:
                # A stream without rows doesn't tell its columns.
                cursor.execute(sql, values)
            columns = tuple(column.name for column in cursor.description or ())
        return Rows(columns, rows)

    def cost(self, name: str, *values: str) -> Cost:
        """Run a query under EXPLAIN (ANALYZE, BUFFERS), and return what it touched.

        Args:
            name: of its file.
            values: of $1, $2 … as text.

        Raises:
            Failure: as for `rows`.
        """
        sql = self._note(name, values, program="explain")
        session = self._session()
        with self._answering(name):
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}"
            told = session.execute(explain, values).fetchall()[0][0]
        plan = told[0]["Plan"]
        return Cost(_blocks(plan), tuple(_steps(plan)))

    def close(self) -> None:
        """End the session."""
        if self._connection:
            self._connection.close()

    def _note(self, name: str, values: tuple[str, ...], program: str = "ask") -> str:
        """Remember how to see it again; return the query's text."""
        variables = ["-e", f"PGDATABASE={self._database}", "-e", f"PGTZ={self._timezone}"]
        words = [program, name.removesuffix(".sql"), *values]
        command = shlex.join(["docker", "exec", *variables, self.container_name, *words])
        self._evidence.note_use(self, command)
        if name not in self._files:
            raise Failure(f"a file {name}", "there is none", hint=f"save your query as {name}")
        sql = self._files[name].decode(errors="replace").strip()
        if not _COMMENT.sub("", sql).strip():
            hint = f"write one SELECT statement into {name}"
            raise Failure(f"a query in {name}", f"{name} is empty", hint=hint)
        return sql

    def _session(self) -> "psycopg.Connection[Any]":
        """Return the session, with its limits: the query before may have changed them."""
        if self._connection is None or self._connection.closed:
            self._connection = self._connect()
        limit = "SELECT pg_catalog.set_config($1, $2, false)"
        for setting, value in {**_LIMITS, "timezone": self._timezone}.items():
            self._connection.execute(limit, (setting, value))
        return self._connection

    @contextmanager
    def _answering(self, name: str) -> Iterator[None]:
        """Turn what PostgreSQL refuses, and what takes too long, into the answer's failure."""
        import psycopg  # noqa: PLC0415 - a module without a database need not load it

        deadline = Deadline(_STATEMENT_WITHIN_S)
        try:
            yield
        except psycopg.Error as error:
            self._refused(name, error)
        if deadline.has_passed():
            raise Failure(f"{name} answers within {_STATEMENT_WITHIN_S} s", f"{name} takes longer")

    def _refused(self, name: str, error: Exception) -> NoReturn:
        said = getattr(error, "diag", None)
        message = str((said and said.message_primary) or error).strip()
        saw = f"{name}: {message.partition(chr(10))[0]}"
        state = getattr(error, "sqlstate", None)
        if state == _TIMED_OUT:
            raise Failure(f"{name} answers within {_STATEMENT_WITHIN_S} s", saw) from error
        known = _HINTS.get(state or "", "the command shows where PostgreSQL stopped")
        hint = str((said and said.message_hint) or known)
        raise Failure(f"{name} answers without an error", saw, hint=hint) from error


class Script:
    """A file of the answer that psql runs, statement by statement, in a container of its own.

    It starts when it is first looked at, so that a check can hold its locks before.

    Args:
        run: of the checks.
        name: of the file.
        text: of the file.
        url: of the database, as the answer's role.
        image: with psql.
    """

    def __init__(self, run: CheckRun, name: str, text: bytes, url: str, image: str) -> None:
        self._run, self._name = run, name
        file = f"{ANSWER}/{name}"
        options = ("--no-psqlrc", "--set=ON_ERROR_STOP=1", "--echo-queries", f"--file={file}")
        command = ("psql", *options, url)
        self._settings = Settings(image, files={file: text}, memory="256m", entrypoint=command)

    @cached_property
    def _container(self) -> Container:
        """The container in which it runs, started now."""
        return self._run.services.start_container(self._settings).result()

    @cached_property
    def _deadline(self) -> Deadline:
        """The end of its minute, which begins when it is first waited for."""
        return Deadline(_SCRIPT_WITHIN_S)

    def has_ended(self) -> bool:
        """Tell whether psql has ended; after a minute, on a busy machine later, it is made to.

        Raises:
            Failure: it took longer than that.
        """
        if self._container.has_ended():
            return True
        if self._deadline.has_passed():
            self._finished(-1)
            raise Failure(
                f"{self._name} ends within {_SCRIPT_WITHIN_S:g} s", "it still runs",
                command=f"docker logs {self._container.name}",
            )  # fmt: skip
        return False

    def result(self) -> Finished:
        """Wait for its end, and return how it ended.

        Raises:
            Failure: it takes longer than a minute.
        """
        while not self.has_ended():
            time.sleep(_POLL_S)
        return self._finished(self._container.wait(_ENDS_WITHIN_S) or 0)

    def _finished(self, code: int) -> Finished:
        container = self._container
        output, stderr = container.log(stderr=False).encode(), container.log(stdout=False)
        finished = Finished(code, output, stderr, container.name)
        self._run.evidence.note_use(finished, f"docker logs {container.name}")
        return finished


def _blocks(node: Mapping[str, Any]) -> int:
    """Return the blocks of a node and of those below it."""
    return int(node.get("Shared Hit Blocks", 0)) + int(node.get("Shared Read Blocks", 0))


def _steps(node: Mapping[str, Any]) -> Iterator[PlanStep]:
    below = node.get("Plans", [])
    own = _blocks(node) - sum(_blocks(n) for n in below)
    place = node.get("Index Name") or node.get("Relation Name") or node.get("Function Name")
    kind = str(node["Node Type"])
    name = f"{kind} {'using' if 'Index Name' in node else 'on'} {place}" if place else kind
    yield PlanStep(name, own)
    for lower in below:
        yield from _steps(lower)
