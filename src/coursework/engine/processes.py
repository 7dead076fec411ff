"""An engine's processes, recognised by what they were started with, never by number alone."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from coursework.programs import run

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
        state, parent, *_ = _stat(folder)
    except OSError:
        return None
    return None if state == "Z" else Process(pid, int(parent), tuple(arguments))


def _stat(folder: Path) -> list[str]:
    """Return the fields of proc_pid_stat(5) from the state on."""
    # The name in parentheses before them may hold spaces, and bytes that are no text.
    return (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _same_root(pid: int) -> bool:
    """Tell whether a process sees our files: one in another root may carry the same path."""
    try:
        return (_PROC / str(pid) / "root").samefile("/")
    except OSError:
        return False


def _numbers() -> Iterator[int]:
    return (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())


def _all() -> Iterator[Process]:
    return (process for pid in _numbers() if (process := _read(pid)))


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
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _gone(pids: list[int], within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while any(_read(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def clear(exec_root: Path, within_s: float) -> bool:
    """End every process of an engine; containers before the shims that would adopt them.

    Args:
        exec_root: the engine's run-time folder, which each of its processes was started with.
        within_s: how long each may take to end by itself.

    Returns:
        Whether there was one.
    """
    found = find_programs(("dockerd", "containerd"), exec_root)
    shims = [p.pid for p in found if p.program.startswith("containerd-shim")]
    contained = [child for shim in shims for child in children(shim)]
    others = [p.pid for p in found if p.pid not in shims]
    end(contained, min(within_s, 2))
    end(shims, within_s)
    end(others, within_s)
    return bool(found)


def unmount(folder: Path) -> None:
    """Unmount everything below a folder, innermost first."""
    lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        run(["umount", "--lazy", point])


def processor_seconds_together(process: Path) -> float | None:
    """Return the processor time of all that runs in one PID namespace, such as a container's.

    Args:
        process: the folder in /proc of one of its processes.

    Returns:
        Seconds: utime, stime, cutime and cstime of proc_pid_stat(5). What ended counts where a
        process of the namespace has waited for it. None where nobody can look.
    """
    try:
        namespace = (process / "ns/pid").readlink()
        return sum(_ticks(pid, namespace) for pid in _numbers()) / os.sysconf("SC_CLK_TCK")
    except OSError:
        return None


def _ticks(pid: int, namespace: Path) -> int:
    folder = _PROC / str(pid)
    try:
        if (folder / "ns/pid").readlink() != namespace:
            return 0
        return sum(int(field) for field in _stat(folder)[11:15])
    except OSError:
        return 0


def process_inside(first: int, number: int) -> int | None:
    """Return this machine's id of a process that a namespace below knows by another one.

    The kernel lists a process's number in each namespace from ours downwards: NSpid, proc(5).

    Args:
        first: our number of the namespace's process 1.
        number: the other one's.

    Returns:
        None where there is no such process, or this machine cannot look.
    """
    level = len(_status(first, "NSpid")) - 1
    for pid in _numbers():
        numbers = _status(pid, "NSpid")
        if level < len(numbers) and numbers[level] == str(number) and _descends(pid, first):
            return pid
    return None


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1 and pid != ancestor:
        pid = int((_status(pid, "PPid") or ["0"])[0])
    return pid == ancestor


def _status(pid: int, field: str) -> list[str]:
    try:
        lines = (_PROC / str(pid) / "status").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return next((line.split()[1:] for line in lines if line.startswith(f"{field}:")), [])
