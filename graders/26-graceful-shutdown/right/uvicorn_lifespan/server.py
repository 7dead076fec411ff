"""Bookings with Starlette; uvicorn's own shutdown begins when the drain is over."""

import asyncio
import json
import os
import urllib.request
import uuid
from contextlib import asynccontextmanager

import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

PAYMENTS_URL, QUEUE = os.environ["PAYMENTS_URL"], os.environ["QUEUE"]
DRAIN_S = int(os.environ["DRAIN_MS"]) / 1000
LIMIT_S = int(os.environ["SHUTDOWN_TIMEOUT_MS"]) / 1000
leaving = asyncio.Event()


def charge(order):
    request = urllib.request.Request(
        f"{PAYMENTS_URL}/charges",
        json.dumps(order).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as reply:
        reply.read()


async def ready(request):
    return JSONResponse({"ready": not leaving.is_set()}, 503 if leaving.is_set() else 200)


async def book(request):
    sent = await request.json()
    order = {name: sent[name] for name in ("show_id", "seat", "user")}
    await asyncio.get_running_loop().run_in_executor(None, charge, order)
    number = uuid.uuid4().hex
    await request.app.state.redis.lpush(QUEUE, number)
    return JSONResponse({**order, "id": number, "status": "confirmed"}, 201)


@asynccontextmanager
async def lifespan(app):
    async with redis.asyncio.from_url(os.environ["REDIS_URL"]) as client:
        app.state.redis = client
        yield


routes = [Route("/readyz", ready), Route("/api/bookings", book, methods=["POST"])]
app = Starlette(routes=routes, lifespan=lifespan)


async def with_goodbye(scope, receive, send):
    async def send_on(message):
        if message["type"] == "http.response.start" and leaving.is_set():
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        await send(message)

    await app(scope, receive, send_on)


class Server(uvicorn.Server):
    def handle_exit(self, sig, frame):
        asyncio.get_running_loop().call_soon_threadsafe(self.leave)

    def leave(self):
        if leaving.is_set():
            os._exit(1)
        leaving.set()
        loop = asyncio.get_running_loop()
        loop.call_later(LIMIT_S, os._exit, 1)
        loop.call_later(DRAIN_S, setattr, self, "should_exit", True)


def main():
    port = int(os.environ.get("PORT", "3000"))
    Server(uvicorn.Config(with_goodbye, host="0.0.0.0", port=port, timeout_keep_alive=30)).run()
