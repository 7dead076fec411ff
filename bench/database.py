"""How long a check waits for its database, against the same image that begins from nothing.

`prepared` is course/database:1 as checks start it: a data folder made beforehand and copied into
memory, without fsync. `on_disk` is the same without the memory. `plain` is postgres:17, which makes
its data folder at the start and syncs it.
All are timed from `docker run` to the end of the first CREATE DATABASE; rounds alternate; the
medians of all rounds but the first are printed.

    python bench/database.py --rounds 7 --json
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

from coursework.engine import Engine, start_engine
from coursework.images import ensure_images

OURS = ["-e", "ADMIN_PASSWORD=a", "-e", "APP_PASSWORD=b"]
SIDES = {
    "prepared": ("course/database:1", ["--tmpfs", "/var/lib/postgresql/in-memory", *OURS]),
    "on_disk": ("course/database:1", OURS),
    "plain": ("postgres:17", ["-e", "POSTGRES_PASSWORD=a"]),
}
# The socket of an unfinished first start is not TCP: only the real server answers there.
QUESTION = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-qtAc", "CREATE DATABASE first"]


def seconds_to_first_database(engine: Engine, image: str, options: list[str]) -> float:
    """Start a container and ask until a database is made; then it is removed."""
    start = time.monotonic()
    name = _docker(engine, "run", "-d", "-e", "PGPASSWORD=a", *options, image).stdout.strip()
    try:
        while _docker(engine, "exec", name, *QUESTION).returncode:
            if time.monotonic() - start > 60:  # noqa: PLR2004 - far beyond any figure
                raise TimeoutError(image)
        return time.monotonic() - start
    finally:
        _docker(engine, "rm", "-f", "-v", name)


def _docker(engine: Engine, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["docker", *arguments],
        env=engine.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="counted rounds, after one")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    arguments = parser.parse_args()
    engine = start_engine()
    ensure_images(engine, [image for image, _ in SIDES.values()])
    seen: dict[str, list[float]] = {name: [] for name in SIDES}
    for number in range(arguments.rounds + 1):
        for name, (image, options) in SIDES.items():
            seen[name].append(seconds_to_first_database(engine, image, options))
        print(f"round {number}: {seen['prepared'][-1]:.2f} s", file=sys.stderr)
    figures = {f"{name}_s": round(statistics.median(times[1:]), 3) for name, times in seen.items()}
    figures["rounds"] = arguments.rounds
    print(json.dumps(figures, indent=2) if arguments.json else figures)


if __name__ == "__main__":
    main()
