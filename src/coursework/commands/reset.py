"""course reset: files of a module as they were at the start."""

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue


@click.command(name="reset")
@click.argument("module")
@click.argument("file", required=False, default="")
def command(module: str, file: str) -> None:
    """Put a module's files back as they were, or one FILE; yours stays beside it, with the date.

    \b
    Example:
      course reset 02-first-server
      course reset 02 exercise.ipynb
    """
    from coursework.modules.workspace import reset_module  # noqa: PLC0415 - keeps --help quick

    layout = find_layout()
    slug = load_catalogue(layout).find(module).slug
    done = reset_module(layout, slug, file)
    for reset in done:
        kept = f"; yours is {reset.kept.name}" if reset.kept else ""
        click.echo(f"✓ {reset.path.relative_to(layout.root)} is as it was{kept}")
    if not done:
        click.echo(f"✓ nothing to put back: {file or slug} is as it was")
    elif any(reset.path.suffix == ".ipynb" for reset in done):
        click.echo("Is it open in the lab? Choose File → Reload Notebook from Disk.")
