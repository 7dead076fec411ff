"""The http instrument's reply: read strictly, compared plainly, and always retypable."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, Self

import h11

from coursework.checks.failure import Failure, around_difference

LIMIT_BODY_BYTES = 5_000_000
LIMIT_HEAD_BYTES = 65_536


class Headers(Mapping[str, str]):
    """Header fields of a reply; names in any case, repeated fields joined by a comma."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._values: dict[str, str] = {}
        for name, value in fields:
            key = name.lower()
            self._values[key] = f"{self._values[key]}, {value}" if key in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass
class Reply:
    """What a server answered to one request.

    Args:
        status: the status code.
        reason: the phrase behind it.
        headers: fields by name.
        body: bytes, with chunks already joined.
        surplus: bytes that came after the reply on the same connection.
        elapsed_s: seconds from the request's last byte to the reply's last byte.
        command: what to type to see the reply again.
        comes_again: tries whether the same request still gets this status.
    """

    status: int
    reason: str
    headers: Headers
    body: bytes
    surplus: bytes = field(default=b"", repr=False)
    elapsed_s: float = 0.0
    command: str = field(default="", repr=False)
    comes_again: Callable[[], bool] | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """The body as UTF-8; bytes that are none are shown as �."""
        return self.body.decode(errors="replace")

    @property
    def type(self) -> str:
        """The media type without parameters, in lower case; empty where there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Failure: it is none.
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            self.fail("a JSON body")

    def expect(
        self,
        status: int | None = None,
        *,
        json: object = None,
        exactly: object = None,
        body: bytes | str | None = None,
        type: str | None = None,  # noqa: A002 - as above
        headers: Mapping[str, str | None] | None = None,
    ) -> Self:
        """Compare the reply with the contract, all of it in one go.

        Args:
            status: the status code.
            json: a JSON value whose objects may have further keys in the reply.
            exactly: the whole JSON value.
            body: the whole body.
            type: the media type; parameters such as charset are free.
            headers: a value for each field, or None where any value will do.

        Raises:
            Failure: something differs; all that was looked for and seen is named.

        Example:
            >>> server.get("/api/users").expect(200, exactly={"message": "Backend ready!"})

        """
        wants_json = json is not None or exactly is not None
        type = type or ("application/json" if wants_json else None)  # noqa: A001
        same = (
            status in (None, self.status)
            and type in (None, self.type)
            and (body is None or self.body == (body.encode() if isinstance(body, str) else body))
            and all(self._has(name, value) for name, value in (headers or {}).items())
            and (exactly is None or _equal(exactly, self._json_or_none()))
            and (json is None or _covers(json, self._json_or_none()))
        )
        if same:
            return self
        looked = [str(p) for p in (status, type) if p is not None]
        looked += [f"{n}: {'…' if v is None else v}" for n, v in (headers or {}).items()]
        value = exactly if exactly is not None else json
        wanted, seen = around_difference(
            _json_text(value) if wants_json else "" if body is None else _shown(body),
            self._shown_as_json() if wants_json else _shown(self.body),
        )
        raise self._failure(
            " · ".join(p for p in (*looked, wanted) if p),
            self._summary(seen, tuple(headers or ())),
        )

    def fail(self, looked_for: str, saw: str = "") -> NoReturn:
        """End the check as failed, over this reply.

        Args:
            looked_for: what the contract asks of it.
            saw: what came; the reply's status, type and body where empty.

        Raises:
            Failure: always.
        """
        _, seen = around_difference("", _shown(self.body))
        raise self._failure(looked_for, saw or self._summary(seen))

    def _failure(self, looked_for: str, saw: str) -> Failure:
        failure = Failure(looked_for, saw, command=self.command)
        failure.comes_again = self.comes_again
        return failure

    def _summary(self, body: str, fields: tuple[str, ...] = ()) -> str:
        shown = [f"{n}: {self.headers.get(n, '(absent)')}" for n in fields]
        return " · ".join([str(self.status), self.type or "no content type", *shown, body])

    def _shown_as_json(self) -> str:
        """Return a JSON body spaced like ours, so that both can be compared by eye."""
        value = self._json_or_none()
        return _shown(self.body) if value is None else _json_text(value)

    def _has(self, name: str, value: str | None) -> bool:
        seen = self.headers.get(name)
        return seen is not None and (value is None or seen == value)

    def _json_or_none(self) -> object:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def json_in(body: bytes, looked_for: str) -> Any:
    """Return the JSON value in the body of a message or a request.

    Args:
        body: bytes of the answer's.
        looked_for: what it must be, for the report.

    Raises:
        Failure: it is no JSON.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Failure(looked_for, repr(body[:200])) from None


def _json_text(value: object) -> str:
    """Return a JSON value as a learner would write it."""
    return json.dumps(value, ensure_ascii=False)


def _shown(body: bytes | str) -> str:
    """Return a body as one readable line; what cannot be printed is escaped."""
    if not body:
        return "no body"
    try:
        text = body if isinstance(body, str) else body.decode()
    except UnicodeDecodeError:
        return repr(body)
    return text if text.isprintable() else repr(text)


def _equal(expected: object, actual: object) -> bool:
    """Compare JSON values; Python's True == 1 must not count."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            _equal(v, actual[k]) for k, v in expected.items()
        )
    if isinstance(expected, list | tuple) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_equal, expected, actual))
    return isinstance(expected, bool) == isinstance(actual, bool) and expected == actual


def _covers(expected: object, actual: object) -> bool:
    """Compare JSON values; objects on the right may have further keys."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return all(k in actual and _covers(v, actual[k]) for k, v in expected.items())
    if isinstance(expected, list | tuple) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(_covers, expected, actual))
    return _equal(expected, actual)


class Parser:
    """Reads one reply off a stream of bytes.

    Args:
        method: what the reply answers; it decides whether a body follows.
    """

    def __init__(self, method: str) -> None:
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMIT_HEAD_BYTES)
        self._h11.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        self._h11.send(h11.EndOfMessage())
        self._head: h11.Response | None = None
        self._body = b""

    def feed(self, data: bytes) -> Reply | None:
        """Take bytes, empty at the stream's end; return the reply once it is whole.

        Raises:
            ValueError: what came is not HTTP; the message says why.
        """
        try:
            self._h11.receive_data(data)
            while True:
                event = self._h11.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED):
                    return None
                if isinstance(event, h11.EndOfMessage):
                    return self._reply()
                if isinstance(event, h11.Response):
                    self._head = event
                if isinstance(event, h11.Data):
                    self._body += event.data
        except h11.RemoteProtocolError as error:
            raise ValueError(self._why(error)) from error

    def _why(self, error: h11.RemoteProtocolError) -> str:
        if self._head is not None:
            return str(error)
        if "too long" in str(error):
            return f"a head of more than {LIMIT_HEAD_BYTES:,} bytes"
        return f"no HTTP ({error})"

    def _reply(self) -> Reply:
        assert self._head is not None  # noqa: S101 - h11 sends the head before the end
        fields = [(n.decode(), v.decode("latin-1")) for n, v in self._head.headers]
        return Reply(
            status=self._head.status_code,
            reason=self._head.reason.decode("latin-1"),
            headers=Headers(fields),
            body=self._body,
            surplus=self._h11.trailing_data[0],
        )
