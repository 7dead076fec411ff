"""The pgbouncer instrument: PgBouncer with the answer's own pgbouncer.ini, before a database."""

import asyncio
import os
import socket
import time
from contextlib import suppress
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from coursework.checks.deadline import Deadline
from coursework.checks.failure import StartFailure
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings
from coursework.words import shortened

if TYPE_CHECKING:
    import psycopg

IMAGE = "pgbouncer:1.24"
INI = "pgbouncer.ini"
# What the answer's pgbouncer.ini may rely on.
DATABASE_HOST, DATABASE_PORT = "postgres", 5432
_PORT = 6432
_FOLDER = "/etc/pgbouncer"
_READY_WITHIN_S = 5.0
_ASKS_WITHIN_S = 2.0
_CONNECTS_WITHIN_S = 2
_CONNECTION_WITHIN_S = 1.0
_POLL_S = 0.01


class PgBouncer:
    """PgBouncer beside the answer, with the answer's own pgbouncer.ini.

    It starts in the background; the first use waits until a query gets through it.

    Args:
        run: of the checks.
        name: of its container.
        database_url: of the database that the host name `postgres` is, at port 5432.

    """

    def __init__(self, run: CheckRun, name: str, database_url: str) -> None:
        self._parts = urlsplit(database_url)
        ini = run.task.submission.files.get(INI)
        if ini is None:
            raise StartFailure(f"a file {INI}", "there is none")
        users = f'"{self._parts.username}" "{self._parts.password}"\n'
        files = {f"{_FOLDER}/{INI}": ini, f"{_FOLDER}/userlist.txt": users.encode()}
        hosts = {DATABASE_HOST: self._parts.hostname or ""}
        # The file is the answer's: it gets little more than what the program needs.
        settings = Settings(IMAGE, files=files, port=_PORT, memory="256m", hosts=hosts)
        self._starting = run.services.start_service(name, settings)

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    @property
    def address(self) -> str:
        """Its address on the engine's network: what the database sees as its client."""
        return self.container.network_address

    @cached_property
    def url(self) -> str:
        """The address for the answer, such as `postgres://app:5f1c…@10.201.0.5:6432/lantern`.

        Raises:
            StartFailure: no query gets through; what PgBouncer says is told.
        """
        self._wait_until_ready()
        who = f"{self._parts.username}:{self._parts.password}"
        return self._parts._replace(netloc=f"{who}@{self.address}:{_PORT}").geturl()

    def ask_each(self, statement: str, connections: int) -> list[Any]:
        """Ask for one value in as many transactions as are open at once; return the values.

        So each free connection of PgBouncer's to the database is asked. A transaction that gets
        none within a second is left out.
        """
        assert self.url  # noqa: S101 - waits until it answers
        return asyncio.run(self._ask_each(statement, connections))

    async def _ask_each(self, statement: str, count: int) -> list[Any]:
        import psycopg  # noqa: PLC0415 - a module without a database need not load it

        opening = (self._connect(autocommit=False) for _ in range(count))
        opened = await asyncio.gather(*opening, return_exceptions=True)
        connections = [each for each in opened if not isinstance(each, BaseException)]
        asking = [asyncio.create_task(_value(each, statement)) for each in connections]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(_all(asking)), _CONNECTION_WITHIN_S)
        for connection, asked in zip(connections, asking, strict=True):
            if not asked.done():
                _hang_up(connection)
        values = await _all(asking)
        for connection in connections:
            # A client that leaves in mid-transaction costs PgBouncer a connection.
            if not connection.closed:
                await connection.rollback()
            await connection.close()
        return [asked.result() for asked, value in zip(asking, values, strict=True)
                if not isinstance(value, psycopg.OperationalError)]  # fmt: skip

    async def _connect(self, *, autocommit: bool = True) -> "psycopg.AsyncConnection[Any]":
        import psycopg  # noqa: PLC0415 - as above

        host, port = self.container.near_address() or ("", 0)
        return await psycopg.AsyncConnection.connect(
            host=host, port=port, dbname=self._parts.path.removeprefix("/"),
            user=self._parts.username, password=self._parts.password, autocommit=autocommit,
            connect_timeout=_CONNECTS_WITHIN_S,
        )  # fmt: skip

    def _wait_until_ready(self) -> None:
        import psycopg  # noqa: PLC0415 - as above

        deadline = Deadline(_READY_WITHIN_S)
        while True:
            try:
                return asyncio.run(self._ask_once())
            except (psycopg.Error, TimeoutError) as error:
                code = self.container.exit_code()
                if code is not None or deadline.has_passed():
                    raise self._trouble(str(error) or "no answer", code) from error
            time.sleep(_POLL_S)

    async def _ask_once(self) -> None:
        async with asyncio.timeout(_ASKS_WITHIN_S):
            connection = await self._connect()
            try:
                await _value(connection, "SELECT 1")
            finally:
                await connection.close()

    def _trouble(self, saw: str, code: int | None) -> StartFailure:
        last = self.container.log().strip().splitlines()[-3:]
        ended = "" if code is None else f"it ended with exit code {code}; "
        return StartFailure(
            f"a PgBouncer that leads from port {_PORT} to the database with your {INI}",
            shortened(f"{ended}{saw}; its log: {' / '.join(last)}", 400),
            command=f"docker logs {self.container.name}",
            hint=f"PgBouncer's log says which line of {INI} it refuses, or what is missing",
        )


def _hang_up(connection: "psycopg.AsyncConnection[Any]") -> None:
    """Cut a connection that waits; psycopg's own way asks the server first, which may be silent."""
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def _all(tasks: list["asyncio.Task[Any]"]) -> "asyncio.Future[list[Any]]":
    return asyncio.gather(*tasks, return_exceptions=True)


async def _value(connection: "psycopg.AsyncConnection[Any]", statement: str) -> Any:
    cursor = await connection.execute(statement.encode())
    row = await cursor.fetchone()
    return row[0] if row else None


class PgBouncers:
    """Starts PgBouncers, each before a database and with the answer's own pgbouncer.ini."""

    def __init__(self, run: CheckRun) -> None:
        self._run = run
        self._numbers = count(1)

    def before(self, database_url: str) -> PgBouncer:
        """Start a PgBouncer to which the host name `postgres` is this database's.

        Args:
            database_url: with port 5432; of a database, or of a relay that listens there.

        Raises:
            StartFailure: the answer has no pgbouncer.ini.

        Example:
            >>> pgbouncer = pgbouncers.before(database.url)
            >>> server = image.start(env={"DATABASE_URL": pgbouncer.url})

        """
        return PgBouncer(self._run, f"pgbouncer-{next(self._numbers)}", database_url)


@pytest.fixture(scope="session")
def pgbouncers(check_run: CheckRun) -> PgBouncers:
    """Return the starter of PgBouncers, beside the submission."""
    return PgBouncers(check_run)
