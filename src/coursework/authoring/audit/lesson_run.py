"""One lesson run from its first cell to its last, as a learner would."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from coursework.trouble import CourseError

EXPECTED = "raises-exception"
_LIMIT_CELL_S = 300


@dataclass(frozen=True)
class CellEnd:
    """How one code cell ended.

    Args:
        cell_id: of the derived notebook.
        source: its first line.
        must_fail: whether it is tagged as an expected failure.
        error: the last line of what was raised; empty where it ran.
    """

    cell_id: str
    source: str
    must_fail: bool
    error: str


@dataclass(frozen=True)
class LessonRun:
    """A lesson that came to its end.

    Args:
        ends: of each code cell.
        notebook: the lesson with its outputs, nbformat 4.
    """

    ends: list[CellEnd]
    notebook: bytes


def run_lesson(notebook: bytes, folder: Path, environment: Mapping[str, str]) -> LessonRun:
    """Run all cells in a fresh kernel, also those behind one that fails.

    Args:
        notebook: the lesson.
        folder: where the kernel works.
        environment: of the kernel.

    Raises:
        CourseError: the kernel ended, or a cell did not end in time.
    """
    import nbformat  # noqa: PLC0415 - slow to load
    from nbclient import NotebookClient  # noqa: PLC0415 - slow to load
    from nbclient.exceptions import CellTimeoutError, DeadKernelError  # noqa: PLC0415

    lesson = nbformat.reads(notebook.decode(), as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        lesson,
        timeout=_LIMIT_CELL_S,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    try:
        # What the kernel itself prints is not the lesson's; cells' outputs come another way.
        client.execute(env=dict(environment), stdout=DEVNULL, stderr=DEVNULL)
    except (CellTimeoutError, DeadKernelError) as error:
        why = str(error).strip().splitlines()
        raise CourseError("The lesson did not come to its end.", why=" ".join(why)[:600]) from error
    ends = [_ended(cell) for cell in lesson.cells if cell.cell_type == "code"]
    return LessonRun(ends, nbformat.writes(lesson).encode())  # type: ignore[no-untyped-call]


def _ended(cell: Mapping[str, Any]) -> CellEnd:
    errors = [o for o in cell["outputs"] if o["output_type"] == "error"]
    last = f"{errors[0]['ename']}: {errors[0]['evalue']}" if errors else ""
    lines = [line for line in cell["source"].splitlines() if line.strip()]
    tags = cell["metadata"].get("tags", ())
    return CellEnd(cell["id"], " · ".join(lines[:2])[:80], EXPECTED in tags, last[:300])
