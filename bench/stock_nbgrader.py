"""Stock nbgrader, grading notebooks in which nothing is hard."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import nbformat


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
    programs = Path(sys.executable).parent
    done = subprocess.run(
        [programs / "nbgrader", *arguments],
        # nbgrader looks for alembic in the PATH.
        env=os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
        cwd=course, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
