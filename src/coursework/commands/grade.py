"""course grade: a cohort's submissions, in parallel, each in an engine of its own."""

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich import progress
from rich.console import Console

from coursework.cohort.asked import Asked, from_options, remember, resumed, with_defaults
from coursework.cohort.class_report import summarise, write_pages
from coursework.cohort.gradebook import write_gradebook
from coursework.cohort.grading import Cohort, Progress, grade_cohort, left_to_grade
from coursework.cohort.judge import open_sandboxes
from coursework.cohort.results import Result, Results
from coursework.cohort.source import Found, HandedIn, answered_module, find_submissions
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
@click.option("--module", metavar="MODULE", help="The module; as SOURCE says by default.")
@click.option("--jobs", type=click.IntRange(1, 64), help="Gradings at a time; one a processor.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: classroom/grades.")
@click.option("--resume", is_flag=True, help="What you leave out is as in the last run.")
@click.option("--force", is_flag=True, help="Grade again what has not changed.")
@click.option("--trusted", is_flag=True, help="No sandboxes: only for answers that you trust.")
@click.option("--gradebook", metavar="URL", help="nbgrader's; default: classroom/gradebook.db.")
@click.option(
    "--name-pattern", default="", metavar="REGEX", help="Whose a path is, by the group learner."
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON for programs.")
def command(
    source: Path | None,
    module: str | None,
    jobs: int | None,
    out: Path | None,
    resume: bool,
    force: bool,
    trusted: bool,
    gradebook: str | None,
    name_pattern: str,
    as_json: bool,
) -> int:
    """Grade SOURCE: nbgrader's submitted/, a folder of LEARNER.ipynb, or a download, zip or not.

    Downloads of Canvas, Moodle, Blackboard, Brightspace and ILIAS are known. For another one say
    by --name-pattern, a regular expression of its paths, where the learner's name is.

    Each submission gets an engine of its own, which is thrown away. What has a result and has not
    changed is not graded again. Results stand in OUT, each in a file, as soon as they are there.

    To carry on after a stop, type the same command again. --resume is short for the last run's:
    it takes SOURCE, --module, --out and --gradebook from there where you leave them out.

    Exit code 0: all were judged; 2: some could not be, a file is nobody's, or trouble on our side.

    \b
    Example:
      course grade classroom/submitted --module 02
      course grade ~/Downloads/submissions.zip --module 02 --jobs 4
      course grade ~/repos --module 02 --name-pattern 'lab-(?P<learner>[^/]+)/.*[.]ipynb'
      course grade --resume
    """
    layout = find_layout()
    catalogue = load_catalogue(layout)
    asked = from_options(source, catalogue.find(module).slug if module else "", out, gradebook)
    asked = replace(asked, name_pattern=name_pattern)
    if resume:
        asked = resumed(layout, asked)
    if asked.source and not asked.module:
        slugs = [m.slug for m in catalogue.modules]
        asked = replace(
            asked, module=answered_module(Path(asked.source), slugs, asked.name_pattern)
        )
    asked = with_defaults(layout, asked)
    run = _Run(layout, asked)
    remember(layout, asked)
    return run.grade(jobs or os.cpu_count() or 2, force=force, trusted=trusted, as_json=as_json)


class _Run:
    """One call of the command."""

    def __init__(self, layout: Layout, asked: Asked) -> None:
        self._layout, self._out, self._gradebook = layout, Path(asked.out), asked.gradebook
        self._module: Module = load_catalogue(layout).find(asked.module)
        self._found: Found = find_submissions(Path(asked.source), asked.module, asked.name_pattern)
        self._submissions = self._found.submissions

    def grade(self, jobs: int, *, force: bool, trusted: bool, as_json: bool) -> int:
        console = Console(stderr=True, highlight=False)
        slug = self._module.slug
        with console.status("looking for the engine …") as status:
            engine = start_engine(status.update)
        results = Results(self._out / "results" / slug)
        cohort = Cohort(self._layout, self._module, engine, results)
        left = left_to_grade(cohort, self._submissions, force=force)
        _print(console, self._found.matches[:_MOST_SHOWN])
        told = f"{slug}: {len(self._submissions)} submissions, {len(left)} to grade"
        console.print(f"{told}, {min(jobs, max(len(left), 1))} at a time")
        if left:
            self._grade_left(console, cohort, left, jobs, trusted=trusted)
        found = [r for s in self._submissions if (r := results.read(s.learner))]
        write_pages(self._out, slug, found)
        with console.status("writing the gradebook …") as status:
            write_gradebook(self._gradebook, found, status.update)
        self._tell(console, found, as_json=as_json)
        self._tell_left(console)
        return 0 if all(r.is_final for r in found) and not self._found.not_taken else 2

    def _grade_left(
        self, console: Any, cohort: Cohort, left: list[HandedIn], jobs: int, *, trusted: bool
    ) -> None:
        kinds = (progress.BarColumn, progress.MofNCompleteColumn, progress.TimeElapsedColumn,
                 progress.TimeRemainingColumn)  # fmt: skip
        columns = [progress.TextColumn("{task.description}"), *(kind() for kind in kinds)]
        with progress.Progress(*columns, console=console) as bar:
            task = bar.add_task(cohort.module.slug, total=len(left))

            def on_result(result: Result) -> None:
                bar.advance(task)
                mark = "✓" if result.is_final else "!"
                report = result.report
                seconds = report.timings.get("total_s", 0)
                bar.print(f"{mark} {result.learner}  {report.points} of {report.max_points}"
                          f"  {seconds:.1f} s", markup=False)  # fmt: skip

            def on_trouble(learner: str, error: CourseError) -> None:
                bar.print(f"! {learner}: {error.what} {error.why}", markup=False)

            def tell(text: str) -> None:
                bar.print(f"· {text}", markup=False)

            sandboxes = open_sandboxes(
                self._layout, cohort.module, cohort.outer, tell,
                ahead=min(jobs, len(left), _MOST_AHEAD), wanted=len(left), trusted=trusted,
            )  # fmt: skip
            grade_cohort(
                cohort, left, sandboxes, jobs=jobs, progress=Progress(on_result, on_trouble)
            )

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
        slug = self._module.slug
        console.print(f"✓ {self._out / slug}.csv, .html, feedback/{slug}/, and the gradebook",
                      markup=False, soft_wrap=True)  # fmt: skip

    def _tell_left(self, console: Any) -> None:
        """Name what was not graded: no file of a download goes without a word."""
        lines = [f"· {line}" for line in self._found.told]
        if paths := self._found.not_taken:
            lines.append(f"! not taken: {len(paths)} files whose names don't say whose they are")
            lines += [f"    {path}" for path in paths[:_MOST_NAMED]]
        _print(console, lines)


def _print(console: Any, lines: Sequence[str]) -> None:
    """Print lines in which learners' names for files stand."""
    for line in lines:
        shown = printable(line.encode(errors="replace").decode()).replace("\n", " ")
        console.print(shown, markup=False, soft_wrap=True)
