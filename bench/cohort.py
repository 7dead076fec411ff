"""How long a class's grading takes, against stock nbgrader with notebooks in which nothing is hard.

Ours: submissions to 02-first-server, each in a sandbox of its own, as `course grade` grades them:
from the first worker's start to pages and gradebook. Three quarters are honest, all different:
right answers, and the wrong ones that the module has. The others are hostile.
nbgrader's: `nbgrader autograde` of as many notebooks with one sum each, in one process, one after
the other. Images and the sandboxes' template are made beforehand; making it is told as
`template_s`, which is short where it was there.

`ratio` is ours to nbgrader's. `forged`: points of all hostile submissions together; they earn none.
`lost`: submissions without a result. `unjudged`: results that wait for a person.
`misjudged`: honest submissions that were judged, and not as their answer deserves.
`took_s`: from the moment a submission's turn comes to its result, sandbox and second try included.
`queue_wait_s`: until a sandbox was there for whoever asked, median and most.
`peak_memory_mb`: how much less memory the machine had at the worst moment than before. What else
runs meanwhile counts there, and in all other figures.

With `--isolation` honest submissions are graded twice, and nbgrader has no part: in sandboxes, and
by the machine's own engine, as `course grade --trusted` does it. `isolation` is the first wall time
to the second: what sandboxes cost.

With `--scheduler N` the same submissions are graded twice as well: by N jobs of this process, then
by N workers of a Dask scheduler on this machine, one grading at a time each. A quarter is hostile,
but nobody forks: what a fork bomb takes differs threefold from time to time. `overhead` is the
scheduler's wall time to that of the jobs. Preparing the sandboxes is part of both; starting
scheduler and workers, which keep running between runs, is not. `…_ready_s`: until the first
submission's turn. `overhead_ready`: the same ratio, counted from there, which is what a large class
comes near to.

In both, `unequal` counts submissions whose points differ; one that was not judged in one of the
runs is among them.

    python bench/cohort.py --submissions 32 --jobs 2 --json
    python bench/cohort.py --submissions 12 --isolation
    python bench/cohort.py --submissions 16 --scheduler 2
"""

import argparse
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cohort_class import HOSTILE, Submitted, submissions
from cohort_grading import Seen, by_jobs, by_scheduler, medians, say, watched
from local_scheduler import local_scheduler
from machine_use import Memory, busy_share
from stock_nbgrader import nbgraders

from coursework.checks.deadline import processor_time
from coursework.engine import Engine, start_engine
from coursework.images import ensure_images
from coursework.layout import find_layout
from coursework.modules.catalogue import Module, load_catalogue

MODULE = "02-first-server"


def measure(count: int, jobs: int) -> tuple[dict[str, float], Seen]:
    """Run both sides, one after the other."""
    layout = find_layout()
    module, engine = load_catalogue(layout).find(MODULE), start_engine(say)
    handed_in = submissions(layout, module, count)
    made = Seen()
    with watched(engine, module, jobs, 0, made):
        pass
    folder = Path(tempfile.mkdtemp(prefix="bench-cohort-"))
    try:
        nbgrader_s = nbgraders(count, folder / "nbgrader")
        say(f"nbgrader: {nbgrader_s:.1f} s")
        before = processor_time()
        with Memory() as memory:
            ours_s, seen = by_jobs(engine, module, handed_in, jobs, folder / "ours")
        busy = busy_share(before, processor_time())
    finally:
        shutil.rmtree(folder)
    results = {r.learner: r for r in seen.results}
    hostile = [r for s in handed_in if s.answer is None and (r := results.get(s.learner))]
    honest = [r for s in handed_in if s.answer is not None and (r := results.get(s.learner))]
    waits = [w for fleet in seen.fleets for w in fleet.waits_s] or [0.0]
    figures = {
        "ratio": ours_s / nbgrader_s,
        "ours_s": ours_s,
        "nbgrader_s": nbgrader_s,
        "forged": sum(r.report.points for r in hostile),
        "lost": sum(s.learner not in results for s in handed_in),
        "unjudged": sum(not r.is_final for r in results.values()),
        "misjudged": sum(s.is_misjudged(results[s.learner]) for s in handed_in
                         if s.learner in results),
        "queue_wait_s": statistics.median(waits),
        "queue_wait_most_s": max(waits),
        "peak_memory_mb": memory.peak_mb,
        "processors_busy": busy,
        "template_s": made.opened_s,
        "opened_s": seen.opened_s,
        **{f"honest_{name}": value for name, value in medians(honest, seen).items()},
        **{f"hostile_{name}": value for name, value in medians(hostile, seen).items()},
        "submissions": count,
        "jobs": jobs,
    }  # fmt: skip
    return {name: round(value, 3) for name, value in figures.items()}, seen


