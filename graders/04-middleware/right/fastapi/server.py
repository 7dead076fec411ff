"""The chain as pure ASGI middleware around FastAPI's routes: each sees the raw messages."""

import asyncio
import json
import os
import re
import time
import uuid

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

STAFF_KEY = os.environ.get("STAFF_KEY", "")
SLOW_MS = int(os.environ.get("SLOW_MS", "2000"))
CANARY = os.environ.get("CANARY", "")
MAINTENANCE = os.environ.get("MAINTENANCE") == "1"
OWN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
LIMIT_BYTES = 1024


def field(scope, name):
    return next((v.decode("latin-1") for n, v in scope["headers"] if n == name), "")


class Mark:
    """The outermost one: what it adds is on every reply."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        own = field(scope, b"x-request-id")
        scope["state"]["id"] = own if OWN_ID.fullmatch(own) else str(uuid.uuid4())

        async def send_marked(message):
            if message["type"] == "http.response.start":
                mark = (b"x-request-id", scope["state"]["id"].encode())
                message["headers"] = [*message.get("headers", []), mark]
            await send(message)

        await self.app(scope, receive, send_marked)


class Log:
    """One line a request, when all is over."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start, status = time.perf_counter(), 499

        async def send_and_note(message):
            nonlocal status
            if message["type"] == "http.response.start" and not await has_left():
                status = message["status"]
            await send(message)

        async def has_left():
            # uvicorn says http.disconnect at once where nobody is there any more.
            try:
                while scope["method"] == "GET":
                    message = await asyncio.wait_for(receive(), 0.001)
                    if message["type"] == "http.disconnect":
                        return True
            except TimeoutError:
                pass
            return False

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            line = {
                "id": scope["state"]["id"],
                "method": scope["method"],
                "path": scope["raw_path"].decode("ascii"),
                "status": status,
                "ms": (time.perf_counter() - start) * 1000,
            }
            print(json.dumps(line))


class Doors:
    """Closed for maintenance, or for staff only."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        app = self.app
        if scope["type"] == "http":
            path = scope["path"]
            if MAINTENANCE and path != "/healthz":
                app = JSONResponse({"error": "maintenance"}, 503, {"Retry-After": "90"})
            elif path.startswith("/api/staff/") and not self.is_staff(scope):
                app = JSONResponse({"error": "staff_only"}, 401)
        await app(scope, receive, send)

    def is_staff(self, scope):
        return STAFF_KEY != "" and field(scope, b"x-staff-key") == STAFF_KEY


app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


class Refusal(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


@app.exception_handler(Refusal)
async def refuse(request, refusal):
    return JSONResponse({"error": refusal.code}, refusal.status)


@app.exception_handler(HTTPException)
async def no_route(request, error):
    code = "not_found" if error.status_code == 404 else "method_not_allowed"
    return JSONResponse({"error": code}, error.status_code, error.headers)


@app.exception_handler(Exception)
async def contain(request, error):
    # Starlette raises the error again behind this reply, and uvicorn logs it.
    return JSONResponse({"error": "internal", "request_id": request.state.id}, 500)


async def json_object(request: Request):
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Refusal(415, "json_only")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LIMIT_BYTES:
            raise Refusal(413, "too_large")
    try:
        value = json.loads(body)
    except ValueError:
        raise Refusal(400, "bad_json") from None
    if not isinstance(value, dict):
        raise Refusal(400, "bad_json")
    return value


@app.get("/healthz")
async def healthz():
    return Response()


@app.post("/api/echo")
async def echo(request: Request):
    return JSONResponse(await json_object(request))


@app.get("/api/staff/sales")
async def sales():
    return {"sales": 0}


@app.post("/api/staff/notes", status_code=201)
async def notes(request: Request):
    await json_object(request)


@app.get("/api/slow")
async def slow():
    await asyncio.sleep(SLOW_MS / 1000)


@app.get("/api/boom")
async def boom():
    await asyncio.sleep(0)
    raise RuntimeError(CANARY)


chain = Mark(Log(Doors(app)))
uvicorn.run(
    chain, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning",
    access_log=False,
)
