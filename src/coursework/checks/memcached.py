"""The memcached instrument: Memcached beside the answer, and a look at what is really in it."""

import re
import shlex
import socket
import time
from fnmatch import fnmatchcase
from urllib.parse import unquote

import pytest

from coursework.checks.failure import Failure
from coursework.checks.run import CheckRun
from coursework.checks.store import Store
from coursework.containers.container import Settings
from coursework.trouble import CourseError
from coursework.words import shortened

IMAGE = "memcached:1.6"
_PORT = 11211
_READY_WITHIN_S = 20.0
_ANSWERS_WITHIN_S = 5.0
_POLL_S = 0.01
# With one of these the last line of a reply begins.
_LAST = re.compile(r"(END|OK|HD|EN|VERSION|DELETED|NOT_FOUND|BUSY|(CLIENT_|SERVER_)?ERROR)\b")


class Memcached(Store):
    """A Memcached beside the answer, empty at first; the same words as for Redis.

    It starts in the background; the first use waits for it.

    Example:
        >>> server = image.start(env={"CACHE_URL": memcached.url})
        >>> memcached.ttl("show:7")
        60.0

    """

    _scheme = "memcached"
    _settings = Settings(IMAGE, port=_PORT, memory="512m")

    def __init__(self, run: CheckRun, name: str = "memcached") -> None:
        super().__init__(run, name)
        self._is_ready = False

    def run(self, *command: str) -> list[str]:
        """Send one line of the text protocol, and return the lines of its reply.

        Args:
            command: its words; none with a block of data behind it, such as `set`.

        Raises:
            Failure: Memcached is gone.

        Example:
            >>> memcached.run("get", "show:7")
            ['VALUE show:7 0 14', '{"title": "…"}', 'END']

        """
        self._wait_until_ready()
        self._evidence.note_command(self._retype(command))
        try:
            return self._say(command)
        except OSError as error:
            saw = f"it was there before, and is gone: {error}"
            logs = f"docker logs {self.container.name}"
            raise Failure("a Memcached that answers", shortened(saw, 300), command=logs) from error

    def keys(self, pattern: str = "*") -> list[str]:
        """Return the keys that match a pattern, in alphabetical order.

        Raises:
            Failure: Memcached is gone.
        """
        told = self.run("lru_crawler", "metadump", "hash")
        found = (unquote(line[4:].partition(" ")[0]) for line in told if line.startswith("key="))
        return sorted(key for key in found if fnmatchcase(key, pattern))

    def ttl(self, key: str) -> float | None:
        """Return the seconds a key has left; None where it is kept for ever, 0 where it is gone.

        Raises:
            Failure: Memcached is gone.
        """
        found, *flags = " ".join(self.run("mg", key, "t")).split()
        if found != "HD":
            return 0.0
        left = float(flags[0].removeprefix("t"))
        return None if left < 0 else left

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not self._is_ready:
            try:
                self._is_ready = bool(self._say(("version",)))
            except OSError as error:
                if time.monotonic() > deadline or self.container.exit_code() is not None:
                    why = self.container.log()[-500:]
                    raise CourseError("The checks' Memcached does not start.", why=why) from error
                time.sleep(_POLL_S)

    def _say(self, command: tuple[str, ...]) -> list[str]:
        """Send a line on a connection of its own; a port forwarder may hang up at once."""
        with socket.create_connection(self._address(), _ANSWERS_WITHIN_S) as connection:
            connection.sendall(" ".join(command).encode() + b"\r\n")
            lines = list[str]()
            for line in connection.makefile("rb"):
                lines.append(line.decode(errors="replace").rstrip("\r\n"))
                if _LAST.match(lines[-1]):
                    return lines
        raise ConnectionResetError("it hung up")

    def _retype(self, command: tuple[str, ...]) -> str:
        line = shlex.quote(" ".join(command) + r"\r\nquit\r\n")
        script = f"exec 3<>/dev/tcp/localhost/{_PORT}; printf {line} >&3; cat <&3"
        return shlex.join(["docker", "exec", self.container.name, "bash", "-c", script])


@pytest.fixture(scope="session")
def memcached(check_run: CheckRun) -> Memcached:
    """Return a Memcached beside the submission."""
    return Memcached(check_run)
