"""Booking: asks pricing over http.client, with threads, and publishes from one thread with pika."""

import json
import os
import queue
import random
import signal
import socket
import threading
import time
import uuid
from concurrent.futures import Future
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlencode, urlsplit

import pika

PRICING = urlsplit(os.environ["PRICING_URL"])
CALL_TIMEOUT_S = int(os.environ.get("CALL_TIMEOUT_MS", "500")) / 1000
RETRY_PAUSE_S = int(os.environ.get("RETRY_PAUSE_MS", "100")) / 1000
BREAKER_FAILURES = int(os.environ.get("BREAKER_FAILURES", "5"))
BREAKER_OPEN_S = int(os.environ.get("BREAKER_OPEN_MS", "10000")) / 1000
FAILED, REFUSED = object(), object()


class Breaker:
    """Three states under one lock; whoever may call gets a ticket."""

    def __init__(self):
        self.lock = threading.Lock()
        self.state, self.row, self.until = "closed", 0, 0.0

    def ticket(self):
        with self.lock:
            if self.state == "closed":
                return "call"
            if self.state == "open" and time.monotonic() >= self.until:
                self.state = "half open"
                return "probe"
            return None

    def report(self, ticket, failed):
        with self.lock:
            if ticket == "call" and self.state != "closed":
                return
            self.row = self.row + 1 if failed else 0
            self.state = "closed"
            if failed and (ticket == "probe" or self.row >= BREAKER_FAILURES):
                self.state, self.until = "open", time.monotonic() + BREAKER_OPEN_S


BREAKER = Breaker()


def price_of(order, deadline):
    for attempt in range(3):
        if attempt:
            pause = RETRY_PAUSE_S * attempt * random.uniform(0.5, 1)
            if BREAKER.state != "closed" or time.monotonic() + pause >= deadline:
                break
            time.sleep(pause)
        left_ms = int((deadline - time.monotonic()) * 1000)
        if left_ms < 1:
            break
        ticket = BREAKER.ticket()
        if ticket is None:
            break
        answer = ask(order, left_ms)
        BREAKER.report(ticket, answer is FAILED)
        if answer is not FAILED:
            return answer
    return FAILED


def ask(order, left_ms):
    limit = min(left_ms / 1000, CALL_TIMEOUT_S)
    connection = HTTPConnection(PRICING.hostname, PRICING.port, timeout=limit)
    cut = None
    try:
        connection.connect()
        # A timeout of the socket counts anew with each byte.
        cut = threading.Timer(limit, hang_up, [connection.sock])
        cut.start()
        query = urlencode({"seat": order["seat"], "show_id": order["show_id"]})
        connection.request("GET", f"/quote?{query}", headers={"x-timeout-ms": str(left_ms)})
        reply = connection.getresponse()
        body = reply.read()
        if 400 <= reply.status < 500:
            return REFUSED
        price = json.loads(body)["price_cents"]
        return price if reply.status == 200 and type(price) is int else FAILED
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return FAILED
    finally:
        if cut:
            cut.cancel()
        connection.close()


def hang_up(sock):
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


class Publisher(threading.Thread):
    """The only thread that touches the connection."""

    def __init__(self):
        super().__init__(daemon=True)
        self.jobs = queue.Queue()
        self.connection = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
        self.channel = self.connection.channel()
        self.channel.exchange_declare("lantern", "topic", durable=True)
        self.channel.confirm_delivery()

    def run(self):
        while True:
            try:
                message, done = self.jobs.get(timeout=1)
            except queue.Empty:
                self.connection.process_data_events(0)
                continue
            try:
                properties = pika.BasicProperties(delivery_mode=2)
                self.channel.basic_publish("lantern", "booking.created", message, properties)
                done.set_result(None)
            except pika.exceptions.AMQPError as error:
                done.set_exception(error)

    def publish(self, message):
        done = Future()
        self.jobs.put((message, done))
        done.result()


PUBLISHER = Publisher()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        deadline = time.monotonic() + int(self.headers.get("X-Timeout-Ms", "2000")) / 1000
        order = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        price = price_of(order, deadline)
        if price is FAILED:
            return self.answer(503, {"error": "pricing_unavailable"})
        if price is REFUSED:
            return self.answer(422, {"error": "not_for_sale"})
        booking = {"id": uuid.uuid4().hex, "price_cents": price, "status": "confirmed", **order}
        message = {"user": order["user"], "booking_id": booking["id"], "message_id": uuid.uuid4().hex}
        PUBLISHER.publish(json.dumps(message).encode())
        self.answer(201, booking)

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


PUBLISHER.start()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Server(("", int(os.environ.get("PORT", "3000"))), Handler).serve_forever()