@contextmanager
def twice_graded(
    count: int, jobs: int, hostile: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[Engine, Module, list[Submitted], Path]]:
    """Prepare what a class is graded twice with: engine, module, submissions and a folder."""
    layout = find_layout()
    module, engine = load_catalogue(layout).find(MODULE), start_engine(say)
    handed_in = submissions(layout, module, count, hostile)
    with watched(engine, module, jobs, 0, Seen()):
        pass
    with tempfile.TemporaryDirectory(prefix="bench-cohort-") as folder:
        yield engine, module, handed_in, Path(folder)


def measure_isolation(count: int, jobs: int) -> dict[str, float]:
    """Grade the same honest submissions in sandboxes and without, one after the other."""
    with twice_graded(count, jobs, {}) as (engine, module, handed_in, folder):
        ensure_images(engine, (*module.images, *module.check_images), say)
        sandboxed_s, sandboxed = by_jobs(engine, module, handed_in, jobs, folder / "sandboxed")
        say(f"in sandboxes: {sandboxed_s:.1f} s")
        trusted_s, trusted = by_jobs(
            engine, module, handed_in, jobs, folder / "trusted", trusted=True
        )
    figures = {
        "isolation": sandboxed_s / trusted_s,
        "sandboxed_s": sandboxed_s,
        "trusted_s": trusted_s,
        "unequal": unequal(handed_in, sandboxed, trusted),
        "submissions": count,
        "jobs": jobs,
    }
    return {name: round(value, 3) for name, value in figures.items()}


def measure_scheduler(count: int, workers: int) -> dict[str, float]:
    """Grade the same submissions by jobs and by a scheduler's workers, one after the other."""
    hostile = {name: files for name, files in HOSTILE.items() if name != "fork-bomb"}
    with twice_graded(count, workers, hostile) as (engine, module, handed_in, folder):
        jobs_s, jobs = by_jobs(engine, module, handed_in, workers, folder / "jobs")
        say(f"{workers} jobs: {jobs_s:.1f} s")
        with local_scheduler(workers, folder / "dask") as address:
            scheduler_s, remote = by_scheduler(address, module, handed_in, folder / "workers")
    figures = {
        "overhead": scheduler_s / jobs_s,
        "overhead_ready": (scheduler_s - remote.ready_s) / (jobs_s - jobs.ready_s),
        "scheduler_s": scheduler_s,
        "scheduler_ready_s": remote.ready_s,
        "jobs_s": jobs_s,
        "jobs_ready_s": jobs.ready_s,
        "unequal": unequal(handed_in, jobs, remote),
        "submissions": count,
        "workers": workers,
    }
    return {name: round(value, 3) for name, value in figures.items()}


def unequal(handed_in: list[Submitted], first: Seen, second: Seen) -> int:
    """Return how many submissions were not judged twice with the same points."""
    one, other = (
        {r.learner: r.report.points for r in seen.results if r.is_final} for seen in (first, second)
    )
    return sum(s.learner not in one or one[s.learner] != other.get(s.learner) for s in handed_in)


def show(figures: dict[str, float]) -> None:
    """Print each figure on a line."""
    for name, value in figures.items():
        print(f"  {name:<36} {value}")


def show_class(figures: dict[str, float], seen: Seen) -> None:
    """Print each figure on a line, and which submissions took longest."""
    print(f"queue's wait      {figures['queue_wait_s']:.2f} s   (target 0.3)")
    show(figures)
    print("the longest")
    for result in sorted(seen.results, key=lambda r: -seen.took_s[r.learner])[:10]:
        timings = {"took_s": seen.took_s[result.learner], **result.report.timings}
        parts = [f"{n} {timings.get(n, 0):.1f}" for n in ("took_s", "build_s", "checks_s")]
        print(f"  {result.learner:<44} {'  '.join(parts)}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    ways = parser.add_mutually_exclusive_group()
    ways.add_argument("--isolation", action="store_true", help="compare with --trusted")
    ways.add_argument("--scheduler", type=int, metavar="N", help="compare with N Dask workers")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    seen = None
    if arguments.scheduler:
        figures = measure_scheduler(arguments.submissions, arguments.scheduler)
        first, target = "overhead", 1.05
    elif arguments.isolation:
        figures = measure_isolation(arguments.submissions, arguments.jobs)
        first, target = "isolation", 1.1
    else:
        figures, seen = measure(arguments.submissions, arguments.jobs)
        first, target = "ratio", 1.0
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"{first:<17} {figures[first]:.3f}   (target {target})")
    if seen:
        show_class(figures, seen)
    else:
        show(figures)


if __name__ == "__main__":
    main()
