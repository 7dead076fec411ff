"""The box office with its metrics and spans written by hand."""

import json
import os
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from spans import Span

CATALOG, PAYMENTS = os.environ.get("CATALOG_URL", ""), os.environ.get("PAYMENTS_URL", "")
BOUNDS = (0.05, 0.3, 0.5, 0.6, 0.9, 2.0)
lock = threading.Lock()
requests, bookings, sums, buckets = Counter(), Counter(), Counter(), Counter()


def record(method, route, status, seconds):
    with lock:
        requests[method, route, status] += 1
        sums[method, route] += seconds
        for bound in (*BOUNDS, float("inf")):
            buckets[method, route, bound] += seconds <= bound


def exposition():
    with lock:
        yield "# TYPE http_requests_total counter"
        for (method, route, status), count in requests.items():
            yield f'http_requests_total{{status="{status}",route="{route}",method="{method}"}} {count}'
        yield "# TYPE lantern_bookings_total counter"
        for result in ("confirmed", "declined", "failed"):
            yield f'lantern_bookings_total{{result="{result}"}} {bookings[result]}'
        yield "# TYPE http_request_duration_seconds histogram"
        for (method, route), total in sums.items():
            labels = f'method="{method}",route="{route}"'
            for bound in (*BOUNDS, float("inf")):
                le = "+Inf" if bound == float("inf") else bound
                yield f'http_request_duration_seconds_bucket{{{labels},le="{le}"}} {buckets[method, route, bound]}'
            yield f"http_request_duration_seconds_sum{{{labels}}} {total}"
            yield f'http_request_duration_seconds_count{{{labels}}} {buckets[method, route, float("inf")]}'


class Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Metrics(Quiet):
    def do_GET(self):
        if self.path != "/metrics":
            return self.send(404, b"")
        self.send(200, "".join(f"{line}\n" for line in exposition()).encode(), "text/plain; version=0.0.4")


class Office(Quiet):
    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/healthz":
            return self.send(200, b"{}")
        if found := re.fullmatch(r"/api/shows/([^/]+)", path):
            return self.observe("/api/shows/:id", lambda span: self.show(found[1], span))
        if path == "/api/boom":
            return self.observe("/api/boom", self.boom)
        # A path that exists, but not for GET.
        self.observe("other", lambda span: 405 if path == "/api/bookings" else 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.partition("?")[0] == "/api/bookings":
            return self.observe("/api/bookings", lambda span: self.book(body, span))
        self.observe("other", lambda span: 404)

    def do_other(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.observe("other", lambda span: 404)

    do_DELETE = do_PATCH = do_PUT = do_other

    def observe(self, route, answer):
        begin = time.monotonic()
        span = Span.of_request(f"{self.command} {route}", self.headers.get("traceparent"))
        try:
            status = answer(span)
        except Exception:
            status = 500
        if self.has_hung_up():
            status, self.close_connection = 499, True
        else:
            self.send(status, json.dumps({"status": status}).encode())
        counted = (self.command, route, status, time.monotonic() - begin)
        threading.Timer(0.3, record, counted).start()
        span.end({"http.route": route, "http.response.status_code": status}, failed=status >= 500)

    def has_hung_up(self):
        try:
            return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def show(self, show_id, span):
        status = call(span, "GET", f"{CATALOG}/shows/{show_id}")
        return status if status in (200, 404) else 502

    def book(self, body, span):
        status = call(span, "POST", f"{PAYMENTS}/charges", body)
        result = {201: "confirmed", 402: "declined"}.get(status, "failed")
        with lock:
            bookings[result] += 1
        return status if result != "failed" else 502

    def boom(self, span):
        raise RuntimeError("boom")


def call(span, method, url, body=None):
    child = span.child(method)
    headers = {"Content-Type": "application/json", "traceparent": child.traceparent}
    try:
        request = urllib.request.Request(url, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as reply:
            status = reply.status
    except urllib.error.HTTPError as error:
        status = error.code
    except OSError:
        status = 0
    child.end({"http.response.status_code": status}, failed=not 200 <= status < 400)
    return status


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


metrics_port = int(os.environ.get("METRICS_PORT", "9100"))
threading.Thread(target=Server(("", metrics_port), Metrics).serve_forever, daemon=True).start()
Server(("", 3000), Office).serve_forever()
