"""Answers to the tiny module: one, its copy under other names, and an independent one."""

import re

from tests.learners import RIGHT

COPIED = RIGHT
_OTHER_NAMES = {
    "Handler": "Box", "answer": "reply", "body": "data", "kind": "sort", "port": "number",
    "log_message": "be_quiet",
}  # fmt: skip
RENAMED = "# entirely my own\n" + re.sub(
    "|".join(rf"\b{name}\b" for name in _OTHER_NAMES),
    lambda found: _OTHER_NAMES[found[0]],
    RIGHT.replace('b"hello"', "b'good evening'"),
)
INDEPENDENT = """\
import asyncio
import os


async def one_request(reader, writer):
    head = (await reader.readuntil(b"\\r\\n\\r\\n")).decode("latin-1").split("\\r\\n")
    length, mime = 0, "text/plain"
    for line in head[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            length = int(value)
        elif name.lower() == "content-type":
            mime = value.strip()
    said = await reader.readexactly(length) if length else b"hello"
    writer.write(f"HTTP/1.1 200 OK\\r\\nContent-Type: {mime}\\r\\n".encode())
    writer.write(f"Content-Length: {len(said)}\\r\\nConnection: close\\r\\n\\r\\n".encode() + said)
    await writer.drain()
    writer.close()


async def main():
    place = os.environ.get("PORT") or "3000"
    async with await asyncio.start_server(one_request, "0.0.0.0", int(place)) as listening:
        print("ready at", place)
        await listening.serve_forever()


asyncio.run(main())
"""
