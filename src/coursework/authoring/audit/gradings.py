"""Grading answers one after another, or several at a time in processes of their own."""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache

from coursework.authoring.audit.answers import JUNK_IMAGE, Answer
from coursework.authoring.audit.tries import Reader, laid_out
from coursework.checks.home import Home
from coursework.checks.verdict import Report
from coursework.engine import Engine, start_engine
from coursework.grading.engine_choice import place_for
from coursework.grading.grade import Watcher, grade
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.trouble import CourseError


@dataclass(frozen=True)
class Task:
    """One answer to grade.

    Args:
        layout: the clone.
        module: of the catalogue.
        answer: its files.
        seed: of the run's random values.
        only: names of checks, with those that they need; all by default.
        types: whether the command of a wrong answer's failure is typed.
    """

    layout: Layout
    module: Module
    answer: Answer
    seed: int
    only: tuple[str, ...] = ()
    types: bool = False


@dataclass(frozen=True)
class Tried(Report):
    """A report of a wrong answer, whose command was typed while what it shows was there.

    Args:
        not_shown: what the command does not show of what was seen; empty where it shows it.
    """

    not_shown: str = ""


Outcome = Report | CourseError


def grade_task(task: Task) -> Outcome:
    """Grade one answer; trouble of ours is an outcome too."""
    module = replace(task.module, images=(*task.module.images, JUNK_IMAGE))
    try:
        with (
            place_for(task.layout, module, _engine(), lambda _: None) as place,
            laid_out(task.layout, module.slug, task.answer) as folder,
        ):
            wanted = task.answer.wrong_check if task.types else ""
            reader = Reader(wanted, place.engine, _engine(), folder)
            report = grade(
                module,
                task.answer.files,
                layout=task.layout,
                engine=place.engine,
                only=task.only,
                keep=False,
                seed=task.seed,
                alone=task.answer.is_alone,
                home=Home("course check", folder),
                watcher=Watcher(on_result=reader.read),
            )
            return Tried(**vars(report), not_shown=reader.not_shown)
    except CourseError as error:
        return error
    except OSError as error:
        # docker-py's errors are OSErrors: an engine that stumbles once costs one grading, not all.
        return CourseError("The container engine is in trouble.", why=str(error)[:300])


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
