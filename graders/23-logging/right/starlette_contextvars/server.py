"""The box office in Starlette; the logging module prints, and context variables carry the ids."""

import asyncio
import base64
import contextvars
import http.client
import json
import logging
import os
import re
import secrets
import sys
import time
import traceback
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

env = os.environ
PAYMENTS = urlsplit(env["PAYMENTS_URL"]).netloc
with open(env.get("SHOWS_FILE", "shows.json"), encoding="utf-8") as file:
    SHOWS = {str(show["id"]): show for show in json.load(file)}
CALLS = ThreadPoolExecutor(100)
ABOUT = contextvars.ContextVar("what is known of the request", default=None)
log = logging.getLogger("desk")


def mask(value, name=""):
    if name.lower() in {"password", "token", "number"}:
        return None
    if isinstance(value, dict):
        return {key: mask(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < 10**12 else "…"
    if not isinstance(value, str):
        return value
    value = re.sub(r"(?<!\d)(\d{4})(?:[- ]?\d){5,11}[- ]?(\d{4})(?!\d)", r"\1…\2", value)
    value = re.sub(r"((?:password|token)=)[^\s&;,'\"]+", r"\1…", value, flags=re.IGNORECASE)
    return re.sub(r"(//[^\s:/@]*):[^\s/@]+@", r"\1:…@", value)


class Lines(logging.Formatter):
    NAMES = {"WARNING": "warn", "CRITICAL": "error"}

    def format(self, record):
        line = {"body": None, **mask(dict(getattr(record, "fields", {})))}
        if about := ABOUT.get():
            line |= {"trace_id": about["trace_id"], "request_id": about["request_id"]}
        moment = datetime.fromtimestamp(record.created, UTC)
        line |= {
            "msg": record.getMessage(),
            "level": self.NAMES.get(record.levelname, record.levelname.lower()),
            "ts": moment.isoformat(sep=" ", timespec="microseconds"),
            "service": env["SERVICE_NAME"],
            "version": env["SERVICE_VERSION"],
        }
        return json.dumps(line)


def say(level, message, **fields):
    log.log(level, message, extra={"fields": fields})


class Entrance:
    """Read the body, know the ids, and print one line when the request is over."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or scope["path"] == "/healthz":
            return await self.app(scope, receive, send)
        begun = time.perf_counter()
        head = {name: value.decode("latin-1") for name, value in scope["headers"]}
        about = ABOUT.set(known(head)) and ABOUT.get()
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        state = {}

        async def send_marked(message):
            if message["type"] == "http.response.start":
                state["status"] = message["status"]
                mark = (b"x-request-id", about["request_id"].encode())
                message["headers"] = [*message.get("headers", []), mark]
            await send(message)

        async def body_once():
            return {"type": "http.request", "body": body, "more_body": False}

        work = asyncio.create_task(self.app(scope, body_once, send_marked))
        gone = asyncio.create_task(receive())
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        status = state.get("status", 499)
        line = {key: about[key] for key in ("user", "stack") if about.get(key)}
        level = logging.ERROR if status > 499 else logging.WARNING if status > 399 else logging.INFO
        say(
            level, f"{scope['method']} → {status}", status=status, method=scope["method"],
            path=scope["raw_path"].decode(), route=about.get("route"), agent=head.get(b"user-agent"),
            duration_ms=(time.perf_counter() - begun) * 1000, **line,
        )  # fmt: skip
        await work
        gone.cancel()


def known(head):
    own, parent = head.get(b"x-request-id", ""), head.get(b"traceparent", "")
    found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})", parent)
    if not found or set(found[1]) == {"0"} or set(found[2]) == {"0"}:
        found = ["", secrets.token_hex(16), "", "00"]
    return {
        "request_id": own if re.fullmatch(r"[A-Za-z0-9-]{8,64}", own) else str(uuid.uuid4()),
        "trace_id": found[1],
        "flags": found[3],
    }


def served(path, *, reads=False):
    """Turn a function into an endpoint that knows its path, reads its object, and never raises."""

    def wrap(function):
        async def endpoint(request):
            about = ABOUT.get()
            about["route"] = path
            try:
                if not reads:
                    return await function(request)
                try:
                    order = json.loads(await request.body())
                except ValueError:
                    order = None
                if not isinstance(order, dict):
                    return PlainTextResponse("an object, please", 400)
                if isinstance(order.get("user"), str):
                    about["user"] = order["user"]
                say(logging.DEBUG, "this came", body=order)
                return await function(order)
            except Exception as error:
                about["stack"] = "".join(traceback.format_exception(error))
                return PlainTextResponse("our mistake", 502 if isinstance(error, Payment) else 500)

        return endpoint

    return wrap


class Payment(Exception):
    pass


@served("/api/shows/:id")
async def show(request):
    found = SHOWS.get(request.path_params["id"])
    return JSONResponse(found) if found else PlainTextResponse("no such show", 404)


@served("/api/login", reads=True)
async def login(order):
    if order.get("password") != env["LOGIN_PASSWORD"]:
        return PlainTextResponse("no", 401)
    token = base64.b64encode(secrets.token_bytes(20)).decode()
    reply = JSONResponse({"token": token})
    reply.set_cookie("session", token, httponly=True)
    return reply


@served("/api/bookings", reads=True)
async def book(order):
    # A pool of its own: the usual one has too few threads for a full house.
    context = contextvars.copy_context()
    status, text = await asyncio.get_running_loop().run_in_executor(
        CALLS, context.run, charge, order
    )
    if status == 402:
        return PlainTextResponse("declined", 402)
    try:
        charge_id = json.loads(text)["id"] if status == 201 else None
    except (ValueError, TypeError, KeyError):
        charge_id = None
    if not isinstance(charge_id, str):
        raise Payment(f"{status} from the payment company: {mask(text)[:300]}")
    return JSONResponse({"charge_id": charge_id, "user": order["user"], "seat": order["seat"]}, 201)


def charge(order):
    about = ABOUT.get()
    line = http.client.HTTPConnection(PAYMENTS, timeout=60)
    parent = f"00-{about['trace_id']}-{secrets.token_hex(8)}-{about['flags']}"
    headers = {"x-request-id": about["request_id"], "traceparent": parent}
    try:
        line.request("POST", "/charges", json.dumps(order), headers)
        reply = line.getresponse()
        text = reply.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise Payment("no reply from the payment company") from error
    if reply.status == 201:
        try:
            say(logging.INFO, "paid", charge_id=json.loads(text)["id"])
        except (ValueError, TypeError, KeyError):
            pass
    return reply.status, text


@served("/api/boom")
async def boom(request):
    await asyncio.sleep(0)
    raise RuntimeError(env["CANARY"])


async def healthz(request):
    return PlainTextResponse("fine")


app = Entrance(
    Starlette(
        routes=[
            Route("/healthz", healthz),
            Route("/api/shows/{id}", show),
            Route("/api/login", login, methods=["POST"]),
            Route("/api/bookings", book, methods=["POST"]),
            Route("/api/boom", boom),
        ]
    )
)
if __name__ == "__main__":
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Lines())
    log.addHandler(handler)
    log.setLevel(env.get("LOG_LEVEL", "info").upper())
    say(logging.INFO, "open")
    port = int(env.get("PORT", "3000"))
    uvicorn.run(app, host="0.0.0.0", port=port, log_config=None, access_log=False)
