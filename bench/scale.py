"""How the time of a class goes down with more gradings at a time.

The submissions of `bench/cohort.py` to 02-first-server, three quarters of them honest, are graded
once for each number of jobs, each time from the first worker's start to pages and gradebook. The
sandboxes' template is made beforehand. With `--scheduler`, as many workers of a Dask scheduler on
this machine grade, one at a time each.

`wall_s`: of all. `per_submission_s`: the same, divided by their number. `speed`: how many times as
fast as with the first number of jobs; at best it grows as the jobs do. `efficiency`: how much of
that best it is. `lost`: submissions without a final result.

    python bench/scale.py --submissions 16 --jobs 1 2 4 --json
    python bench/scale.py --submissions 16 --jobs 1 2 4 --scheduler
"""

import argparse
import json
import tempfile
from pathlib import Path

from local_scheduler import local_scheduler

from cohort import MODULE, Seen, Submitted, by_scheduler, ours, say, submissions, watched
from coursework.engine import Engine, start_engine
from coursework.layout import find_layout
from coursework.modules.catalogue import Module, load_catalogue


def grade(
    engine: Engine, module: Module, handed_in: list[Submitted], jobs: int, *, scheduler: bool
) -> dict[str, float]:
    """Grade all with so many at a time; give the figures that need no other run."""
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as made:
        folder = Path(made)
        if scheduler:
            with local_scheduler(jobs, folder / "dask") as address:
                seconds, seen = by_scheduler(address, module, handed_in, folder / "out")
        else:
            seconds, seen = ours(engine, module, handed_in, jobs, folder / "out")
    judged = {r.learner for r in seen.results if r.is_final}
    return {
        "jobs": jobs,
        "wall_s": seconds,
        "per_submission_s": seconds / len(handed_in),
        "lost": len(handed_in) - len(judged),
    }


def measure(count: int, all_jobs: list[int], *, scheduler: bool) -> list[dict[str, float]]:
    """Grade the same submissions with each number of jobs."""
    layout = find_layout()
    module, engine = load_catalogue(layout).find(MODULE), start_engine(say)
    handed_in = submissions(layout, module, count)
    with watched(engine, module, max(all_jobs), 0, Seen()):
        pass
    rows = list[dict[str, float]]()
    for jobs in all_jobs:
        row = grade(engine, module, handed_in, jobs, scheduler=scheduler)
        first = rows[0] if rows else row
        row["speed"] = first["wall_s"] / row["wall_s"]
        row["efficiency"] = row["speed"] * first["jobs"] / jobs
        rows.append({name: round(value, 3) for name, value in row.items()})
        say(f"{jobs} at a time: {row['wall_s']:.1f} s")
    return rows


def main() -> None:
    """Print a line for each number of jobs, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--submissions", type=int, default=16)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--scheduler", action="store_true", help="by Dask workers on this machine")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    rows = measure(arguments.submissions, arguments.jobs, scheduler=arguments.scheduler)
    if arguments.json:
        print(json.dumps({"submissions": arguments.submissions, "runs": rows}, indent=2))
        return
    names = list(rows[0])
    print("  ".join(f"{name:>16}" for name in names))
    for row in rows:
        print("  ".join(f"{row[name]:>16}" for name in names))


if __name__ == "__main__":
    main()
