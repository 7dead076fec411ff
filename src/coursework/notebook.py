"""The words that notebooks use: `check`, `hint` and `review`."""

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursework.trouble import CourseError

if TYPE_CHECKING:
    from coursework.checks.verdict import Report
    from coursework.layout import Layout
    from coursework.report.next_step import NextStep
    from coursework.submissions.files import Submission
    from coursework.submissions.on_disk import OnDisk
    from coursework.submissions.target import Target

# The lab sets it: its page saves a notebook whenever one of its cells is run.
SAVES_WHAT_RUNS = "COURSE_SAVES_WHAT_RUNS"
_SAVED_WITHIN_S = 2.0
# It begins to save before the kernel begins to run.
_SAVED_BEFORE_NS = 500_000_000
_WRITTEN_WITHIN_S = 1.0
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check(name: str | None = None) -> None:
    """Check the exercise of this notebook and show the report below the cell.

    The files on disk are checked, as the notebook's cells have just written them.
    Where the saved notebook says something else, the report warns: the notebook is handed in.

    Args:
        name: of one check; all checks of the exercise by default.

    Example:
        >>> check("quick_start")

    """
    from IPython.display import HTML, display  # noqa: PLC0415 - only a kernel has it

    from coursework.report.notebook import report_html, step_html, trouble_html  # noqa: PLC0415

    area: Any = display(HTML(step_html("looking for the engine")), display_id=True)  # type: ignore[no-untyped-call]

    def show(html: str) -> None:
        area.update(HTML(html))  # type: ignore[no-untyped-call]

    try:
        report, next_step = _checked(name, lambda text: show(step_html(text)))
        show(report_html(report, next_step))
    except CourseError as error:
        show(trouble_html(error))
    except KeyboardInterrupt:
        show(step_html("stopped; what was started is removed"))


def hint(name: str | None = None) -> None:
    """Show the hints of a check: where to look, then nearly the code.

    Args:
        name: of the check; without one, the names to choose from are shown.

    Example:
        >>> hint("quick_start")

    """
    from IPython.display import HTML, display  # noqa: PLC0415 - only a kernel has it

    from coursework.layout import find_layout  # noqa: PLC0415 - loaded when first asked
    from coursework.report.hints import hints_of  # noqa: PLC0415 - as above
    from coursework.report.notebook import hints_html, trouble_html  # noqa: PLC0415 - as above

    try:
        layout = find_layout()
        target, _ = _answer(layout)
        html = hints_html(hints_of(layout, target.module.slug, name))
    except CourseError as error:
        html = trouble_html(error)
    display(HTML(html))  # type: ignore[no-untyped-call]


def review() -> None:
    """Ask the cards of passed modules that are due today, below the cell.

    Example:
        >>> review()

    """
    from IPython.core.error import StdinNotImplementedError  # noqa: PLC0415 - only a kernel has it
    from IPython.display import HTML, display  # noqa: PLC0415 - as above

    from coursework.layout import find_layout  # noqa: PLC0415 - loaded when first asked
    from coursework.modules.asking import ask_cards, standing  # noqa: PLC0415 - as above
    from coursework.modules.catalogue import load_catalogue  # noqa: PLC0415 - as above
    from coursework.modules.review import due_cards, schedule  # noqa: PLC0415 - as above
    from coursework.report.notebook import trouble_html  # noqa: PLC0415 - as above

    try:
        layout = find_layout()
        catalogue = load_catalogue(layout)
        due = due_cards(schedule(layout, catalogue))
        with suppress(KeyboardInterrupt):
            ask_cards(layout, due, print, input)
        print(standing(schedule(layout, catalogue)))  # noqa: T201 - below the cell
    except StdinNotImplementedError:
        print(f"{len(due)} cards are due. Run this cell by hand, so that it can ask you.")  # noqa: T201
    except CourseError as error:
        display(HTML(trouble_html(error)))  # type: ignore[no-untyped-call]


