# A program instead of a balancer: rendezvous hashing, and a server that failed rests for half a second.
import asyncio
import hashlib
import itertools
import time

ROOMS = ("b1", "b2", "b3")
RESTS_S, CONNECTS_S, ANSWERS_S = 0.5, 0.3, 0.6
rested = dict.fromkeys(ROOMS, 0.0)
turns = itertools.count()


def order(path, user):
    """Return all rooms, the one to ask first in front; those that rest are last."""
    route = path.partition("?")[0]
    if route == "/checkout" or route.startswith("/checkout/"):
        rooms = sorted(ROOMS, key=lambda room: hashlib.sha256(f"{room} {user}".encode()).digest())
    else:
        turn = next(turns) % 3
        rooms = ROOMS[turn:] + ROOMS[:turn]
    return sorted(rooms, key=lambda room: rested[room] > time.monotonic())


async def ask(room, head, body):
    """Return a room's whole reply, or None if there is none; tell whether it has got the request."""
    sent = False
    try:
        async with asyncio.timeout(CONNECTS_S):
            reader, writer = await asyncio.open_connection(room, 3000)
        try:
            sent = True
            writer.write(head + body)
            async with asyncio.timeout(ANSWERS_S):
                reply = await reader.read()
            if reply:
                return reply, sent
        finally:
            writer.close()
    except (OSError, TimeoutError):
        pass
    rested[room] = time.monotonic() + RESTS_S
    return None, sent


async def pass_on(head, body, peer):
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    fields = [line.split(":", 1) for line in lines]
    user = next((value.strip() for name, value in fields if name.lower() == "x-user"), "")
    mine = {"x-forwarded-proto", "x-forwarded-for", "connection", "transfer-encoding", "content-length"}
    kept = [f"{name}:{value}" for name, value in fields if name.lower() not in mine]
    kept = ["x-forwarded-proto: http", *reversed(kept), f"x-forwarded-for: 10.0.0.1,{peer}", "connection: close"]
    if body or method != "GET":
        kept.append(f"content-length: {len(body)}")
    head = "\r\n".join((f"{method} {path} HTTP/1.1", *kept, "", "")).encode("latin-1")
    for room in order(path, user):
        reply, sent = await ask(room, head, body)
        if reply:
            return reply
        if sent and method != "GET":
            break
    return (b"HTTP/1.1 502 Nobody At The Counter\r\nTransfer-Encoding: chunked\r\nX-Tries: some\r\n"
            b"Connection: close\r\n\r\n5\r\nsorry\r\n0\r\n\r\n")


async def read_body(reader, head):
    fields = dict(line.lower().split(b":", 1) for line in head.split(b"\r\n")[1:] if b":" in line)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        parts = []
        while size := int((await reader.readline()).split(b";")[0], 16):
            parts.append(await reader.readexactly(size))
            await reader.readline()
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    return await reader.readexactly(int(fields.get(b"content-length", b"0")))


async def serve(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await read_body(reader, head)
        writer.write(await pass_on(head, body, writer.get_extra_info("peername")[0]))
        await writer.drain()
    except (OSError, ValueError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "0.0.0.0", 8080, backlog=512)
    await server.serve_forever()


asyncio.run(main())
