"""The box office with all that replicas share in Valkey: a list is the queue, and a lease the lock."""

import asyncio
import json
import os
import secrets
import socket
import urllib.request
from contextlib import asynccontextmanager

import psycopg
import redis.asyncio as redis
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse, StreamingResponse

HANDS, LEASE_MS = 4, 1000
TICK_S = int(os.environ["TICK_MS"]) / 1000
ME = socket.gethostname()
# By default a pool has fewer connections than a rush has buyers.
store = redis.from_url(os.environ["REDIS_URL"], max_connections=1000)
# In one step, so that no other replica counts the same queue.
ACCEPT = """
if redis.call('SISMEMBER', 'sold', ARGV[1]) == 1 then return 409 end
if redis.call('LLEN', 'queue') >= tonumber(ARGV[2]) then return 503 end
redis.call('SADD', 'sold', ARGV[1])
redis.call('LPUSH', 'queue', ARGV[3])
return 202
"""
# The lease is prolonged by who has it, and taken by whoever comes when nobody has it.
HOLD = """
local holder = redis.call('GET', 'ticker')
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', 'ticker', ARGV[1], 'PX', ARGV[2])
return 1
"""


@asynccontextmanager
async def lifespan(_):
    tasks = [asyncio.create_task(work()) for _ in range(HANDS)] + [asyncio.create_task(tick())]
    yield
    for task in tasks:
        task.cancel()


app = FastAPI(lifespan=lifespan)
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost"])


async def work():
    while True:
        popped = await store.brpop("queue", timeout=1)
        if popped:
            booking = json.loads(popped[1])
            await asyncio.to_thread(charge, booking)
            booking["status"] = "confirmed"
            await store.xadd(f"events:{booking['show_id']}", {"data": json.dumps(booking)})


def charge(booking):
    body = {"booking_id": booking["id"], **{n: booking[n] for n in ("show_id", "seat", "user")}}
    request = urllib.request.Request(
        os.environ["PAYMENTS_URL"] + "/charges", json.dumps(body).encode(), method="POST",
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        reply.read()


async def tick():
    session = await psycopg.AsyncConnection.connect(os.environ["DATABASE_URL"], autocommit=True)
    while True:
        if await store.eval(HOLD, 0, ME, LEASE_MS):
            await session.execute("INSERT INTO ticks (at, by) VALUES (clock_timestamp(), %s)", (ME,))
        await asyncio.sleep(TICK_S)


@app.post("/api/login")
async def login(request: Request):
    user = (await request.json())["user"]
    token = secrets.token_urlsafe(24)
    await store.set(f"session:{token}", user, ex=3600)
    reply = JSONResponse({"user": user})
    reply.set_cookie("sid", token, httponly=True)
    return reply


@app.get("/api/me")
async def me(request: Request):
    user = await store.get(f"session:{request.cookies.get('sid', '')}")
    return JSONResponse({"user": user.decode()}) if user else JSONResponse({}, 401)


@app.put("/api/shows/{show}/poster")
async def put_poster(show: int, request: Request):
    poster = {"type": request.headers["content-type"], "bytes": await request.body()}
    await store.hset(f"poster:{show}", mapping=poster)
    return Response(status_code=204)


@app.get("/api/shows/{show}/poster")
async def get_poster(show: int):
    poster = await store.hgetall(f"poster:{show}")
    if not poster:
        return Response(status_code=404)
    return Response(poster[b"bytes"], media_type=poster[b"type"].decode())


@app.post("/api/shows/{show}/bookings")
async def book(show: int, request: Request):
    wanted = await request.json()
    booking = {"id": secrets.token_hex(8), "show_id": show, "seat": wanted["seat"], "user": wanted["user"]}
    status = await store.eval(
        ACCEPT, 0, f"{show}/{wanted['seat']}", os.environ["QUEUE_MAX"], json.dumps(booking)
    )
    if status == 503:
        return JSONResponse({"error": "busy"}, 503, {"retry-after": "2"})
    return JSONResponse({"id": booking["id"]} if status == 202 else {"error": "sold"}, status)


@app.get("/api/shows/{show}/events")
async def events(show: int, request: Request):
    key, last = f"events:{show}", request.headers.get("last-event-id")
    if last is None:
        newest = await store.xrevrange(key, count=1)
        last = newest[0][0].decode() if newest else "0"
    return StreamingResponse(follow(key, last), media_type="text/event-stream")


async def follow(key, last):
    yield ": here it begins\r\n\r\n"
    while True:
        for _, entries in await store.xread({key: last}, block=1000):
            for number, fields in entries:
                last = number.decode()
                yield f"event:booking\r\ndata:{fields[b'data'].decode()}\r\nid:{last}\r\n\r\n"


if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=3000, access_log=False)
