"""A worker of the scheduler's: it prepares once, then grades what it is sent, as one machine does.

Everything in this file runs in a process of `dask worker`, in a clone of its own.
"""

import asyncio
import json
import multiprocessing
import queue
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import distributed

from coursework.cohort.judge import Judge, open_sandboxes
from coursework.cohort.remote.identity import Identity
from coursework.cohort.remote.order import Order
from coursework.cohort.remote.travel import packed, packed_trouble
from coursework.cohort.source import HandedIn
from coursework.cohort.worker import Worker
from coursework.engine import start_engine
from coursework.images import ensure_images
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.trouble import CourseError

_MOST_AHEAD = 4
# A run that was killed tells nobody; one submission takes a quarter of this at most.
_IDLE_FOR_S = 3600.0
_ENDS_WITHIN_S = 60.0
_ANSWERS_WITHIN_S = 10.0
# Checks are listed by pytest, which is for one thread.
_LISTING = threading.Lock()
# Runs that have ended: Ctrl-C may come while a worker still compares its clone.
_OVER: set[str] = set()


class _EndedError(Exception):
    """The bench was closed under a grading."""


async def join(order: Mapping[str, Any], dask_worker: Any) -> bytes:
    """Begin to prepare for a run, where this machine's clone fits it.

    Args:
        order: of the run.
        dask_worker: this process's.

    Returns:
        JSON: why it takes no part; empty where it does.
    """
    wanted = Order.from_json(order)
    slots = int(
        min(dask_worker.state.nthreads, dask_worker.state.total_resources.get("sandbox", 0))
    )
    try:
        layout = find_layout()
        module = load_catalogue(layout).find(wanted.module)
        own = await asyncio.to_thread(Identity.of, layout, module)
        unfit = own.unlike(wanted.identity)
    except CourseError as error:
        unfit = f"{error.what} {error.why}"
    if not unfit and slots < 1:
        unfit = "it offers no sandbox; start it with --nthreads 1 --resources sandbox=1"
    if not unfit and wanted.resource in _OVER:
        unfit = "the run is over"
    if not unfit:
        bench = Bench(wanted, layout, module, slots)
        await dask_worker.plugin_add(plugin=bench, name=wanted.resource)
    return json.dumps({"unfit": unfit}).encode()


async def leave(resource: str, dask_worker: Any) -> bytes:
    """Remove what was prepared for a run, or is about to be."""
    _OVER.add(resource)
    if resource in dask_worker.plugins:
        await dask_worker.plugin_remove(name=resource)
    return b""


def grade_there(resource: str, number: str, key: str, notebook: bytes) -> bytes:
    """Grade a submission on the worker where this runs.

    Args:
        resource: of the run.
        number: of the submission, to speak of it.
        key: of the result.
        notebook: as it was handed in.

    Returns:
        JSON: a result, or why this machine can give none.
    """
    bench = distributed.get_worker().plugins.get(resource)
    if not isinstance(bench, Bench):
        return packed_trouble(CourseError("The worker had left the run."))
    try:
        return bench.grade(number, key, notebook)
    # Dask would pickle it, and lose the task where that fails.
    except Exception as error:  # noqa: BLE001
        return packed_trouble(CourseError("The grading broke.", why=repr(error)))


class Bench(distributed.WorkerPlugin):  # type: ignore[misc, no-any-unimported, unused-ignore]
    """What a worker has ready for one run: an engine, sandboxes and grading processes.

    Args:
        order: of the run.
        layout: the clone.
        module: that is graded.
        slots: gradings at a time.
    """

    def __init__(self, order: Order, layout: Layout, module: Module, slots: int) -> None:
        self._order, self._layout, self._module, self._slots = order, layout, module, slots
        self._processes: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._all: list[Worker] = []
        self._ended = threading.Event()
        self._worked = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def setup(self, worker: Any) -> None:
        """Begin to prepare; the worker gets gradings when that is done."""
        self._worker = worker
        self._thread.start()

    async def teardown(self, worker: Any) -> None:
        """End gradings at once, and remove the sandboxes."""
        del worker
        self._ended.set()
        self._worked.set()
        for process in list(self._all):
            process.stop()
        await asyncio.to_thread(self._thread.join, _ENDS_WITHIN_S)

    def grade(self, number: str, key: str, notebook: bytes) -> bytes:
        """Return a submission's result, or why this machine has none, packed."""

        def on_trouble(_: str, error: CourseError) -> None:
            if self._ended.is_set():
                raise _EndedError
            self._tell("attempt", number=number, text=f"{error.what} {error.why}")

        process = self._processes.get()
        self._worked.set()
        try:
            result = self._judge.judge(HandedIn("", lambda: notebook), process, on_trouble, key)
        except _EndedError:
            process.stop()
            return packed_trouble(CourseError("The worker left the run."))
        except CourseError as error:
            # No submission is to blame: others go to other machines.
            self._offer(0)
            self._tell("unfit", text=f"{error.what} {error.why}")
            return packed_trouble(error)
        finally:
            self._processes.put(process)
        return packed(result)

    def _keep(self) -> None:
        try:
            self._prepare_and_wait()
        except CourseError as error:
            self._tell("unfit", text=f"{error.what} {error.why}")
        except Exception as error:  # noqa: BLE001 - told where somebody reads it
            self._tell("unfit", text=repr(error))
        finally:
            for process in self._all:
                process.stop()
            self._offer(0)

    def _prepare_and_wait(self) -> None:
        def step(text: str) -> None:
            self._tell("step", text=text)

        engine = start_engine(step)
        with _LISTING:
            self._judge = Judge(self._layout, self._module, engine)
        sandboxes = open_sandboxes(
            self._layout, self._module, engine, step, ahead=min(self._slots, _MOST_AHEAD),
            wanted=sys.maxsize, trusted=self._order.trusted,
        )  # fmt: skip
        with sandboxes as self._judge.fleet:
            if self._judge.fleet is None:
                ensure_images(engine, (*self._module.images, *self._module.check_images), step)
            # Dask's nanny makes its worker a daemon, which may have no processes of its own.
            multiprocessing.current_process().daemon = False
            self._all += [Worker() for _ in range(self._slots)]
            for process in self._all:
                self._processes.put(process)
            self._offer(self._slots)
            self._tell("ready", slots=self._slots)
            while self._worked.wait(_IDLE_FOR_S) and not self._ended.is_set():
                self._worked.clear()
            if not self._ended.is_set():
                self._tell("unfit", text="it had nothing to grade for an hour; restart it")

    def _offer(self, slots: int) -> None:
        """Say how many of the run's tasks this worker takes; afterwards the scheduler knows."""
        offering = self._worker.set_resources(**{self._order.resource: slots})
        # Where the scheduler or this worker's loop is gone, nobody has to know.
        with suppress(OSError, TimeoutError, RuntimeError):
            asyncio.run_coroutine_threadsafe(offering, self._worker.loop.asyncio_loop).result(
                _ANSWERS_WITHIN_S
            )

    def _tell(self, kind: str, **what: Any) -> None:
        """Tell the instructor's machine, wherever in this process that is called."""
        told = {"kind": kind, "worker": self._worker.address, **what}
        self._worker.log_event(self._order.resource, told)
