"""The rabbitmq instrument: RabbitMQ beside the answer, and a look at its queues and messages."""

import base64
import itertools
import json as json_codec
import secrets
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import pytest
import requests

from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings
from coursework.trouble import CourseError
from coursework.words import shortened

IMAGE = "rabbitmq:4.0"
PERSISTENT = 2
_AMQP_PORT, _API_PORT = 5672, 15672
# Its management counts messages every five seconds, unless told otherwise.
_SETTINGS = {"/etc/rabbitmq/conf.d/90-checks.conf": "collect_statistics_interval = 100\n"}
_READY_WITHIN_S = 90.0
_ANSWERS_WITHIN_S = 20.0
_POLL_S = 0.03
_USER = "guest"
_NOT_FOUND = 404
_LISTENS = "health/checks/protocol-listener/amqp"
_AT_MOST = 1000
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Queue:
    """How a queue is, as the broker's management counts it.

    Args:
        name: of the queue.
        kind: `classic`, `quorum` or `stream`.
        is_durable: whether it is there after a restart of the broker.
        arguments: it was declared with.
        ready: messages that wait for a consumer.
        unacked: messages that a consumer has, and has not acknowledged.
        consumers: how many there are.
    """

    name: str
    kind: str
    is_durable: bool
    arguments: Mapping[str, Any]
    ready: int
    unacked: int
    consumers: int

    def __str__(self) -> str:
        """Say it in a few words, for a report."""
        return f"{self.ready} ready, {self.unacked} unacked, {self.consumers} consumers"


