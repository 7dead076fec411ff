"""How grading a large class scales with its workers: a simulation with measured task times.

The code behind `course grade --scheduler` grades the same class with 1, 10 and 100 workers, but a
grading only sleeps.

Real: Dask's scheduler in its own process; a Dask worker, with its own connections and heartbeat,
for each simulated one; asking them to join and all other messages; a notebook of 02-first-server
for each submission, and results of the usual size; the one writer, which checks each result against
the schema and writes it durably to disk before it counts.
Simulated: the grading. It sleeps for a measured time, drawn by the submission's key and divided so
that each run takes `--seconds` at best. All runs therefore ask the scheduler and the writer for the
same number of submissions a second, far more than real gradings do. The default times come from
four gradings on two cores: three of a module with five checks, and a fork bomb. `--times` reads
them from the results that `course grade` wrote for a class.
Left out: engines, sandboxes, and parsing notebooks on the workers; the network, because everything
is on this machine; workers that join late, leave or differ; pages and gradebook. The workers share
a few processes (`--processes`) and their interpreters, and run without Dask's profiler. They also
share this machine's cores with the scheduler and the writer, which real machines don't.

`divisor`: of the task times. `ideal_s`: with workers that start the next submission as soon as they
finish one. `wall_s`: from reading the first submission until the last result is on disk.
`efficiency`: `ideal_s` ÷ `wall_s`. `gap_ms`: what a worker loses per submission. `true_…`: the same
with undivided times, if each submission lost as much as here. That is pessimistic, because nothing
is as busy then. Where `efficiency` is low, most of `gap_ms` is a queue for the scheduler or the
writer, so give the runs more `--seconds`. `scheduler_ms`, `writer_ms`: processor time per
submission, including the workers' joining. `…_share`: the same, of one core, during the run.
`scheduler_mb`: its peak memory. `lost`: submissions without a final result.

    python bench/scale.py --plot scale.svg
    python bench/scale.py --submissions 500 --workers 1 10 --seconds 20 --json
"""

import argparse
import heapq
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from local_scheduler import scheduler, started
from simulated_workers import MODULE, READY, task_s

from coursework.cohort.grading import Progress
from coursework.cohort.remote.grading import grade_remotely
from coursework.cohort.results import Result, Results
from coursework.cohort.source import HandedIn
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue

TASK_S = [7.765, 11.276, 12.622, 21.0]
TARGET = 0.9
_SIMULATED = Path(__file__).with_name("simulated_workers.py")


class Class:
    """Submissions that are told apart, and what becomes of them.

    Args:
        count: of submissions.
    """

    def __init__(self, count: int) -> None:
        self._blank = find_layout().exercise(MODULE).read_bytes().lstrip().removeprefix(b"{")
        self.submissions = [self._submission(number) for number in range(count)]
        self.results = list[Result]()
        self.began = self.ended = 0.0

    def _submission(self, number: int) -> HandedIn:
        def read() -> bytes:
            self.began = self.began or time.monotonic()
            return b'{"number": %d, ' % number + self._blank

        return HandedIn(f"learner-{number:05}", read)

    def note(self, result: Result) -> None:
        """Note a result that is on the disk."""
        self.ended = time.monotonic()
        self.results.append(result)
        if len(self.results) % 1000 == 0:
            say(f"  {len(self.results)} after {self.ended - self.began:.0f} s")


@contextmanager
def simulated(
    workers: int, processes: int, divisor: float, times: list[float], folder: Path
) -> Iterator[tuple[str, psutil.Process]]:
    """Start a scheduler and its simulated workers; yield its address and its process."""
    with scheduler(folder) as (address, pid):
        processes = min(processes, workers)
        shares = [len(range(n, workers, processes)) for n in range(processes)]
        commands = [
            [sys.executable, str(_SIMULATED), address,
             *map(str, (share, folder / "scratch", divisor, *times))]
            for share in shares
        ]  # fmt: skip
        logs = [folder / f"workers-{number}.log" for number in range(processes)]
        with started(commands, logs, READY):
            yield address, psutil.Process(pid)


def run(
    count: int, workers: int, processes: int, at_best_s: float, times: list[float]
) -> dict[str, float]:
    """Grade a class with so many workers; return the figures."""
    layout, handed_in = find_layout(), Class(count)
    module = load_catalogue(layout).find(MODULE)
    divisor = max(1.0, statistics.mean(times) * count / workers / at_best_s)
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as made:
        folder = Path(made)
        with simulated(workers, processes, divisor, times, folder) as (address, process):
            asked_s, own_s = processor_s(process), time.process_time()
            grade_remotely(
                address, layout, module, Results(folder / "results"), handed_in.submissions,
                trusted=False, progress=Progress(handed_in.note), tell=lambda _: None,
            )  # fmt: skip
            used_s = processor_s(process) - asked_s, time.process_time() - own_s
            memory_mb = peak_mb(process.pid)
    return figures(handed_in, workers, divisor, times, used_s) | {"scheduler_mb": memory_mb}


