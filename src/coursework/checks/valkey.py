"""The valkey instrument: Valkey beside the answer, which speaks as Redis does."""

import shlex
from collections.abc import Iterator

import pytest

from coursework.checks.run import CheckRun
from coursework.checks.store import Store
from coursework.containers.container import Settings

IMAGE = "valkey:8.1"
# A check's data need not outlive its run: nothing is written to a disk.
_OPTIONS = ("--save", "", "--appendonly", "no")


class Valkey(Store):
    """A Valkey beside the answer, empty at first; the same words as for Redis.

    It starts in the background; the first use waits for it.

    Example:
        >>> server = image.start(env={"REDIS_URL": valkey.url})
        >>> valkey.run("XLEN", "events")
        3

    """

    _settings = Settings(IMAGE, args=_OPTIONS, port=6379, memory="512m", in_memory=["/data"])

    def __init__(self, run: CheckRun, name: str = "valkey") -> None:
        super().__init__(run, name)

    def _retype(self, command: tuple[str, ...]) -> str:
        return shlex.join(["docker", "exec", self.container.name, "valkey-cli", *command])


@pytest.fixture(scope="session")
def valkey(check_run: CheckRun) -> Iterator[Valkey]:
    """Return a Valkey beside the submission."""
    beside = Valkey(check_run)
    yield beside
    beside.close()
