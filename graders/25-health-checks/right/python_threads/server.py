"""The loop, and three probes in Python: one thread looks at each dependency, others answer."""

import json
import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import psycopg

LOOK_EVERY_S, PATIENCE_S, STUCK_AFTER_S = 0.35, 0.25, 1.5
JOB_S, WARMUP_S = (int(os.environ[name]) / 1000 for name in ("JOB_MS", "WARMUP_MS"))
REDIS = urlsplit(os.environ["REDIS_URL"])


class Seen:
    """What a thread has last seen of a dependency, and when."""

    def __init__(self, look):
        self._good_at = -60.0
        self._look = look
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while True:
            begun = time.monotonic()
            try:
                self._look()
                self._good_at = begun
            except Exception as error:  # noqa: BLE001
                self._good_at = -60.0
                print("away:", type(error).__name__)
            time.sleep(LOOK_EVERY_S)

    def is_good(self):
        # A look that hangs is noticed by the age of the last good one.
        return time.monotonic() - self._good_at < 2 * LOOK_EVERY_S + 0.1


def look_at_redis():
    with socket.create_connection((REDIS.hostname, REDIS.port), PATIENCE_S) as connection:
        connection.settimeout(PATIENCE_S)
        connection.sendall(b"*1\r\n$4\r\nPING\r\n")
        if not connection.recv(16).startswith(b"+PONG"):
            raise OSError("no PONG")


open_connection = None


def look_at_database():
    """Ask on a connection that is kept; a watchdog cuts it when it is late."""
    global open_connection
    watchdog = threading.Timer(PATIENCE_S, cut)
    watchdog.start()
    try:
        if open_connection is None:
            url = os.environ["DATABASE_URL"]
            open_connection = psycopg.connect(url, autocommit=True, connect_timeout=2)
        open_connection.execute("SELECT 1")
    except BaseException:
        open_connection = None
        raise
    finally:
        watchdog.cancel()


def cut():
    if open_connection is not None:
        with socket.socket(fileno=os.dup(open_connection.fileno())) as line:
            line.shutdown(socket.SHUT_RDWR)


database, redis = Seen(look_at_database), Seen(look_at_redis)
started, wedged = threading.Event(), threading.Event()
last_round = time.monotonic()


class Probes(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        alive = not started.is_set() or time.monotonic() - last_round < STUCK_AFTER_S
        lost = [] if redis.is_good() else ["redis"]
        probes = {
            "/livez": (alive, []),
            "/readyz": (started.is_set() and database.is_good(), lost),
            "/startupz": (started.is_set(), []),
        }
        if self.path not in probes:
            return self.say(404, {})
        well, degraded = probes[self.path]
        return self.say(200 if well else 503, {"status": "ok" if well else "fail", "degraded": degraded})

    def do_POST(self):
        wedged.set()
        self.say(200, {})

    def say(self, status, what):
        body = json.dumps(what).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def work():
    global last_round
    time.sleep(WARMUP_S)
    last_round = time.monotonic()
    started.set()
    while True:
        time.sleep(0.2)
        time.sleep(JOB_S)
        if wedged.is_set():
            threading.Event().wait()
        last_round = time.monotonic()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
threading.Thread(target=work, daemon=True).start()
Server(("", int(os.environ.get("PORT", "3000"))), Probes).serve_forever()
