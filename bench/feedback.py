"""How long a learner waits for a check, against what Docker alone needs for the same.

The floor is `docker build`, `docker run` and the first 200 by docker commands alone.
The check is `check("quick_start")` in a warm process, and the same by the command line.
Each round changes one line of the answer first; rounds alternate; medians are printed.

    python bench/feedback.py --rounds 7 --json
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from coursework.authoring.source import read_cells, reference_files
from coursework.checks.verdict import Report
from coursework.containers.runs import LABEL_RUN
from coursework.engine import Engine, start_engine
from coursework.files import lay_files
from coursework.grading.grade import grade
from coursework.images import ensure_images
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import load_catalogue

MODULE = "02-first-server"
CHECK = "quick_start"
SHOWS = '[{"id": 1, "title": "Hamlet", "starts_at": "2027-03-01T19:30:00Z", "price_cents": 2500}]'


def changed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return the answer with one line that was never there before."""
    return {**files, "server.js": files["server.js"] + f"// {time.time_ns()}\n".encode()}


def folder_of(layout: Layout, files: dict[str, bytes], folder: Path) -> None:
    """Lay the answer with its starter files, as a learner has it."""
    starter = layout.starter(MODULE)
    laid = {p.name: p.read_bytes() for p in starter.iterdir() if p.is_file()}
    lay_files(folder, {**laid, **files})


def floor(engine: Engine, layout: Layout, files: dict[str, bytes]) -> dict[str, float]:
    """Time docker build, docker run and the first 200."""
    with tempfile.TemporaryDirectory() as temporary:
        context = Path(temporary) / "context"
        context.mkdir()
        folder_of(layout, changed(files), context)
        shows = Path(temporary) / "shows.json"
        shows.write_text(SHOWS, "utf-8")
        start = time.monotonic()
        image = _docker(engine, "build", "-q", str(context))
        built = time.monotonic()
        container = _docker(
            engine, "run", "-d", "-p", "127.0.0.1::3000", "-e", "SHOWS_FILE=/shows.json",
            "-v", f"{shows}:/shows.json:ro", image,
        )  # fmt: skip
        port = _docker(engine, "port", container, "3000").rpartition(":")[2]
        _first_answer(f"http://127.0.0.1:{port}/api/users")
        end = time.monotonic()
        _docker(engine, "rm", "-f", container)
    return {"floor_s": end - start, "floor_build_s": built - start, "floor_start_s": end - built}


def _docker(engine: Engine, *arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], env=engine.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def _first_answer(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if requests.get(url, timeout=1).ok:
                return
        except requests.RequestException:
            time.sleep(0.01)
    raise TimeoutError(url)


def check(
    engine: Engine, layout: Layout, files: dict[str, bytes], only: tuple[str, ...]
) -> tuple[float, Report]:
    """Time one check, or all, in this process."""
    module = load_catalogue(layout).find(MODULE)
    start = time.monotonic()
    report = grade(module, changed(files), layout=layout, engine=engine, only=only)
    seconds = time.monotonic() - start
    if report.exit_code:
        raise SystemExit(f"the reference solution did not pass: {report.to_json()}")
    # Nobody waits for the containers to go, but what is measured next must not share the machine.
    own = f"{LABEL_RUN}={report.run}"
    while engine.client.containers.list(all=True, sparse=True, filters={"label": own}):
        time.sleep(0.01)
    return seconds, report


def command_line(engine: Engine, layout: Layout, files: dict[str, bytes]) -> float:
    """Time `course check` of one check, the start of Python included."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / MODULE
        folder.mkdir()
        folder_of(layout, changed(files), folder)
        start = time.monotonic()
        subprocess.run(
            [Path(sys.executable).parent / "course", "check", str(folder), "--only", CHECK],
            env=engine.environment(), cwd=layout.root, check=True, capture_output=True,
        )  # fmt: skip
        return time.monotonic() - start


def measure(rounds: int, say: Callable[[str], None]) -> dict[str, float]:
    """Run all sides in turn, once to warm up and then as often as asked; give the medians."""
    layout, engine = find_layout(), start_engine(say)
    ensure_images(engine, load_catalogue(layout).find(MODULE).images, say)
    files = reference_files(read_cells(layout.solution(MODULE)))
    seen: list[dict[str, float]] = []
    for number in range(rounds + 1):
        row = floor(engine, layout, files)
        row["check_s"], one = check(engine, layout, files, (CHECK,))
        row["check_build_s"] = one.timings["build_s"]
        row["check_probe_s"] = one.timings["checks_s"]
        row["command_line_s"] = command_line(engine, layout, files)
        row["module_s"], whole = check(engine, layout, files, ())
        row |= {f"module_{c.name}_s": c.duration_s for c in whole.checks}
        say(f"round {number}: floor {row['floor_s']:.2f} s, check {row['check_s']:.2f} s")
        seen.append(row)
    medians = {key: round(statistics.median(r[key] for r in seen[1:]), 3) for key in seen[0]}
    ratios = [r["check_s"] / r["floor_s"] for r in seen[1:]]
    return {"ratio": round(statistics.median(ratios), 3), "rounds": rounds, **medians}


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=7, help="counted rounds, after one to warm up"
    )
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds, lambda text: print(text, file=sys.stderr))
    if arguments.json:
        print(json.dumps(figures, indent=2))
        return
    print(f"check ÷ floor   {figures['ratio']:.2f}   (target 1.3)")
    over = figures["command_line_s"] - figures["floor_s"]
    print(f"command line    floor + {over:.2f} s   (target 0.8)")
    for name, value in figures.items():
        print(f"  {name:<30} {value}")


if __name__ == "__main__":
    main()
