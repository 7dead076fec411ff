"""Who holds a port of this machine: a container, or another program."""

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
    import psutil  # noqa: PLC0415 - only where a port is taken

    try:
        pids = [c.pid for c in psutil.net_connections("tcp") if _listens(c, port)]
        if not pids:
            return None
        pid = next((pid for pid in pids if pid), None)
        name = psutil.Process(pid).name() if pid else ""
    except psutil.Error:
        name = ""
    if not name:
        asks = f"sudo lsof -nP -iTCP:{port} -sTCP:LISTEN names it"
        return Holder("", f"port {port} is taken by another user's program; {asks}.")
    return Holder(
        "", f"port {port} is taken: {name}, process {pid}, listens on it; kill {pid} ends it."
    )


def _container(port: int, client: Any) -> str:
    found = client.api.containers(filters={"publish": str(port)})
    return next((c["Names"][0].removeprefix("/") for c in found if c.get("Names")), "")


def _listens(connection: Any, port: int) -> bool:
    return bool(connection.status == "LISTEN" and connection.laddr.port == port)
