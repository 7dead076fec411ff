"""The worker without messages: the table of bookings is the queue, and a locked row is in hand."""

import json
import os
import re
import secrets
import signal
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

DATABASE, PAYMENTS, MAIL = (os.environ[n] for n in ("DATABASE_URL", "PAYMENTS_URL", "MAIL_URL"))
HANDS, TIMEOUT_S, AGAIN_S, LOOK_S = 12, 2.0, 0.4, 0.1
IN_ORDER = 330_001
TRACE = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
TAKE = """
SELECT id::text, show_id, seat, user_name, price_cents, traceparent, status, todo FROM bookings
WHERE todo IS NOT NULL AND NOT id::text = ANY(%s) ORDER BY made_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
decided: Counter[str] = Counter()
# Whom the company didn't answer, until when we leave them in peace.
resting: dict[str, float] = {}
stopping, together = threading.Event(), threading.Lock()


def log(level, msg, **fields):
    ts = datetime.now(UTC).isoformat()
    line = json.dumps({"ts": ts, "level": level, "msg": msg, "service": "worker", **fields})
    # print() writes the line and its end one after the other, and another thread's between them.
    with together:
        print(line, flush=True)


def ask(url, key, traceparent, body):
    trace_id, flags = TRACE.fullmatch(traceparent).groups()
    headers = {
        "Content-Type": "application/json", "Idempotency-Key": key,
        "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-{flags}",
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        urllib.request.urlopen(request, timeout=TIMEOUT_S).close()
        return True
    except urllib.error.HTTPError as error:
        if error.code == 402:
            return False
        raise


def step(db):
    """Take one step of one booking; tell whether there was one."""
    now = time.monotonic()
    out = [booking for booking, until in list(resting.items()) if until > now]
    with db.transaction():
        row = db.execute(TAKE, [out]).fetchone()
        if row is None:
            return False
        booking, show, seat, user, price, traceparent, status, todo = row
        log("info", todo, booking_id=booking, trace_id=TRACE.fullmatch(traceparent)[1])
        try:
            if todo == "charge":
                told = {"booking_id": booking, "amount_cents": price, "user": user}
                paid = ask(f"{PAYMENTS}/charges", f"c-{booking}", traceparent, told)
            elif todo == "refund":
                paid = ask(f"{PAYMENTS}/refunds", f"r-{booking}", traceparent, {"booking_id": booking})
            else:
                told = {"message_id": booking, "to": user, "booking_id": booking}
                paid = ask(f"{MAIL}/mails", f"m-{booking}", traceparent, told)
        except OSError as error:
            log("warn", "no answer", error=str(error))
            resting[booking] = time.monotonic() + AGAIN_S
            return True
        result = None
        if todo != "charge":
            db.execute("UPDATE bookings SET todo = NULL WHERE id = %s", [booking])
        else:
            result = "confirmed" if paid else "cancelled"
            left = "mail" if paid else None
            db.execute("UPDATE bookings SET status = %s, todo = %s WHERE id = %s", [result, left, booking])
            db.execute("SELECT pg_advisory_xact_lock(%s)", [IN_ORDER])
            db.execute(
                "INSERT INTO events (booking_id, show_id, seat, state) VALUES (%s, %s, %s, %s)",
                [booking, show, seat, "sold" if paid else "free"],
            )
    if result:
        with together:
            decided[result] += 1
    return True


def work():
    while not stopping.is_set():
        try:
            with psycopg.connect(DATABASE, autocommit=True) as db:
                while not stopping.is_set():
                    if not step(db):
                        stopping.wait(LOOK_S)
        except psycopg.Error as error:
            log("warn", "database away", error=str(error))
            stopping.wait(0.5)


class Metrics(BaseHTTPRequestHandler):
    def do_GET(self):
        lines = [f'bookings_total{{result="{result}"}} {count}\n' for result, count in decided.items()]
        body = "".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: stopping.set())
threading.Thread(target=ThreadingHTTPServer(("", 9100), Metrics).serve_forever, daemon=True).start()
hands = [threading.Thread(target=work) for _ in range(HANDS)]
for hand in hands:
    hand.start()
log("info", "worker runs")
for hand in hands:
    hand.join()
