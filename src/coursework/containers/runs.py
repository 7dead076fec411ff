"""Runs and what they own: every object made carries labels, and a dead run's objects can be found.

A run is alive while its process holds a lock file; the kernel drops the lock however it ends.
"""

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coursework.files import is_held, locked
from coursework.layout import find_layout, user_cache

LABEL_CLONE = "course.clone"
LABEL_MODULE = "course.module"
LABEL_RUN = "course.run"


def this_clone() -> str:
    """Return twelve hexadecimal digits that tell this clone's objects from those of others."""
    return hashlib.sha256(str(find_layout().root).encode()).hexdigest()[:12]


def label_filters(module: str | None, *, everywhere: bool = False) -> list[str]:
    """Return the labels of what runs of a module made: in this clone, or in all of them."""
    labels = [f"{LABEL_MODULE}={module}" if module else LABEL_MODULE]
    return labels if everywhere else [*labels, f"{LABEL_CLONE}={this_clone()}"]


@dataclass(frozen=True)
class Run:
    """One grading of one submission.

    Args:
        run_id: eight hexadecimal digits.
        module: the slug of the module that is checked.
    """

    run_id: str
    module: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels of everything that this run makes."""
        return {LABEL_CLONE: this_clone(), LABEL_MODULE: self.module, LABEL_RUN: self.run_id}


def _lock_path(run_id: str) -> Path:
    return user_cache() / "runs" / f"{run_id}.lock"


@contextmanager
def open_run(module: str) -> Iterator[Run]:
    """Open a run; while it is open, no cleaner touches what it owns."""
    run = Run(secrets.token_hex(4), module)
    path = _lock_path(run.run_id)
    with locked(path):
        try:
            yield run
        finally:
            path.unlink(missing_ok=True)


def is_alive(run_id: str) -> bool:
    """Tell whether a process still works on a run."""
    if is_held(_lock_path(run_id), alone=False):
        return True
    # The process died without removing its file.
    _lock_path(run_id).unlink(missing_ok=True)
    return False
