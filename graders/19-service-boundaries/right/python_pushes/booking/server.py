# Booking with the standard library's HTTP server. It asks nobody: the catalog tells it what changed.
import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import psycopg
from psycopg.rows import dict_row

LISTING = (
    "SELECT b.id, b.show_id, k.title, b.seat, b.user_name AS user, b.status, b.price_cents"
    " FROM booking.bookings b LEFT JOIN booking.known k ON k.show_id = b.show_id"
)


def ask(statement, *values):
    with psycopg.connect(os.environ["DATABASE"], row_factory=dict_row) as connection:
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def told(shows):
    for show in shows:
        ask(
            "INSERT INTO booking.known VALUES (%s, %s, %s) ON CONFLICT (show_id)"
            " DO UPDATE SET title = excluded.title, price_cents = excluded.price_cents",
            show["id"], show["title"], show["price_cents"],
        )
    return 200, {}


def sell(show_id, order):
    seat, user = order.get("seat"), order.get("user")
    if not re.fullmatch("[A-F](10|[1-9])", str(seat)):
        return 400, "bad_seat"
    if not isinstance(user, str) or not user:
        return 400, "user_required"
    known = ask("SELECT * FROM booking.known WHERE show_id = %s", show_id)
    if not known:
        return 404, "not_found"
    insert = (
        "INSERT INTO booking.bookings (show_id, seat, user_name, price_cents)"
        " VALUES (%s, %s, %s, %s) RETURNING id"
    )
    try:
        (made,) = ask(insert, show_id, seat, user, known[0]["price_cents"])
    except psycopg.errors.UniqueViolation:
        return 409, "seat_taken"
    (booking,) = ask(LISTING + " WHERE b.id = %s", made["id"])
    return 201, booking


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        user = parse_qs(url.query).get("user", [""])[0]
        if url.path == "/ready":
            self.answer(200, ask("SELECT 1 AS ready"))
        elif url.path == "/sold":
            counts = ask("SELECT show_id, count(*) AS sold FROM booking.bookings GROUP BY 1")
            self.answer(200, counts)
        elif not user:
            self.answer(400, "user_required")
        else:
            listed = ask(LISTING + " WHERE b.user_name = %s ORDER BY b.booked_at DESC", user)
            self.answer(200, {"bookings": listed})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/told":
            self.answer(*told(body))
        else:
            self.answer(*sell(int(self.path.split("/")[3]), body))

    def answer(self, status, body):
        kind = "application/json; charset=utf-8"
        if isinstance(body, str):
            body = {"code": body, "status": status, "detail": "no", "type": "about:blank"}
            kind = "application/problem+json"
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("", 8000), Handler).serve_forever()
