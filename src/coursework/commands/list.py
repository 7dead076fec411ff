"""course list: the modules in order."""

import json
from dataclasses import asdict

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue


@click.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(as_json: bool) -> None:
    """List the modules in course order.

    \b
    Example:
      course list
    """
    modules = load_catalogue(find_layout()).modules
    if as_json:
        click.echo(json.dumps([asdict(m) for m in modules], indent=2))
        return
    for module in modules:
        click.echo(f"{module.slug:<24} {module.minutes:>4} min  {module.title}")
