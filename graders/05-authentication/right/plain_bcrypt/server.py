"""The box office with Python's own HTTP server and bcrypt; a session is one string in Redis."""

import base64
import binascii
import hmac
import json
import os
import uuid
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time

import bcrypt
import redis

STORE = redis.from_url(os.environ["REDIS_URL"])
NOBODY = bcrypt.hashpw(os.urandom(16).hex().encode(), bcrypt.gensalt(10))
NOT_SIGNED_IN = 401, {"error": "not_signed_in"}, {"www-authenticate": "Bearer"}
BAD_CREDENTIALS = 401, {"error": "bad_credentials"}, {}
WEAK = 400, {"error": "weak_password"}, {}


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def seal(text):
    return b64(hmac.digest(os.environ["JWT_SECRET"].encode(), text.encode(), "sha256"))


def knows(user, password):
    stored = STORE.hget(f"user:{user}", "password_hash")
    good = bcrypt.checkpw(password.encode(), stored or NOBODY)
    return good and stored is not None


def session_value(user):
    """A session names its user and the hash it began with: another password, another hash."""
    return json.dumps([user, (STORE.hget(f"user:{user}", "password_hash") or b"").decode()[-8:]])


def token_user(token):
    try:
        text, _, seal_given = token.rpartition(".")
        if not hmac.compare_digest(seal_given.encode(), seal(text).encode()):
            return None
        header, payload = (json.loads(unb64(part)) for part in text.split("."))
        good = header["alg"] == "HS256" and payload["iss"] == "lantern" and payload["exp"] > time()
        return payload["sub"] if good else None
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None


class BoxOffice(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def sid(self):
        cookie = SimpleCookie(self.headers.get("Cookie", "")).get("sid")
        return cookie.value if cookie else "none"

    def session_user(self):
        value = STORE.get(f"s/{self.sid()}")
        if value is None:
            return None
        user = json.loads(value)[0]
        return user if session_value(user).encode() == value else None

    def answer(self, status, value=None, headers=()):
        body = b"" if value is None else json.dumps(value).encode()
        self.send_response(status)
        for name, text in dict(headers).items():
            self.send_header(name, text)
        if status != 204:
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        user = token_user(token) if kind else self.session_user()
        role = user and STORE.hget(f"user:{user}", "role")
        if not role:
            return self.answer(*NOT_SIGNED_IN)
        self.answer(200, {"user": user, "role": role.decode()})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or "{}")
        actions = {"register", "login", "logout", "token", "password"}
        action = self.path.rpartition("/")[2]
        if action not in actions:
            return self.answer(404, {"error": "not_found"})
        self.answer(*getattr(self, action)(body))

    def register(self, body):
        if len(body["password"]) < 10:
            return WEAK
        hashed = bcrypt.hashpw(body["password"].encode(), bcrypt.gensalt(10))
        key = f"user:{body['user']}"
        if not STORE.hsetnx(key, "password_hash", hashed):
            return 409, {"error": "user_taken"}
        STORE.hset(key, "role", "customer")
        return 201, {}

    def login(self, body):
        return self.begin(body["user"]) if knows(body["user"], body["password"]) else BAD_CREDENTIALS

    def begin(self, user):
        sid = str(uuid.uuid4())
        STORE.setex(f"s/{sid}", int(os.environ["SESSION_TTL_SECONDS"]), session_value(user))
        return 204, None, {"set-cookie": f"sid={sid}; path=/; samesite=lax; httponly"}

    def logout(self, _body):
        STORE.delete(f"s/{self.sid()}")
        return 204, None, {"set-cookie": "sid=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"}

    def token(self, body):
        if not knows(body["user"], body["password"]):
            return BAD_CREDENTIALS
        ttl, now = int(os.environ["TOKEN_TTL_SECONDS"]), int(time())
        claims = {"iss": "lantern", "sub": body["user"], "iat": now, "exp": now + ttl}
        text = ".".join(b64(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
        token = f"{text}.{seal(text)}"
        return 200, {"access_token": token, "token_type": "Bearer", "expires_in": ttl}

    def password(self, body):
        user = self.session_user()
        if user is None:
            return NOT_SIGNED_IN
        if not knows(user, body["old"]):
            return BAD_CREDENTIALS
        if len(body["new"]) < 10:
            return WEAK
        hashed = bcrypt.hashpw(body["new"].encode(), bcrypt.gensalt(10))
        STORE.hset(f"user:{user}", "password_hash", hashed)
        return self.begin(user)


ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", 3000))), BoxOffice).serve_forever()
