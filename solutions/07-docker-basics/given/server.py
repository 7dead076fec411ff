"""The notice board of the box office, the twin of server.js. Given: it stays as it is."""

import json
import os
import signal
import sys
from pathlib import Path

version = os.environ.get("APP_VERSION", "unknown")

if "--version" in sys.argv:
    print(version)
    sys.exit(0)

# What follows takes a moment to load, and the version needs none of it.
import uvicorn
from fastapi import Body, FastAPI
from fastapi.responses import JSONResponse

port = int(os.environ.get("PORT", "3000"))
# One note a line, each a JSON object. It is read for each request, never kept in memory.
notes_file = Path(os.environ.get("DATA_DIR", "/data"), "notes.jsonl")

notes_file.parent.mkdir(parents=True, exist_ok=True)
notes_file.touch()

app = FastAPI()


@app.get("/api/version")
def get_version():
    return {"version": version}


@app.get("/api/banner")
def get_banner():
    return {"banner": os.environ.get("BANNER")}


@app.get("/api/notes")
def get_notes():
    lines = notes_file.read_text(encoding="utf-8").split("\n")
    return {"notes": [json.loads(line)["text"] for line in lines if line]}


@app.post("/api/notes", status_code=201)
def add_note(note: dict = Body(default={})):
    text = note.get("text")
    if not isinstance(text, str) or not text:
        return JSONResponse({"error": "text_required"}, status_code=400)
    with notes_file.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": text}) + "\n")
    return {"text": text}


class AnnouncedServer(uvicorn.Server):
    """Says that it is ready once it listens."""

    async def startup(self, sockets=None):
        await super().startup(sockets)
        print(f"Server running on port {port}", flush=True)


# Uvicorn closes the server at SIGTERM, and then hands the signal on to this.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
AnnouncedServer(uvicorn.Config(app, host="0.0.0.0", port=port, log_level="warning")).run()
