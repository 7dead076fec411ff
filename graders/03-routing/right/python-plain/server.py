"""Python's standard library alone: one regular expression for each route, over the path as sent."""

import json
import os
import re
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote_to_bytes

with open(os.environ["SHOWS_FILE"], encoding="utf-8") as file:
    SHOWS = sorted(json.load(file), key=lambda show: show["starts_at"])
FOLDER = os.path.realpath(os.environ["POSTERS_DIR"])
FREE = {(show["id"], f"{row}{n}") for show in SHOWS for row in "ABCDEF" for n in range(1, 11)}
SEATS = set(FREE)


class No(Exception):
    def __init__(self, status, code, **fields):
        self.status, self.code, self.fields = status, code, fields


def one(query, name):
    values = query.get(name, [])
    if len(values) > 1:
        raise No(400, "bad_query")
    return values[0] if values else None


def time(query, name):
    text = one(query, name)
    if text is None:
        return None
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise No(400, "bad_query") from None
    if f"{moment:%Y-%m-%dT%H:%M:%SZ}" != text:
        raise No(400, "bad_query")
    return text


def decode(part):
    try:
        if re.search("%(?![0-9a-fA-F]{2})", part):
            raise ValueError(part)
        return unquote_to_bytes(part).decode()
    except ValueError:
        raise No(400, "bad_path") from None


def first(shows):
    for show in shows:
        return show
    raise No(404, "not_found")


def shows(query, _):
    q, begin, end = one(query, "q") or "", time(query, "from"), time(query, "to")
    limit = one(query, "limit")
    if limit is not None and limit not in map(str, range(1, 51)):
        raise No(400, "bad_query")
    found = [
        show
        for show in SHOWS
        if q.lower() in show["title"].lower()
        and (not begin or show["starts_at"] >= begin)
        and (not end or show["starts_at"] < end)
    ]
    return 200, {"shows": found[: int(limit or 20)]}


def following(query, _):
    at = time(query, "at")
    if at is None:
        raise No(400, "bad_query")
    return 200, first(show for show in SHOWS if show["starts_at"] > at)


def show(query, _, number):
    return 200, first(show for show in SHOWS if str(show["id"]) == number)


def place(number, seat):
    key = (first(show for show in SHOWS if str(show["id"]) == number)["id"], seat)
    if key not in SEATS:
        raise No(404, "not_found")
    return key


def look(query, _, number, seat):
    return 200, {"taken": place(number, seat) not in FREE, "seat": seat}


def take(query, body, number, seat):
    key = place(number, seat)
    if key not in FREE:
        raise No(409, "seat_taken")
    FREE.remove(key)
    return 201, {"seat": seat, "user": json.loads(body)["user"]}


def title(query, _, wanted):
    return 200, first(show for show in SHOWS if show["title"] == wanted)


def poster(query, _, path):
    if "\0" in path or ".." in path.split("/"):
        raise No(400, "bad_path")
    found = os.path.realpath(f"{FOLDER}/{path}")
    if os.path.commonpath([FOLDER, found]) != FOLDER or not os.path.isfile(found):
        raise No(404, "not_found")
    with open(found, "rb") as file:
        return 200, file.read()


ROUTES = [
    (r"/api/shows", {"GET": shows}),
    (r"/api/shows/next", {"GET": following}),
    (r"/api/shows/([^/]+)", {"GET": show}),
    (r"/api/shows/([^/]+)/seats/([^/]+)", {"GET": look, "POST": take}),
    (r"/api/titles/([^/]+)", {"GET": title}),
    (r"/posters/(.+)", {"GET": poster}),
]


class Handler(BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        try:
            return self.send(*self.route(path, parse_qs(query, keep_blank_values=True), body))
        except No as no:
            self.send(no.status, {"error": no.code}, no.fields)

    def route(self, path, query, body):
        for pattern, methods in ROUTES:
            if match := re.fullmatch(pattern, path):
                values = [decode(part) for part in match.groups()]
                if self.command not in methods:
                    raise No(405, "method_not_allowed", Allow=", ".join(["OPTIONS", *methods]))
                return methods[self.command](query, body, *values)
        raise No(404, "not_found")

    def send(self, status, value, fields={}):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in fields.items():
            self.send_header(name, text)
        self.send_header("content-type", "image/png" if data is value else "Application/JSON")
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer


ThreadingHTTPServer(("", int(os.environ.get("PORT", 3000))), Handler).serve_forever()
