"""course start: a copy of modules to work in."""

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue


@click.command(name="start")
@click.argument("modules", nargs=-1)
def command(modules: tuple[str, ...]) -> None:
    """Copy modules into work/, all by default; a file that you changed is never overwritten.

    \b
    Example:
      course start 02-first-server
    """
    from coursework.modules.workspace import start_modules  # noqa: PLC0415 - keeps --help quick

    layout = find_layout()
    catalogue = load_catalogue(layout)
    slugs = [catalogue.find(m).slug for m in modules] or [m.slug for m in catalogue.modules]
    for laid in start_modules(layout, slugs):
        if laid.state == "beside":
            click.echo(f"! you changed the original; the newer version is {laid.path.name}")
    for slug in slugs:
        click.echo(f"✓ {layout.work(slug).relative_to(layout.root)}/lesson.ipynb, exercise.ipynb")
    click.echo("Next: make lab, or: course check " + slugs[0])
