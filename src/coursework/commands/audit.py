"""course audit: the proof of the content."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue

if TYPE_CHECKING:
    from coursework.authoring.audit import Finding, Subject

Tell = Callable[[str], None]


@click.command(name="audit")
@click.argument("modules", nargs=-1)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Gradings at a time. Some checks measure time: take no more than half the cores.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Grade each answer that often; a verdict that changes is a finding.",
)
@click.option("--quick", is_flag=True, help="Only the rules that need no container engine.")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Only this and show it whole: solution, blank, wrong/…, right/…, junk/…, lesson.",
)
def command(
    modules: tuple[str, ...], jobs: int, repeat: int, quick: bool, only: tuple[str, ...]
) -> int:
    """Prove modules, all by default: report everything that does not hold.

    First what can be read: files, catalogue, links, derived notebooks.
    Then answers are graded: the solution and right answers pass, the blank exercise and junk pass
    nothing, each wrong answer fails exactly its check.
    Then lessons run, cell by cell.

    Exit code 0: nothing found; 1: something; 2: trouble on our side.

    \b
    Example:
      course audit 02-first-server
      course audit --quick
      course audit 02 --only wrong/quick_start/json_as_text
      course audit 02 --only wrong --repeat 5
    """
    from coursework.authoring.audit import Subject, audit_places  # noqa: PLC0415 - quick --help
    from coursework.progress_line import steps  # noqa: PLC0415 - as above

    layout = find_layout()
    catalogue = load_catalogue(layout)
    chosen = [catalogue.find(m) for m in modules] or list(catalogue.modules)
    subjects = [Subject(layout, m) for m in dict.fromkeys(chosen)]
    count = 0
    with steps() as tell:
        found = iter(() if modules or only else audit_places(layout))
        for finding in _all(found, subjects, jobs, repeat, only, tell, quick=quick):
            count += 1
            click.echo(str(finding))
    names = "1 module" if len(subjects) == 1 else f"{len(subjects)} modules"
    if count:
        click.echo(f"\n{count} finding{'' if count == 1 else 's'} in {names}")
        return 1
    click.echo(f"✓ nothing found in {names}")
    return 0


def _all(
    found: "Iterator[Finding]",
    subjects: "list[Subject]",
    jobs: int,
    repeat: int,
    only: tuple[str, ...],
    tell: Tell,
    *,
    quick: bool,
) -> "Iterator[Finding]":
    from coursework.authoring.audit import audit_structure  # noqa: PLC0415 - quick --help

    yield from found
    sound = []
    for subject in subjects:
        tell(f"{subject.slug} structure")
        findings, can_run = audit_structure(subject)
        # With --only a person looks at one answer; what keeps it from running is told all the same.
        yield from (f for f in findings if not (only and can_run) or f.rule == "stale-mistake")
        if can_run:
            sound.append(subject)
    if not quick and sound:
        yield from _answers(sound, jobs, repeat, only, tell)
        yield from _lessons(sound, only, tell)


def _answers(
    subjects: "list[Subject]", jobs: int, repeat: int, only: tuple[str, ...], tell: Tell
) -> "Iterator[Finding]":
    from coursework.authoring.audit.running import (  # noqa: PLC0415 - loads the engine's client
        chosen_answers,
        grade_answers,
    )
    from coursework.engine import start_engine  # noqa: PLC0415 - as above

    if only:
        known = [a.name for s in subjects for a in chosen_answers(s, ())]
        # One that no longer applies is no answer, but a finding.
        known += [f"wrong/{mistake.name}" for s in subjects for mistake in s.mistakes]
        _refuse_unknown(only, known)
    # Where there is no engine, this says so once and not for each answer.
    start_engine(tell)
    chosen = [(s, a) for s in subjects for a in chosen_answers(s, only)]
    for graded in grade_answers(chosen, jobs=jobs, repeat=repeat, tell=tell):
        if only:
            _show(graded.subject.slug, graded.answer.name, graded.outcomes)
        yield from graded.findings()


def _refuse_unknown(only: tuple[str, ...], names: list[str]) -> None:
    for name in only:
        folder = f"{name.rstrip('/')}/"
        if name != "lesson" and not any(n == name or n.startswith(folder) for n in names):
            raise click.BadParameter(f"{name!r} is none of lesson, {', '.join(names)}")


def _show(slug: str, name: str, outcomes: tuple[object, ...]) -> None:
    from rich.console import Console  # noqa: PLC0415 - quick --help

    from coursework.checks.verdict import Report  # noqa: PLC0415 - as above
    from coursework.report.terminal import print_ending, print_result  # noqa: PLC0415 - as above

    console = Console(highlight=False)
    for report in (o for o in outcomes if isinstance(o, Report)):
        console.print(f"\n{slug} {name}, seed {report.seed}", soft_wrap=True, markup=False)
        for result in report.checks:
            print_result(console, result)
        print_ending(console, report)


def _lessons(subjects: "list[Subject]", only: tuple[str, ...], tell: Tell) -> "Iterator[Finding]":
    from coursework.authoring.audit.lessons import NAME, audit_lesson  # noqa: PLC0415 - as above
    from coursework.engine import start_engine  # noqa: PLC0415 - as above

    if only and NAME not in only:
        return
    for subject in subjects:
        tell(f"{subject.slug} lesson, all cells in a fresh kernel")
        yield from audit_lesson(subject, start_engine(tell), tell)
