"""An engine's processes, recognised by what they were started with, never by number alone."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """A running process: its number, its parent's and its arguments."""

    pid: int
    parent: int
    arguments: tuple[str, ...]

    @property
    def program(self) -> str:
        """Its program's name without folders."""
        return Path(self.arguments[0]).name


def _read(pid: int) -> Process | None:
    folder = _PROC / str(pid)
    try:
        arguments = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        # The name in parentheses may hold spaces: count from its end.
        state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else Process(pid, int(parent), tuple(arguments))


def _same_root(pid: int) -> bool:
    """Tell whether a process sees our files: one in another root may carry the same path."""
    try:
        return (_PROC / str(pid) / "root").samefile("/")
    except OSError:
        return False


def _all() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (process := _read(int(entry.name))):
            yield process


def _is(process: Process, program: str, folder: Path) -> bool:
    return (
        process.program.startswith(program)
        and any(f"{folder}/" in f"{argument}/" for argument in process.arguments)
        and _same_root(process.pid)
    )


def find_programs(names: Iterable[str], folder: Path) -> list[Process]:
    """Find programs, by how their names begin, that were started with a path in a folder."""
    wanted = tuple(names)
    return [p for p in _all() if any(_is(p, name, folder) for name in wanted)]


def is_program(pid: int, name: str, folder: Path) -> bool:
    """Tell whether a number still is the named program, started with a path in a folder."""
    process = _read(pid)
    return process is not None and _is(process, name, folder)


def children(pid: int) -> list[int]:
    """Return the numbers of a process's children."""
    return [process.pid for process in _all() if process.parent == pid]


def start_daemon(command: list[str], path: str, log: BinaryIO) -> int:
    """Start a program that outlives us, in a session of its own, as nobody's child.

    Args:
        command: the program and its arguments.
        path: its PATH.
        log: takes what it says.

    Returns:
        Its process number.
    """
    started = subprocess.run(
        ["sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd="/",
        start_new_session=True,
        check=True,
    )
    return int(started.stdout)


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that ended and waits for its parent does not."""
    return _read(pid) is not None


def end(pids: Iterable[int], within_s: float) -> bool:
    """Ask processes to end, wait, then kill those that did not.

    Returns:
        Whether all ended by themselves.
    """
    waiting = list(pids)
    _signal(waiting, signal.SIGTERM)
    if _gone(waiting, within_s):
        return True
    _signal(waiting, signal.SIGKILL)
    _gone(waiting, within_s=5)
    return False


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _gone(pids: list[int], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while any(_read(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
