"""A Dask scheduler and its workers on this machine, as people start them by hand."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from coursework.layout import find_layout

_DASK = str(Path(sys.executable).with_name("dask"))
_STARTS_WITHIN_S = 120.0


@contextmanager
def local_scheduler(workers: int, folder: Path) -> Iterator[str]:
    """Start a scheduler and so many workers, one grading at a time each; give its address.

    Args:
        workers: each is a process in this clone.
        folder: for their logs and files.

    Raises:
        SystemExit: one of them did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    address = f"tcp://127.0.0.1:{port}"
    listens = ["--host", "127.0.0.1", "--port", str(port), "--dashboard-address", "127.0.0.1:0"]
    offers = ["--nthreads", "1", "--resources", "sandbox=1", "--no-nanny", "--no-dashboard"]
    logs = [folder / f"worker-{number}.log" for number in range(workers)]
    started = [_start(["scheduler", *listens], folder / "scheduler.log")]
    try:
        _wait_for(started[0], folder / "scheduler.log", "Scheduler at")
        for log in logs:
            scratch = ["--local-directory", str(folder / log.stem)]
            started.append(_start(["worker", address, *offers, *scratch], log))
        for process, log in zip(started[1:], logs, strict=True):
            _wait_for(process, log, "Registered to")
        yield address
    finally:
        for process in reversed(started):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _start(words: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            [_DASK, *words],
            cwd=find_layout().root, stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip


def _wait_for(process: subprocess.Popen[bytes], log: Path, words: str) -> None:
    ends = time.monotonic() + _STARTS_WITHIN_S
    while words not in log.read_text("utf-8", "replace"):
        if process.poll() is not None or time.monotonic() > ends:
            raise SystemExit(f"{log.stem} did not start:\n{log.read_text('utf-8', 'replace')}")
        time.sleep(0.05)
