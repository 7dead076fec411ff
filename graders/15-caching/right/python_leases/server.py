"""A front that remembers, with leases: a mark under the key itself, which a PUT deletes.

Whoever finds nothing leaves a mark, asks the catalogue, and stores only where the mark is still
there. The mark is also the lock: the others wait until it has become a show, or is gone.
Each request has a thread, and each thread its own connection to the cache.
"""

import hashlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import redis
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError
from redis.backoff import NoBackoff
from redis.retry import Retry

CATALOG = os.environ["CATALOG_URL"]
CACHE = urlsplit(os.environ["CACHE_URL"])
SHOW_S = int(os.environ["CACHE_TTL_SECONDS"])
ABSENT_S = int(os.environ["NEGATIVE_TTL_SECONDS"])
PATIENCE_S, MARK_S, POLL_S = 0.3, 20, 0.03
MARK = b"mark "
AWAY = (OSError, MemcacheError, redis.RedisError)


class InRedis:
    def __init__(self):
        self.redis = redis.Redis(
            CACHE.hostname, CACHE.port, socket_timeout=PATIENCE_S,
            socket_connect_timeout=PATIENCE_S, retry=Retry(NoBackoff(), 0),
        )
        # In one step: nobody deletes or replaces the mark between the look and the write.
        self.replace = self.redis.register_script("""
            if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
            if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
            redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
            return 1
        """)

    def look_or_mark(self, key, mark):
        """Return what is there, None where the mark is there now."""
        return self.redis.set(key, mark, nx=True, get=True, ex=MARK_S)

    def turn(self, key, mark, text, seconds):
        self.replace(keys=[key], args=[mark, text, seconds])

    def delete(self, key):
        self.redis.delete(key)


class InMemcached:
    def __init__(self):
        self.client = Client(
            (CACHE.hostname, CACHE.port), connect_timeout=PATIENCE_S, timeout=PATIENCE_S
        )

    def look_or_mark(self, key, mark):
        while not (found := self.client.get(key)):
            if self.client.add(key, mark, expire=MARK_S, noreply=False):
                return None
        return found

    def turn(self, key, mark, text, seconds):
        found, unique = self.client.gets(key)
        if found == mark:
            # Nothing is deleted by `cas`: what lives for a moment is as good as gone.
            self.client.cas(key, text or b"gone", unique, expire=seconds if text else -1, noreply=False)

    def delete(self, key):
        self.client.delete(key, noreply=False)


local = threading.local()


def cache():
    if not hasattr(local, "cache"):
        local.cache = InRedis() if CACHE.scheme == "redis" else InMemcached()
    return local.cache


class Broken(Exception):
    """The catalogue is."""


def ask(path, method="GET", body=None, **fields):
    request = urllib.request.Request(CATALOG + path, body, fields, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        if error.code >= 500:
            raise Broken(error.code) from error
        return error.code, error.read()
    except Exception as error:
        raise Broken(repr(error)) from error


def read(number):
    status, body = ask(f"/shows/{number}")
    return {"status": status, "body": body.decode()}


def find(number):
    """Return what is known of a show, and whether it was remembered."""
    key, mark = f"front:{number}", MARK + uuid.uuid4().hex.encode()
    try:
        while (found := cache().look_or_mark(key, mark)) is not None:
            if not found.startswith(MARK):
                return json.loads(found), "hit"
            time.sleep(POLL_S)
    except AWAY as error:
        print("without the cache:", repr(error))
        return read(number), "miss"
    try:
        known = read(number)
    except Broken:
        store(key, mark, b"", 1)
        raise
    text = json.dumps(known).encode()
    store(key, mark, text, SHOW_S if known["status"] == 200 else ABSENT_S)
    return known, "miss"


def store(key, mark, text, seconds):
    try:
        cache().turn(key, mark, text, seconds)
    except AWAY as error:
        print("not stored:", repr(error))


def forget(number):
    try:
        cache().delete(f"front:{number}")
    except AWAY as error:
        print("not forgotten:", repr(error))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        try:
            if self.path == "/api/me/tickets":
                status, body = ask("/me/tickets", **{"X-User": self.headers["X-User"]})
                return self.answer(status, body, cache_control="private, no-store")
            known, whence = find(self.path.rsplit("/", 1)[1])
        except Broken as error:
            return self.problem(502, f"no catalogue: {error}")
        if known["status"] == 404:
            return self.problem(404, "no such show", x_cache=whence)
        body = known["body"].encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        fields = {"etag": tag, "x_cache": whence, "cache_control": "max-age=1,public"}
        if tag in self.headers.get("If-None-Match", ""):
            return self.answer(304, None, **fields)
        self.answer(200, body, **fields)

    def do_PUT(self):
        number = self.path.rsplit("/", 1)[1]
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            status, body = ask(f"/shows/{number}", "PUT", body, **{"Content-Type": "application/json"})
        except Broken as error:
            return self.problem(502, f"no catalogue: {error}")
        finally:
            forget(number)
        self.answer(status, body)

    def problem(self, status, title, **fields):
        body = json.dumps({"title": title, "status": status, "type": "about:blank"}).encode()
        self.answer(status, body, "application/problem+json; charset=utf-8", **fields)

    def answer(self, status, body, content_type="application/json", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        if body is not None:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *args):
        pass


class Front(ThreadingHTTPServer):
    request_queue_size = 128


Front(("", int(os.environ.get("PORT", "3000"))), Handler).serve_forever()
