"""A process that grades, one submission at a time; it can be killed, and is limited in memory."""

import multiprocessing
import os
import resource
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from coursework.checks.verdict import Report
from coursework.cohort.results import bounded
from coursework.containers.building import Limits
from coursework.engine import Engine
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.trouble import CourseError

# An answer that took over its engine could make it talk without end.
_LIMIT_MEMORY_BYTES = 6 * 1024**3


@dataclass(frozen=True)
class Job:
    """What a worker is asked to grade.

    Args:
        layout: the clone.
        module: that is answered.
        files: as the submission's notebook writes them.
        engine: where to build and run.
        limits: of each build.
    """

    layout: Layout
    module: Module
    files: Mapping[str, bytes]
    engine: Engine
    limits: Limits


class Worker:
    """One grading process; it ends with this one, however that ends."""

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        # A fresh interpreter: pytest, which runs the checks, wants a process of its own.
        context = multiprocessing.get_context("spawn")
        self._pipe, end = context.Pipe()
        self._process = context.Process(target=_serve, args=(end,), daemon=True)
        self._process.start()
        end.close()

    def grade(self, job: Job, within_s: float) -> Report:
        """Grade one submission.

        Raises:
            CourseError: it could not be judged; with why.
        """
        try:
            self._pipe.send(job)
            if not self._pipe.poll(within_s):
                self._renew()
                raise CourseError(f"The grading did not end in {within_s:g} s and was stopped.")
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            # Its pipe is closed a moment before it has ended.
            self._process.join(1)
            code = self._process.exitcode
            self._renew()
            raise CourseError("The grading process was lost.", why=f"exit code {code}") from error
        if isinstance(answer, Report):
            return answer
        what, why = answer
        raise CourseError(str(what)[:500], why=str(why)[:500])

    def _renew(self) -> None:
        self.stop()
        self._start()

    def stop(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.join(5)
        self._pipe.close()


def _serve(pipe: Connection) -> None:
    # Ctrl-C reaches every process: the first one tells, and ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        # Elsewhere there are no sandboxes, and macOS refuses the limit.
        resource.setrlimit(resource.RLIMIT_AS, (_LIMIT_MEMORY_BYTES, _LIMIT_MEMORY_BYTES))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            job: Job = pipe.recv()
        except EOFError:
            return
        pipe.send(_answer(job))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _answer(job: Job) -> Any:
    from coursework.grading.handed_in import grade_handed_in  # noqa: PLC0415 - slow to load, once

    try:
        report = grade_handed_in(job.layout, job.module, job.files, job.engine, job.limits)
    except CourseError as error:
        return error.what, error.why
    except BaseException as error:  # noqa: BLE001 - whatever a lost engine brings about
        return "The grading broke.", repr(error)
    return bounded(report)
