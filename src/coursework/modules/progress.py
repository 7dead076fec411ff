"""Where a learner is in the course, by the reports of their checks; nothing is sent anywhere."""

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from coursework.checks.verdict import Report
from coursework.files import write_whole
from coursework.layout import Layout
from coursework.modules.catalogue import Catalogue, Module, load_catalogue
from coursework.modules.exercise_notebook import NOTEBOOK, find_exercise
from coursework.modules.workspace import last_change
from coursework.report.record import last_report, save_report

START_PAGE = "START.md"
MARKS = {"passed": "✓", "begun": "◐", "open": "○"}


@dataclass(frozen=True)
class Standing:
    """How far a learner is with one module.

    Args:
        module: of the catalogue.
        state: `passed`, `begun` or `open`.
        points: of the last whole check.
        max_points: to be had there; 0 where nothing was checked yet.
        changed_at: when the learner last changed a file, in seconds of the epoch; 0 for never.
        exercise: the name of its notebook, which the learner may have changed.
    """

    module: Module
    state: str
    points: int
    max_points: int
    changed_at: float
    exercise: str = NOTEBOOK


def standings(layout: Layout, catalogue: Catalogue) -> list[Standing]:
    """Return how far the learner is with each module, in course order."""
    return [_standing(layout, module) for module in catalogue.modules]


def _standing(layout: Layout, module: Module) -> Standing:
    report = last_report(layout, module.slug) or {}
    points, most = int(report.get("points", 0)), int(report.get("max_points", 0))
    changed_at = last_change(layout, module.slug)
    begun = "begun" if report or changed_at else "open"
    state = "passed" if most and points == most else begun
    notebook = find_exercise(layout.work(module.slug))
    name = notebook.name if notebook else NOTEBOOK
    return Standing(module, state, points, most, changed_at, name)


def next_module(found: list[Standing]) -> Module | None:
    """Return the first module not passed whose required ones are; None after the last."""
    passed = {s.module.slug for s in found if s.state == "passed"}
    left = [s.module for s in found if s.state != "passed"]
    ready = [module for module in left if passed.issuperset(module.requires)]
    return next(iter([*ready, *left]), None)


def left_off(layout: Layout, catalogue: Catalogue) -> str:
    """Return what the lab opens first, as a path below work/.

    The notebook that was changed last, of a module not yet passed; else the next lesson; after the
    last module, the page that shows all of them.
    """
    found = standings(layout, catalogue)
    begun = [s for s in found if s.state == "begun" and s.changed_at]
    if begun:
        latest = max(begun, key=lambda s: s.changed_at)
        notebook = _last_notebook(layout.work(latest.module.slug), latest.exercise)
        return notebook.relative_to(layout.root / "work").as_posix()
    upcoming = next_module(found)
    return f"{upcoming.slug}/lesson.ipynb" if upcoming else START_PAGE


def opened_images(catalogue: Catalogue, opened: str) -> tuple[str, ...]:
    """Return the images of the module that the lab opens, a path below work/."""
    slug = opened.partition("/")[0]
    return next((m.all_images for m in catalogue.modules if m.slug == slug), ())


def _last_notebook(folder: Path, exercise: str) -> Path:
    both = [folder / "lesson.ipynb", folder / exercise]
    present = [path for path in both if path.is_file()]
    return max(present, key=lambda path: path.stat().st_mtime_ns, default=both[0])


def record_report(layout: Layout, report: Report) -> str:
    """Keep a whole report, bring work/START.md up to date, and return what to do now."""
    save_report(layout, report)
    write_start_page(layout)
    return _next_step(layout, report)


def _next_step(layout: Layout, report: Report) -> str:
    """Return one line for the end of a whole report: what to do now."""
    missed = [check.name for check in report.checks if check.verdict != "passed"]
    if missed:
        typed = f"course check {report.module} --only {missed[0]}"
        return f'next: mend {missed[0]}, then check("{missed[0]}"), or in a terminal: {typed}'
    compare = f"to see our solution beside yours: course solution {report.module}"
    upcoming = next_module(standings(layout, load_catalogue(layout)))
    if upcoming is None:
        return f"That was the last module: all of them are passed; {compare}"
    return f"next: work/{upcoming.slug}/lesson.ipynb, {upcoming.title}; {compare}"


def write_start_page(layout: Layout) -> None:
    """Write work/START.md: the course by parts, with points; a full disk is no trouble."""
    found = standings(layout, load_catalogue(layout))
    text = start_page(found)
    path = layout.root / "work" / START_PAGE
    try:
        write_whole(path, text.encode())
    except OSError:
        return


def start_page(found: list[Standing]) -> str:
    """Return the page that shows where the learner is, as Markdown."""
    upcoming = next_module(found)
    lines = ["# HTTP to Kubernetes: where you are", ""]
    if upcoming:
        lines += [f"**Next:** [{upcoming.title}]({upcoming.slug}/lesson.ipynb)", ""]
    for part, group in groupby(found, key=lambda s: s.module.part):
        lines += [f"## {part}", "", "| | module | exercise | points |", "|---|---|---|---|"]
        lines += [_row(standing) for standing in group]
        lines.append("")
    if any(standing.state == "passed" for standing in found):
        lines += [
            "Cards of passed modules come back: `course review`, or `review()` in a notebook.",
            "",
        ]
    return "\n".join([*lines, "This page is rewritten after each whole check: `check()`.", ""])


def _row(standing: Standing) -> str:
    slug = standing.module.slug
    points = f"{standing.points} of {standing.max_points}" if standing.max_points else ""
    lesson, exercise = (
        f"[{standing.module.label}]({slug}/lesson.ipynb)",
        quote(f"{slug}/{standing.exercise}"),
    )
    return f"| {MARKS[standing.state]} | {lesson} | [exercise]({exercise}) | {points} |"
