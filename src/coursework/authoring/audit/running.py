"""The rules that need an engine: answers are graded, lessons are run."""

import itertools
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from coursework.authoring.audit.answers import JUNK, JUNK_IMAGE, Answer, answers_of
from coursework.authoring.audit.finding import Finding
from coursework.authoring.audit.gradings import Outcome, Task, Tried, grade_task, grade_tasks
from coursework.authoring.audit.judging import judge, of_answer, unstable
from coursework.authoring.audit.subject import Subject, one_line
from coursework.checks.verdict import Report
from coursework.engine import start_engine
from coursework.images import ensure_images
from coursework.trouble import CourseError

# Junk is mostly waited for: several at a time disturb no verdict of theirs.
_JUNK_PROCESSES = 4

Chosen = tuple[Subject, Answer]


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
        for report in reports:
            for finding in judge(self.subject, self.answer, report):
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
) -> Iterator[Graded]:
    """Grade answers, junk last, and yield each with its outcomes when all its runs are done.

    Args:
        chosen: with their modules.
        jobs: gradings at a time, one where answers share a cluster; what is not as it must be is
            graded once more, alone.
        repeat: gradings of each answer.
        tell: is told each grading that ended.
    """
    _prepare_images(chosen, tell)
    # Answers of one round get the same random values: what they have in common is built once.
    seeds = [secrets.randbelow(2**32) for _ in range(repeat)]
    doubtful: list[Graded] = []
    total, done = len(chosen) * repeat, itertools.count(1)
    for part, processes in _parts(chosen, jobs):
        for graded in _grade_part(
            part, processes, seeds, lambda name: tell(f"[{next(done)}/{total}] {name}")
        ):
            if processes > 1 and repeat == 1 and any(graded.findings()):
                doubtful.append(graded)
            else:
                yield graded
    for graded in doubtful:
        yield _graded_alone(graded, seeds[0], tell)


def _parts(chosen: Sequence[Chosen], jobs: int) -> Iterator[tuple[list[Chosen], int]]:
    """Yield the answers in parts, each with how many are graded at a time."""
    written = [(s, a) for s, a in chosen if a.kind != JUNK]
    yield [(s, a) for s, a in written if not s.module.cluster_images], jobs
    # Answers that share the node of one cluster hold each other up: a rollout is judged by time.
    yield [(s, a) for s, a in written if s.module.cluster_images], 1
    yield [(s, a) for s, a in chosen if a.kind == JUNK], max(jobs, _JUNK_PROCESSES)


def _grade_part(
    part: Sequence[Chosen], processes: int, seeds: Sequence[int], tell: Callable[[str], None]
) -> Iterator[Graded]:
    """Grade each answer once with each seed, and yield it when all its runs are done."""
    tasks = [Task(s.layout, s.module, a, seed) for s, a in part for seed in seeds]
    outcomes: dict[int, dict[int, Outcome]] = {}
    for place, outcome in grade_tasks(tasks, processes):
        number, run = divmod(place, len(seeds))
        subject, answer = part[number]
        tell(f"{subject.slug} {answer.name}")
        runs = outcomes.setdefault(number, {})
        runs[run] = outcome
        if len(runs) == len(seeds):
            yield Graded(subject, answer, tuple(runs[n] for n in range(len(seeds))))


def _graded_alone(graded: Graded, seed: int, tell: Callable[[str], None]) -> Graded:
    """Grade an answer again with nothing beside it: only that counts where time is measured."""
    subject, answer = graded.subject, graded.answer
    tell(f"{subject.slug} {answer.name}, once more, alone")
    outcome = grade_task(Task(subject.layout, subject.module, answer, seed))
    return replace(graded, outcomes=(outcome,))


def _prepare_images(chosen: Sequence[Chosen], tell: Callable[[str], None]) -> None:
    """Make all base images first, where a person is told what takes long."""
    names = [JUNK_IMAGE]
    for module in {subject.slug: subject.module for subject, _ in chosen}.values():
        names += [*module.images, *module.check_images]
    ensure_images(start_engine(tell), names, tell)
