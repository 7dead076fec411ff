"""course check: build an answer, probe it, say what was seen."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import click

from coursework.layout import Layout, find_layout
from coursework.submissions.target import Target, find_target


@click.command(name="check")
@click.argument("target", required=False)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Run this check alone; may be repeated."
)
@click.option("--module", metavar="MODULE", help="The module, where the path does not tell.")
@click.option("--watch", is_flag=True, help="Check again whenever the notebook is saved.")
@click.option("--seed", type=int, help="Repeat an earlier run's random values.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON for programs.")
def command(
    target: str | None,
    only: tuple[str, ...],
    module: str | None,
    watch: bool,
    seed: int | None,
    as_json: bool,
) -> int:
    """Check an answer: TARGET is a module, a notebook or a folder; this folder by default.

    Exit code 0: all passed; 1: some did not; 2: trouble on our side.

    \b
    Example:
      course check 02-first-server
      course check work/02-first-server/exercise.ipynb --only quick_start
      course check 02 --watch
    """
    layout = find_layout()
    found = find_target(layout, target, module)

    def check_once() -> int:
        return _check(layout, found, only, seed, as_json=as_json)

    return _watch(found, check_once) if watch else check_once()


def _check(
    layout: Layout, target: Target, only: tuple[str, ...], seed: int | None, *, as_json: bool
) -> int:
    # Loaded here, so that a typing mistake is answered at once.
    from rich.console import Console  # noqa: PLC0415

    from coursework.grading.yours import grade_yours  # noqa: PLC0415
    from coursework.modules.progress import record_report  # noqa: PLC0415
    from coursework.report.terminal import print_ending, print_result  # noqa: PLC0415

    # Notebooks set FORCE_COLOR, yet a cell keeps each frame of a spinner.
    is_terminal = (sys.stderr if as_json else sys.stdout).isatty()
    console = Console(stderr=as_json, highlight=False, force_terminal=is_terminal)
    submission = target.read()
    with console.status("looking for the engine …") as status:

        def on_step(text: str) -> None:
            status.update(f"{target.module.slug}: {_plain(text)}")

        def on_result(result: Any) -> None:
            if not as_json:
                print_result(console, result)

        report = grade_yours(
            layout, target.module, submission.files, target.home(),
            tell=on_step, only=only, seed=seed, on_result=on_result,
        )  # fmt: skip
    told = (*report.warnings, *submission.warnings, *target.differences(submission))
    report = replace(report, warnings=told)
    next_step = "" if only else record_report(layout, report).told
    if as_json:
        click.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    else:
        print_ending(console, report, next_step)
    return report.exit_code


def _plain(text: str) -> str:
    from rich.markup import escape  # noqa: PLC0415

    from coursework.report.lines import printable  # noqa: PLC0415

    return escape(printable(text)[:100])


def _watch(target: Target, check_once: Callable[[], int]) -> int:
    from watchfiles import watch  # noqa: PLC0415

    from coursework.trouble import CourseError  # noqa: PLC0415

    def checked() -> int:
        try:
            return check_once()
        except CourseError as error:
            # A half-saved notebook is no reason to stop watching.
            click.echo(f"✗ {error}", err=True)
            return 2

    with _interrupts() as interrupts:
        # It looks from the first question on: what is saved while a check runs is seen after it.
        changes = watch(target.path, raise_interrupt=False, rust_timeout=50, yield_on_timeout=True)
        next(changes)
        status = checked()
        click.echo(f"Watching {target.path.name}; Ctrl-C ends.")
        for found in changes:
            if interrupts:
                break
            if found:
                click.echo()
                status = checked()
    return status


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Return a list that gets each Ctrl-C, besides its exception.

    Python drops an exception that comes while an object is thrown away, and the watching would
    go on.
    """
    seen: list[int] = []

    def note(number: int, _: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)
