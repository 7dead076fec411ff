"""course clean: remove what ended checks left in the engine."""

import click

from coursework.catalogue import load_catalogue
from coursework.layout import find_layout
from coursework.trouble import CourseError


@click.command(name="clean")
@click.argument("module", required=False)
def command(module: str | None) -> None:
    """Remove what ended checks left in the engine; checks under way keep theirs.

    \b
    Example:
      course clean
      course clean 02-first-server
    """
    from coursework.containers.cleaning import clean  # noqa: PLC0415 - keeps --help quick
    from coursework.engine import find_engine  # noqa: PLC0415 - as above

    engine = find_engine()
    if engine is None:
        raise CourseError(
            "No container engine answers: there is nothing to clean.", fix="course doctor"
        )
    slug = load_catalogue(find_layout()).find(module).slug if module else None
    click.echo(f"Removed {clean(engine.client, slug)}.")
