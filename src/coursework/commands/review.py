"""course review: the cards of passed modules, asked again when they are due."""

import shutil
import sys
from pathlib import Path

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

_WIDEST = 88


@click.command(name="review")
@click.option(
    "--anki",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the cards of passed modules to a file for Anki; importing it again updates them.",
)
def command(anki: Path | None) -> None:
    """Ask the cards that are due: 1, 3, 7, 21 and 60 days after you knew them last.

    The first time is the day after all checks of a module passed. You rate yourself; a card that
    you didn't know comes again tomorrow.

    \b
    Example:
      course review
      course review --anki http-to-kubernetes.apkg
    """
    from coursework.modules.asking import ask_cards, standing  # noqa: PLC0415 - quick --help
    from coursework.modules.review import due_cards, schedule  # noqa: PLC0415 - as above

    layout = find_layout()
    catalogue = load_catalogue(layout)
    scheduled = schedule(layout, catalogue)
    if anki:
        from coursework.modules.anki import write_anki  # noqa: PLC0415 - as above

        write_anki(anki, scheduled)
        click.echo(f"✓ {anki} holds {len(scheduled)} cards; in Anki: File → Import")
        return
    due = due_cards(scheduled)
    if due and not sys.stdin.isatty():
        raise CourseError(
            f"{len(due)} cards are due, and there is no terminal here to ask them in.",
            fix="type course review in a terminal, or review() in a notebook",
        )
    if due:
        rated = ask_cards(layout, due, _say, _ask)
        click.echo(f"\n{rated} of {len(due)} reviewed.")
    click.echo(standing(schedule(layout, catalogue)))


def _say(text: str) -> None:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    click.echo("\n".join(click.wrap_text(line, width) for line in text.split("\n")))


def _ask(prompt: str) -> str:
    typed: str = click.prompt(prompt, "", prompt_suffix="", show_default=False)
    return typed
