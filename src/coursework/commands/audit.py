"""course audit: the proof of the content."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import click
from rich.console import Console

from coursework.authoring.audit import Finding, Subject, audit_places, audit_structure
from coursework.authoring.audit.lessons import NAME, audit_lesson
from coursework.authoring.audit.recording import Recorder
from coursework.authoring.audit.running import chosen_answers, grade_answers
from coursework.checks.verdict import Report
from coursework.engine import start_engine
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.progress_line import steps
from coursework.report.terminal import print_ending, print_result

Tell = Callable[[str], None]

_MOST_JOBS = 4
_SLOWEST = 5


@click.command(name="audit")
@click.argument("modules", nargs=-1)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    help="Gradings at a time; by default one for each core, up to 4, and one with --repeat."
    " Answers that share a cluster are graded one after another."
    " An answer that is not as it must be is graded once more, alone.",
)
@click.option(
    "--repeat",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Grade each answer that often, wrong ones after the first time by the check that they"
    " must fail; a verdict that changes is a finding.",
)
@click.option(
    "--quick",
    is_flag=True,
    help="Only the rules that need no container engine, and whether each proof is up to date.",
)
@click.option(
    "--record",
    is_flag=True,
    help="Prove what is new or changed; write graders/NN/proof.json and course/NN/outputs.json.",
)
@click.option("--all", "everything", is_flag=True, help="With --record: prove all of it again.")
@click.option(
    "--only",
    multiple=True,
    metavar="NAME",
    help="Only this and show it whole: solution, blank, wrong/…, right/…, junk/…, lesson.",
)
def command(modules: tuple[str, ...], **options: Any) -> int:
    """Prove modules, all by default: report everything that does not hold.

    First what can be read: files, catalogue, links, derived notebooks.
    Then answers are graded: the solution and right answers pass, the blank exercise and junk pass
    nothing, each wrong answer fails exactly its check.
    Then lessons run, cell by cell.
    With --only, the `try` line of a wrong answer's failure is typed too, and must show what was
    seen.

    With --record the same is proved, and what holds is written down, to be committed.
    What was recorded is proved again only if something it depends on has changed: the lesson's
    code, the checks, the answer, given or starter files, an image. Prose and hints cost nothing.

    Exit code 0: nothing found; 1: something; 2: trouble on our side.

    \b
    Example:
      course audit 02-first-server
      course audit --quick
      course audit 02 --only wrong/quick_start/json_as_text
      course audit 02 --only wrong --repeat 5
      course audit 02 --record
    """
    jobs = options.pop("jobs") or _default_jobs(options["repeat"])
    chosen = _Chosen(jobs, **options)
    _refuse_together(chosen)
    layout = find_layout()
    catalogue = load_catalogue(layout)
    found_modules = [catalogue.find(m) for m in modules] or list(catalogue.modules)
    subjects = [Subject(layout, m) for m in dict.fromkeys(found_modules)]
    count = 0
    with steps() as tell:
        found = iter(() if modules or chosen.only else audit_places(layout))
        for finding in _all(found, subjects, chosen, tell):
            count += 1
            click.echo(str(finding))
    _tell_slowest(chosen.took)
    names = "1 module" if len(subjects) == 1 else f"{len(subjects)} modules"
    if count:
        click.echo(f"\n{count} finding{'' if count == 1 else 's'} in {names}")
        return 1
    click.echo(f"✓ nothing found in {names}")
    return 0


def _tell_slowest(took: dict[str, float]) -> None:
    """Say what took long, where there was more than one thing to wait for."""
    slowest = sorted(took.items(), key=lambda item: -item[1])[:_SLOWEST]
    if len(took) > 1:
        click.echo("slowest: " + " · ".join(f"{name} {seconds:.0f} s" for name, seconds in slowest))


@dataclass(frozen=True)
class _Chosen:
    """What the options say; see the help of each."""

    jobs: int
    repeat: int
    quick: bool
    record: bool
    everything: bool
    only: tuple[str, ...]
    took: dict[str, float] = field(default_factory=dict)


def _default_jobs(repeat: int) -> int:
    """Return one for each core; a verdict that may change is looked for in calm."""
    return min(os.cpu_count() or 1, _MOST_JOBS) if repeat == 1 else 1


def _refuse_together(chosen: _Chosen) -> None:
    if chosen.record and (chosen.quick or chosen.only):
        raise click.UsageError("--record proves a module whole: leave out --quick and --only.")
    if chosen.everything and not chosen.record:
        raise click.UsageError("--all belongs to --record: without it, all is proved anyway.")


def _all(
    found: Iterator[Finding], subjects: list[Subject], chosen: _Chosen, tell: Tell
) -> Iterator[Finding]:
    yield from found
    sound = []
    for subject in subjects:
        tell(f"{subject.slug} structure")
        # A proof is asked for where nothing is proved now.
        findings, can_run = audit_structure(subject, recorded=chosen.quick)
        # With --only a person looks at one answer; what keeps it from running is told all the same.
        hidden = chosen.only and can_run
        yield from (f for f in findings if not hidden or f.rule == "stale-mistake")
        if can_run and not (chosen.record and findings):
            sound.append(subject)
    if chosen.quick or not sound:
        return
    if chosen.record:
        for subject in sound:
            yield from _recorded(subject, chosen, tell)
    else:
        yield from _answers(sound, chosen, tell)
        yield from _lessons(sound, chosen, tell)


def _recorded(subject: Subject, chosen: _Chosen, tell: Tell) -> Iterator[Finding]:
    recorder = Recorder(subject, everything=chosen.everything)
    if recorder.is_whole():
        return
    # Answers first: a lesson takes minutes, and most mistakes are found without it.
    engine = start_engine(tell)
    yield from recorder.exercise(jobs=chosen.jobs, repeat=chosen.repeat, tell=tell)
    yield from recorder.lesson(engine, tell)
    chosen.took.update(recorder.took)
    if recorder.is_whole():
        click.echo(f"✓ graders/{subject.slug}/proof.json, course/{subject.slug}/outputs.json")


def _answers(subjects: list[Subject], chosen: _Chosen, tell: Tell) -> Iterator[Finding]:
    only = chosen.only
    if only:
        known = [a.name for s in subjects for a in chosen_answers(s, ())]
        # One that no longer applies is no answer, but a finding.
        known += [f"wrong/{mistake.name}" for s in subjects for mistake in s.mistakes]
        _refuse_unknown(only, known)
    # Where there is no engine, this says so once and not for each answer.
    start_engine(tell)
    answers = [(s, a) for s in subjects for a in chosen_answers(s, only)]
    for graded in grade_answers(
        answers, jobs=chosen.jobs, repeat=chosen.repeat, tell=tell, types=bool(only)
    ):
        chosen.took[f"{graded.subject.slug} {graded.answer.name}"] = graded.seconds
        if only:
            _show(graded.subject.slug, graded.answer.name, graded.outcomes)
        yield from graded.findings()


def _refuse_unknown(only: tuple[str, ...], names: list[str]) -> None:
    for name in only:
        folder = f"{name.rstrip('/')}/"
        if name != "lesson" and not any(n == name or n.startswith(folder) for n in names):
            raise click.BadParameter(f"{name!r} is none of lesson, {', '.join(names)}")


def _show(slug: str, name: str, outcomes: tuple[object, ...]) -> None:
    console = Console(highlight=False)
    for report in (o for o in outcomes if isinstance(o, Report)):
        console.print(f"\n{slug} {name}, seed {report.seed}", soft_wrap=True, markup=False)
        for result in report.checks:
            print_result(console, result)
        print_ending(console, report)


def _lessons(subjects: list[Subject], chosen: _Chosen, tell: Tell) -> Iterator[Finding]:
    if chosen.only and NAME not in chosen.only:
        return
    for subject in subjects:
        tell(f"{subject.slug} lesson, all cells in a fresh kernel")
        start = time.monotonic()
        yield from audit_lesson(subject, start_engine(tell), tell).findings
        chosen.took[f"{subject.slug} lesson"] = time.monotonic() - start