def figures(
    graded: Class, workers: int, divisor: float, times: list[float], used_s: tuple[float, float]
) -> dict[str, float]:
    """Return what a run comes to, and what it would come to with task times undivided."""
    count, wall_s = len(graded.submissions), graded.ended - graded.began
    in_turn = sorted(graded.results, key=lambda result: result.learner)
    true_ideal_s = ideal_s([task_s(r.key, times) for r in in_turn], workers)
    lost_s = wall_s - true_ideal_s / divisor
    true_wall_s = true_ideal_s + lost_s
    scheduler_s, writer_s = used_s
    return {
        "workers": workers,
        "divisor": divisor,
        "ideal_s": true_ideal_s / divisor,
        "wall_s": wall_s,
        "efficiency": 1 - lost_s / wall_s,
        "per_s": count / wall_s,
        "gap_ms": 1000 * lost_s * workers / count,
        "true_efficiency": true_ideal_s / true_wall_s,
        "true_ideal_per_hour": 3600 * count / true_ideal_s,
        "true_per_hour": 3600 * count / true_wall_s,
        "scheduler_ms": 1000 * scheduler_s / count,
        "scheduler_share": scheduler_s / wall_s,
        "true_scheduler_share": scheduler_s / true_wall_s,
        "writer_ms": 1000 * writer_s / count,
        "writer_share": writer_s / wall_s,
        "lost": count - len({r.learner for r in graded.results if r.is_final}),
    }


def ideal_s(tasks: list[float], workers: int) -> float:
    """Return how long workers take that begin the next task as soon as they end one."""
    free_at = [0.0] * workers
    for seconds in tasks:
        heapq.heapreplace(free_at, free_at[0] + seconds)
    return max(free_at)


def processor_s(process: psutil.Process) -> float:
    """Return the processor time that a process has used."""
    used = process.cpu_times()
    return float(used.user + used.system)


def peak_mb(pid: int) -> float:
    """Return the most memory that a process has had: VmHWM, proc(5), in kibibytes."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return int(next(x for x in lines if x.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def times_of(folder: Path) -> list[float]:
    """Return how long the gradings took whose results a folder holds; raise if it holds none."""
    taken = [r.report.timings.get("total_s", 0.0) for r in Results(folder).all()]
    if not any(taken):
        raise SystemExit(f"{folder} holds no result of a grading")
    return [seconds for seconds in taken if seconds]


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """Draw throughput, efficiency and the scheduler over the number of workers, as SVG."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to load

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    speed, best, load = figure.subplots(1, 3)
    workers = [row["workers"] for row in rows]
    column = {name: [row[name] for row in rows] for name in rows[0]}
    speed.plot(workers, column["true_ideal_per_hour"], "--", color="gray", label="ideal")
    speed.plot(workers, column["true_per_hour"], "o-", label="true task times")
    speed.set(title="submissions an hour", yscale="log")
    best.axhline(TARGET, ls="--", color="gray", label=f"target at 100 workers: {TARGET}")
    best.plot(workers, column["true_efficiency"], "o-", label="true task times")
    best.plot(workers, column["efficiency"], "s:", label="divided, as run")
    best.set(title="efficiency", ylim=(0, 1.05))
    load.plot(workers, column["scheduler_share"], "s:", label="of a core, as run")
    load.plot(workers, column["true_scheduler_share"], "o-", label="of a core, true task times")
    load.set(title="scheduler", ylim=(0, 1.05))
    memory = load.twinx()
    memory.plot(workers, column["scheduler_mb"], "^-", color="tab:green")
    memory.set_ylabel("memory in MB", color="tab:green")
    memory.set_ylim(0, 1.2 * max(column["scheduler_mb"]))
    for axes in (speed, best, load):
        axes.set(xlabel="workers", xscale="log")
        axes.legend(fontsize="small")
    figure.savefig(path, format="svg")


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr)


def main() -> None:
    """Print the figures of each number of workers, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=10_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--processes", type=int, default=2, help="which the workers share")
    parser.add_argument("--seconds", type=float, default=100, help="of each run, at best")
    parser.add_argument("--times", type=Path, metavar="FOLDER", help="results with measured times")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="write an SVG here")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    asked = parser.parse_args()
    times = times_of(asked.times) if asked.times else TASK_S
    rows = list[dict[str, float]]()
    for workers in asked.workers:
        say(f"{workers} workers")
        row = run(asked.submissions, workers, asked.processes, asked.seconds, times)
        rows.append({name: round(value, 3) for name, value in row.items()})
    if asked.plot:
        plot(rows, asked.plot)
    if asked.json:
        print(json.dumps({"submissions": asked.submissions, "runs": rows}, indent=2))
        return
    for name in rows[0]:
        print(f"{name:<22}" + "".join(f"{row[name]:>12}" for row in rows))


if __name__ == "__main__":
    main()
