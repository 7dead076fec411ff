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

With `--scheduler N` the same submissions are graded twice, and nbgrader has no part: by N jobs of
this process, then by N workers of a Dask scheduler on this machine, one grading at a time each.
`overhead` is the scheduler's wall time to that of the jobs. Preparing the sandboxes is part of
both; starting scheduler and workers, which keep running between runs, is not. `…_ready_s`: until
the first submission's turn. `overhead_ready`: the same ratio, counted from there, which is what a
large class comes near to. `unequal`: submissions whose points differ; one that was not judged in
one of the runs is among them.

    python bench/cohort.py --submissions 32 --jobs 2 --json
    python bench/cohort.py --submissions 32 --scheduler 2
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import nbformat
from local_scheduler import local_scheduler

from coursework.authoring.audit.answers import RIGHT, SOLUTION, WRONG, Answer, answers_of
from coursework.authoring.audit.subject import Subject
from coursework.checks.deadline import ProcessorTime, processor_time
from coursework.cohort.class_report import write_pages
from coursework.cohort.gradebook import write_gradebook
from coursework.cohort.grading import Progress, grade_cohort
from coursework.cohort.judge import Judge
from coursework.cohort.remote.grading import grade_remotely
from coursework.cohort.results import Result, Results
from coursework.cohort.source import HandedIn
from coursework.engine import Engine, start_engine
from coursework.grading.warming import warming_answers as laid_warming_answers
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.sandbox import Fleet, open_fleet

MODULE = "02-first-server"
ONE_HOSTILE_OF = 4
MOST_AHEAD = 4

PYTHON = "FROM python:3.13-slim\nCOPY hostile.py /\n"
RUN = f'{PYTHON}CMD ["python", "-u", "/hostile.py"]\n'
SERVE = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        %s
http.server.ThreadingHTTPServer(("", 3000), Handler).serve_forever()
"""
FORGED = json.dumps({"schema": 1, "module": MODULE, "points": 10, "max_points": 10, "checks": []})
FORK = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
FILL = """
with open("/filler", "wb", 0) as file:
    while True:
        file.write(b"x" * 2**20)
"""
PRINT = f"print({FORGED!r})\nprint('✓ quick_start  2 of 2\\n10 of 10 points')\n"
# Dockerfile and program of each; none keeps any part of the contract.
HOSTILE = {
    "fork-bomb": (RUN, FORK),
    "memory-hog": (RUN, "held = []\nwhile True:\n    held.append(b'x' * 2**26)"),
    "endless-log": (RUN, "while True:\n    print('x' * 4096)"),
    "endless-build": (f"{PYTHON}RUN while true; do echo more; sleep 1; done\n", ""),
    "disk-filler": (RUN, FILL),
    "exits-at-once": (RUN, "raise SystemExit(0)"),
    "endless-body": (RUN, SERVE % "while True: self.wfile.write(b' ' * 65536)"),
    "forged-output": (RUN, PRINT + SERVE % f"self.wfile.write({FORGED!r}.encode())"),
}


@dataclass(frozen=True)
class Submitted:
    """One submission, and what it deserves.

    Args:
        learner: says whose kind it is.
        notebook: its bytes.
        answer: of the module; None where it is hostile.
    """

    learner: str
    notebook: bytes
    answer: Answer | None = None

    def is_misjudged(self, result: Result) -> bool:
        """Tell whether a check that was judged came to something else than it should."""
        if self.answer is None or not result.is_final:
            return False
        failed = [c.name for c in result.report.checks if c.verdict != "passed"]
        return failed != [name for name in (self.answer.wrong_check,) if name]


@dataclass
class Seen:
    """What was seen while a cohort was graded."""

    results: list[Result] = field(default_factory=list)
    began: dict[str, float] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    fleets: list[Fleet] = field(default_factory=list)
    opened_s: float = 0.0
    ready_s: float = 0.0


def submissions(layout: Layout, module: Module, count: int) -> list[Submitted]:
    """Return so many submissions, every fourth of them hostile."""
    kinds = (SOLUTION, RIGHT, WRONG)
    answers = [a for a in answers_of(Subject(layout, module)) if a.kind in kinds]
    blank = nbformat.reads(layout.exercise(MODULE).read_text("utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    hostile, found = list(HOSTILE.items()), list[Submitted]()
    for number in range(count):
        turn, place = divmod(number, ONE_HOSTILE_OF)
        if place == ONE_HOSTILE_OF - 1:
            name, (dockerfile, program) = hostile[turn % len(hostile)]
            files = {"Dockerfile": dockerfile.encode(), "hostile.py": program.encode()}
            found.append(Submitted(f"{number:03}-{name}", notebook(blank, files)))
        else:
            answer = answers[(number - turn) % len(answers)]
            name = answer.name.replace("/", "-")
            files = different(dict(answer.files))
            found.append(Submitted(f"{number:03}-{name}", notebook(blank, files), answer))
    return found


def different(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return an answer that no other one is equal to."""
    for name, sign in (("server.js", "//"), ("server.py", "#")):
        if name in files:
            files[name] += f"\n{sign} {random.randbytes(8).hex()}\n".encode()  # noqa: S311
    return files


