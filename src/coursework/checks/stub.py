"""The stub instrument: an upstream beside the answer that answers as told and records all."""

import base64
import json as json_codec
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from coursework.checks.companion import Companion
from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure
from coursework.checks.reply import Headers, json_in
from coursework.checks.run import CheckRun
from coursework.containers.container import Container

_POLL_S = 0.01
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Received:
    """A request that a stub received.

    Args:
        method: such as POST.
        path: without its query.
        query: what is behind the question mark, as it came.
        headers: fields by name.
        body: bytes, with chunks already joined.
        at_s: seconds on the stub's own clock, when its last byte had come; 0 where nobody noted it.
    """

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes
    at_s: float = 0.0

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Failure: it is none.
        """
        return json_in(self.body, f"a JSON body in your {self.method} {self.path}")


class HeldBack:
    """What a stub holds back; see `Stub.holding`."""

    def __init__(self, stub: "Stub", number: int, what: str) -> None:
        self._stub, self._number, self._what = stub, number, what

    def wait(self, at_least: int = 1, *, within_s: float = 5.0) -> list[Received]:
        """Wait until requests are held, and return them.

        Args:
            at_least: so many.
            within_s: seconds.

        Raises:
            Failure: there are fewer when the time is over.
        """
        return self._stub.wait_for("held", at_least, within_s, self._what, number=self._number)

    def awaited(self) -> int:
        """Return how many of those held have a client that has not hung up."""
        return int(self._stub.call("awaited", number=self._number))

    def release(self) -> None:
        """Let them be answered, and those that come later too."""
        self._stub.call("release", number=self._number)


class Stub:
    """An upstream beside the answer: it answers, holds, delays, fails or breaks off, as told.

    It starts in the background; the first use waits for it. What it was told last counts first.
    A route is a method, a blank and a path, such as `POST /charges` or `GET /shows/*`; either may
    be absent. `having` narrows a rule to requests with a text in their target or body: with a
    random word there, one stub serves many checks, and a report's command shows the same again.

    Example:
        >>> server = image.start(env={"PAYMENTS_URL": stub.url})
        >>> stub.reply("POST /charges", 201, json={"id": "ch_1"})
        >>> stub.reply("POST /charges", 503, having="ben", times=2)
        >>> with stub.holding("POST /charges", having="cleo") as held:
        ...     held.wait()
        >>> [charge] = stub.requests("POST /charges", having="ada", at_least=1)

    """

    def __init__(self, run: CheckRun, name: str = "stub") -> None:
        self._desk = Companion(run, "stub", name)
        self._port: int | None = None
        self._wanted = 0

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._desk.container

    @property
    def url(self) -> str:
        """The address for the answer, such as `http://10.201.0.3:41271`.

        Raises:
            CourseError: it does not come up.
        """
        port = self._opened()
        return f"http://{self.container.network_address}:{port}"

    def another(self, port: int = 0) -> "Stub":
        """Return a second upstream, at a port of its own in the same container.

        Args:
            port: where it listens; a free one by default.
        """
        made = object.__new__(Stub)
        made._desk, made._port, made._wanted = self._desk, None, port
        return made

    def reply(
        self,
        route: str,
        status: int = 200,
        *,
        json: object = None,
        body: bytes = b"",
        headers: Mapping[str, str] = _NONE,
        having: str = "",
        after_s: float = 0.0,
        drips_s: float = 0.0,
        times: int | None = None,
        chunked: bool = False,
        breaks_off_after: int | None = None,
    ) -> None:
        """Tell what requests are answered; what no rule fits is answered 404.

        Args:
            route: of the requests.
            status: the status code.
            json: a value to send as application/json.
            body: bytes to send instead.
            headers: further fields; the length is set for you, and each connection ends.
            having: only requests with this text in their target or body.
            after_s: seconds before the reply.
            drips_s: send the body byte by byte, with so many seconds behind each.
            times: so often; then what was told before counts again.
            chunked: without a length, in chunks.
            breaks_off_after: hang up after so many bytes of the body, whole or not; -1 sends
                no byte at all.
        """
        fields = list(headers.items())
        if json is not None:
            body = json_codec.dumps(json, ensure_ascii=False).encode()
            fields.append(("Content-Type", "application/json"))
        encoded = base64.b64encode(body).decode()
        self.call(
            "reply", match=[route, having], status=status, headers=fields, body=encoded,
            chunked=chunked, after_s=after_s, drips_s=drips_s, left=times,
            breaks_off_after=breaks_off_after,
        )  # fmt: skip

    @contextmanager
    def holding(
        self, route: str = "", *, having: str = "", after_bytes: int | None = None
    ) -> Iterator[HeldBack]:
        """Hold replies back until they are released, at the latest at the end of the block.

        A hold with `having` stays where the block fails, for the command of the report.

        Args:
            route: of the requests.
            having: only requests with this text in their target or body.
            after_bytes: send the head and so many bytes of the body first; else nothing.

        Example:
            >>> with stub.holding("GET /ledger", after_bytes=100) as held:
            ...     held.wait()
            ...     line.wait_for(b"first")
            ...     held.release()

        """
        number = self.call("hold", match=[route, having], after_bytes=after_bytes)
        held = HeldBack(self, number, route)
        try:
            yield held
        except Failure:
            if not having:
                held.release()
            raise
        except BaseException:
            held.release()
            raise
        held.release()

    def refuse(self) -> None:
        """Refuse connections, at the same address, until `accept`."""
        self.call("refuse")

    def accept(self) -> None:
        """Accept connections again."""
        self.call("accept")

    def requests(
        self, route: str = "", *, having: str = "", at_least: int = 0, within_s: float = 5.0
    ) -> list[Received]:
        """Return the requests that came, in their order, also those that are held.

        Args:
            route: of the requests.
            having: only those with this text in their target or body.
            at_least: wait until there are so many.
            within_s: seconds to wait.

        Raises:
            Failure: there are fewer when the time is over; what came instead is named.
        """
        return self.wait_for("requests", at_least, within_s, route, match=[route, having])

    def wait_for(
        self, what: str, at_least: int, within_s: float, route: str, **told: object
    ) -> list[Received]:
        """Ask for requests until there are enough; see `requests` and `HeldBack.wait`."""
        deadline = Deadline(within_s)
        while True:
            is_late = deadline.has_passed()
            found = [_received(*fields) for fields in self.call(what, **told)]
            if len(found) >= at_least:
                return found
            if is_late:
                others = self.call("requests", match=["", ""])[-3:]
                came = ", ".join(f"{method} {target[:80]}" for method, target, *_ in others)
                wanted = f"{at_least} request{'s'[: at_least > 1]} {route}".rstrip()
                saw = f"{len(found)}; the last ones it got: {came or 'none'}"
                raise Failure(f"{wanted} at the stub", saw)
            time.sleep(_POLL_S)

    def call(self, what: str, **told: object) -> Any:
        """Call a method of the program's desk; see programs/stub.py.

        Raises:
            CourseError: the stub is gone.
        """
        return self._desk.ask(what, port=self._opened(), **told)

    def _opened(self) -> int:
        if self._port is None:
            self._port = int(self._desk.ask("open", port=self._wanted))
        return self._port


def _received(
    method: str, target: str, headers: list[list[str]], body: str, at_s: float
) -> Received:
    path, _, query = target.partition("?")
    fields = Headers([(name, value) for name, value in headers])
    return Received(method, path, query, fields, base64.b64decode(body), at_s)


@pytest.fixture(scope="session")
def stub(check_run: CheckRun) -> Stub:
    """Return an upstream beside the submission that answers as told."""
    return Stub(check_run)
