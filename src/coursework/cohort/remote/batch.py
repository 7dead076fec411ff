"""Submissions graded by a scheduler's workers: as many under way as there are slots.

All that happens is put into one queue, and one thread acts on it and writes results.
"""

import queue
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any

from coursework.checks.points import Check
from coursework.cohort.grading import Progress
from coursework.cohort.judge import refused_result, unjudged_result
from coursework.cohort.remote.bench import grade_there, leave
from coursework.cohort.remote.connection import gone
from coursework.cohort.remote.order import Order
from coursework.cohort.remote.roll import Roll, Tell, in_background
from coursework.cohort.remote.travel import NotAResultError, Sent, told_there, unpacked
from coursework.cohort.results import Result, Results, key_of
from coursework.cohort.source import HandedIn
from coursework.submissions.files import SubmissionError
from coursework.trouble import CourseError

_ATTEMPTS = 2
_LOOKS_EVERY_S = 1.0
_TELLS_AFTER_S = 3.0
_LEAVES_WITHIN_S = 90
# Of one worker; each is a notebook of up to 50 MB that is sent ahead.
_MOST_SLOTS = 256


@dataclass(eq=False)
class Task:
    """A submission that is with the workers.

    Args:
        submission: that is graded.
        key: of its result.
        number: under which workers know it.
        future: of Dask's task.
        lost: why earlier attempts came to nothing.
    """

    submission: HandedIn
    key: str
    number: str
    future: Any
    lost: list[str]


