"""Grading answers one after another, or several at a time in processes of their own."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache

from coursework.authoring.audit.answers import JUNK_IMAGE, Answer
from coursework.checks.verdict import Report
from coursework.engine import Engine, start_engine
from coursework.grading.engine_choice import engine_for
from coursework.grading.grade import grade
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.trouble import CourseError, engine_trouble


@dataclass(frozen=True)
class Task:
    """One answer to grade.

    Args:
        layout: the clone.
        module: of the catalogue.
        answer: its files.
        seed: of the run's random values.
    """

    layout: Layout
    module: Module
    answer: Answer
    seed: int


Outcome = Report | CourseError


def grade_task(task: Task) -> Outcome:
    """Grade one answer; trouble of ours is an outcome too."""
    module = replace(task.module, images=(*task.module.images, JUNK_IMAGE))
    try:
        # An engine that stumbles once costs one grading, not all.
        with (
            engine_trouble("The container engine is in trouble."),
            engine_for(task.layout, module, _engine(), lambda _: None) as engine,
        ):
            return grade(
                module,
                task.answer.files,
                layout=task.layout,
                engine=engine,
                keep=False,
                seed=task.seed,
                alone=task.answer.is_alone,
            )
    except CourseError as error:
        return error


@cache
def _engine() -> Engine:
    return start_engine()


def grade_tasks(tasks: Sequence[Task], processes: int) -> Iterator[tuple[int, Outcome]]:
    """Grade answers and yield each outcome, with its task's place, as soon as it is there."""
    if processes == 1 or len(tasks) <= 1:
        yield from ((place, grade_task(task)) for place, task in enumerate(tasks))
        return
    # A grading runs pytest, which wants a process of its own; a fresh one shares nothing.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(processes, len(tasks)), mp_context=context)
    try:
        futures = {pool.submit(_in_process, task): place for place, task in enumerate(tasks)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_process(task: Task) -> Outcome:
    try:
        return grade_task(task)
    except KeyboardInterrupt:
        # Ctrl-C reaches every process: each cleans up, and the first one tells.
        return CourseError("The grading was stopped.")
