"""The API in FastAPI: threads and a lock, counted versions, and readable cursors."""

import csv
import io
import os
import re
from datetime import datetime
from threading import Lock
from typing import Annotated, Any
from uuid import uuid4

import uvicorn
from fastapi import Body, FastAPI, Header, Request, Response
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

MERGE_PATCH = "application/merge-patch+json"
CURSOR = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) after no\. (\d+)", re.ASCII)

app = FastAPI()
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost"])
lock = Lock()
# Each is a show and the number of its version.
shows: dict[int, tuple[dict, int]] = {}
sold: set[tuple[int, str]] = set()
replies: dict[str, tuple[tuple, dict]] = {}
ids = iter(range(501, 10**9))


class Refusal(Exception):
    def __init__(self, status, code, **headers):
        self.reply = JSONResponse({"error": code}, status, headers)


@app.exception_handler(Refusal)
def refuse(_request, refusal):
    return refusal.reply


def time(text: str) -> str:
    form = "%Y-%m-%dT%H:%M:%SZ"
    if datetime.strptime(text, form).strftime(form).rjust(20, "0") != text:
        raise ValueError(text)
    return text


class Fields(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    title: str = Field(min_length=1)
    starts_at: Annotated[str, AfterValidator(time)]
    price_cents: int = Field(gt=0)
    note: str | None = None


class Seat(BaseModel):
    model_config = ConfigDict(strict=True)

    seat: str
    user: str = Field(min_length=1)


def fields_of(body):
    try:
        return Fields.model_validate(body).model_dump(exclude_none=True)
    except ValidationError:
        raise Refusal(422, "invalid_show") from None


def found(show_id):
    if not re.fullmatch(r"[0-9]+", show_id) or int(show_id) not in shows:
        raise Refusal(404, "not_found")
    return shows[int(show_id)]


def tag(stored):
    show, version = stored
    return f'"{show["id"]}.v{version}"'


def reply(stored, status=200, **headers):
    return JSONResponse(stored[0], status, {"ETag": tag(stored), **headers})


def tags(text):
    return re.findall(r'(?:W/)?"[^"]*"', text)


@app.post("/api/shows")
def create(body: Any = Body()):
    fields = fields_of(body)
    with lock:
        show_id = next(ids)
        shows[show_id] = {"id": show_id, **fields}, 1
        return reply(shows[show_id], 201, Location=f"/api/shows/{show_id}")


@app.get("/api/shows/{show_id}")
def look(show_id: str, if_none_match: str = Header("")):
    stored = found(show_id)
    if tag(stored) in [known.removeprefix("W/") for known in tags(if_none_match)]:
        return Response(status_code=304, headers={"ETag": tag(stored)})
    return reply(stored)


@app.put("/api/shows/{show_id}")
def put(show_id: str, body: Any = Body(), if_match: str | None = Header(None)):
    return change(show_id, if_match, lambda _: body)


@app.patch("/api/shows/{show_id}")
def patch(show_id: str, request: Request, body: Any = Body(None), if_match: str | None = Header(None)):
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != MERGE_PATCH:
        raise Refusal(415, "merge_patch_only", **{"Accept-Patch": MERGE_PATCH})
    return change(show_id, if_match, lambda show: {**show, **body})


def change(show_id, if_match, becomes):
    with lock:
        stored = found(show_id)
        if if_match is None:
            raise Refusal(428, "precondition_required")
        if tag(stored) not in tags(if_match):
            raise Refusal(412, "stale")
        show, version = stored
        wanted = {name: value for name, value in becomes(show).items() if value is not None}
        shows[show["id"]] = {"id": show["id"], **fields_of(wanted)}, version + 1
        return reply(shows[show["id"]])


@app.delete("/api/shows/{show_id}", status_code=204)
def delete(show_id: str):
    with lock:
        del shows[found(show_id)[0]["id"]]


@app.get("/api/shows")
def page(request: Request, limit: str = "20", after: str | None = None):
    if not re.fullmatch(r"0*([1-9]|[1-4][0-9]|50)", limit):
        raise Refusal(400, "bad_query")
    place = ("", 0)
    if after is not None:
        match = CURSOR.fullmatch(after)
        if not match:
            raise Refusal(400, "bad_query")
        place = match[1], int(match[2])
    kind = wanted_type(request.headers.get("accept", "*/*"))
    with lock:
        rows = sorted((show for show, _ in shows.values()), key=order)
    rows = [show for show in rows if order(show) > place]
    items, following = rows[: int(limit)], None
    headers = {"Vary": "Origin, Accept"}
    if len(rows) > int(limit):
        following = "{} after no. {}".format(*order(items[-1]))
        url = request.url.include_query_params(limit=limit, after=following)
        first = request.url.include_query_params(limit=limit).remove_query_params("after")
        headers["Link"] = f'<{first}>; rel="first", <{url}>; title="more shows"; rel=next'
    if kind == "text/csv":
        return Response(as_csv(items), media_type="text/csv; header=present", headers=headers)
    return JSONResponse({"next": following, "items": items}, headers=headers)


def order(show):
    return show["starts_at"], show["id"]


def wanted_type(accept):
    offers = {"application/json": (-1, 0.0), "text/csv": (-1, 0.0)}
    for part in accept.lower().split(","):
        kind, *params = (word.strip() for word in part.split(";"))
        quality = next((float(p[2:]) for p in params if p.startswith("q=")), 1.0)
        for offer, (best, _) in offers.items():
            ranges = ["*/*", offer.split("/")[0] + "/*", offer]
            if kind in ranges and ranges.index(kind) >= best:
                offers[offer] = ranges.index(kind), quality
    kind = max(offers, key=lambda offer: offers[offer][1])
    if offers[kind][1] == 0:
        raise Refusal(406, "not_acceptable")
    return kind


def as_csv(items):
    sheet = io.StringIO(newline="")
    columns = ["id", "title", "starts_at", "price_cents"]
    writer = csv.DictWriter(sheet, columns, extrasaction="ignore", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(items)
    return sheet.getvalue()


@app.post("/api/shows/{show_id}/bookings", status_code=201)
def book(show_id: str, body: Any = Body(), idempotency_key: str | None = Header(None)):
    try:
        order = Seat.model_validate(body)
    except ValidationError:
        raise Refusal(422, "invalid_booking") from None
    if not re.fullmatch(r"[A-F]([1-9]|10)", order.seat):
        raise Refusal(422, "invalid_booking")
    with lock:
        show, _ = found(show_id)
        request = show["id"], order.seat, order.user
        before, booking = replies.get(idempotency_key, (None, None))
        if before == request:
            return booking
        if request[:2] in sold:
            raise Refusal(409, "seat_taken")
        if before is not None:
            raise Refusal(422, "key_reused")
        sold.add(request[:2])
        booking = {
            "id": str(uuid4()),
            "show_id": show["id"],
            "seat": order.seat,
            "user": order.user,
            "status": "confirmed",
            "price_cents": show["price_cents"],
        }
        if idempotency_key is not None:
            replies[idempotency_key] = request, booking
        return booking


uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning")
