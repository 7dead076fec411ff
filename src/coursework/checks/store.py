"""The redis instrument: Redis beside the answer, and a look at what is really in it."""

import shlex
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

from coursework.checks.failure import Failure
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings
from coursework.trouble import CourseError
from coursework.words import shortened

if TYPE_CHECKING:
    import redis

IMAGE = "redis:8.0"
_READY_WITHIN_S = 20.0
_POLL_S = 0.01
# A check's data need not outlive its run: nothing is written to a disk.
_OPTIONS = ("--save", "", "--appendonly", "no")


class Store:
    """A Redis beside the answer, empty at first.

    It starts in the background; the first use waits for it.

    Example:
        >>> server = image.start(env={"REDIS_URL": store.url})
        >>> store.run("HGET", "user:ada", "role")
        'customer'

    """

    _scheme = "redis"
    _settings = Settings(IMAGE, args=_OPTIONS, port=6379, memory="512m", in_memory=["/data"])

    def __init__(self, run: CheckRun, name: str = "store") -> None:
        self._evidence = run.evidence
        self._starting = run.services.start_service(name, self._settings)

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    @property
    def url(self) -> str:
        """The address for the answer, such as `redis://10.201.0.3:6379`; it answers there.

        Raises:
            CourseError: it does not come up.
        """
        self._wait_until_ready()
        return f"{self._scheme}://{self.container.network_address}:{self._settings.port}"

    def run(self, *command: str) -> Any:
        """Run one command, and return its reply as text, numbers, lists, sets and dicts.

        Args:
            command: its words, each as written.

        Raises:
            Failure: the key holds another type than the command is for, or Redis is gone.

        Example:
            >>> store.run("HGETALL", "user:ada")
            {'role': 'customer', 'password_hash': '$argon2id$…'}

        """
        import redis  # noqa: PLC0415 - a module without a store need not load it

        client, retype = self._client, self._retype(command)
        self._evidence.note_command(retype)
        try:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]
        except redis.ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            looked_for = f"a key that can do: {shlex.join(command)[:200]}"
            raise Failure(looked_for, str(error), command=retype) from error
        except redis.ConnectionError as error:
            saw = f"it was there before, and is gone: {error}"
            logs = f"docker logs {self.container.name}"
            raise Failure("a Redis that answers", shortened(saw, 300), command=logs) from error

    def keys(self, pattern: str = "*") -> list[str]:
        """Return the keys that match a pattern of Redis, in alphabetical order.

        Raises:
            Failure: Redis is gone.

        Example:
            >>> store.keys("user:*")
            ['user:ada', 'user:ben']

        """
        return sorted(self.run("KEYS", pattern))

    def ttl(self, key: str) -> float | None:
        """Return the seconds a key has left; None where it is kept for ever, 0 where it is gone.

        Raises:
            Failure: Redis is gone.
        """
        left = int(self.run("PTTL", key))
        return {-1: None, -2: 0.0}.get(left, left / 1000)

    def close(self) -> None:
        """Close the connection of the checks, where there is one."""
        if client := self.__dict__.pop("_client", None):
            client.close()

    def _wait_until_ready(self) -> None:
        assert self._client  # noqa: S101 - made once it answers

    def _address(self) -> tuple[str, int]:
        return self.container.near_address() or ("", 0)

    @cached_property
    def _client(self) -> "redis.Redis":
        import redis  # noqa: PLC0415 - as above
        from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
        from redis.retry import Retry  # noqa: PLC0415 - as above

        deadline = time.monotonic() + _READY_WITHIN_S
        host, port = self._address()
        client = redis.Redis(
            host=host, port=port, socket_timeout=5, socket_connect_timeout=5,
            retry=Retry(NoBackoff(), 0), decode_responses=True, encoding_errors="replace",
        )  # fmt: skip
        while True:
            with suppress(redis.ConnectionError, redis.TimeoutError):
                client.ping()
                return client
            if time.monotonic() > deadline or self.container.exit_code() is not None:
                client.close()
                why = self.container.log()[-500:]
                raise CourseError("The checks' Redis does not start.", why=why)
            time.sleep(_POLL_S)

    def _retype(self, command: tuple[str, ...]) -> str:
        return shlex.join(["docker", "exec", self.container.name, "redis-cli", *command])


@pytest.fixture(scope="session")
def store(check_run: CheckRun) -> Iterator[Store]:
    """Return a Redis beside the submission."""
    redis_beside = Store(check_run)
    yield redis_beside
    redis_beside.close()
