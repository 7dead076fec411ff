"""The rules that need an engine: answers are graded, and come to what their kind must."""

import itertools
import multiprocessing
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache

from coursework.authoring.audit.answers import (
    JUNK,
    JUNK_IMAGE,
    Answer,
    answers_of,
)
from coursework.authoring.audit.judging import judge, looked_at, of_answer, unstable
from coursework.authoring.audit.subject import Finding, Subject, one_line
from coursework.authoring.audit.tries import Reader, laid_out
from coursework.checks.home import Home
from coursework.checks.verdict import Report
from coursework.engine import Engine, start_engine
from coursework.grading.engine_choice import place_for
from coursework.grading.grade import Watcher, grade
from coursework.images import ensure_images
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.trouble import CourseError, engine_trouble

Outcome = Report | CourseError
# Junk is mostly waited for: several at a time disturb no verdict of theirs.
_JUNK_PROCESSES = 4
Chosen = tuple[Subject, Answer]


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


def grade_task(task: Task) -> Outcome:
    """Grade one answer; trouble of ours is an outcome too."""
    module = replace(task.module, images=(*task.module.images, JUNK_IMAGE))
    try:
        # An engine that stumbles once costs one grading, not all.
        with (
            engine_trouble("The container engine is in trouble."),
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


@dataclass(frozen=True)
class Graded:
    """One answer with all gradings of it.

    Args:
        subject: its module.
        answer: what was graded.
        outcomes: a report for each run, or the trouble that there was.
    """

    subject: Subject
    answer: Answer
    outcomes: tuple[Outcome, ...]

    @property
    def seconds(self) -> float:
        """How long its gradings took together, builds included."""
        return sum(o.timings["total_s"] for o in self.outcomes if isinstance(o, Report))

    def findings(self) -> Iterator[Finding]:
        """Compare the outcomes with what the answer must come to; equal ones are told once."""
        reports = [o for o in self.outcomes if isinstance(o, Report)]
        found: dict[tuple[str, str], Finding] = {}
        for run, report in enumerate(self.outcomes):
            if not isinstance(report, Report):
                continue
            asked = looked_at(self.subject, self.answer, run)
            for finding in judge(self.subject, self.answer, report, asked):
                check = finding.what.split(": ")[1].split(" ")[0]
                found.setdefault((finding.rule, check), finding)
        yield from found.values()
        if unlike := next(
            (o.not_shown for o in reports if isinstance(o, Tried) and o.not_shown), ""
        ):
            yield of_answer(self.subject, self.answer, "try-does-not-reproduce", unlike)
        for error in (o for o in self.outcomes if isinstance(o, CourseError)):
            yield of_answer(self.subject, self.answer, "grader-error", one_line(error))
        yield from unstable(self.subject, self.answer, reports)


def chosen_answers(subject: Subject, only: Sequence[str]) -> list[Answer]:
    """Return a module's answers; with names, those of that name or below that folder.

    Raises:
        CourseError: the exercise cannot be derived.
    """
    answers = answers_of(subject)
    return [a for a in answers if not only or any(_is_meant(a.name, name) for name in only)]


def _is_meant(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted.rstrip('/')}/")


def grade_answers(
    chosen: Sequence[Chosen],
    *,
    jobs: int,
    repeat: int,
    tell: Callable[[str], None],
    types: bool = False,
) -> Iterator[Graded]:
    """Grade answers, junk last, and yield each with its outcomes when all its runs are done.

    Args:
        chosen: with their modules.
        jobs: gradings at a time, one where answers share a cluster; what is not as it must be is
            graded once more, alone.
        repeat: gradings of each answer; after the first a wrong answer meets only the check that
            it must fail.
        tell: is told each grading that ended.
        types: whether the command of each wrong answer's failure is typed, once.
    """
    _prepare_images(chosen, tell)
    # Answers of one round get the same random values: what they have in common is built once.
    seeds = [secrets.randbelow(2**32) for _ in range(repeat)]
    doubtful: list[Graded] = []
    total, done = len(chosen) * repeat, itertools.count(1)
    for part, processes in _parts(chosen, jobs):
        for graded in _grade_part(
            part,
            processes,
            seeds,
            lambda name: tell(f"[{next(done)}/{total}] {name}"),
            types=types,
        ):
            if processes > 1 and repeat == 1 and any(graded.findings()):
                doubtful.append(graded)
            else:
                yield graded
    for graded in doubtful:
        yield _graded_alone(graded, seeds[0], tell, types=types)


def _parts(chosen: Sequence[Chosen], jobs: int) -> Iterator[tuple[list[Chosen], int]]:
    """Yield the answers in parts, each with how many are graded at a time."""
    written = [(s, a) for s, a in chosen if a.kind != JUNK]
    yield [(s, a) for s, a in written if not s.module.cluster_images], jobs
    # Answers that share the node of one cluster hold each other up: a rollout is judged by time.
    yield [(s, a) for s, a in written if s.module.cluster_images], 1
    yield [(s, a) for s, a in chosen if a.kind == JUNK], max(jobs, _JUNK_PROCESSES)


def _grade_part(
    part: Sequence[Chosen],
    processes: int,
    seeds: Sequence[int],
    tell: Callable[[str], None],
    *,
    types: bool,
) -> Iterator[Graded]:
    """Grade each answer once with each seed, and yield it when all its runs are done."""
    tasks = [
        _task(s, a, run, seed, types=types and not run)
        for s, a in part
        for run, seed in enumerate(seeds)
    ]
    outcomes: dict[int, dict[int, Outcome]] = {}
    for place, outcome in grade_tasks(tasks, processes):
        number, run = divmod(place, len(seeds))
        subject, answer = part[number]
        tell(f"{subject.slug} {answer.name}")
        runs = outcomes.setdefault(number, {})
        runs[run] = outcome
        if len(runs) == len(seeds):
            yield Graded(subject, answer, tuple(runs[n] for n in range(len(seeds))))


def _task(subject: Subject, answer: Answer, run: int, seed: int, *, types: bool) -> Task:
    only = tuple(sorted(looked_at(subject, answer, run))) if run else ()
    return Task(subject.layout, subject.module, answer, seed, only, types)


def _graded_alone(graded: Graded, seed: int, tell: Callable[[str], None], *, types: bool) -> Graded:
    """Grade an answer again with nothing beside it: only that counts where time is measured."""
    subject, answer = graded.subject, graded.answer
    tell(f"{subject.slug} {answer.name}, once more, alone")
    outcome = grade_task(Task(subject.layout, subject.module, answer, seed, types=types))
    return replace(graded, outcomes=(outcome,))


def _prepare_images(chosen: Sequence[Chosen], tell: Callable[[str], None]) -> None:
    """Make all base images first, where a person is told what takes long."""
    names = [JUNK_IMAGE]
    for module in {subject.slug: subject.module for subject, _ in chosen}.values():
        names += [*module.images, *module.check_images]
    ensure_images(start_engine(tell), names, tell)
