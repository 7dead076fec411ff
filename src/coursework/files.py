"""Files and folders: read by name, written whole or not at all, summed up, and locked."""

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from coursework.layout import user_cache
from coursework.trouble import CourseError

# What tools leave behind.
_IGNORED = {"__pycache__", ".ipynb_checkpoints", ".DS_Store"}


def is_ignored(path: Path) -> bool:
    """Tell whether a file or folder is what a tool left behind."""
    return path.name in _IGNORED


def folder_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by relative path, sorted; none where there is no folder.

    Raises:
        CourseError: one of them is a link.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if any(map(is_ignored, (name, *name.parents))):
            continue
        if path.is_symlink():
            raise CourseError(f"{path} is a link.", fix="copy the file instead")
        if path.is_file():
            files[name.as_posix()] = path.read_bytes()
    return files


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds; empty where there is none, or something else."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def part_of(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield an empty file beside a file; at the end it takes that one's place, or is removed.

    Args:
        path: of the file, whose folder is there.
        mode: who may read it, from the first moment on.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        os.fchmod(descriptor, mode)
        os.close(descriptor)
        yield part
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def write_whole(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = False) -> None:
    """Write a file so that nobody ever sees half of it.

    Args:
        path: its folder is made where there is none.
        data: the content.
        mode: who may read it, from the first moment on.
        durable: it is on the disk afterwards, also after a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with part_of(path, mode) as part, part.open("wb") as file:
        file.write(data)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def lay_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files below a folder; a program that names its interpreter becomes executable."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o755 if data.startswith(b"#!") else 0o644)


def files_digest(files: Mapping[str, bytes]) -> str:
    """Return one number, in hexadecimal digits, for files by name."""
    content = sorted((name, hashlib.sha256(data).hexdigest()) for name, data in files.items())
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def is_held(path: Path, *, alone: bool = True) -> bool:
    """Tell whether a process holds a lock; where there is no such file, none does.

    Args:
        path: of the lock file.
        alone: also one that several hold together.
    """
    try:
        with path.open() as lock:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def locked(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let one process at a time do something; the kernel drops the lock however it ends.

    Args:
        path: of the lock file; its folder is made where there is none.
        on_wait: is called where another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def one_at_a_time(
    tell: Callable[[str], None], what: str = "images", does: str = "prepares images"
) -> AbstractContextManager[None]:
    """Let one process make, save or load images; another waits and then finds them.

    Args:
        tell: is told that somebody else is waited for.
        what: is made instead of images; a name of its own.
        does: what another process is said to do.
    """
    waiting = f"another course command {does}: waiting for it"
    return locked(user_cache() / f"{what}.lock", lambda: tell(waiting))
