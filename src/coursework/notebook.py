"""The words that notebooks use: `check`, `hint` and `review`."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import written_files
from coursework.trouble import CourseError

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


def hint(name: str) -> None:
    """Show the hints of a check: where to look, then nearly the code.

    Args:
        name: of the check.

    Example:
        >>> hint("quick_start")

    """
    from IPython.display import HTML, display  # noqa: PLC0415 - only a kernel has it

    from coursework.layout import find_layout  # noqa: PLC0415 - loaded when first asked
    from coursework.report.hints import hints_of  # noqa: PLC0415 - as above
    from coursework.report.notebook import hints_html, trouble_html  # noqa: PLC0415 - as above
    from coursework.submissions.target import find_target  # noqa: PLC0415 - as above

    try:
        layout = find_layout()
        slug = find_target(layout, str(_this_notebook())).module.slug
        html = hints_html(hints_of(layout, slug, name))
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


def _checked(name: str | None, on_step: Any) -> tuple[Any, str]:
    from coursework.grading.yours import grade_yours  # noqa: PLC0415 - loaded at the first check
    from coursework.layout import find_layout  # noqa: PLC0415
    from coursework.modules.progress import record_report  # noqa: PLC0415
    from coursework.submissions.target import find_target  # noqa: PLC0415

    if name is not None and not _NAME.fullmatch(name):
        raise CourseError(
            f"{name!r} is no name of a check.", fix='check("quick_start"), or check()'
        )
    layout = find_layout()
    notebook = _this_notebook()
    target = find_target(layout, str(notebook))
    saved = target.read()
    files, unsaved = _files_on_disk(notebook.parent, saved.files, _cells_that_ran())
    # The notebook's cells have written its files beside it.
    home = replace(target.home(), folder=notebook.parent)
    report = grade_yours(
        layout, target.module, files, home, tell=on_step, only=(name,) if name else ()
    )
    next_step = "" if name else record_report(layout, report)
    return replace(report, warnings=(*report.warnings, *saved.warnings, *unsaved)), next_step


def _this_notebook() -> Path:
    """Find the notebook that this kernel belongs to."""
    # jupyter_server names it to the kernels that it starts.
    named = Path(os.environ.get("JPY_SESSION_NAME", ""))
    here = Path.cwd()
    candidates = [named, here / named.name, here / "exercise.ipynb"]
    found = [c for c in candidates if c.suffix == ".ipynb" and c.is_file()]
    if not found:
        raise CourseError(
            "This kernel has no exercise notebook beside it.",
            why=f"there is no exercise.ipynb in {here}",
            fix="open work/NN-name/exercise.ipynb from: make lab",
        )
    return found[0]


def _cells_that_ran() -> list[str]:
    from IPython.core.getipython import get_ipython  # noqa: PLC0415 - only a kernel has it

    shell: Any = get_ipython()
    return list(shell.history_manager.input_hist_raw) if shell else []


def _files_on_disk(
    folder: Path, saved: Mapping[str, bytes], sources: list[str]
) -> tuple[dict[str, bytes], list[str]]:
    """Return the files that cells have written, as they are on disk, and warnings."""
    names = dict.fromkeys([*saved, *_names_written(sources)])
    files = {n: (folder / n).read_bytes() for n in names if (folder / n).is_file()}
    warnings = [
        f"The cell of {name} was not run yet: run it to write the file." for name in saved
        if name not in files
    ]  # fmt: skip
    unsaved = [name for name, data in files.items() if saved.get(name) != data]
    if unsaved:
        differs = "differs from its cell" if len(unsaved) == 1 else "differ from their cells"
        warnings.append(
            f"{', '.join(unsaved)} on disk {differs} in the saved notebook:"
            " what is on disk was checked. Save (Ctrl-S) before you hand the notebook in."
        )
    return files, warnings


def _names_written(sources: list[str]) -> list[str]:
    """Name the files that executed cells wrote; a refused one was another exercise's or a slip."""
    names: list[str] = []
    for source in sources:
        try:
            names += written_files([source])
        except SubmissionError:
            continue
    return names
