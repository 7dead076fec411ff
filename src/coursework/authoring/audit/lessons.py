"""Running a module's lesson in a copy, and what it must come to."""

import multiprocessing
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from coursework.authoring.audit.leftovers import lesson_objects, remove
from coursework.authoring.audit.private_words import private_words, without_folder
from coursework.authoring.audit.subject import Finding, Subject, one_line
from coursework.authoring.derive import derive_exercise, derive_lesson
from coursework.authoring.outputs import Shown, shown_in
from coursework.engine import Engine, buildx
from coursework.files import lay_files, one_at_a_time
from coursework.images import ensure_images
from coursework.trouble import CourseError

NAME = "lesson"
EXPECTED = "raises-exception"
_LIMIT_CELL_S = 300
# A line behind "!" raises nothing. IPython puts Python's values in the place of $name there, and of
# what is left the shell may make nothing: here as bash says it, and as dash does.
_NO_SHELL = re.compile(
    r"^\S*sh: (?:(?:-c: )?line \d+: .*(?:syntax error|unexpected EOF)|\d+: Syntax error).*",
    re.MULTILINE,
)


@dataclass(frozen=True)
class CellEnd:
    """How one code cell ended.

    Args:
        cell_id: of the derived notebook.
        source: its first line.
        must_fail: whether it is tagged as an expected failure.
        error: the last line of what was raised, or of a shell that did not understand; else empty.
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
    last = f"{errors[0]['ename']}: {errors[0]['evalue']}" if errors else _not_understood(cell)
    lines = [line for line in cell["source"].splitlines() if line.strip()]
    tags = cell["metadata"].get("tags", ())
    return CellEnd(cell["id"], " · ".join(lines[:2])[:80], EXPECTED in tags, last[:300])


def _not_understood(cell: Mapping[str, Any]) -> str:
    """Return what a shell said of a line that is none; empty where it understood all."""
    printed = "".join(o["text"] for o in cell["outputs"] if o["output_type"] == "stream")
    said = _NO_SHELL.search(printed)
    return said[0] if said else ""


@dataclass(frozen=True)
class LessonAudit:
    """What came of a lesson's run.

    Args:
        findings: all that does not hold.
        shown: by each code cell; nothing where the lesson did not come to its end.
    """

    findings: list[Finding]
    shown: Sequence[Shown] = ()


def audit_lesson(
    subject: Subject, engine: Engine, tell: Callable[[str], None] = lambda _: None
) -> LessonAudit:
    """Run a lesson from its first cell to its last in a fresh kernel and a fresh folder.

    Args:
        subject: the module.
        engine: where its cells run containers.
        tell: is told each step.
    """
    names = (*subject.module.images, *subject.module.lesson_images)
    try:
        ensure_images(engine, names, tell)
        # As a learner's lab does; a lesson that cannot do without says so itself.
        buildx.bring(tell)
        # All lessons name what they make lantern-…: two at once would take it from each other.
        with one_at_a_time(tell, "lesson", "runs a lesson"):
            before = lesson_objects(engine)
            try:
                run, shown = _run_in_copy(subject, engine)
            finally:
                left = sorted(lesson_objects(engine) - before)
                for found in left:
                    remove(engine, found)
    except CourseError as error:
        return LessonAudit([_finding(subject, "lesson-stops", one_line(error))])
    findings = [*_judge(subject, run.ends), *_private(subject, run.ends, shown)]
    for found in left:
        what = f"it leaves the {found.kind} {found.name} behind; its last cell should remove it"
        findings.append(_finding(subject, "lesson-leftovers", what))
    return LessonAudit(findings, shown)


def _run_in_copy(subject: Subject, engine: Engine) -> tuple[LessonRun, tuple[Shown, ...]]:
    folder = Path(tempfile.mkdtemp(prefix=f"lesson-{subject.slug}-"))
    try:
        notebook = derive_lesson(subject.layout, subject.slug)
        exercise = derive_exercise(subject.layout, subject.slug)
        lay_files(folder, {**exercise, "lesson.ipynb": notebook})
        # The kernel's client keeps event loops and sockets: it gets a process of its own.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            run = pool.submit(run_lesson, notebook, folder, engine.environment()).result()
        return run, without_folder(shown_in(run.notebook), folder, subject.slug)
    finally:
        # A container may have written files there as root.
        shutil.rmtree(folder, ignore_errors=True)


def _judge(subject: Subject, ends: list[CellEnd]) -> Iterator[Finding]:
    for end in ends:
        if end.error and not end.must_fail:
            what = f"cell {end.cell_id} ({end.source}) fails: {end.error}"
            yield _finding(subject, "lesson-cell-fails", what)
        if end.must_fail and not end.error:
            what = f"cell {end.cell_id} ({end.source}) is tagged {EXPECTED} and does not fail"
            yield _finding(subject, "lesson-cell-succeeds", what)


def _private(subject: Subject, ends: list[CellEnd], shown: Sequence[Shown]) -> Iterator[Finding]:
    """Find outputs that are published with the lesson and tell of the machine it ran on."""
    text = "\n".join(cell.text for cell in subject.lesson)
    for end, outputs in zip(ends, shown, strict=True):
        if words := private_words(outputs, subject.layout.root, text):
            what = f"cell {end.cell_id} ({end.source}) prints {', '.join(words)}: let it print less"
            yield _finding(subject, "private-output", what)


def _finding(subject: Subject, rule: str, what: str) -> Finding:
    command = f"course audit {subject.slug} --only {NAME}"
    return subject.finding(subject.layout.lesson(subject.slug), rule, what, command)
