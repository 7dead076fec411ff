"""The exercise's notebook in a folder, also where it was renamed: by what it says it is."""

import json
from pathlib import Path

NOTEBOOK = "exercise.ipynb"
_LESSON = "lesson.ipynb"
# What the course itself laid beside it: a learner's earlier version, and a newer original.
_BESIDE = (".yours-", ".new-")
_MOST_BYTES = 50_000_000


def find_exercise(folder: Path) -> Path | None:
    """Return the notebook that holds the learner's answer; None where there is none.

    It is exercise.ipynb, or else one whose metadata names a module; of several the one that was
    saved last.

    Args:
        folder: of a module's copy.
    """
    if (folder / NOTEBOOK).is_file():
        return folder / NOTEBOOK
    others = [
        path
        for path in sorted(folder.glob("*.ipynb"))
        if path.name != _LESSON
        and not any(mark in path.name for mark in _BESIDE)
        and path.is_file()
        and _names_module(path)
    ]
    return max(others, key=lambda path: path.stat().st_mtime_ns, default=None)


def _names_module(path: Path) -> bool:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return False
        return isinstance(json.loads(path.read_bytes())["metadata"]["coursework"]["module"], str)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
