"""course grade: a cohort's submissions, in parallel, each in an engine of its own."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
from rich import progress
from rich.console import Console

from coursework.cohort.class_report import summarise, write_pages
from coursework.cohort.gradebook import default_address, whole_address, write_gradebook
from coursework.cohort.grading import (
    Progress,
    grade_cohort,
    graded_by,
    left_to_grade,
    submission_key,
)
from coursework.cohort.judge import Judge, open_sandboxes
from coursework.cohort.regrade import Regrade, told_all, told_change
from coursework.cohort.remote.connection import require_dask
from coursework.cohort.results import Result, Results
from coursework.cohort.source import (
    Found,
    HandedIn,
    answered_module,
    find_submissions,
    require_source,
)
from coursework.cohort.touched import changed_since
from coursework.engine import start_engine
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.report.lines import printable
from coursework.trouble import CourseError

_MOST_AHEAD = 4
_MOST_NAMED = 20
_MOST_SHOWN = 5


@click.command(name="grade")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@click.option("--module", metavar="MODULE", help="Default: the one that SOURCE answers.")
@click.option(
    "--jobs", type=click.IntRange(1, 64), help="Gradings at a time. Default: one per CPU."
)
@click.option("--out", type=click.Path(path_type=Path), help="Default: classroom/grades.")
@click.option("--force", is_flag=True, help="Also grade what has not changed.")
@click.option("--changed-since", "since", metavar="COMMIT", help="Grade again if checks differ.")
@click.option("--yes", is_flag=True, help="Write what --changed-since finds without asking.")
@click.option("--trusted", is_flag=True, help="No sandboxes: only for answers that you trust.")
@click.option("--gradebook", metavar="URL", help="nbgrader's. Default: classroom/gradebook.db.")
@click.option(
    "--name-pattern", default="", metavar="REGEX", help="Finds the group `learner` in each path."
)
@click.option(
    "--scheduler", default="", metavar="ADDRESS", help="Dask scheduler, whose workers grade."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON for programs.")
def command(
    source: Path | None,
    module: str | None,
    jobs: int | None,
    out: Path | None,
    force: bool,
    since: str | None,
    yes: bool,
    trusted: bool,
    gradebook: str | None,
    name_pattern: str,
    scheduler: str,
    as_json: bool,
) -> int:
    """Grade SOURCE: nbgrader's submitted/, a folder of LEARNER.ipynb, or an LMS's download.

    Downloads from Canvas, Moodle, Blackboard, Brightspace and ILIAS are recognised, zipped or
    unpacked. For any other, --name-pattern is a regular expression that finds the learner's name
    in each path.

    Each submission gets an engine of its own, which is thrown away afterwards. A submission that
    has a result and has not changed isn't graded again. Each result is written to OUT at once.

    After you change checks, given files, images or the engine, --changed-since COMMIT grades
    everybody again if anything that grades this module differs from COMMIT. It prints who gains
    and who loses points, and writes nothing before you agree.

    To carry on after a stop, type the same command again.

    With --scheduler, the workers of a Dask scheduler grade, each in a clone of the same commit.

    Exit code 0: all were judged; 2: some could not be, a file's name doesn't say whose it is, or
    something went wrong on our side.

    \b
    Example:
      course grade classroom/submitted --module 02
      course grade ~/Downloads/submissions.zip --module 02 --jobs 4
      course grade classroom/submitted --module 02 --scheduler tls://head.example:8786
      course grade ~/repos --module 02 --name-pattern 'lab-(?P<learner>[^/]+)/.*[.]ipynb'
      course grade classroom/submitted --module 02 --changed-since v1.2
    """
    if scheduler and jobs:
        raise click.UsageError("--jobs is for this machine; a worker takes --nthreads at a time.")
    if source:
        require_source(source)
    layout = find_layout()
    catalogue = load_catalogue(layout)
    slug = catalogue.find(module).slug if module else ""
    if source and not slug:
        slug = answered_module(source, [m.slug for m in catalogue.modules], name_pattern)
    if not source or not slug:
        raise CourseError(
            "There is nothing to grade.",
            why="name a source, and the module too where the notebooks don't say it",
            fix="course grade classroom/submitted --module 02",
        )
    if yes and not since:
        raise CourseError("--yes needs --changed-since.", fix="--changed-since COMMIT --yes")
    room = layout.root / "classroom"
    address = whole_address(gradebook) if gradebook else default_address(room)
    found = find_submissions(source, slug, name_pattern)
    run = _Run(layout, catalogue.find(slug), out or room / "grades", address, found,
               scheduler)  # fmt: skip
    if since:
        with Console(stderr=True).status(f"comparing with {since} …"):
            touched = changed_since(layout, run.module, since)
        names = ", ".join(touched.names) or "nothing that grades it"
        click.echo(f"{slug}: changed since {since}: {names}", err=True)
        if not (touched.names or force):
            return 0
        fresh = Results(run.out / "again" / f"{slug}-{touched.mark}")
        run = replace(run, regrade=Regrade(run.results, fresh), yes=yes)
    return run.grade(jobs or os.cpu_count() or 2, force=force, trusted=trusted, as_json=as_json)


@dataclass(frozen=True)
class _Run:
    """One call of the command; see the help of its options."""

    layout: Layout
    module: Module
    out: Path
    gradebook: str
    found: Found
    scheduler: str
    regrade: Regrade | None = None
    yes: bool = False

    @property
    def results(self) -> Results:
        return Results(self.out / "results" / self.module.slug)

    @property
    def into(self) -> Results:
        """Where new results go: beside those that count, until a person has agreed."""
        return self.regrade.fresh if self.regrade else self.results

    def grade(self, jobs: int, *, force: bool, trusted: bool, as_json: bool) -> int:
        console = Console(stderr=True, highlight=False)
        slug = self.module.slug
        judge = None if self.scheduler else self._judge(console)
        by = graded_by(self.layout, self.module)
        left = left_to_grade(by, self.into, self.found.submissions, force=force)
        _print(console, self.found.matches[:_MOST_SHOWN])
        told = f"{slug}: {len(self.found.submissions)} submissions, {len(left)} to grade"
        how = f"{min(jobs, max(len(left), 1))} at a time" if judge else f"by {self.scheduler}"
        console.print(f"{told}, {how}", markup=False)
        if left:
            self._grade_left(console, judge, left, jobs, trusted=trusted)
        if self.regrade and not self._agreed(console, self.regrade):
            return 0
        keys = ((s, submission_key(s, by)) for s in self.found.submissions)
        found = [r for s, key in keys if (r := self.results.noted(s, key))]
        write_pages(self.out, slug, found)
        with console.status("writing the gradebook …") as status:
            write_gradebook(self.gradebook, found, status.update)
        self._tell(console, found, as_json=as_json)
        self._tell_left(console)
        return 0 if all(r.is_final for r in found) and not self.found.not_taken else 2

    def _judge(self, console: Any) -> Judge:
        with console.status("looking for the engine …") as status:
            engine = start_engine(status.update)
        return Judge(self.layout, self.module, engine)

    def _grade_left(
        self, console: Any, judge: Judge | None, left: list[HandedIn], jobs: int, *, trusted: bool
    ) -> None:
        kinds = (progress.BarColumn, progress.MofNCompleteColumn, progress.TimeElapsedColumn,
                 progress.TimeRemainingColumn)  # fmt: skip
        columns = [progress.TextColumn("{task.description}"), *(kind() for kind in kinds)]
        with progress.Progress(*columns, console=console) as bar:
            task = bar.add_task(self.module.slug, total=len(left))

            def on_result(result: Result) -> None:
                bar.advance(task)
                mark = "✓" if result.is_final else "!"
                report = result.report
                seconds = report.timings.get("total_s", 0)
                bar.print(f"{mark} {result.learner}  {report.points} of {report.max_points}"
                          f"  {seconds:.1f} s", markup=False)  # fmt: skip

            def on_trouble(learner: str, error: CourseError) -> None:
                bar.print(f"! {learner}: {error.what} {error.why}", markup=False, soft_wrap=True)

            def tell(text: str) -> None:
                bar.print(f"· {text}", markup=False, soft_wrap=True)

            told = Progress(on_result, on_trouble)
            if judge is None:
                self._grade_remotely(left, told, tell, trusted=trusted)
                return
            sandboxes = open_sandboxes(
                self.layout, self.module, judge.outer, tell,
                ahead=min(jobs, len(left), _MOST_AHEAD), wanted=len(left), trusted=trusted,
            )  # fmt: skip
            grade_cohort(judge, self.into, left, sandboxes, jobs=jobs, progress=told)

    def _agreed(self, console: Any, regrade: Regrade) -> bool:
        changes = regrade.changes(self.found.submissions)
        _print(console, [line for change in changes if (line := told_change(change))])
        _print(console, [told_all(changes) + ("" if self.yes else "; nothing is written yet")])
        if self.yes or click.confirm("Write these points?", err=True):
            regrade.take(changes)
            return True
        _print(
            console, ["· nothing is written; the same command asks again, and grades nothing twice"]
        )
        return False

    def _grade_remotely(
        self, left: list[HandedIn], told: Progress, tell: Callable[[str], None], *, trusted: bool
    ) -> None:
        require_dask()
        from coursework.cohort.remote.grading import grade_remotely  # noqa: PLC0415 - loads Dask

        grade_remotely(
            self.scheduler, self.layout, self.module, self.into, left,
            trusted=trusted, progress=told, tell=tell,
        )  # fmt: skip

    def _tell(self, console: Any, found: Sequence[Result], *, as_json: bool) -> None:
        if as_json:
            click.echo(json.dumps([
                {"learner": r.learner, "points": r.report.points, "is_final": r.is_final,
                 "max_points": r.report.max_points, "trouble": r.trouble} for r in found
            ], indent=1))  # fmt: skip
            return
        for check in summarise(found):
            counts = ", ".join(f"{n} {verdict}" for verdict, n in check.counts.items() if n)
            console.print(f"{check.name}: {counts}", markup=False)
            for text, count in check.seen:
                console.print(f"    {count} times: {text}", markup=False)
        unjudged = [r.learner for r in found if not r.is_final]
        if unjudged:
            console.print(f"! not judged, for you to look at: {', '.join(unjudged)}", markup=False)
        slug = self.module.slug
        console.print(f"✓ {self.out / slug}.csv, .html, feedback/{slug}/, and the gradebook",
                      markup=False, soft_wrap=True)  # fmt: skip

    def _tell_left(self, console: Any) -> None:
        """Name what was not graded: no file of a download goes without a word."""
        lines = [f"· {line}" for line in self.found.told]
        if paths := self.found.not_taken:
            lines.append(f"! not taken: {len(paths)} files whose names don't say whose they are")
            lines += [f"    {path}" for path in paths[:_MOST_NAMED]]
        _print(console, lines)


def _print(console: Any, lines: Sequence[str]) -> None:
    """Print lines that hold learners' names for files."""
    for line in lines:
        shown = printable(line.encode(errors="replace").decode()).replace("\n", " ")
        console.print(shown, markup=False, soft_wrap=True)
