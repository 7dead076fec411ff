"""A Dask scheduler and its workers on this machine, as people start them by hand."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from coursework.layout import find_layout

_DASK = str(Path(sys.executable).with_name("dask"))
_STARTS_WITHIN_S = 120.0


@contextmanager
def local_scheduler(workers: int, folder: Path) -> Iterator[str]:
    """Start a scheduler and so many workers, one grading at a time each; yield its address.

    Args:
        workers: each is a process in this clone.
        folder: for their logs and files.

    Raises:
        SystemExit: one of them did not start.
    """
    offers = ["--nthreads", "1", "--resources", "sandbox=1", "--no-nanny", "--no-dashboard"]
    with scheduler(folder) as (address, _):
        names = [f"worker-{number}" for number in range(workers)]
        commands = [
            [_DASK, "worker", address, *offers, "--local-directory", str(folder / name)]
            for name in names
        ]
        logs = [folder / f"{name}.log" for name in names]
        with started(commands, logs, "Registered to"):
            yield address


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, int]]:
    """Start a scheduler; yield its address and the id of its process.

    Args:
        folder: for its log.

    Raises:
        SystemExit: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    listens = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    command = [_DASK, "scheduler", *listens]
    with started([command], [folder / "scheduler.log"], "Scheduler at") as (process,):
        yield f"tcp://127.0.0.1:{port}", process.pid


@contextmanager
def started(
    commands: list[list[str]], logs: list[Path], says: str
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start programs in this clone and wait until each says that it is ready; end them later.

    Args:
        commands: one a program.
        logs: one a program.
        says: what each writes to its log when it is ready.

    Raises:
        SystemExit: one of them did not start.
    """
    with ExitStack() as ends:
        processes = [_start(command, log) for command, log in zip(commands, logs, strict=True)]
        for process in processes:
            ends.callback(_end, process)
        for process, log in zip(processes, logs, strict=True):
            _wait_for(process, log, says)
        yield processes


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            command, cwd=find_layout().root, stdout=file, stderr=file, start_new_session=True
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def _wait_for(process: subprocess.Popen[bytes], log: Path, words: str) -> None:
    ends = time.monotonic() + _STARTS_WITHIN_S
    while words not in log.read_text("utf-8", "replace"):
        if process.poll() is not None or time.monotonic() > ends:
            raise SystemExit(f"{log.stem} did not start:\n{log.read_text('utf-8', 'replace')}")
        time.sleep(0.05)
