"""The outputs of each lesson's last run, kept in the clone's state until the lesson changes."""

import hashlib
import json
from pathlib import Path
from typing import Any

from coursework.authoring.derive import derive_lesson
from coursework.layout import Layout

_SOURCE = "source_sha256"


def save_run(layout: Layout, slug: str, notebook: bytes) -> None:
    """Keep a lesson's notebook with the outputs of a run.

    Raises:
        OSError: the state folder cannot be written.
    """
    content = json.loads(notebook)
    content["metadata"][_SOURCE] = _digest(layout, slug)
    path = _path(layout, slug)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
    part.replace(path)


def last_run(layout: Layout, slug: str) -> dict[str, Any] | None:
    """Return a lesson's notebook with its last run's outputs; None where the lesson is newer."""
    try:
        content: dict[str, Any] = json.loads(_path(layout, slug).read_bytes())
    except (OSError, ValueError):
        return None
    return content if content["metadata"].get(_SOURCE) == _digest(layout, slug) else None


def _path(layout: Layout, slug: str) -> Path:
    return layout.state / "lessons" / f"{slug}.ipynb"


def _digest(layout: Layout, slug: str) -> str:
    return hashlib.sha256(derive_lesson(layout, slug)).hexdigest()
