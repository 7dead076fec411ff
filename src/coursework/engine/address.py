"""The addresses at which a container engine may answer, and whether one does."""

import hashlib
import http.client
import json
import os
import re
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from coursework.files import read_object

ANSWERS_WITHIN_S = 1.0
DEFAULT_SOCKET = Path("/var/run/docker.sock")
_PORT = 2375
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True)
class Probe:
    """What an address said.

    Args:
        answers: an engine answers there.
        denied: something listens, but this user may not talk to it.
        reason: why it does not answer.
    """

    answers: bool
    denied: bool = False
    reason: str = ""


def get(address: str, path: str, timeout_s: float = ANSWERS_WITHIN_S) -> Any:
    """Ask an engine for a path of its API and return the JSON, or the text where it is none.

    Raises:
        OSError: nothing answers in time, or not with 200.
    """
    parts = urlsplit(address)
    connection: http.client.HTTPConnection
    if parts.scheme == "unix":
        connection = _UnixConnection(parts.path, timeout_s)
    else:
        connection = http.client.HTTPConnection(
            parts.hostname or "localhost", parts.port or _PORT, timeout=timeout_s
        )
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read().decode()
    except http.client.HTTPException as error:
        raise OSError(f"no engine's answer: {error!r}") from error
    finally:
        connection.close()
    if reply.status != http.client.OK:
        raise OSError(f"answered {reply.status}")
    try:
        return json.loads(body)
    except json.JSONDecodeError:
        return body


def probe(address: str, timeout_s: float = ANSWERS_WITHIN_S) -> Probe:
    """Ping an address once."""
    try:
        get(address, "/_ping", timeout_s)
    except PermissionError as error:
        return Probe(answers=False, denied=True, reason=str(error))
    except (OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        if _speaks_tls(address, timeout_s):
            reason = "it speaks TLS, which the course does not: use the engine's Unix socket"
        return Probe(answers=False, reason=reason)
    return Probe(answers=True)


def _speaks_tls(address: str, timeout_s: float) -> bool:
    parts = urlsplit(address)
    if parts.scheme == "unix":
        return False
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    place = (parts.hostname or "localhost", parts.port or _PORT)
    try:
        with socket.create_connection(place, timeout_s) as plain, context.wrap_socket(plain):
            return True
    except (OSError, ValueError):
        return False


def is_local(address: str) -> bool:
    """Tell whether ports that the engine publishes there open on this machine."""
    parts = urlsplit(address)
    at_home = parts.hostname is None or parts.hostname in _LOOPBACK
    return parts.scheme == "unix" or (parts.scheme == "tcp" and at_home)


def user_docker_folder() -> Path:
    """Return the folder of the user's own Docker settings, which the course never writes."""
    return Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")


def read_settings(folder: Path) -> dict[str, Any]:
    """Read a Docker settings folder's config.json; empty where there is none."""
    return read_object(folder / "config.json")


def _context_address(folder: Path) -> str | None:
    name = os.environ.get("DOCKER_CONTEXT") or read_settings(folder).get("currentContext")
    if not name or name == "default":
        return None
    digest = hashlib.sha256(str(name).encode()).hexdigest()
    meta = read_object(folder / "contexts" / "meta" / digest / "meta.json")
    try:
        return str(meta["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        return None


def whole_address(typed: str) -> str:
    """Return an address as docker's command takes it: a bare HOST:PORT is TCP."""
    return f"tcp://{typed}" if re.fullmatch(r"[\w.-]*:\d+|\[[\da-f:]+\]:\d+", typed) else typed


def is_understood(address: str) -> bool:
    """Tell whether an address is of a kind at which an engine may answer."""
    return address.startswith(("unix:///", "tcp://", "ssh://"))


def host_addresses() -> list[str]:
    """Return where the user's own Docker may answer, most wanted first.

    DOCKER_HOST is a decision: where it is set, nothing else is tried.
    """
    if decided := os.environ.get("DOCKER_HOST"):
        return [whole_address(decided)]
    candidates = [_context_address(user_docker_folder()), f"unix://{DEFAULT_SOCKET}"]
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        candidates.append(f"unix://{runtime}/docker.sock")
    return list(dict.fromkeys(address for address in candidates if address))
