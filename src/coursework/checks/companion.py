"""A program of ours in a container beside the answer, which does what the checks say."""

import json
import secrets
import socket
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from coursework.checks.programs import control
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings
from coursework.trouble import CourseError

IMAGE = "python:3.13-slim"
_PROGRAMS = Path(control.__file__).parent
_PACKAGE = control.__package__ or ""
_LAID_AT = "/opt/programs"
_READY_WITHIN_S = 20.0
_ANSWERS_WITHIN_S = 10.0
_POLL_S = 0.01
_LIMIT_BYTES = 2**26


class Companion:
    """A program of `checks/programs`, started in the background; the first question waits for it.

    Args:
        run: of the checks.
        program: name of its module, such as `relay`.
        name: of its container; the program's by default.

    Example:
        >>> Companion(run, "relay").ask("open", host="10.201.0.3", target=6379)
        8001

    """

    def __init__(self, run: CheckRun, program: str, name: str = "") -> None:
        self._program = program
        self._token = secrets.token_hex(16)
        folder = f"{_LAID_AT}/{_PACKAGE.replace('.', '/')}"
        files = {f"{folder}/{f.name}": f.read_bytes() for f in _PROGRAMS.glob("*.py")}
        variables = {"PYTHONPATH": _LAID_AT, control.TOKEN_VARIABLE: self._token}
        command = ("python3", "-S", "-u", "-m", f"{_PACKAGE}.{program}")
        settings = Settings(
            IMAGE, variables, files, port=control.PORT, memory="512m", entrypoint=command
        )
        self._starting = run.services.start_service(name or program, settings)

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    def ask(self, do: str, **how: Any) -> Any:
        """Have the program do something, and return its result.

        Args:
            do: the command.
            how: its arguments, as JSON.

        Raises:
            CourseError: the program is in trouble, or gone.
        """
        try:
            said = self._say(self._address, {"do": do, **how}, _ANSWERS_WITHIN_S)
        except (OSError, ValueError) as error:
            raise self._trouble(f"{do}: {error!r}") from error
        if "trouble" in said:
            raise self._trouble(f"{do}: {said['trouble']}")
        return said["result"]

    @cached_property
    def _address(self) -> tuple[str, int]:
        """Where it answers, once it does."""
        deadline = time.monotonic() + _READY_WITHIN_S
        address = self.container.near_address()
        while True:
            if address and self._answers(address):
                return address
            if time.monotonic() > deadline or self.container.exit_code() is not None:
                raise self._trouble("it does not start")
            time.sleep(_POLL_S)

    def _answers(self, address: tuple[str, int]) -> bool:
        # A port forwarder accepts for a program that is not there yet, then hangs up.
        try:
            self._say(address, {"do": control.PING}, 1.0)
        except (OSError, ValueError):
            return False
        return True

    def _say(self, address: tuple[str, int], what: dict[str, Any], timeout_s: float) -> Any:
        with socket.create_connection(address, timeout_s) as connection:
            question = json.dumps({"token": self._token, **what}).encode() + b"\n"
            connection.sendall(question)
            return json.loads(_line(connection))

    def _trouble(self, why: str) -> CourseError:
        log = self.container.log()[-500:]
        saw = f"{why}\n{log}".strip()
        return CourseError(f"The checks' {self._program} does not answer.", why=saw)


def _line(connection: socket.socket) -> bytes:
    said = bytearray()
    while not said.endswith(b"\n") and len(said) < _LIMIT_BYTES:
        block = connection.recv(65536)
        if not block:
            break
        said += block
    return bytes(said)