@dataclass(frozen=True)
class Message:
    """A message in a queue.

    Args:
        exchange: it was published to last; a dead letter has another one than at first.
        routing_key: likewise.
        properties: such as `delivery_mode`, `content_type`, `message_id` and `headers`.
        body: its bytes.
    """

    exchange: str
    routing_key: str
    properties: Mapping[str, Any]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            Failure: it is none.
        """
        try:
            return json_codec.loads(self.body)
        except (ValueError, RecursionError):
            raise Failure("a message whose body is JSON", repr(self.body[:200])) from None


class Vhost:
    """A virtual host: exchanges and queues that nobody else sees, in the same broker.

    Its words go through the broker's HTTP API, whose counts are a tenth of a second old.

    Args:
        broker: whose it is.
        name: of the virtual host.
    """

    def __init__(self, broker: "RabbitMQ", name: str) -> None:
        self._broker = broker
        self.name = name

    @property
    def url(self) -> str:
        """The address for the answer, such as `amqp://guest:guest@10.201.0.3:5672/v1`."""
        address = self._broker.container.network_address
        return f"amqp://{_USER}:{_USER}@{address}:{_AMQP_PORT}/{self.name}"

    def declare_exchange(self, name: str, kind: str = "topic") -> None:
        """Declare a durable exchange, as the answer may do as well."""
        self._ask("PUT", "exchanges", name, json={"type": kind, "durable": True})

    def declare_queue(self, name: str, *, exchange: str, key: str) -> None:
        """Declare a durable queue of the check's own, and bind it to an exchange that is there."""
        self._ask("PUT", "queues", name, json={"durable": True})
        self._ask("POST", "bindings", "e", exchange, "q", name, json={"routing_key": key})

    def publish(
        self,
        exchange: str,
        key: str,
        *,
        json: object = None,
        body: bytes = b"",
        properties: Mapping[str, Any] = _NONE,
    ) -> bool:
        """Publish a persistent message; return whether it came into any queue.

        Args:
            exchange: by its name.
            key: the routing key.
            json: a value to send as JSON.
            body: bytes to send instead.
            properties: further ones, such as `{"headers": {"x": 1}}`.

        Raises:
            Failure: there is no such exchange.
        """
        told = dict(properties)
        if json is not None:
            body = json_codec.dumps(json, ensure_ascii=False).encode()
            told = {"content_type": "application/json", **told}
        message = {
            "routing_key": key, "payload": base64.b64encode(body).decode(),
            "payload_encoding": "base64", "properties": {"delivery_mode": PERSISTENT, **told},
        }  # fmt: skip
        said = self._ask("POST", "exchanges", exchange, "publish", json=message)
        if said is None:
            raise Failure(f"an exchange {exchange}", "there is none", command=self._typed())
        return bool(said["routed"])

    def queues(self) -> list[Queue]:
        """Return all queues, by name."""
        return sorted((_queue(q) for q in self._ask("GET", "queues")), key=lambda q: q.name)

    def queue(self, name: str) -> Queue | None:
        """Return how a queue is; None where there is none of this name."""
        return next((q for q in self.queues() if q.name == name), None)

    def wait_for_queue(
        self,
        name: str,
        *,
        ready: int | None = None,
        unacked: int | None = None,
        consumers: int = 0,
        within_s: float = 5.0,
    ) -> Queue:
        """Wait until a queue is there and is so, and return it.

        Args:
            name: of the queue.
            ready: exactly so many messages wait; any number by default.
            unacked: exactly so many are with consumers; any number by default.
            consumers: at least so many there are.
            within_s: seconds.

        Raises:
            Failure: it is not so when the time is over.

        Example:
            >>> vhost.wait_for_queue("notices", ready=0, unacked=0)

        """
        deadline = Deadline(within_s)
        while True:
            is_late = deadline.has_passed()
            found = self.queue(name)
            if found and _is_so(found, ready, unacked, consumers):
                return found
            if is_late:
                counts = {"ready": ready, "unacked": unacked, "consumers": consumers or None}
                wanted = ", ".join(f"{n} {what}" for what, n in counts.items() if n is not None)
                looked_for = f"a queue {name}" + (f" with {wanted}" if wanted else "")
                there = ", ".join(q.name for q in self.queues()) or "none"
                saw = str(found) if found else f"no such queue; there are: {shortened(there, 200)}"
                raise Failure(looked_for, saw, command=self._typed())
            time.sleep(_POLL_S)

    def messages(self, queue: str, *, at_least: int = 0, within_s: float = 5.0) -> list[Message]:
        """Return the messages that wait in a queue, and leave them there.

        Args:
            queue: its name; one without consumers, else they get some of them meanwhile.
            at_least: wait until there are so many.
            within_s: seconds to wait.

        Raises:
            Failure: there are fewer when the time is over, or there is no such queue.
        """
        if at_least:
            deadline = Deadline(within_s)
            while not deadline.has_passed():
                found = self.queue(queue)
                if found and found.ready >= at_least:
                    break
                time.sleep(_POLL_S)
        how = {"count": _AT_MOST, "ackmode": "reject_requeue_true", "encoding": "base64"}
        came = self._ask("POST", "queues", queue, "get", json=how)
        if came is None:
            raise Failure(f"a queue {queue}", "there is none", command=self._typed())
        if len(came) < at_least:
            looked_for = f"{at_least} message{'s'[: at_least > 1]} in {queue}"
            raise Failure(looked_for, f"{len(came)}", command=self._typed())
        return [_message(m) for m in came]

    def _ask(self, method: str, what: str, *words: str, json: object = None) -> Any:
        """Ask for something of this virtual host; None where there is no such thing."""
        self._broker.note(self._typed())
        path = "/".join(quote(word, safe="") for word in (what, self.name, *words))
        return self._broker.ask(method, path, json)

    def _typed(self) -> str:
        columns = ("name", "messages_ready", "messages_unacknowledged", "consumers")
        return self._broker.typed("rabbitmqctl", "-q", "list_queues", "-p", self.name, *columns)


