"""course wrong: wrong answers as diffs against the reference solution."""

from pathlib import Path

import click

from coursework.authoring.diffs import DiffError, apply_what_fits
from coursework.authoring.mistakes import (
    Mistake,
    Solution,
    find_mistakes,
    mistake_named,
    read_mutated,
)
from coursework.files import lay_files
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError


@click.command(name="wrong")
@click.argument("module")
@click.argument("mistake", required=False)
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Lay the solution out in a new folder, with the mistake in it if there is one.",
)
@click.option(
    "--save",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the diff from the solution to an edited folder.",
)
@click.option("--why", metavar="TEXT", help="With --save: the mistake in one plain sentence.")
@click.option("--refresh", is_flag=True, help="Rewrite diffs whose line numbers are out of date.")
def command(
    module: str,
    mistake: str | None,
    into: Path | None,
    save: Path | None,
    why: str | None,
    *,
    refresh: bool,
) -> int:
    """List a module's mistakes, or write one: a diff against the reference solution.

    MISTAKE is a check and a name, such as quick_start/json_as_text.
    It is the file graders/NN/wrong/quick_start/json_as_text.diff.

    Exit code 0: done; 1: a diff no longer applies; 2: trouble on our side.

    \b
    Example:
      course wrong 02
      course wrong 02 quick_start/json_as_text --into /tmp/mistake
      course wrong 02 quick_start/json_as_text --save /tmp/mistake --why "The JSON is sent as text."
      course wrong 02 --refresh
    """
    layout = find_layout()
    solution = Solution(layout, load_catalogue(layout).find(module).slug)
    if sum((into is not None, save is not None, refresh)) > 1:
        raise click.UsageError("--into, --save and --refresh exclude each other")
    if (into or save) and mistake is None:
        raise click.UsageError("name the mistake, such as quick_start/json_as_text")
    if why is not None and save is None:
        raise click.UsageError("--why belongs to --save")
    may_be_new = bool(into or save)
    named = mistake_named(solution, mistake, may_be_new=may_be_new) if mistake else None
    if named and into:
        return _lay_out(named, into)
    if named and save:
        return _save(layout, named, save, why)
    chosen = find_mistakes(solution) if named is None else [named]
    return _refresh(layout, solution, chosen) if refresh else _list(solution, chosen)


def _lay_out(mistake: Mistake, folder: Path) -> int:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CourseError(
            f"{folder} is there already.", why="nothing is overwritten", fix=f"rm -r {folder}"
        )
    solution, rejected = mistake.solution, list[str]()
    is_new = not mistake.path.exists()
    try:
        files = solution.files if is_new else mistake.folder
    except DiffError:
        lay_files(folder, solution.files)
        rejected = apply_what_fits(folder, mistake.text)
        click.echo("! the diff no longer applies; what still fits was laid over the solution")
        click.echo("\n".join(f"    by hand: {name}" for name in rejected))
    else:
        lay_files(folder, files)
        what = "the solution, for a new mistake" if is_new else f"the mistake: {mistake.why}"
        click.echo(f"✓ {folder} holds {what}")
    why = ' --why "Say what is wrong."' if is_new else ""
    click.echo(f"Next: edit it, then: course wrong {solution.slug} {mistake.name}"
               f" --save {folder}{why}")  # fmt: skip
    return 0


def _save(layout: Layout, mistake: Mistake, folder: Path, why: str | None) -> int:
    old = mistake.why if mistake.path.exists() else ""
    mistake.write(read_mutated(folder), (old if why is None else why).strip())
    lines = mistake.path.read_text("utf-8").split("\n")
    changed = [line[6:] for line in lines if line.startswith("+++ b/")]
    gone = [line[6:] for line in lines if line.startswith("--- a/")]
    click.echo(f"✓ {mistake.path.relative_to(layout.root)} changes "
               + ", ".join(sorted({*changed, *gone})))  # fmt: skip
    click.echo(f"Next: course audit {mistake.solution.slug} --only wrong/{mistake.name}")
    return 0


def _refresh(layout: Layout, solution: Solution, mistakes: list[Mistake]) -> int:
    changed = stale = 0
    for mistake in mistakes:
        name = mistake.path.relative_to(layout.root)
        try:
            if mistake.refresh():
                changed += 1
                click.echo(f"✓ {name} rewritten")
        except DiffError as error:
            stale += 1
            click.echo(f"✗ {name}: {error.what}\n    {error.why}")
            click.echo(f"    → course wrong {solution.slug} {mistake.name} --into /tmp/mistake")
    rest = len(mistakes) - changed - stale
    click.echo(f"{rest} as they were, {changed} rewritten, {stale} to mend by hand")
    return 1 if stale else 0


def _list(solution: Solution, mistakes: list[Mistake]) -> int:
    for mistake in mistakes:
        click.echo(f"{mistake.name}\n    {mistake.why}")
    if not mistakes:
        click.echo(f"{solution.slug} has none yet; to write the first:"
                   f" course wrong {solution.slug} check/mistake --into /tmp/mistake")  # fmt: skip
    return 0
