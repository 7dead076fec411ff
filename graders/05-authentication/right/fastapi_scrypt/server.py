"""The box office in FastAPI: scrypt of the standard library, and an index of each user's sessions.

A plain `def` endpoint runs in a thread of its own, so a hash keeps nobody waiting.
"""

import base64
import hashlib
import hmac
import json
import os
import secrets
import time

import redis
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

LOG2_COST, BLOCKS, LANES = 14, 8, 1
SESSION_TTL = int(os.environ["SESSION_TTL_SECONDS"])
TOKEN_TTL = int(os.environ["TOKEN_TTL_SECONDS"])
KEY = os.environ["JWT_SECRET"].encode()

store = redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
app = FastAPI()


class Refused(Exception):
    def __init__(self, status, code, headers=None):
        self.status, self.code, self.headers = status, code, headers


class NotSignedIn(Refused):
    def __init__(self):
        super().__init__(401, "not_signed_in", {"WWW-Authenticate": 'Bearer realm="lantern"'})


@app.exception_handler(Refused)
def refuse(_, refused):
    return JSONResponse({"error": refused.code}, refused.status, refused.headers)


def encode(data):
    return base64.b64encode(data).decode().rstrip("=")


def decode(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


def scrypt(password, salt, log2_cost=LOG2_COST, blocks=BLOCKS, lanes=LANES):
    return hashlib.scrypt(
        password.encode(), salt=salt, n=2**log2_cost, r=blocks, p=lanes, dklen=32, maxmem=2**27
    )


def make_hash(password):
    salt = secrets.token_bytes(16)
    parameters = f"ln={LOG2_COST},r={BLOCKS},p={LANES}"
    return f"$scrypt${parameters}${encode(salt)}${encode(scrypt(password, salt))}"


def verify(password, stored):
    _, _, parameters, salt, wanted = stored.split("$")
    numbers = [int(pair.split("=")[1]) for pair in parameters.split(",")]
    return hmac.compare_digest(scrypt(password, decode(salt), *numbers), decode(wanted))


NOBODY = make_hash(secrets.token_hex())


def check_password(user, password):
    stored = store.hget(f"user:{user}", "password_hash")
    if not verify(password, stored or NOBODY) or stored is None:
        raise Refused(401, "bad_credentials")


def check_strength(password):
    if len(password) < 10:
        raise Refused(400, "weak_password")


def begin_session(user):
    sid = secrets.token_hex(16)
    with store.pipeline() as batch:
        batch.set(f"session:{sid}", user, ex=SESSION_TTL)
        batch.sadd(f"sessions-of:{user}", sid)
        batch.expire(f"sessions-of:{user}", SESSION_TTL)
        batch.execute()
    return sid


def user_of_session(request):
    user = store.get(f"session:{request.cookies.get('sid', '')}")
    if user is None:
        raise NotSignedIn
    return user


def sign(text):
    return base64.urlsafe_b64encode(hmac.digest(KEY, text.encode(), "sha256")).decode().rstrip("=")


def pack(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def user_of_token(token):
    try:
        header, payload, signature = token.split(".")
        if not hmac.compare_digest(signature, sign(f"{header}.{payload}")):
            raise NotSignedIn
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        if claims["iss"] != "lantern" or claims["exp"] <= time.time():
            raise NotSignedIn
        return claims["sub"]
    except (ValueError, KeyError) as error:
        raise NotSignedIn from error


@app.post("/api/register", status_code=201)
def register(body: dict):
    user, password = body["user"], body["password"]
    check_strength(password)
    # Whoever writes the field first has the name.
    if not store.hsetnx(f"user:{user}", "password_hash", make_hash(password)):
        raise Refused(409, "user_taken")
    store.hset(f"user:{user}", "role", "customer")
    return {"user": user, "role": "customer"}


@app.post("/api/login")
def login(body: dict):
    check_password(body["user"], body["password"])
    response = Response(status_code=204)
    sid = begin_session(body["user"])
    response.set_cookie(
        "sid", sid, max_age=SESSION_TTL, path="/", secure=True, httponly=True, samesite="strict"
    )
    return response


@app.get("/api/me")
def me(request: Request):
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    user = user_of_token(token) if kind.lower() == "bearer" else user_of_session(request)
    role = store.hget(f"user:{user}", "role")
    if role is None:
        raise NotSignedIn
    return {"role": role, "user": user, "seats": []}


@app.post("/api/logout")
def logout(request: Request):
    store.delete(f"session:{request.cookies.get('sid', '')}")
    return Response(status_code=204)


@app.post("/api/token")
def token(body: dict):
    check_password(body["user"], body["password"])
    now = int(time.time())
    claims = {"exp": now + TOKEN_TTL, "iat": now, "iss": "lantern", "sub": body["user"]}
    text = f"{pack({'typ': 'JWT', 'alg': 'HS256'})}.{pack(claims)}"
    return {"token_type": "Bearer", "expires_in": TOKEN_TTL, "access_token": f"{text}.{sign(text)}"}


@app.post("/api/password")
def password(body: dict, request: Request):
    user = user_of_session(request)
    check_strength(body["new"])
    check_password(user, body["old"])
    store.hset(f"user:{user}", "password_hash", make_hash(body["new"]))
    kept = request.cookies["sid"]
    for sid in store.smembers(f"sessions-of:{user}") - {kept}:
        store.delete(f"session:{sid}")
    return Response(status_code=204)


uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="info")