def _checked(name: str | None, on_step: Any) -> tuple["Report", "NextStep | None"]:
    from coursework.grading.yours import grade_yours  # noqa: PLC0415 - loaded at the first check
    from coursework.layout import find_layout  # noqa: PLC0415
    from coursework.modules.module_files import module_files  # noqa: PLC0415
    from coursework.modules.progress import record_report  # noqa: PLC0415
    from coursework.submissions.on_disk import read_beside, written_by_cells  # noqa: PLC0415

    began = time.time_ns()
    if name is not None and not _NAME.fullmatch(name):
        raise CourseError(
            f"{name!r} is no name of a check.", fix='check("quick_start"), or check()'
        )
    layout = find_layout()
    target, before = _answer(layout)
    starter = module_files(layout, target.module.slug).starter
    ran = written_by_cells(_cells_that_ran(), starter)
    folder = target.path.parent
    beside = read_beside(folder, [*before.files, *ran])
    # The notebook's cells have written its files beside it.
    home = replace(target.home(), folder=folder)
    chosen = (name,) if name else ()
    report = grade_yours(layout, target.module, beside.files, home, tell=on_step, only=chosen)
    # Not earlier: the lab saves the notebook while the check runs.
    _wait_until_saved(target.path, began)
    _, saved = _answer(layout)
    saved_at = target.path.stat().st_mtime_ns
    next_step = None if name else record_report(layout, report)
    told = [*report.warnings, *saved.warnings]
    # One check that passed wanted none of the files that are not there yet.
    if not (name and report.exit_code == 0):
        told += _never_run(saved.files, beside)
    told += _told(saved.files, saved_at, beside, ran)
    return replace(report, warnings=tuple(told)), next_step


def _answer(layout: "Layout") -> tuple["Target", "Submission"]:
    """Return the answer that this kernel belongs to, and what its saved notebook says."""
    from coursework.submissions.target import find_target  # noqa: PLC0415 - as above

    until = time.monotonic() + _WRITTEN_WITHIN_S
    while True:
        try:
            target = find_target(layout, str(_this_notebook()))
            return target, target.read()
        except CourseError:
            # Jupyter empties the file before it writes it: this cell's own save may be under way.
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _wait_until_saved(notebook: Path, began_ns: int) -> None:
    """Wait a moment for the lab to save the notebook whose cell called us."""
    if not os.environ.get(SAVES_WHAT_RUNS):
        return
    until = time.monotonic() + _SAVED_WITHIN_S
    while notebook.stat().st_mtime_ns < began_ns - _SAVED_BEFORE_NS and time.monotonic() < until:
        time.sleep(0.05)


def _told(
    saved: Mapping[str, bytes], saved_at: int, beside: "OnDisk", ran: Mapping[str, bytes]
) -> list[str]:
    """Say which files differ from the saved cells, and why that must be."""
    from coursework.submissions import on_disk  # noqa: PLC0415 - loaded at the first check

    copy = "if you edited the file itself, copy your change into the cell first"
    what = {
        on_disk.NOT_RUN: "the cell was changed after you ran it. What it wrote before was checked:"
        " run it, then check again.",
        on_disk.NOT_SAVED: "you ran the cell and did not save. What you ran was checked: save"
        " (Ctrl-S) before you hand the notebook in.",
        on_disk.OUTSIDE: "something else than the cell wrote the file. What is on disk was checked:"
        " copy it into the cell, since you hand in the notebook.",
        on_disk.GONE: "no saved cell writes it any more. It was checked all the same: delete the"
        " file, or bring the cell back.",
        on_disk.OLDER: "the cell did not run in this kernel. What is on disk was checked: run the"
        f" cell, then check again; {copy}.",
        on_disk.NEWER: "it was written after the notebook was saved. What is on disk was checked:"
        f" save (Ctrl-S); {copy}.",
    }
    kinds = beside.differing(saved, saved_at, ran)
    return [f"{on_disk.differs(names)}: {what[kind]}" for kind, names in kinds.items()]


def _never_run(saved: Mapping[str, bytes], beside: "OnDisk") -> list[str]:
    """Say which cells were not run yet, in one line."""
    names = [name for name in saved if name not in beside.files]
    if not names:
        return []
    which = f"cell of {names[0]} was" if len(names) == 1 else f"cells of {', '.join(names)} were"
    what = "run it to write the file" if len(names) == 1 else "run them to write the files"
    return [f"The {which} not run yet: {what}."]


def _this_notebook() -> Path:
    """Find the exercise that this kernel belongs to."""
    from coursework.modules.exercise_notebook import find_exercise  # noqa: PLC0415 - as above

    # jupyter_server names it to the kernels that it starts; the name is old once it was renamed.
    named = Path(os.environ.get("JPY_SESSION_NAME", ""))
    here = Path.cwd()
    for path in (named, here / named.name):
        if path.suffix == ".ipynb" and path.name != "lesson.ipynb" and path.is_file():
            return path
    found = find_exercise(here)
    if found is None:
        raise CourseError(
            "This kernel has no exercise notebook beside it.",
            why=f"there is no exercise.ipynb in {here}",
            fix="open work/NN-name/exercise.ipynb from: make lab",
        )
    return found


def _cells_that_ran() -> list[str]:
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only a kernel has it

    shell: Any = get_ipython()
    return list(shell.history_manager.input_hist_raw) if shell else []
