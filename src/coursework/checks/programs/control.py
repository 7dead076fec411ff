"""The side door of a program of ours: the checks ask through it, and the answer cannot."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

PORT = 8000
PING = "ping"
TOKEN_VARIABLE = "CONTROL_TOKEN"  # noqa: S105 - the variable's name
_LIMIT_BYTES = 2**24

Handler = Callable[[str, dict[str, Any]], Awaitable[Any]]


async def serve_control(handle: Handler) -> None:
    """Answer what the checks ask, one JSON line each, until the program is killed.

    Args:
        handle: is called with the command and its arguments; its result goes back as JSON.
    """
    token = os.environ[TOKEN_VARIABLE]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = json.loads(await reader.readline())
            # The answer shares our network: what it sends must change nothing.
            if asked.pop("token", None) == token:
                said = await _told(handle, asked.pop("do"), asked)
                writer.write(json.dumps(said).encode() + b"\n")
        except (ValueError, AttributeError, OSError):
            # No question of ours: there is nobody to tell.
            pass
        finally:
            writer.close()

    # From inside all addresses are ours, and the engine publishes only this port.
    server = await asyncio.start_server(answer, "0.0.0.0", PORT, limit=_LIMIT_BYTES)  # noqa: S104
    await server.serve_forever()


async def _told(handle: Handler, do: str, how: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": None if do == PING else await handle(do, how)}
    except Exception as error:  # noqa: BLE001 - told to who asked, and raised there
        return {"trouble": repr(error)}
