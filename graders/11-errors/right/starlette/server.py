"""The box office in Starlette; the standard library's client asks the partners, in threads."""

import asyncio
import http.client
import json
import os
import re
import traceback
import uuid
from urllib.parse import quote, urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

PAYMENTS = urlsplit(os.environ["PAYMENTS_URL"]).netloc
MAIL = urlsplit(os.environ["MAIL_URL"]).netloc
TIMEOUT_S = int(os.environ["UPSTREAM_TIMEOUT_MS"]) / 1000
with open(os.environ.get("SHOWS_FILE", "shows.json"), encoding="utf-8") as file:
    SHOWS = {show["id"]: show for show in json.load(file)}
BOOKINGS = {}
TAKEN = set()

TITLES = {
    400: "Unreadable", 402: "Payment declined", 404: "Not here", 405: "Wrong method",
    409: "Seat taken", 415: "JSON only", 422: "Not a booking", 500: "Our mistake",
    502: "Payments are broken", 503: "Payments are away", 504: "Payments are slow",
}  # fmt: skip


class Problem(Exception):
    def __init__(self, status, name, detail, *, headers=None, **fields):
        super().__init__(detail)
        self.status, self.name, self.detail = status, name, detail
        self.headers, self.fields = headers or {}, fields


def answer(problem, instance):
    body = {
        "instance": instance,
        "detail": problem.detail,
        "status": problem.status,
        "title": TITLES[problem.status],
        "type": f"/problems/{problem.name}",
        **problem.fields,
    }
    # Escaped: a lone surrogate has no UTF-8.
    return Response(
        json.dumps(body), problem.status, problem.headers,
        media_type="application/problem+json; charset=utf-8",
    )  # fmt: skip


def log_stack(instance, error):
    stack = "".join(traceback.format_exception(error))
    print(json.dumps({"level": "error", "instance": instance, "stack": stack}))


async def on_problem(request, problem):
    instance = f"/problems/occurrences/{uuid.uuid4()}"
    if problem.status >= 500:
        log_stack(instance, problem)
    return answer(problem, instance)


async def on_http(request, error):
    if error.status_code == 405:
        found = Problem(405, "method-not-allowed", "See Allow.", headers=error.headers)
    else:
        found = Problem(404, "not-found", "There is nothing here.")
    return await on_problem(request, found)


async def on_crash(request, error):
    instance = f"/problems/occurrences/{uuid.uuid4()}"
    log_stack(instance, error)
    return answer(Problem(500, "internal", "Something broke on our side."), instance)


RULES = {
    "show_id": lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 0,
    "seat": lambda v: isinstance(v, str) and re.fullmatch(r"[A-F]([1-9]|10)", v),
    "user": lambda v: isinstance(v, str) and re.fullmatch(r"[a-z]{2,20}", v),
    "email": lambda v: isinstance(v, str) and re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", v),
}


async def read_order(request):
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "json-only", "Send application/json.")
    try:
        order = json.loads(await request.body())
    except (ValueError, RecursionError):
        raise Problem(400, "bad-json", "That is not JSON.") from None
    if not isinstance(order, dict):
        wrong = ["#"]
    else:
        wrong = [f"#/{name}" for name, holds in RULES.items() if not holds(order.get(name))]
    if wrong:
        errors = [{"detail": "see the rules of a booking", "pointer": p} for p in wrong]
        raise Problem(422, "invalid-booking", f"{len(wrong)} mistakes.", errors=errors)
    return order


def call(netloc, method, path, value=None, timeout_s=None, *, whole=True):
    """Ask, and return the status and the body, or the open reply."""
    line = http.client.HTTPConnection(netloc, timeout=timeout_s)
    body = None if value is None else json.dumps(value)
    headers = {} if value is None else {"Content-Type": "application/json"}
    line.request(method, path, body, headers)
    reply = line.getresponse()
    if not whole:
        line.sock and line.sock.settimeout(None)
        return reply
    return reply.status, reply.read()


async def ask_payments(*args, **options):
    try:
        return await asyncio.wait_for(
            asyncio.to_thread(call, PAYMENTS, *args, timeout_s=TIMEOUT_S + 1, **options), TIMEOUT_S
        )
    except TimeoutError as error:
        raise Problem(504, "payments-slow", "They take too long.") from error
    except (ConnectionRefusedError, OSError) as error:
        if isinstance(error, ConnectionResetError | BrokenPipeError):
            raise Problem(502, "payments-broken", "They hung up.") from error
        raise Problem(503, "payments-away", "Later.", headers={"retry-after": "7"}) from error
    except http.client.HTTPException as error:
        raise Problem(502, "payments-broken", "They said half a word.") from error


async def book(request):
    order = await read_order(request)
    show = SHOWS.get(order["show_id"])
    if show is None:
        raise Problem(404, "unknown-show", "There is no such show.")
    place = (show["id"], order["seat"])
    if place in TAKEN:
        raise Problem(409, "seat-taken", "Somebody was faster.")
    TAKEN.add(place)
    try:
        charge_id = await pay(order["user"], show["price_cents"])
    except BaseException:
        TAKEN.discard(place)
        raise
    booking = {
        "charge_id": charge_id, "price_cents": show["price_cents"], "status": "confirmed",
        "user": order["user"], "seat": order["seat"], "show_id": show["id"],
        "id": uuid.uuid4().hex,
    }  # fmt: skip
    BOOKINGS[booking["id"]] = order["email"]
    return JSONResponse(booking, 201)


async def pay(user, cents):
    status, text = await ask_payments("POST", "/charges", {"amount_cents": cents, "user": user})
    if status == 402:
        raise Problem(402, "payment-declined", "The card was declined.")
    try:
        charge = json.loads(text) if status == 201 else None
    except ValueError:
        charge = None
    if not isinstance(charge, dict) or not isinstance(charge.get("id"), str):
        raise Problem(502, "payments-broken", "Nothing of use came back.")
    return charge["id"]


async def export(request):
    month = quote(request.query_params.get("month", ""), safe="")
    ledger = await ask_payments("GET", f"/ledger?month={month}", whole=False)
    if ledger.status != 200:
        raise Problem(502, "payments-broken", "There is no ledger.")

    async def pieces():
        while piece := await asyncio.to_thread(ledger.read1, 65536):
            yield piece
        # read1 takes an early end for the end, where the length was announced.
        if ledger.length:
            raise http.client.IncompleteRead(b"")

    return StreamingResponse(pieces(), media_type="application/x-ndjson")


async def remind(request):
    booking_id = request.path_params["id"]
    if booking_id not in BOOKINGS:
        raise Problem(404, "unknown-booking", "There is no such booking.")
    return Response(status_code=202, background=BackgroundTask(send_mail, booking_id))


def send_mail(booking_id):
    try:
        mail = {"to": BOOKINGS[booking_id], "booking_id": booking_id}
        status, _ = call(MAIL, "POST", "/mails", mail, timeout_s=30)
        if status >= 300:
            raise RuntimeError(f"the mail server answered {status}")
    except Exception as error:
        print(json.dumps({"booking_id": booking_id, "error": repr(error)}))


async def boom(request):
    await asyncio.sleep(0)
    raise RuntimeError(os.environ["CANARY"])


app = Starlette(
    routes=[
        Route("/api/bookings", book, methods=["POST"]),
        Route("/api/export", export),
        Route("/api/remind/{id}", remind, methods=["POST"]),
        Route("/api/boom", boom),
    ],
    exception_handlers={Problem: on_problem, HTTPException: on_http, Exception: on_crash},
)
if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning")
