"""Where a learner is in the course, by the reports of their checks; nothing is sent anywhere."""

from dataclasses import dataclass
from itertools import groupby
from urllib.parse import quote

from coursework.checks.verdict import Report
from coursework.files import write_whole
from coursework.layout import Layout
from coursework.modules.catalogue import Catalogue, Module, load_catalogue
from coursework.modules.exercise_notebook import NOTEBOOK, find_exercise
from coursework.modules.workspace import changed_files
from coursework.report.next_step import NextStep
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
    changed = changed_files(layout, module.slug)
    changed_at = max((path.stat().st_mtime for path in changed), default=0.0)
    begun = "begun" if report or changed_at else "open"
    state = "passed" if most and points == most else begun
    notebook = find_exercise(layout.work(module.slug))
    name = notebook.name if notebook else NOTEBOOK
    return Standing(module, state, points, most, changed_at, name)


def next_module(found: list[Standing], after: str = "") -> Module | None:
    """Return the module to take next; None once all are passed.

    It's the first one after `after` that isn't passed and whose required modules are. Where none
    follows, it's the first such one of the whole course: a learner may have begun in the middle.

    Args:
        found: in course order.
        after: slug of the module that was passed just now.
    """
    passed = {s.module.slug for s in found if s.state == "passed"}
    slugs = [s.module.slug for s in found]
    place = slugs.index(after) + 1 if after in slugs else 0
    left = [s.module for s in (*found[place:], *found[:place]) if s.state != "passed"]
    ready = [module for module in left if passed.issuperset(module.requires)]
    return next(iter([*ready, *left]), None)


def current_module(found: list[Standing]) -> Module | None:
    """Return the module that was changed last, or the one to take after it once it's passed."""
    latest = max(found, key=lambda s: s.changed_at, default=None)
    if latest is None or not latest.changed_at:
        return next_module(found)
    return next_module(found, latest.module.slug) if latest.state == "passed" else latest.module


def left_off(layout: Layout, catalogue: Catalogue) -> str:
    """Return what the lab opens first, as a path below work/.

    The notebook that was changed last; once its module is passed, the next module's; after the last
    module, the page that shows all of them.
    """
    module = current_module(standings(layout, catalogue))
    if module is None:
        return START_PAGE
    folder = layout.work(module.slug)
    lesson = folder / "lesson.ipynb"
    changed = [
        p for p in changed_files(layout, module.slug) if p in (lesson, find_exercise(folder))
    ]
    notebook = max(changed, key=lambda path: path.stat().st_mtime_ns, default=lesson)
    return notebook.relative_to(layout.root / "work").as_posix()


def opened_images(catalogue: Catalogue, opened: str) -> tuple[str, ...]:
    """Return the images of the module that the lab opens, a path below work/."""
    slug = opened.partition("/")[0]
    return next((m.all_images for m in catalogue.modules if m.slug == slug), ())


def record_report(layout: Layout, report: Report) -> NextStep:
    """Keep a whole report, bring work/START.md up to date, and return what to do now."""
    save_report(layout, report)
    write_start_page(layout)
    return _next_step(layout, report)


def _next_step(layout: Layout, report: Report) -> NextStep:
    missed = [check.name for check in report.checks if check.verdict != "passed"]
    if missed:
        typed = f"course check {report.module} --only {missed[0]}"
        return NextStep(
            f'next: mend {missed[0]}, then check("{missed[0]}"), or in a terminal: {typed}'
        )
    compare = f"to see our solution beside yours: course solution {report.module}"
    upcoming = next_module(standings(layout, load_catalogue(layout)), report.module)
    if upcoming is None:
        return NextStep(f"That was the last module: all of them are passed; {compare}")
    return NextStep(f"{upcoming.title}; {compare}", opens=f"{upcoming.slug}/lesson.ipynb")


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
    upcoming = current_module(found)
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