class Batch:
    """One run over all submissions that are left.

    Args:
        client: of the scheduler.
        address: of the scheduler.
        order: of the run.
        graded_by: digest of what decides verdicts.
        checks: of the module, in order.
        results: the folder of results.
        submissions: those to grade.
        progress: is told of each result and of trouble.
        tell: is told what becomes of workers.
    """

    def __init__(
        self, client: Any, address: str, order: Order, graded_by: str, checks: Sequence[Check],
        results: Results, submissions: Sequence[HandedIn], progress: Progress, tell: Tell,
    ) -> None:  # fmt: skip
        self._client, self._address, self._order = client, address, order
        self._graded_by, self._checks, self._results = graded_by, checks, results
        self._waiting, self._progress, self._tell = deque(submissions), progress, tell
        self._numbers = count(1)
        self._under_way: dict[str, Task] = {}
        self._gone = False
        self._happened: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._roll = Roll(client, order, self._on_answer, tell)

    def work(self) -> None:
        """Grade them all.

        Raises:
            CourseError: the scheduler is gone, no worker fits, or the disk is full.
        """
        self._client.subscribe_topic("all", partial(self._hear, self._on_cluster))
        self._client.subscribe_topic(self._order.resource, partial(self._hear, self._on_told))
        for worker in self._client.scheduler_info(n_workers=-1)["workers"]:
            self._roll.ask(worker)
        try:
            self._work()
        finally:
            self._leave()

    def _work(self) -> None:
        since = time.monotonic()
        while self._waiting or self._under_way:
            if self._gone or self._client.status != "running":
                raise gone(self._address)
            self._send()
            with suppress(queue.Empty):
                self._happened.get(timeout=_LOOKS_EVERY_S)()
            self._roll.require_hope()
            if self._roll.has_any:
                since = time.monotonic()
            elif time.monotonic() - since > _TELLS_AFTER_S:
                since = float("inf")
                self._tell(
                    f"waiting for a worker: dask worker {self._address} --nthreads 1"
                    " --resources sandbox=1, in a clone of this commit"
                )

    def _leave(self) -> None:
        """Have the workers remove their sandboxes; one that doesn't answer keeps nobody."""
        if self._gone or self._client.status != "running":
            return
        leaving = partial(self._client.run, leave, self._order.resource, on_error="return")
        in_background(leaving).join(_LEAVES_WITHIN_S)

    def _hear(self, act: Callable[[Mapping[str, Any]], None], event: tuple[float, Any]) -> None:
        if isinstance(event[1], Mapping):
            self._happened.put(partial(act, event[1]))

    def _on_answer(self, worker: str, unfit: str) -> None:
        if unfit:
            self._happened.put(partial(self._roll.is_unfit, worker, unfit))

    def _on_cluster(self, event: Mapping[str, Any]) -> None:
        worker = str(event.get("worker", ""))
        if event.get("action") == "add-worker":
            self._roll.ask(worker)
        elif event.get("action") == "remove-worker":
            self._roll.is_gone(worker)
            # Dask itself gives them to another worker. One that leaves in good order costs nothing.
            for number in () if event.get("expected") else event.get("processing-tasks", ()):
                if task := self._under_way.get(number):
                    self._lose(task, f"the worker {worker} was lost")

    def _on_told(self, event: Mapping[str, Any]) -> None:
        worker, text = str(event.get("worker", "")), told_there(event.get("text", ""))
        if event.get("kind") == "ready":
            slots = event.get("slots")
            if type(slots) is int and 0 < slots <= _MOST_SLOTS:
                self._is_ready(worker, slots)
            else:
                self._roll.is_unfit(worker, f"it offers {told_there(slots)} gradings at a time")
        elif event.get("kind") == "unfit":
            self._roll.is_unfit(worker, text)
        elif event.get("kind") == "step":
            self._tell(f"{worker}: {text}")
        elif task := self._under_way.get(str(event.get("number", ""))):
            self._progress.on_trouble(task.submission.learner, CourseError(text))

    def _is_ready(self, worker: str, slots: int) -> None:
        had_none = not self._roll.slots
        self._roll.is_ready(worker, slots)
        # What no worker could take Dask gives to one that registers, not to one that gets ready.
        for task in list(self._under_way.values()) if had_none else ():
            del self._under_way[task.number]
            task.future.cancel()
            self._submit(task.submission, task.lost)

    def _send(self) -> None:
        while self._waiting and len(self._under_way) < self._roll.slots:
            self._submit(self._waiting.popleft(), [])

    def _submit(self, submission: HandedIn, lost: list[str]) -> None:
        try:
            notebook = submission.read()
        except SubmissionError as error:
            key = key_of(str(error).encode(), self._graded_by)
            name, module = submission.learner, self._order.module
            self._write(submission, refused_result(self._checks, name, module, key, error))
            return
        number = f"{self._order.resource}-{next(self._numbers)}"
        key = key_of(notebook, self._graded_by)
        future = self._client.submit(
            grade_there, self._order.resource, number, key, notebook, key=number,
            pure=False, resources={"sandbox": 1, self._order.resource: 1},
        )  # fmt: skip
        self._under_way[number] = Task(submission, key, number, future, lost)
        # Dask has one thread for all of these, and a result may be lost while it is fetched.
        future.add_done_callback(partial(in_background, self._fetch, number))

    def _fetch(self, number: str, future: Any) -> None:
        """Bring what came of a task, in another thread."""
        try:
            data: object = future.result()
        except BaseException as error:  # noqa: BLE001 - acted on where all is
            data = error
        self._happened.put(partial(self.arrive, number, data))

    def arrive(self, number: str, data: object) -> None:
        """Act on what came back for a task: what comes twice, or too late, counts no more."""
        task = self._under_way.get(number)
        if task is None or self._is_gone(data):
            return
        try:
            result = unpacked(data, Sent(self._order.module, task.key, self._checks))
        except NotAResultError as error:
            shown = told_there(repr(data) if isinstance(data, BaseException) else error)
            self._again(task, f"what came back is no result: {shown[:300]}")
        except CourseError as error:
            self._again(task, error.what)
        else:
            del self._under_way[number]
            self._write(task.submission, result)

    def _is_gone(self, data: object) -> bool:
        # Also where another scheduler answers at the same address by now.
        self._gone |= getattr(data, "reason", "") == "scheduler-connection-lost"
        return self._gone or self._client.status != "running"

    def _again(self, task: Task, why: str) -> None:
        """Submit it to the workers again, as a new Dask task."""
        if self._lose(task, why):
            del self._under_way[task.number]
            self._submit(task.submission, task.lost)

    def _lose(self, task: Task, why: str) -> bool:
        """Note an attempt that came to nothing; tell whether there is another one."""
        task.lost.append(why)
        self._progress.on_trouble(task.submission.learner, CourseError(why))
        if len(task.lost) < _ATTEMPTS:
            return True
        del self._under_way[task.number]
        task.future.cancel()
        reason = f"It was given to {_ATTEMPTS} workers: {'; '.join(task.lost)}."
        name, module = task.submission.learner, self._order.module
        unjudged = unjudged_result(self._checks, name, module, task.key, reason)
        self._write(task.submission, unjudged)
        return False

    def _write(self, submission: HandedIn, judged: Result) -> None:
        result = replace(judged, learner=submission.learner, origin=submission.origin)
        self._results.write(result)
        self._progress.on_result(result)
