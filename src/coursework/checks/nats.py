"""The nats instrument: NATS with JetStream beside the answer, and what its streams hold."""

import asyncio
import json as json_codec
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from coursework.checks.failure import Failure
from coursework.checks.readiness import wait_until_ready
from coursework.checks.reply import Headers, json_in
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings

if TYPE_CHECKING:
    from nats.js import JetStreamContext

Result = TypeVar("Result")

IMAGE = "course/nats:1"
_PORT = 4222
_ANSWERS_WITHIN_S = 5.0
# More than any check waits for: an answer that publishes in a loop is not read to its end.
_LIMIT_MESSAGES = 2000
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class StoredMessage:
    """A message that a stream holds.

    Args:
        subject: such as `booking.confirmed`.
        headers: fields by name, such as Nats-Msg-Id.
        body: bytes.
        sequence: its number in the stream, from 1 on.
    """

    subject: str
    headers: Headers
    body: bytes
    sequence: int

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Failure: it is none.
        """
        return json_in(self.body, f"a JSON body in your message on {self.subject}")


class Nats:
    """A NATS beside the answer, with JetStream on and no stream at first.

    It starts in the background; the first use waits for it.

    Example:
        >>> nats.create_stream("LANTERN", ["booking.*", "show.*"])
        >>> server = image.start(env={"NATS_URL": nats.url})
        >>> nats.publish("show.cancelled", json={"show_id": 7})
        >>> [event] = nats.messages("LANTERN", "booking.confirmed")

    """

    def __init__(self, run: CheckRun, name: str = "nats") -> None:
        self._run, self._name = run, name
        self._others: list[Nats] = []
        self._is_ready = False
        settings = Settings(IMAGE, port=_PORT, memory="512m")
        self._starting = run.services.start_service(name, settings)

    def another(self) -> "Nats":
        """Start another broker, for a story that must not meet what happens to this one."""
        self._others.append(Nats(self._run, f"{self._name}-{len(self._others) + 2}"))
        return self._others[-1]

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    @property
    def url(self) -> str:
        """The address for the answer, such as `nats://10.201.0.3:4222`; it answers there.

        Raises:
            CourseError: it does not come up.
        """
        if not self._is_ready:
            self._wait_until_ready()
        return f"nats://{self.container.network_address}:{_PORT}"

    def create_stream(self, name: str, subjects: Sequence[str]) -> None:
        """Make a stream that keeps on disk whatever is published on its subjects.

        Args:
            name: such as `LANTERN`.
            subjects: such as `booking.*`.
        """
        self._do(lambda stream: stream.add_stream(name=name, subjects=list(subjects)))

    def publish(self, subject: str, *, json: object, headers: Mapping[str, str] = _NONE) -> int:
        """Publish a message, and return its number once the stream has it.

        Args:
            subject: of a stream.
            json: a value.
            headers: fields.
        """
        body = json_codec.dumps(json).encode()
        ack = self._do(lambda stream: stream.publish(subject, body, headers=dict(headers) or None))
        return int(ack.seq)

    def messages(self, stream: str, subject: str = ">") -> list[StoredMessage]:
        """Return what a stream holds now, in its order.

        Args:
            stream: its name.
            subject: only messages on this one; `*` is any word and `>` any rest.

        Raises:
            Failure: there is no such stream any more, or it holds more than 2000 of them.

        Example:
            >>> nats.messages("LANTERN", "booking.*")[0].headers["Nats-Msg-Id"]
            '0b9c6c1e-…'

        """
        retype = ["docker", "exec", self.container.name, "show.sh", stream, subject]
        self._run.evidence.note_command(shlex.join(retype))
        return self._do(lambda jetstream: _read(jetstream, stream, subject))

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Crash the broker: connections break and new ones are refused until the block ends.

        Then it is started again, at the same address; what a stream has stored is there.
        """
        self._wait_until_ready()
        self.container.run_inside("serve.sh", "stop")
        try:
            yield
        finally:
            self.container.run_inside("serve.sh", "start")
            self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        wait_until_ready(self.container, "NATS", self._answers)
        self._is_ready = True

    def _answers(self) -> bool:
        import nats  # noqa: PLC0415 - a module without a broker need not load it

        try:
            asyncio.run(self._ask(lambda stream: stream.account_info()))
        except (OSError, nats.errors.Error):
            return False
        return True

    def _do(self, ask: "Callable[[JetStreamContext], Awaitable[Result]]") -> Result:
        assert self.url  # noqa: S101 - waits until it answers
        return asyncio.run(self._ask(ask))

    async def _ask(self, ask: "Callable[[JetStreamContext], Awaitable[Result]]") -> Result:
        async with self._connected() as stream:
            return await ask(stream)

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[JetStreamContext]":
        """Connect for one question; a port forwarder may hang up at once."""
        import nats  # noqa: PLC0415 - as above

        host, port = self.container.near_address() or ("", 0)
        connection = await nats.connect(
            f"nats://{host}:{port}", connect_timeout=1, allow_reconnect=False, error_cb=_ignore
        )
        try:
            yield connection.jetstream(timeout=_ANSWERS_WITHIN_S)
        finally:
            await connection.close()


async def _ignore(_: Exception) -> None:
    """Ignore the error here: the call that caused it raises it too."""


async def _read(jetstream: "JetStreamContext", stream: str, subject: str) -> list[StoredMessage]:
    from nats.js.errors import NotFoundError  # noqa: PLC0415 - as above

    try:
        last = (await jetstream.stream_info(stream)).state.last_seq
    except NotFoundError:
        raise Failure(f"a stream {stream}", "it was there before, and is gone") from None
    found = list[StoredMessage]()
    while not found or found[-1].sequence < last:
        after = found[-1].sequence if found else 0
        try:
            raw = await jetstream.get_msg(stream, seq=after + 1, subject=subject, next=True)
        except NotFoundError:
            break
        headers = Headers(list((raw.headers or {}).items()))
        found.append(StoredMessage(raw.subject or "", headers, raw.data or b"", raw.seq or last))
        if len(found) > _LIMIT_MESSAGES:
            raise Failure(f"at most {_LIMIT_MESSAGES} messages on {subject}", "more")
    return found


@pytest.fixture(scope="session")
def nats(check_run: CheckRun) -> Nats:
    """Return a NATS beside the submission, with JetStream on."""
    return Nats(check_run)