def notebook(blank: Any, files: dict[str, bytes]) -> bytes:
    """Return the exercise's notebook with these files in the place of its own."""
    new = nbformat.from_dict(blank)  # type: ignore[no-untyped-call]
    cells = [c for c in new.cells if not c.source.startswith("%%writefile")]
    written = [
        nbformat.v4.new_code_cell(f"%%writefile {name}\n{data.decode()}", id=f"file-{number}")  # type: ignore[no-untyped-call]
        for number, (name, data) in enumerate(files.items())
    ]
    new.cells = written + cells
    return nbformat.writes(new).encode()  # type: ignore[no-untyped-call,no-any-return]


@contextmanager
def watched(engine: Engine, module: Module, jobs: int, wanted: int, seen: Seen) -> Iterator[Fleet]:
    """Open a fleet as `course grade` does, and remember it."""
    start = time.monotonic()
    answers = laid_warming_answers(find_layout(), module)
    ahead = max(1, min(jobs, wanted, MOST_AHEAD))
    with open_fleet(engine, module, answers, say, ahead=ahead, wanted=wanted) as fleet:
        seen.opened_s = time.monotonic() - start
        seen.fleets.append(fleet)
        yield fleet


def ours(
    engine: Engine, module: Module, handed_in: list[Submitted], jobs: int, out: Path
) -> tuple[float, Seen]:
    """Grade all with so many jobs of this process; give the seconds, and what was seen."""

    def grade(results: Results, submissions: list[HandedIn], seen: Seen, told: Progress) -> None:
        sandboxes = watched(engine, module, jobs, len(submissions), seen)
        judge = Judge(find_layout(), module, engine)
        grade_cohort(judge, results, submissions, sandboxes, jobs=jobs, progress=told)

    return timed(grade, handed_in, out)


def by_scheduler(
    address: str, module: Module, handed_in: list[Submitted], out: Path
) -> tuple[float, Seen]:
    """Grade all with a scheduler's workers; give the seconds, and what was seen."""

    def grade(results: Results, submissions: list[HandedIn], _: Seen, told: Progress) -> None:
        grade_remotely(
            address, find_layout(), module, results, submissions,
            trusted=False, progress=told, tell=say,
        )  # fmt: skip

    return timed(grade, handed_in, out)


def timed(
    grade: Callable[[Results, list[HandedIn], Seen, Progress], None],
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
    results = Results(out / "results" / MODULE)
    grade(results, [turn_of(s) for s in handed_in], seen, Progress(on_result))
    seen.ready_s = min(seen.began.values()) - start
    found = results.all()
    write_pages(out, MODULE, found)
    write_gradebook(f"sqlite:///{out / 'gradebook.db'}", found)
    return time.monotonic() - start, seen


def nbgraders(count: int, course: Path) -> float:
    """Let stock nbgrader autograde trivial notebooks; give the seconds."""
    source = course / "source" / "sums" / "sums.ipynb"
    source.parent.mkdir(parents=True)
    cells = [
        _cell("def double(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION",
              "double", solution=True),
        _cell("assert double(2) == 4", "test-double", points=1),
    ]  # fmt: skip
    python = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    source.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata=python)))  # type: ignore[no-untyped-call]
    # Without it a setting of this machine's could find its way in.
    (course / "nbgrader_config.py").write_text("c = get_config()\n")
    _nbgrader(course, "generate_assignment", "sums")
    released = (course / "release" / "sums" / "sums.ipynb").read_text("utf-8")
    answer = nbformat.reads(released, as_version=4)  # type: ignore[no-untyped-call]
    for number in range(count):
        handed_in = course / "submitted" / f"learner-{number:03}" / "sums" / "sums.ipynb"
        handed_in.parent.mkdir(parents=True)
        answer.cells[0].source = f"def double(x):\n    return {number % 3} * x  # {number}"
        handed_in.write_text(nbformat.writes(answer), "utf-8")  # type: ignore[no-untyped-call]
    start = time.monotonic()
    _nbgrader(course, "autograde", "sums")
    seconds = time.monotonic() - start
    graded = len(list(course.glob("autograded/*/sums/sums.ipynb")))
    if graded != count:
        raise SystemExit(f"nbgrader graded {graded} of {count}")
    return seconds


