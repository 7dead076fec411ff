"""A cohort's submissions to one module, graded in parallel, each in a sandbox of its own."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace

from coursework.cohort.judge import Judge
from coursework.cohort.results import Result, Results, key_of
from coursework.cohort.source import HandedIn
from coursework.cohort.worker import Worker
from coursework.files import files_digest
from coursework.images import known_images
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.modules.module_files import module_files
from coursework.sandbox import Fleet
from coursework.submissions.files import SubmissionError
from coursework.trouble import CourseError


@dataclass
class Progress:
    """What is told while a cohort is graded.

    Args:
        on_result: is called with each new result.
        on_trouble: is called with a learner's name and why an attempt could not judge.
    """

    on_result: Callable[[Result], None] = lambda _: None
    on_trouble: Callable[[str, CourseError], None] = lambda _name, _why: None
    lock: threading.Lock = field(default_factory=threading.Lock)


def graded_by(layout: Layout, module: Module) -> str:
    """Return what changes when a module's checks, given files or images do."""
    recipes = known_images()
    names = (*module.images, *module.check_images, *module.cluster_images)
    laid = module_files(layout, module.slug)
    return files_digest(
        {
            **{f"images/{name}": recipes[name].digest.encode() for name in names},
            **{f"starter/{name}": data for name, data in laid.starter.items()},
            **{f"given/{name}": data for name, data in laid.given.items()},
            "checks.py": (layout.grader(module.slug) / "checks.py").read_bytes(),
        }
    )


def left_to_grade(
    by: str, results: Results, submissions: Sequence[HandedIn], *, force: bool
) -> list[HandedIn]:
    """Return the submissions without a final result for what they hold now.

    Args:
        by: digest of what grades them, from `graded_by`.
        results: the folder of results.
        submissions: all of them.
        force: leave none out.
    """
    if force:
        return list(submissions)

    def is_done(submission: HandedIn) -> bool:
        result = results.read(submission.learner)
        return (
            result is not None and result.is_final and result.key == submission_key(submission, by)
        )

    return [s for s in submissions if not is_done(s)]


def submission_key(submission: HandedIn, by: str) -> str:
    """Return the key of a submission's result, also where it cannot be read."""
    try:
        return key_of(submission.read(), by)
    except SubmissionError as error:
        return key_of(str(error).encode(), by)


def grade_cohort(
    judge: Judge,
    results: Results,
    submissions: Sequence[HandedIn],
    sandboxes: AbstractContextManager[Fleet | None],
    *,
    jobs: int,
    progress: Progress,
) -> None:
    """Grade submissions and write a result for each.

    Args:
        judge: of all of them.
        results: the folder of results.
        submissions: those to grade.
        sandboxes: opens the fleet; None inside grades all in the outer engine.
        jobs: gradings at a time.
        progress: is told of each result and of trouble.

    Raises:
        CourseError: the engine or the disk is gone; results that are written stay.
    """
    workers = [Worker() for _ in range(min(jobs, len(submissions)))]
    try:
        with sandboxes as judge.fleet:
            _Queue(judge, results, submissions, progress).work(workers)
    finally:
        for worker in workers:
            worker.stop()


class _Queue:
    """Submissions that wait, and threads that take them, one worker process each."""

    def __init__(
        self, judge: Judge, results: Results, submissions: Sequence[HandedIn], progress: Progress
    ) -> None:
        self._judge, self._results, self._progress = judge, results, progress
        self._waiting = deque(submissions)
        self._graded_by = graded_by(judge.layout, judge.module)
        self._trouble: BaseException | None = None
        self._stopped = False

    def work(self, workers: Sequence[Worker]) -> None:
        threads = [threading.Thread(target=self._take, args=(w,), daemon=True) for w in workers]
        for thread in threads:
            thread.start()
        try:
            while any(t.is_alive() for t in threads):
                # A wait that Ctrl-C interrupts.
                time.sleep(0.05)
        finally:
            # Sandboxes and processes end under gradings now: what these come to is no verdict.
            with self._progress.lock:
                self._stopped = True
            self._waiting.clear()
        if self._trouble:
            raise self._trouble

    def _take(self, worker: Worker) -> None:
        while self._trouble is None:
            try:
                submission = self._waiting.popleft()
            except IndexError:
                return
            try:
                self._finish(submission, self._grade(submission, worker))
            except BaseException as error:  # noqa: BLE001 - raised again where all is ended
                self._trouble = error

    def _finish(self, submission: HandedIn, judged: Result) -> None:
        result = replace(judged, origin=submission.origin)
        with self._progress.lock:
            if self._stopped:
                return
            self._results.write(result)
            self._progress.on_result(result)

    def _grade(self, submission: HandedIn, worker: Worker) -> Result:
        key = submission_key(submission, self._graded_by)
        return self._judge.judge(submission, worker, self._progress.on_trouble, key)
