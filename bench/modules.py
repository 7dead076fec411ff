"""How long a learner waits for all checks of a module, with its reference solution.

Each solution is graded once to warm up, then as often as asked; medians are printed.

    python bench/modules.py 19 20 21 --rounds 3 --json
"""

import argparse
import json
import statistics
import time

from coursework.authoring.source import read_cells, reference_files
from coursework.containers.runs import LABEL_RUN
from coursework.engine import Engine, start_engine
from coursework.grading.grade import grade
from coursework.images import ensure_images
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import Module, load_catalogue


def measure(layout: Layout, engine: Engine, module: Module, rounds: int) -> list[float]:
    """Return the seconds of each counted grading.

    Raises:
        SystemExit: the solution did not pass.
    """
    files = reference_files(read_cells(layout.solution(module.slug)))
    seconds = []
    for _ in range(rounds + 1):
        start = time.monotonic()
        report = grade(module, files, layout=layout, engine=engine, keep=False)
        seconds.append(time.monotonic() - start)
        if report.exit_code:
            raise SystemExit(f"the solution of {module.slug} did not pass: {report.to_json()}")
        # What is measured next must not share the machine with containers that are going.
        own = f"{LABEL_RUN}={report.run}"
        while engine.client.containers.list(all=True, sparse=True, filters={"label": own}):
            time.sleep(0.01)
    return seconds[1:]


def main() -> None:
    """Print a line for each module, or JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("modules", nargs="+", metavar="NN", help="numbers or slugs")
    parser.add_argument("--rounds", type=int, default=1, help="counted gradings of each")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    say = (lambda _: None) if arguments.json else print
    layout, engine = find_layout(), start_engine(say)
    medians = {}
    for name in arguments.modules:
        module = load_catalogue(layout).find(name)
        ensure_images(engine, module.images, say)
        medians[module.slug] = round(
            statistics.median(measure(layout, engine, module, arguments.rounds)), 1
        )
        say(f"{module.slug}: {medians[module.slug]} s")
    if arguments.json:
        print(json.dumps(medians))


if __name__ == "__main__":
    main()
