"""Who holds a port of this machine: a container, or another program."""

import socket
from dataclasses import dataclass
from typing import Any

from coursework.engine.connection import Engine


@dataclass(frozen=True)
class Holder:
    """What listens on a port.

    Args:
        name: of the container; empty where it is none.
        told: one sentence: who it is, and what frees the port.
    """

    name: str
    told: str


def holder_of(port: int, engine: Engine | None) -> Holder | None:
    """Return who holds a TCP port; None where nothing listens on it.

    Args:
        port: of this machine.
        engine: whose containers are looked at; none where no engine answers.
    """
    if engine and (name := _container(port, engine.client)):
        frees = f"docker rm --force {name} frees it"
        return Holder(name, f"port {port} is taken: the container {name} holds it; {frees}.")
    if _is_free(port):
        return None
    pid, name = _process(port)
    if pid:
        told = f"port {port} is taken: {name}, process {pid}, listens on it; kill {pid} ends it."
        return Holder("", told)
    asks = f"sudo lsof -nP -iTCP:{port} -sTCP:LISTEN names it"
    return Holder("", f"port {port} is taken by another user's program; {asks}.")


def _is_free(port: int) -> bool:
    for address in ("", "127.0.0.1"):
        with socket.socket() as trial:
            # As a server does: a port whose last connections still fade away is free.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((address, port))
            except OSError:
                return False
    return True


def _process(port: int) -> tuple[int, str]:
    """Return number and name of the process that listens; 0 where only root may know."""
    import psutil  # noqa: PLC0415 - only where a port is taken

    try:
        pids = [c.pid for c in psutil.net_connections("tcp") if c.pid and _listens(c, port)]
        return (pids[0], psutil.Process(pids[0]).name()) if pids else (0, "")
    except psutil.Error:
        return 0, ""


def _container(port: int, client: Any) -> str:
    found = client.api.containers(filters={"publish": str(port)})
    return next((c["Names"][0].removeprefix("/") for c in found if c.get("Names")), "")


def _listens(connection: Any, port: int) -> bool:
    return bool(connection.status == "LISTEN" and connection.laddr.port == port)
