"""The events instrument: server-sent events, read as a browser's EventSource reads them."""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType, TracebackType
from typing import Any, NoReturn, Self

import h11

from coursework.checks.deadline import Deadline
from coursework.checks.failure import CHECK_AGAIN, Failure
from coursework.checks.wire import Connection

_TYPE = "text/event-stream"
_NONE: Mapping[str, str] = MappingProxyType({})
_POLL_S = 0.05
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream.

    Args:
        type: its name; `message` where it has none.
        id: what a client sends as Last-Event-ID to have what came after it.
        data: its lines, joined by newlines.
    """

    type: str
    id: str
    data: str

    def json(self) -> Any:
        """Return the data as JSON.

        Raises:
            Failure: it is none.
        """
        try:
            return json.loads(self.data)
        except (ValueError, RecursionError) as error:
            raise Failure("an event whose data is JSON", repr(self.data[:200])) from error


class EventParser:
    """Reads the lines of a stream, as section 9.2 of the HTML standard says."""

    def __init__(self) -> None:
        self._rest = ""
        self._id, self._type = "", ""
        self._data: list[str] = []

    def feed(self, text: str) -> list[ServerEvent]:
        """Return the events that are whole with this text."""
        events: list[ServerEvent] = []
        # A carriage return at the end may be half of a line end.
        whole = self._rest + text
        kept = whole[-1:] if whole.endswith("\r") else ""
        *lines, last = _LINE_END.split(whole[: len(whole) - len(kept)])
        self._rest = last + kept
        for line in lines:
            if line:
                self._take(line)
            elif event := self._dispatch():
                events.append(event)
        return events

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value

    def _dispatch(self) -> ServerEvent | None:
        lines, kind = self._data, self._type or "message"
        self._data, self._type = [], ""
        return ServerEvent(kind, self._id, "\n".join(lines)) if lines else None


class EventStream:
    """The events that one connection brings; the head has come when it is made.

    Args:
        connection: not used before.
        path: asked for, with its query.
        headers: further fields, such as `Last-Event-ID`.
        within_s: seconds until the head must be there.

    Raises:
        Failure: another status than 200, another type than text/event-stream, or no head in time.

    Example:
        >>> with EventStream(server.connect(), "/api/shows/7/events") as stream:
        ...     server.post("/api/shows/7/bookings", json=order)
        ...     [event] = stream.wait_for(1)
        >>> event.type
        'booking'

    """

    def __init__(
        self,
        connection: Connection,
        path: str,
        headers: Mapping[str, str] = _NONE,
        *,
        within_s: float = 5.0,
    ) -> None:
        self._connection, self._path = connection, path
        self._http = h11.Connection(h11.CLIENT)
        self._parser = EventParser()
        self._has_head, self._is_over = False, False
        self.events: list[ServerEvent] = []
        fields = [("Host", "localhost"), ("Accept", _TYPE), *headers.items()]
        request = self._http.send(h11.Request(method="GET", target=path, headers=fields))
        connection.send((request or b"") + (self._http.send(h11.EndOfMessage()) or b""))
        try:
            self._read_until(lambda: self._has_head, within_s)
            if not self._has_head:
                self._fail("the head of a stream at once", "nothing in time")
        except Failure:
            connection.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._connection.close()

    def wait_for(self, count: int, *, within_s: float = 5.0) -> list[ServerEvent]:
        """Wait until so many events have come, and return all there are.

        Args:
            count: of all events since the stream began.
            within_s: seconds; more where the machine was never idle.

        Raises:
            Failure: there are fewer when the time is over, or the stream ends.
        """
        self._read_until(lambda: len(self.events) >= count, within_s)
        if len(self.events) < count:
            end = ", and its end" if self._is_over else f" after {within_s:g} s"
            came = ", ".join(event.data[:80] for event in self.events[-3:]) or "no event"
            self._fail(f"{count} event{'s'[: count > 1]}", f"{len(self.events)}{end}: {came}")
        return self.events

    def wait_for_end(self, *, within_s: float = 5.0) -> None:
        """Wait until the stream ends, as it does where its server dies.

        Raises:
            Failure: it is still open.
        """
        self._read_until(lambda: False, within_s)
        if not self._is_over:
            self._fail("the end of a stream", f"still open after {within_s:g} s")

    def listen(self, for_s: float) -> list[ServerEvent]:
        """Read for so many seconds, and return all events there are; a right server has no more."""
        # However busy the machine is: there is nothing to wait for.
        end = time.monotonic() + for_s
        self._read_until(lambda: time.monotonic() >= end, for_s + _POLL_S)
        return self.events

    def _read_until(self, is_enough: Callable[[], bool], within_s: float) -> None:
        deadline = Deadline(within_s)
        while not is_enough() and not self._is_over and not deadline.has_passed():
            data = self._connection.receive(_POLL_S)
            if data is not None:
                self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._is_over = not data
        try:
            self._http.receive_data(data)
            while (event := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                self._take(event)
        except h11.RemoteProtocolError as error:
            # Half a reply is how a stream ends whose server died.
            if not self._is_over:
                self._fail("an HTTP reply", str(error))

    def _take(self, event: object) -> None:
        if isinstance(event, h11.Response):
            kind = b"".join(v for name, v in event.headers if name == b"content-type").decode()
            if event.status_code != HTTPStatus.OK or not kind.lower().startswith(_TYPE):
                self._fail(f"200 · {_TYPE}", f"{event.status_code} · {kind}")
            self._has_head = True
        elif isinstance(event, h11.Data):
            self.events += self._parser.feed(bytes(event.data).decode(errors="replace"))
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            self._is_over = True

    def _fail(self, looked_for: str, saw: str) -> NoReturn:
        what = f"{looked_for} from GET {self._path[:80]}"
        raise Failure(what, saw, command=CHECK_AGAIN)
