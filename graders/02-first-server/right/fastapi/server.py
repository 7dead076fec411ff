"""The box office in FastAPI: a plain `def` endpoint runs in a thread of its own."""

import hashlib
import json
import os
import sys
from contextlib import suppress

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

FIELDS = {"id": int, "title": str, "starts_at": str, "price_cents": int}


def is_show(value):
    return isinstance(value, dict) and all(
        isinstance(value.get(name), kind) and not isinstance(value.get(name), bool)
        for name, kind in FIELDS.items()
    )


def read_shows(path):
    if not path:
        sys.exit("SHOWS_FILE is not set")
    try:
        with open(path, encoding="utf-8") as file:
            shows = json.load(file)
    except OSError as error:
        sys.exit(f"SHOWS_FILE {path}: {error.strerror}")
    except ValueError:
        sys.exit(f"SHOWS_FILE {path}: not JSON")
    if not isinstance(shows, list) or not all(map(is_show, shows)):
        sys.exit(f"SHOWS_FILE {path}: not an array of shows")
    return sorted(shows, key=lambda show: show["starts_at"])


port = int(os.environ.get("PORT", "3000"))
shows = read_shows(os.environ.get("SHOWS_FILE"))
app = FastAPI()


@app.get("/api/users")
async def users():
    return {"message": "Backend ready!"}


@app.get("/api/shows")
async def all_shows():
    return {"shows": shows}


@app.get("/api/ticket-code")
def ticket_code(name: str = ""):
    if not name:
        return JSONResponse({"error": "name_required"}, status_code=400)
    code = hashlib.scrypt(
        name.encode(), salt=b"lantern", n=32768, r=8, p=1, dklen=32, maxmem=64 * 1024 * 1024
    )
    return {"code": code.hex()}


class AnnouncedServer(uvicorn.Server):
    """Says that it is ready once it listens; FastAPI's own start-up hook runs before that."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(f"Server running on port {port}")


config = uvicorn.Config(app, host="0.0.0.0", port=port, log_level="warning", access_log=False)
with suppress(KeyboardInterrupt):
    AnnouncedServer(config).run()
