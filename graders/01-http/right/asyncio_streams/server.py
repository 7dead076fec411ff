import asyncio
import os
import re

NOTES = []
ROUTES = [
    (re.compile(r"/"), "home"),
    (re.compile(r"/echo/(.*)", re.DOTALL), "echo"),
    (re.compile(r"/visitor"), "visitor"),
    (re.compile(r"/notes"), "notes"),
    (re.compile(r"/notes/([0-9]+)"), "note"),
]
TEXT = ("content-type", "text/plain; charset=utf-8")


class Unclear(Exception):
    pass


async def read_head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    match = re.fullmatch(r"(\S+) (\S+) HTTP/\S+", lines[0])
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip(" \t")
    if not match or "host" not in fields:
        raise Unclear
    return match[1], match[2], fields


async def read_body(reader, fields):
    if "transfer-encoding" in fields:
        if "content-length" in fields:
            raise Unclear
        return await read_chunks(reader)
    length = fields.get("content-length", "0")
    if not re.fullmatch("[0-9]+", length):
        raise Unclear
    return await reader.readexactly(int(length))


async def read_chunks(reader):
    body = bytearray()
    while True:
        size = (await reader.readuntil(b"\r\n")).split(b";")[0].strip()
        if not re.fullmatch(b"[0-9a-fA-F]+", size):
            raise Unclear
        count = int(size, 16)
        if count == 0:
            break
        body += (await reader.readexactly(count + 2))[:-2]
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return bytes(body)


def percent_decoded(text):
    return re.sub(
        rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m[1], 16)]), text.encode("latin-1")
    )


def respond(method, path, fields, body):
    for pattern, name in ROUTES:
        if match := pattern.fullmatch(path):
            break
    else:
        return 404, [], b"unknown"
    allowed = ["POST"] if name == "notes" else ["HEAD", "GET"]
    if method not in allowed:
        return 405, [("allow", ",".join(allowed))], b"not this method"
    if name == "home":
        return 200, [TEXT], b"Lantern box office\n"
    if name == "echo":
        return 200, [TEXT], percent_decoded(match[1])
    if name == "visitor":
        if "x-visitor" not in fields:
            return 400, [], b""
        return 200, [TEXT], fields["x-visitor"].encode("latin-1")
    if name == "notes":
        NOTES.append(body)
        return 201, [("location", f"/notes/{len(NOTES)}")], b"thank you\n"
    number = int(match[1])
    if not 1 <= number <= len(NOTES):
        return 404, [], b"no such note"
    return 200, [("content-type", "application/octet-stream")], NOTES[number - 1]


def written(status, fields, body, with_body):
    lines = [f"HTTP/1.1 {status} -", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (body if with_body else b"")


async def converse(reader, writer):
    try:
        while True:
            method, path, fields = await read_head(reader)
            body = await read_body(reader, fields)
            status, more, content = respond(method, path, fields, body)
            writer.write(written(status, more, content, method != "HEAD"))
            await writer.drain()
            if fields.get("connection", "").lower() == "close":
                break
    except Unclear:
        writer.write(written(400, [("connection", "close")], b"unclear", True))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(converse, "0.0.0.0", int(os.environ.get("PORT", 3000)))
    async with server:
        await server.serve_forever()


asyncio.run(main())
