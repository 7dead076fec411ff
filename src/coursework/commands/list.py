"""course list: the modules in order."""

import json
from dataclasses import asdict

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(as_json: bool) -> None:
    """List the modules in course order: passed ✓, begun ◐ or open ○, with your points.

    \b
    Example:
      course list
    """
    from coursework.modules.asking import standing as review_standing  # noqa: PLC0415 - quick --help
    from coursework.modules.progress import MARKS, standings  # noqa: PLC0415 - as above
    from coursework.modules.review import schedule  # noqa: PLC0415 - as above

    layout = find_layout()
    catalogue = load_catalogue(layout)
    if as_json:
        click.echo(json.dumps([asdict(m) for m in catalogue.modules], indent=2))
        return
    for standing in standings(layout, catalogue):
        module = standing.module
        points = f"{standing.points}/{standing.max_points}" if standing.max_points else ""
        click.echo(
            f"{MARKS[standing.state]} {module.slug:<24} {points:>6} {module.minutes:>4} min"
            f"  {module.title}"
        )
    if scheduled := schedule(layout, catalogue):
        click.echo(f"\n{review_standing(scheduled)}")
