"""Fair shares in FastAPI, by GCRA: for each caller one number, the time at which all is there again.

A plain `def` endpoint runs in a thread of its own, so one that waits keeps nobody else waiting.
"""

import json
import math
import os
import threading
import urllib.request

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

RATE = int(os.environ["RATE"])
WINDOW_MS = int(os.environ["WINDOW_SECONDS"]) * 1000
TOKEN_MS = WINDOW_MS / RATE
UPSTREAM = os.environ["UPSTREAM_URL"] + "/report"
PATIENCE_S = 0.2

redis = Redis.from_url(
    os.environ["REDIS_URL"], socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S,
    retry=Retry(NoBackoff(), 0),
)
# Returns whether it passes, and in how many milliseconds the budget is whole again.
take = redis.register_script("""
    local window, token = tonumber(ARGV[1]), tonumber(ARGV[2])
    local clock = redis.call('TIME')
    local now = clock[1] * 1000 + clock[2] / 1000
    local whole_at = math.max(now, tonumber(redis.call('GET', KEYS[1])) or now)
    if whole_at - now > window - token then
        return {0, tostring(whole_at - now)}
    end
    whole_at = whole_at + token
    redis.call('SET', KEYS[1], string.format('%.3f', whole_at), 'PX', math.ceil(whole_at - now))
    return {1, tostring(whole_at - now)}
""")
places = threading.Semaphore(int(os.environ["MAX_IN_FLIGHT"]))
app = FastAPI()


def problem(status: int, title: str, **fields: str) -> JSONResponse:
    names = {name.replace("_", "-"): value for name, value in fields.items()}
    body = {"status": status, "title": title, "type": f"https://lantern.example/problems/{status}"}
    return JSONResponse(body, status, names, "application/problem+json")


def caller_of(request: Request) -> str:
    key = request.headers.get("x-api-key")
    if key is not None:
        return f"k {key}"
    return "a " + ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()


@app.get("/api/shows")
def shows(request: Request, response: Response):
    try:
        passes, left = take(keys=[caller_of(request)], args=[WINDOW_MS, TOKEN_MS])
    except RedisError as error:
        print("uncounted:", error)
        return {"shows": []}
    whole_in_ms = float(left)
    tokens = (WINDOW_MS - whole_in_ms) / TOKEN_MS
    limit = f'"default";r={math.floor(max(0, tokens))};t={math.ceil(whole_in_ms / 1000)}'
    if not passes:
        wait = max(1, math.ceil((1 - tokens) * TOKEN_MS / 1000))
        return problem(429, "Slow down", RateLimit=limit, Retry_After=str(wait))
    response.headers["RateLimit"] = limit
    return {"shows": []}


@app.get("/api/report")
def report():
    if not places.acquire(blocking=False):
        return problem(503, "Too many reports", Retry_After="2")
    try:
        with urllib.request.urlopen(UPSTREAM) as reply:
            return json.load(reply)
    except Exception as error:
        print("upstream:", repr(error))
        return problem(502, "No report")
    finally:
        places.release()


uvicorn.run(app, host="0.0.0.0", port=int(os.environ.get("PORT", "3000")), log_level="warning")
