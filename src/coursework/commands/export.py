"""course export: a class's final points, less what being late costs, also for an LMS."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from coursework.cohort.class_report import write_final_pages
from coursework.cohort.dates import how_long, shown
from coursework.cohort.export import PLATFORMS, export
from coursework.cohort.gradebook import Tell, default_address, whole_address, write_gradebook
from coursework.cohort.late import (
    Deadline,
    Final,
    finals,
    read_due,
    read_extensions,
    read_rule,
    read_times,
)
from coursework.cohort.results import Result, Results, write_whole
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

_MOST_NAMED = 20
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(name="export")
@click.argument("module")
@click.option("--due", metavar="TIME", help="The deadline. Default zone: this machine's.")
@click.option("--late", metavar="RULE", help="What being late costs.")
@click.option("--extensions", type=_FILE, help="CSV of learner,due: later deadlines.")
@click.option("--times", type=_FILE, help="CSV of learner,handed_in: for names without a time.")
@click.option("--for", "platform", type=click.Choice(sorted(PLATFORMS)), help="The LMS.")
@click.option("--column", metavar="NAME", help="The assignment's name there. Default: MODULE.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: classroom/grades.")
@click.option("--gradebook", metavar="URL", help="nbgrader's. Default: classroom/gradebook.db.")
def command(
    module: str,
    due: str | None,
    late: str | None,
    extensions: Path | None,
    times: Path | None,
    platform: str | None,
    column: str | None,
    out: Path | None,
    gradebook: str | None,
) -> int:
    """Work out a class's final points in MODULE from its results; nothing is graded again.

    With --due and --late, points are lowered in the table, the pages and nbgrader's gradebook.
    If nothing says when a learner handed in, their points stay undecided, and you are told.
    A day is 24 hours, a day that has begun counts in full, and percentages are of all points.

    With --for, a CSV is written that the LMS can import.

    Exit code 0: every learner's points are decided and in the file; 2: some are not, or a CSV
    names learners without a result.

    \b
    Example:
      course export 02 --due "2026-03-02 23:59 Europe/Berlin" --late "10 % a day, at most 50 %"
      course export 02 --for canvas --column "Exercise 2 (88123)"
    """
    layout = find_layout()
    slug = load_catalogue(layout).find(module).slug
    room = layout.root / "classroom"
    folder = out or room / "grades"
    results = Results(folder / "results" / slug).all()
    if not results:
        raise CourseError(
            f"There are no results of {slug}.",
            why=f"{folder / 'results' / slug} holds none",
            fix=f"course grade classroom/submitted --module {slug}",
        )
    told, unknown = _Told(Console(stderr=True, highlight=False)), list[str]()
    deadline = _deadline(due, late, extensions, times, results, unknown.append)
    of_class = finals(results, deadline)
    for line in unknown:
        told.line(f"! {line}")
    if deadline:
        address = whole_address(gradebook) if gradebook else default_address(room)
        with told.console.status("writing the gradebook …") as status:
            _write_late(folder, slug, address, of_class, status.update)
        told.lateness(deadline, of_class)
        told.line(f"✓ {folder / slug}.csv, .html, feedback/{slug}/, and the gradebook")
    left_out: dict[str, str] = {}
    if platform:
        made = export(platform, column or slug, of_class)
        left_out = made.left_out
        path = folder / f"{slug}.{platform}.csv"
        write_whole(path, made.text)
        told.left_out(left_out)
        points = "final points" if deadline else "points as graded: no deadline was named"
        told.line(f"✓ {path}: {len(of_class) - len(left_out)} learners, {points}")
    elif not deadline:
        raise CourseError(
            "There is nothing to export.",
            why="neither a deadline nor an LMS was named",
            fix=f"course export {module} --for canvas",
        )
    return 2 if unknown or left_out or any(f.points is None for f in of_class) else 0


def _deadline(
    due: str | None,
    late: str | None,
    extensions: Path | None,
    times: Path | None,
    results: Sequence[Result],
    on_unknown: Callable[[str], None],
) -> Deadline | None:
    if not (due and late):
        if due or late or extensions or times:
            raise CourseError(
                "A deadline needs --due and --late.",
                fix='--due "2026-03-02 23:59" --late "10 % a day, at most 50 %"',
            )
        return None
    at, zone = read_due(due)
    learners = [r.learner for r in results]
    return Deadline(
        at,
        zone,
        read_rule(late),
        read_extensions(extensions, at, learners, zone, on_unknown) if extensions else {},
        read_times(times, "handed_in", learners, zone, on_unknown) if times else {},
    )


def _write_late(
    folder: Path, slug: str, address: str, of_class: Sequence[Final], tell: Tell
) -> None:
    write_final_pages(folder, slug, of_class)
    penalties = {f.result.learner: f.lowered_by for f in of_class if f.has_time}
    write_gradebook(address, [f.result for f in of_class], tell, penalties)


@dataclass(frozen=True)
class _Told:
    """What the instructor is told; learners' names are in it."""

    console: Any

    def line(self, text: str) -> None:
        self.console.print(text, markup=False, soft_wrap=True)

    def lateness(self, deadline: Deadline, of_class: Sequence[Final]) -> None:
        zone = "that zone" if deadline.zone else "this machine's zone"
        self.line(f"due {shown(deadline.at)}; times that name no zone are read in {zone}")
        for final in of_class:
            if final.lowered_by and final.points is not None:
                report = final.result.report
                self.line(
                    f"{final.result.learner}  {report.points} → {final.points:g}"
                    f" of {report.max_points}  {how_long(final.late)} late"
                )
        unknown = [f.result for f in of_class if not f.has_time]
        if unknown:
            self.line(f"! no time, so undecided, for {len(unknown)}; --times FILE says it:")
            self._some([r.learner + _mark(r) for r in unknown])

    def left_out(self, left_out: dict[str, str]) -> None:
        for why in dict.fromkeys(left_out.values()):
            self.line(f"! left out, since {why}:")
            self._some([learner for learner, other in left_out.items() if other == why])

    def _some(self, learners: Sequence[str]) -> None:
        more = len(learners) - _MOST_NAMED
        self.line("    " + ", ".join(learners[:_MOST_NAMED]) + f" and {more} more" * (more > 0))


def _mark(result: Result) -> str:
    if result.origin.when:
        return f" ({result.origin.when!r} is not understood)"
    return " (its name says LATE)" if result.origin.is_late else ""
