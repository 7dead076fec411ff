"""course solution: our answer beside the learner's, and other right ones."""

import sys
from collections.abc import Mapping

import click

from coursework.layout import Layout, find_layout
from coursework.submissions.target import Target, find_target
from coursework.trouble import CourseError

_OURS = "solution"
_COLOURS = {"---": "bold", "+++": "bold", "@@ ": "cyan", "onl": "dim"}


@click.command(name="solution")
@click.argument("target")
@click.argument("answer", required=False, default=_OURS)
@click.option("--module", metavar="MODULE", help="The module, where the path does not tell.")
@click.option("--yes", is_flag=True, help="Do not ask, although some checks have not passed.")
def command(target: str, answer: str, module: str | None, yes: bool) -> None:
    """Show our solution beside your answer, as a diff; nothing of yours is changed.

    TARGET is a module, a notebook or a folder. ANSWER is another right answer, by its name: the
    last line says which there are.

    \b
    Example:
      course solution 02-first-server
      course solution 02 fastapi
    """
    layout = find_layout()
    found = find_target(layout, target, module)
    others = _others(layout, found)
    if answer != _OURS and answer not in others:
        raise CourseError(
            f"{found.module.slug} has no right answer named {answer!r}.",
            why=f"it has {', '.join([_OURS, *others])}",
        )
    if not _may_be_seen(layout, found, yes=yes):
        return
    _show(layout, found, answer, others)


def _others(layout: Layout, target: Target) -> Mapping[str, Mapping[str, bytes]]:
    from coursework.modules.module_files import right_answers  # noqa: PLC0415 - quick --help

    return right_answers(layout, target.module.slug)


def _may_be_seen(layout: Layout, target: Target, *, yes: bool) -> bool:
    """Ask twice where checks have not passed.

    Raises:
        CourseError: there is nobody to ask.
    """
    from coursework.report.record import last_report  # noqa: PLC0415 - quick --help

    slug = target.module.slug
    checks = (last_report(layout, slug) or {}).get("checks", [])
    missed = [check["name"] for check in checks if check["verdict"] != "passed"]
    if yes or (checks and not missed):
        return True
    state = f"{missed[0]} has not passed yet" if missed else "not all of its checks were run yet"
    if not sys.stdin.isatty():
        raise CourseError(
            f"The solution of {slug} comes after its checks have passed: {state}.",
            why="there is no terminal here to ask whether you want to see it anyway",
            fix=f"course check {slug}, or to see it anyway: course solution {slug} --yes",
        )
    click.echo(f"! {slug}: {state}.")
    if missed:
        click.echo(f"  `course hint {slug} {missed[0]}` shows nearly the code.")
    return click.confirm("Do you want to see our solution anyway?") and click.confirm(
        "What you find yourself, you remember. Really show it?"
    )


def _show(
    layout: Layout, target: Target, answer: str, others: Mapping[str, Mapping[str, bytes]]
) -> None:
    from coursework.authoring.mistakes import Solution  # noqa: PLC0415 - quick --help
    from coursework.modules.module_files import module_files  # noqa: PLC0415 - as above
    from coursework.report.comparison import comparison  # noqa: PLC0415 - as above

    slug = target.module.slug
    around = module_files(layout, slug)
    ours = Solution(layout, slug).files if answer == _OURS else others[answer]
    # Given files are laid over every answer: nobody wrote them.
    yours, theirs = (
        {
            name: data
            for name, data in {**around.starter, **files}.items()
            if name not in around.given
        }
        for files in (target.read().files, ours)
    )
    lines = list(comparison(yours, theirs, answer))
    for line in lines:
        click.echo(_coloured(line))
    if not lines:
        click.echo(f"✓ your answer to {slug} is {answer}, letter by letter")
    left = [name for name in (_OURS, *others) if name != answer]
    click.echo("\nAny answer that passes is right. Nothing of yours was changed.")
    if left:
        typed = "  or  ".join(f"course solution {slug} {name}" for name in left)
        click.echo(f"Other right answers: {typed}")


def _coloured(line: str) -> str:
    style = _COLOURS.get(line[:3])
    if style in ("bold", "dim"):
        return click.style(line, bold=style == "bold", dim=style == "dim")
    colour = style or {"+": "green", "-": "red"}.get(line[:1])
    return click.style(line, fg=colour)
