"""The program behind the word Relay: TCP led on to a service, held, refused, cut and counted."""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any

from coursework.checks.programs.control import PORT, serve_control

_BLOCK_BYTES = 65536


@dataclass
class Traffic:
    """What has gone through a relay since it was opened.

    Args:
        connections: that were accepted.
        sent_bytes: that came from who connected, held ones included.
        received_bytes: that came from the service, held ones included.
    """

    connections: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0


class Line:
    """A port that leads on to one service.

    Args:
        port: where it listens.
        host: of the service.
        target: port of the service.
    """

    def __init__(self, port: int, host: str, target: int) -> None:
        self._port, self._host, self._target = port, host, target
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._open: list[list[asyncio.StreamWriter]] = []
        self.traffic = Traffic()

    async def accept(self) -> None:
        """Accept connections, and let everything flow."""
        self._flows.set()
        if self._server is None:
            # All addresses of a container that is ours alone.
            self._server = await asyncio.start_server(self._lead_on, "0.0.0.0", self._port)  # noqa: S104

    def hold(self) -> None:
        """Let nothing flow any more; connections stay open, and new ones are accepted."""
        self._flows.clear()

    def refuse(self) -> None:
        """Close what is open, and refuse new connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self.cut()

    def cut(self) -> int:
        """Close what is open, whatever was held in it; return how many connections that were."""
        for ends in self._open:
            for writer in ends:
                writer.transport.abort()
        return len(self._open)

    def count_open(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    async def _lead_on(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.traffic.connections += 1
        ends = [back]
        self._open.append(ends)
        try:
            far, forth = await asyncio.open_connection(self._host, self._target)
            ends.append(forth)
            await asyncio.gather(self._pump(near, forth, "sent_bytes"),
                                 self._pump(far, back, "received_bytes"))  # fmt: skip
        except OSError:
            # One end is gone: then the other one goes as well.
            back.transport.abort()
        finally:
            self._open.remove(ends)
            for writer in ends:
                writer.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, counter: str
    ) -> None:
        while block := await source.read(_BLOCK_BYTES):
            setattr(self.traffic, counter, getattr(self.traffic, counter) + len(block))
            await self._flows.wait()
            sink.write(block)
            await sink.drain()
        await self._flows.wait()
        with suppress(OSError):
            sink.write_eof()


class Lines:
    """All relays of a run; each command of the checks names one by its port."""

    def __init__(self) -> None:
        self._lines: dict[int, Line] = {}
        # Below the ports that the kernel takes for connections: one that was closed is free again.
        self._ports = count(PORT + 1)

    async def handle(self, do: str, how: dict[str, Any]) -> Any:
        """Do what the checks ask; see `Relay`."""
        if do == "open":
            port = how["port"] or next(self._ports)
            self._lines[port] = Line(port, how["host"], how["target"])
            await self._lines[port].accept()
            return port
        line = self._lines[how["port"]]
        if do == "accept":
            return await line.accept()
        if do == "count":
            return asdict(line.traffic)
        actions = {"hold": line.hold, "refuse": line.refuse, "cut": line.cut,
                   "count_open": line.count_open}  # fmt: skip
        return actions[do]()


if __name__ == "__main__":
    asyncio.run(serve_control(Lines().handle))
