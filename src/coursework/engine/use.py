"""Who uses a private engine: each process that found it, until it ends."""

import fcntl
import os
from pathlib import Path

from coursework.files import is_held

_held: dict[Path, int] = {}


def hold(folder: Path) -> None:
    """Count this process as a user of an engine until it ends or lets go."""
    if folder in _held:
        return
    folder.mkdir(parents=True, exist_ok=True)
    mark = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(mark, fcntl.LOCK_SH)
    _held[folder] = mark


def let_go(folder: Path) -> None:
    """Count this process no longer."""
    mark = _held.pop(folder, None)
    if mark is not None:
        os.close(mark)


def is_used(folder: Path) -> bool:
    """Tell whether another process, or this one, uses an engine."""
    return is_held(folder / "users")


def end_with_last(folder: Path) -> None:
    """Note that an engine was started for a lab: whichever lab ends last ends it."""
    (folder / "ends-with-last").touch()


def is_for_labs(folder: Path) -> bool:
    """Tell whether an engine ends with the last lab, and not only by command."""
    return (folder / "ends-with-last").exists()


def forget(folder: Path) -> None:
    """Forget for what an engine was started: it ended."""
    (folder / "ends-with-last").unlink(missing_ok=True)