def _cell(text: str, name: str, *, solution: bool = False, points: int = 0) -> Any:
    marks = {"grade_id": name, "solution": solution, "grade": bool(points), "task": False,
             "locked": not solution, "schema_version": 3}  # fmt: skip
    marks |= {"points": points} if points else {}
    return nbformat.v4.new_code_cell(text, id=name, metadata={"nbgrader": marks})  # type: ignore[no-untyped-call]


def _nbgrader(course: Path, *arguments: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "nbgrader", *arguments],
        cwd=course, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])


class Memory:
    """How much less memory the machine has, at the worst, while this is open."""

    def __init__(self) -> None:
        self._before = self._least = self._available()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.2):
            self._least = min(self._least, self._available())

    @property
    def peak_mb(self) -> float:
        """In millions of bytes."""
        return (self._before - self._least) / 1e6

    @staticmethod
    def _available() -> int:
        """Read MemAvailable, proc(5): what programs could still have, in kibibytes."""
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        return int(next(x for x in lines if x.startswith("MemAvailable")).split()[1]) * 1024


def busy_share(before: ProcessorTime | None, after: ProcessorTime | None) -> float:
    """Return how much of the processors' time was used between two looks."""
    if before is None or after is None:
        return 0.0
    return 1 - (after.idle - before.idle) / max(1, after.total - before.total)


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
            ours_s, seen = ours(engine, module, handed_in, jobs, folder / "ours")
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


def measure_scheduler(count: int, workers: int) -> dict[str, float]:
    """Grade the same submissions by jobs and by a scheduler's workers, one after the other."""
    layout = find_layout()
    module, engine = load_catalogue(layout).find(MODULE), start_engine(say)
    handed_in = submissions(layout, module, count)
    with watched(engine, module, workers, 0, Seen()):
        pass
    with tempfile.TemporaryDirectory(prefix="bench-cohort-") as made:
        folder = Path(made)
        jobs_s, by_jobs = ours(engine, module, handed_in, workers, folder / "jobs")
        say(f"{workers} jobs: {jobs_s:.1f} s")
        with local_scheduler(workers, folder / "dask") as address:
            scheduler_s, by_workers = by_scheduler(address, module, handed_in, folder / "workers")
    points = [
        {r.learner: r.report.points for r in seen.results if r.is_final}
        for seen in (by_jobs, by_workers)
    ]
    figures = {
        "overhead": scheduler_s / jobs_s,
        "overhead_ready": (scheduler_s - by_workers.ready_s) / (jobs_s - by_jobs.ready_s),
        "scheduler_s": scheduler_s,
        "scheduler_ready_s": by_workers.ready_s,
        "jobs_s": jobs_s,
        "jobs_ready_s": by_jobs.ready_s,
        "unequal": sum(
            s.learner not in points[0] or points[0][s.learner] != points[1].get(s.learner)
            for s in handed_in
        ),
        "submissions": count,
        "workers": workers,
    }
    return {name: round(value, 3) for name, value in figures.items()}


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


def show(figures: dict[str, float]) -> None:
    """Print each figure on a line."""
    for name, value in figures.items():
        print(f"  {name:<36} {value}")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=32)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--scheduler", type=int, metavar="N", help="compare with N Dask workers")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    if arguments.scheduler:
        told = measure_scheduler(arguments.submissions, arguments.scheduler)
        if arguments.json:
            print(json.dumps(told, indent=2))
            return
        print(f"scheduler ÷ jobs  {told['overhead']:.3f}   (target 1.05)")
        show(told)
        return
    figures, seen = measure(arguments.submissions, arguments.jobs)
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"ours ÷ nbgrader   {figures['ratio']:.2f}   (target 1.0)")
    print(f"queue's wait      {figures['queue_wait_s']:.2f} s   (target 0.3)")
    show(figures)
    print("the longest")
    for result in sorted(seen.results, key=lambda r: -seen.took_s[r.learner])[:10]:
        timings = {"took_s": seen.took_s[result.learner], **result.report.timings}
        parts = [f"{n} {timings.get(n, 0):.1f}" for n in ("took_s", "build_s", "checks_s")]
        print(f"  {result.learner:<44} {'  '.join(parts)}")


if __name__ == "__main__":
    main()
