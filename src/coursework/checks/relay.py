"""The relay instrument: TCP between the answer and a service, held, refused, cut and counted."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from coursework.checks.companion import Companion
from coursework.checks.programs.relay import Traffic
from coursework.checks.run import CheckRun

__all__ = ["Relay", "Relays", "Traffic"]


class Relay:
    """TCP in front of a service: the answer connects to it, and it leads on.

    It works for whatever speaks TCP: a store, a database, a broker, an upstream.

    Example:
        >>> relay = relays.to(store.url)
        >>> server = image.start(env={"REDIS_URL": relay.url})
        >>> with relay.silent():
        ...     server.get("/api/shows").expect(200)

    """

    def __init__(self, companion: Companion, port: int, url: str) -> None:
        self._companion = companion
        self._port = port
        self.url = url

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Let nothing flow: connections are open and accepted, and nothing answers.

        Afterwards what was held flows, and everything else as before.
        """
        self._do("hold")
        try:
            yield
        finally:
            self._do("accept")

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Close what is open and refuse new connections, until the block ends."""
        self._do("refuse")
        try:
            yield
        finally:
            self._do("accept")

    def cut(self) -> int:
        """Close what is open, and return how many connections that were; new ones are welcome."""
        return int(self._do("cut"))

    def traffic(self) -> Traffic:
        """Return what has gone through so far.

        Example:
            >>> relay.traffic()
            Traffic(connections=1, sent_bytes=512, received_bytes=64)

        """
        return Traffic(**self._do("count"))

    def open_connections(self) -> int:
        """Return how many connections are open now."""
        return int(self._do("count_open"))

    def _do(self, what: str) -> Any:
        return self._companion.ask(what, port=self._port)


class Relays:
    """Opens relays, all in one container of ours beside the answer."""

    def __init__(self, run: CheckRun) -> None:
        self._companion = Companion(run, "relay")

    def to(self, url: str, *, port: int = 0) -> Relay:
        """Open a relay to a service.

        Args:
            url: as the answer would use it, with a port, such as `redis://10.201.0.3:6379`. The
                relay's `url` is the same one with the relay's own host and port.
            port: where it listens; 0 for any. Each port has one relay.

        Example:
            >>> relays.to(database.url).url
            'postgres://app:5f1c…@10.201.0.4:8001/app_1'

        """
        parts = urlsplit(url)
        service = {"host": parts.hostname, "target": parts.port}
        port = int(self._companion.ask("open", port=port, **service))
        who = parts.netloc.rpartition("@")[0]
        where = f"{self._companion.container.network_address}:{port}"
        own = parts._replace(netloc=f"{who}@{where}" if who else where)
        return Relay(self._companion, port, own.geturl())


@pytest.fixture(scope="session")
def relays(check_run: CheckRun) -> Relays:
    """Return the opener of relays, beside the submission."""
    return Relays(check_run)
