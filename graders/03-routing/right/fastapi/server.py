"""The box office in FastAPI, which routes by paths that are decoded already."""

import json
import os
import re
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote_to_bytes

import uvicorn
from fastapi import FastAPI, Query, Request
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")

shows = json.loads(Path(os.environ["SHOWS_FILE"]).read_text("utf-8"))
shows.sort(key=lambda show: show["starts_at"])
by_id = {str(show["id"]): show for show in shows}
by_title = {show["title"]: show for show in shows}
posters = Path(os.environ["POSTERS_DIR"])
seats = {f"{row}{number}" for row in "ABCDEF" for number in range(1, 11)}
taken = set()


class Refusal(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


class Guest(BaseModel):
    user: str


app = FastAPI(openapi_url=None, redirect_slashes=False)


@app.middleware("http")
async def refuse_broken_paths(request: Request, call_next):
    raw = request.scope["raw_path"]
    try:
        unquote_to_bytes(raw).decode()
        if BROKEN.search(raw):
            raise ValueError(raw)
    except ValueError:
        return JSONResponse({"error": "bad_path"}, 400)
    return await call_next(request)


@app.exception_handler(Refusal)
def refuse(request, refusal):
    return JSONResponse({"error": refusal.code}, refusal.status)


@app.exception_handler(HTTPException)
def refuse_otherwise(request, error):
    if error.status_code == 405:
        allowed = error.headers["Allow"]
        if "/seats/" in request.scope["path"]:
            allowed = "POST, GET"
        return JSONResponse({"error": "method_not_allowed"}, 405, {"Allow": allowed})
    return JSONResponse({"error": "not_found"}, error.status_code)


def time_of(values):
    text = only(values)
    if text is None:
        return None
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", text):
            raise ValueError(text)
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        raise Refusal(400, "bad_query") from None
    return text


def only(values):
    if len(values) > 1:
        raise Refusal(400, "bad_query")
    return values[0] if values else None


def limit_of(values):
    text = only(values)
    if text is None:
        return 20
    if not re.fullmatch(r"[1-9]|[1-4][0-9]|50", text):
        raise Refusal(400, "bad_query")
    return int(text)


def seat_of(show_id, seat):
    if show_id not in by_id or seat not in seats:
        raise Refusal(404, "not_found")
    return show_id, seat


@app.get("/api/shows")
def find_shows(
    q: list[str] = Query([]),
    since: list[str] = Query([], alias="from"),
    to: list[str] = Query([]),
    limit: list[str] = Query([]),
):
    text, begin, end, count = only(q) or "", time_of(since), time_of(to), limit_of(limit)
    found = [
        show
        for show in shows
        if text.casefold() in show["title"].casefold()
        and (begin is None or show["starts_at"] >= begin)
        and (end is None or show["starts_at"] < end)
    ]
    return {"shows": found[:count]}


@app.get("/api/shows/next")
def next_show(at: list[str] = Query([])):
    time = time_of(at)
    if time is None:
        raise Refusal(400, "bad_query")
    for show in shows:
        if show["starts_at"] > time:
            return show
    raise Refusal(404, "not_found")


@app.get("/api/shows/{show_id}")
def show_by_id(show_id: str):
    if show_id not in by_id:
        raise Refusal(404, "not_found")
    return by_id[show_id]


@app.get("/api/shows/{show_id}/seats/{seat}")
def look_at_seat(show_id: str, seat: str):
    return {"seat": seat, "taken": seat_of(show_id, seat) in taken}


@app.post("/api/shows/{show_id}/seats/{seat}", status_code=201)
async def take_seat(show_id: str, seat: str, guest: Guest):
    place = seat_of(show_id, seat)
    if place in taken:
        raise Refusal(409, "seat_taken")
    taken.add(place)
    return {"seat": seat, "user": guest.user}


@app.get("/api/titles/{title:path}")
def show_by_title(title: str):
    if title not in by_title:
        raise Refusal(404, "not_found")
    return by_title[title]


@app.get("/posters/{path:path}")
def poster(path: str):
    try:
        found = (posters / path.lstrip("/")).resolve(strict=True)
    except (OSError, ValueError):
        raise Refusal(404, "not_found") from None
    if not found.is_relative_to(posters) or not found.is_file():
        raise Refusal(404, "not_found")
    return FileResponse(found)


uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning")
