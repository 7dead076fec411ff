"""course hint: both hints of a check, and where the lesson explains it."""

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue


@click.command(name="hint")
@click.argument("module")
@click.argument("check")
def command(module: str, check: str) -> None:
    """Show the hints of a check: where to look, then nearly the code.

    \b
    Example:
      course hint 02-first-server quick_start
    """
    from coursework.report.hints import hints_of  # noqa: PLC0415 - quick --help

    layout = find_layout()
    for line in hints_of(layout, load_catalogue(layout).find(module).slug, check):
        click.echo(f"· {line}")
