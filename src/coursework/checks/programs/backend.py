"""The program of `Backends`: a server that names itself, records what it gets, hangs and dies."""

import asyncio
import base64
import json
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from coursework.checks.programs.control import serve_control

ANYWHERE = "0.0.0.0"  # noqa: S104 - the engine's network is the only one it is on
HEALTH = "/healthz"
LIMIT_BODY_BYTES = 5_000_000
FETCHED_WITHIN_S = 8.0
HANG, DIE = "hang", "die"
Fields = list[tuple[str, str]]


@dataclass
class Request:
    """A request whose last byte has been read."""

    method: str
    target: str
    headers: Fields
    body: bytes

    def header(self, name: str) -> str:
        """Return a field's value, in lower case; empty where there is none."""
        found = (value for field, value in self.headers if field.lower() == name)
        return next(found, "").lower()


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """Read one request; None where the caller has hung up.

    Raises:
        ValueError: it is not HTTP.
    """
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        request = Request(method, target, [(n, v.strip()) for n, _, v in pairs], b"")
        request.body = await _read_body(reader, request)
    except asyncio.IncompleteReadError:
        return None
    return request


async def _read_body(reader: asyncio.StreamReader, request: Request) -> bytes:
    if "chunked" not in request.header("transfer-encoding"):
        size = int(request.header("content-length") or 0)
        return await reader.readexactly(min(size, LIMIT_BODY_BYTES))
    body = bytearray()
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(min(size, LIMIT_BODY_BYTES))
        await reader.readline()
    while (await reader.readline()).strip():
        pass
    return bytes(body)


class Backend:
    """One server, at one port for as long as it lives; see `coursework.checks.Backend`."""

    def __init__(self) -> None:
        self.name, self._port = "", 0
        self._server: asyncio.Server | None = None
        self._well = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()
        self._spoiled: dict[str, str] = {}
        self._received: list[Request] = []

    async def open(self, name: str, port: int) -> None:
        """Listen, under a name."""
        self.name, self._port = name, port
        await self.revive()

    async def revive(self) -> None:
        """Be well: accept, and answer what was held."""
        self._well.set()
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, ANYWHERE, self._port, backlog=512
            )

    async def hang(self) -> None:
        """Accept, read, and answer nothing."""
        await self.revive()
        self._well.clear()

    async def die(self) -> None:
        """Refuse connections, and close those that are open, whatever was asked in them."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def spoil(self, how: str, having: str) -> None:
        """Read requests with a text in their target, then be silent or hang up."""
        self._spoiled[having] = how

    async def received(self, having: str) -> list[object]:
        """Return the requests that were read, but for those of health checks."""
        return [
            [r.method, r.target, r.headers, base64.b64encode(r.body).decode()]
            for r in self._received
            if having in r.target
        ]

    async def fetch(self, host: str, port: int, request: str) -> str:
        """Send bytes to somebody, and return what comes back until the end; both in base64."""
        came = bytearray()
        # Who refuses, breaks off or stays silent has said what it has said.
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(FETCHED_WITHIN_S):
                reader, writer = await asyncio.open_connection(host, port)
                writer.write(base64.b64decode(request))
                while block := await reader.read(65536):
                    came += block
                writer.close()
        return base64.b64encode(came).decode()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # One request each: a connection that is kept would be a second way to fail.
        self._open.add(writer)
        try:
            if request := await read_request(reader):
                await self._answer(request, reader, writer)
        except (ValueError, OSError, asyncio.LimitOverrunError):
            # The client has hung up, or does not speak HTTP.
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer a request, unless it is to fail."""
        if request.target != HEALTH:
            self._received.append(request)
            sys.stdout.write(f"{self.name} {request.method} {request.target}\n")
        how = next((h for text, h in self._spoiled.items() if text in request.target), "")
        if how == DIE:
            writer.transport.abort()
        elif how == HANG:
            # Until the client gives up.
            await reader.read()
        else:
            await self._well.wait()
            writer.write(self._reply(request))
            await writer.drain()

    def _reply(self, request: Request) -> bytes:
        shown = {
            "backend": self.name, "method": request.method, "path": request.target,
            "headers": request.headers, "body": request.body.decode("latin-1"),
        }  # fmt: skip
        body = json.dumps(shown).encode() + b"\n"
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Backend: {self.name}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (b"" if request.method == "HEAD" else body)


async def main() -> None:
    """Serve until killed; three signals do what a person at a terminal may want to see again."""
    backend, loop, doing = Backend(), asyncio.get_running_loop(), set[asyncio.Task[None]]()

    def do(name: str) -> None:
        task = loop.create_task(getattr(backend, name)())
        doing.add(task)
        task.add_done_callback(doing.discard)

    for number, name in (
        (signal.SIGUSR1, "hang"), (signal.SIGUSR2, "die"), (signal.SIGCONT, "revive"),
    ):  # fmt: skip
        loop.add_signal_handler(number, do, name)

    async def handle(what: str, how: dict[str, Any]) -> Any:
        return await getattr(backend, what)(**how)

    await serve_control(handle)


if __name__ == "__main__":
    asyncio.run(main())