class RabbitMQ:
    """A RabbitMQ beside the answer; each check has a virtual host in it that is empty at first.

    It starts in the background, and that takes seconds: the first use waits for it.

    Example:
        >>> vhost = rabbitmq.create_vhost()
        >>> server = image.start(env={"AMQP_URL": vhost.url})
        >>> vhost.wait_for_queue("notices", consumers=1)
        >>> vhost.publish("lantern", "booking.created", json={"user": "ada"})
        True

    """

    def __init__(self, run: CheckRun, name: str = "rabbitmq") -> None:
        self._evidence = run.evidence
        settings = Settings(IMAGE, files=_SETTINGS, port=_API_PORT, memory="1g")
        self._starting = run.services.start_service(name, settings)
        self._is_ready = False
        self._numbers = itertools.count(1)

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    def create_vhost(self) -> Vhost:
        """Return a new virtual host.

        Raises:
            CourseError: the broker does not come up.
        """
        self._wait_until_ready()
        name = f"v{next(self._numbers)}-{secrets.token_hex(2)}"
        self.ask("PUT", f"vhosts/{name}", {})
        everything = dict.fromkeys(("configure", "write", "read"), ".*")
        self.ask("PUT", f"permissions/{name}/{_USER}", everything)
        return Vhost(self, name)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the broker: connections end, and new ones are refused until the block ends.

        Then it is started again, at the same address; durable queues and persistent messages
        are there.
        """
        self._wait_until_ready()
        self.container.run_inside("rabbitmqctl", "-q", "stop_app")
        try:
            yield
        finally:
            self._is_ready = False
            self.container.run_inside("rabbitmqctl", "-q", "start_app")
            self._wait_until_ready()

    def ask(self, method: str, path: str, json: object = None) -> Any:
        """Ask its HTTP API; None where it says that there is no such thing.

        Raises:
            Failure: the broker is gone.
            CourseError: it refuses.
        """
        try:
            reply = self._request(method, path, json)
        except requests.RequestException as error:
            saw = f"it was there before, and is gone: {error}"
            logs = f"docker logs {self.container.name}"
            raise Failure("a RabbitMQ that answers", shortened(saw, 300), command=logs) from error
        if reply.status_code == _NOT_FOUND:
            return None
        if not reply.ok:
            why = f"{method} {path}: {reply.status_code} {reply.text[:300]}"
            raise CourseError("The checks' RabbitMQ refuses.", why=why)
        return reply.json() if reply.content else {}

    def note(self, command: str) -> None:
        """Remember the command that shows what was looked at last."""
        self._evidence.note_command(command)

    def typed(self, *command: str) -> str:
        """Return a command inside the broker's container as somebody types it."""
        return shlex.join(["docker", "exec", self.container.name, *command])

    def _request(self, method: str, path: str, json: object) -> requests.Response:
        host, port = self.container.near_address() or ("", 0)
        return requests.request(
            method, f"http://{host}:{port}/api/{path}", json=json, auth=(_USER, _USER),
            timeout=_ANSWERS_WITHIN_S,
        )  # fmt: skip

    def _wait_until_ready(self) -> None:
        """Wait for its AMQP port, which it opens last."""
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._is_ready:
            with suppress(requests.RequestException):
                self._is_ready = self._request("GET", _LISTENS, None).ok
            if not self._is_ready:
                if time.monotonic() > deadline or self.container.exit_code() is not None:
                    why = self.container.log()[-500:]
                    raise CourseError("The checks' RabbitMQ does not start.", why=why)
                time.sleep(_POLL_S)


def _is_so(found: Queue, ready: int | None, unacked: int | None, consumers: int) -> bool:
    return (
        ready in (None, found.ready)
        and unacked in (None, found.unacked)
        and found.consumers >= consumers
    )


def _queue(said: Mapping[str, Any]) -> Queue:
    # A queue that was just declared has no counts yet.
    ready, unacked = (said.get(f"messages_{n}") or 0 for n in ("ready", "unacknowledged"))
    return Queue(
        said["name"], said.get("type", "classic"), bool(said["durable"]), said["arguments"],
        ready, unacked, said.get("consumers") or 0,
    )  # fmt: skip


def _message(said: Mapping[str, Any]) -> Message:
    body = str(said["payload"])
    # What is no text comes in base64, whatever was asked; then it says so.
    raw = base64.b64decode(body) if said["payload_encoding"] == "base64" else body.encode()
    # Without properties the API sends an empty list.
    return Message(said["exchange"], said["routing_key"], dict(said["properties"] or {}), raw)


@pytest.fixture(scope="session")
def rabbitmq(check_run: CheckRun) -> RabbitMQ:
    """Return a RabbitMQ beside the submission."""
    return RabbitMQ(check_run)
