"""Many Dask workers in one process, whose gradings only sleep.

`bench/scale.py` starts it: python bench/simulated_workers.py ADDRESS COUNT FOLDER DIVISOR SECONDS…
"""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import dask
import distributed

from coursework.checks.verdict import Report
from coursework.cohort.remote import bench
from coursework.cohort.remote.identity import Identity
from coursework.cohort.results import Result
from coursework.cohort.source import HandedIn
from coursework.engine import Engine
from coursework.grading.grade import list_checks
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue

MODULE = "02-first-server"
READY = "all are registered"
# What a failed check quotes.
_QUOTED = "x" * 600


def task_s(key: str, seconds: list[float]) -> float:
    """Return how long a submission's grading takes: one of the measured times, drawn by its key."""
    return seconds[int(key[:8], 16) % len(seconds)]


class Process:
    """A grading process that does nothing."""

    def stop(self) -> None:
        """Do nothing."""


def simulate(count: int, divisor: float, seconds: list[float]) -> None:
    """Take engine, sandboxes and grading processes out of this process's workers.

    Args:
        count: of the workers; all get ready at the same moment.
        divisor: of the times.
        seconds: measured times.
    """
    layout = find_layout()
    module = load_catalogue(layout).find(MODULE)
    identity, checks = Identity.of(layout, module), list_checks(layout, MODULE)
    passed = tuple(check.result("passed") for check in checks)
    one_failed = (*passed[:-1], checks[-1].result("failed", saw=_QUOTED))
    together = threading.Barrier(count)

    class Sleeper:
        """A judge that sleeps; a quarter of the submissions fail a check."""

        fleet = None

        def judge(self, submission: HandedIn, _: object, __: object, key: str) -> Result:
            took = task_s(key, seconds)
            time.sleep(took / divisor)
            outcome = one_failed if key[-1] in "0123" else passed
            report = Report(MODULE, "0" * 8, 1, outcome, {"total_s": took})
            return Result(submission.learner, MODULE, key, report)

    @contextmanager
    def no_sandboxes(*_: object, **__: object) -> Iterator[None]:
        together.wait()
        yield

    faked = {
        "start_engine": lambda _: Engine("none", "unix:///nowhere"),
        "ensure_images": lambda *_: [],
        "open_sandboxes": no_sandboxes,
        "Judge": lambda *_: Sleeper(),
        "Worker": Process,
        # All are in the same clone, and would only read it again.
        "load_catalogue": cache(load_catalogue),
    }
    for name, fake in faked.items():
        setattr(bench, name, fake)
    setattr(Identity, Identity.of.__name__, lambda *_: identity)


async def serve(address: str, count: int, folder: Path) -> None:
    """Run the workers until somebody ends this process.

    Args:
        address: of the scheduler.
        count: of the workers, one grading at a time each.
        folder: for their files.
    """
    workers = [
        distributed.Worker(
            address, nthreads=1, resources={"sandbox": 1}, memory_limit=0, dashboard=False,
            local_directory=str(folder),
        )
        for _ in range(count)
    ]  # fmt: skip
    await asyncio.gather(*workers)
    print(READY, flush=True)
    await asyncio.gather(*(worker.finished() for worker in workers))


def main() -> None:
    """Simulate, then serve."""
    address, count, folder, divisor, *seconds = sys.argv[1:]
    simulate(int(count), float(divisor), [float(s) for s in seconds])
    # Each worker would look at all threads of the process a hundred times a second.
    with dask.config.set({"distributed.worker.profile.enabled": False}):
        asyncio.run(serve(address, int(count), Path(folder)))


if __name__ == "__main__":
    main()
