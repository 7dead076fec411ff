"""A class graded as `course grade` grades it, in each of its ways, with what was seen meanwhile."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from cohort_class import Submitted

from coursework.cohort.class_report import write_pages
from coursework.cohort.gradebook import write_gradebook
from coursework.cohort.grading import Progress, grade_cohort
from coursework.cohort.judge import Judge
from coursework.cohort.remote.grading import grade_remotely
from coursework.cohort.results import Result, Results
from coursework.cohort.source import HandedIn
from coursework.engine import Engine
from coursework.grading.warming import warming_answers
from coursework.layout import find_layout
from coursework.modules.catalogue import Module
from coursework.sandbox import Fleet, open_fleet

_MOST_AHEAD = 4


@dataclass
class Seen:
    """What was seen while a cohort was graded."""

    results: list[Result] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)
    opened_s: float = 0.0
    ready_s: float = 0.0


@contextmanager
def watched(engine: Engine, module: Module, jobs: int, wanted: int, seen: Seen) -> Iterator[Fleet]:
    """Open a fleet as `course grade` does, and remember it."""
    start = time.monotonic()
    answers = warming_answers(find_layout(), module)
    ahead = max(1, min(jobs, wanted, _MOST_AHEAD))
    with open_fleet(engine, module, answers, say, ahead=ahead, wanted=wanted) as fleet:
        seen.opened_s = time.monotonic() - start
        seen.fleets.append(fleet)
        yield fleet


def by_jobs(
    engine: Engine,
    module: Module,
    handed_in: list[Submitted],
    jobs: int,
    out: Path,
    *,
    trusted: bool = False,
) -> tuple[float, Seen]:
    """Grade all with so many jobs of this process; give the seconds, and what was seen.

    Args:
        engine: of this machine.
        module: that is answered.
        handed_in: the class.
        jobs: gradings at a time.
        out: a folder for results, pages and gradebook.
        trusted: grade without sandboxes.
    """

    def grade(results: Results, submissions: list[HandedIn], seen: Seen, told: Progress) -> None:
        sandboxes: AbstractContextManager[Fleet | None] = nullcontext()
        if not trusted:
            sandboxes = watched(engine, module, jobs, len(submissions), seen)
        judge = Judge(find_layout(), module, engine)
        grade_cohort(judge, results, submissions, sandboxes, jobs=jobs, progress=told)

    return timed(grade, module, handed_in, out)


def by_scheduler(
    address: str, module: Module, handed_in: list[Submitted], out: Path
) -> tuple[float, Seen]:
    """Grade all with a scheduler's workers; give the seconds, and what was seen."""

    def grade(results: Results, submissions: list[HandedIn], _: Seen, told: Progress) -> None:
        grade_remotely(
            address, find_layout(), module, results, submissions,
            trusted=False, progress=told, tell=say,
        )  # fmt: skip

    return timed(grade, module, handed_in, out)


def timed(
    grade: Callable[[Results, list[HandedIn], Seen, Progress], None],
    module: Module,
    handed_in: list[Submitted],
    out: Path,
) -> tuple[float, Seen]:
    """Grade all, and write pages and gradebook; give the seconds, and what was seen."""
    seen = Seen()

    def turn_of(submitted: Submitted) -> HandedIn:
        def read() -> bytes:
            seen.began.setdefault(submitted.learner, time.monotonic())
            return submitted.notebook

        return HandedIn(submitted.learner, read)

    def on_result(result: Result) -> None:
        seen.results.append(result)
        seconds = time.monotonic() - seen.began[result.learner]
        seen.took_s[result.learner] = seconds
        mark, why = "✓" if result.is_final else "!", " ".join(result.trouble.split())[:120]
        say(f"{mark} {result.learner}: {result.report.points}, {seconds:.1f} s {why}")

    start = time.monotonic()
    results = Results(out / "results" / module.slug)
    grade(results, [turn_of(s) for s in handed_in], seen, Progress(on_result))
    seen.ready_s = min(seen.began.values()) - start
    found = results.all()
    write_pages(out, module.slug, found)
    write_gradebook(f"sqlite:///{out / 'gradebook.db'}", found)
    return time.monotonic() - start, seen


def medians(results: list[Result], seen: Seen) -> dict[str, float]:
    """Return the medians of what gradings took, in all and part by part."""
    rows = [
        {"took_s": seen.took_s[r.learner], **r.report.timings}
        | {f"check_{c.name}_s": c.duration_s for c in r.report.checks}
        for r in results
    ]
    return {
        name: statistics.median(row[name] for row in rows if name in row)
        for name in sorted({name for row in rows for name in row})
    }


def say(text: str) -> None:
    """Tell how it goes on."""
    print(text, file=sys.stderr)
