"""course new: a module to begin with, which passes its own audit."""

import click

from coursework.layout import find_layout


@click.command(name="new")
@click.argument("slug")
@click.option("--title", help="The heading; made from the name by default.")
def command(slug: str, title: str | None) -> None:
    """Lay out a new module: lesson, exercise, checks, a wrong and a right answer.

    SLUG is two digits and words, such as 05-web-sockets.

    \b
    Example:
      course new 05-web-sockets --title "Web sockets"
      course audit 05
    """
    from coursework.authoring.new import new_module  # noqa: PLC0415 - keeps --help quick

    layout = find_layout()
    for path in new_module(layout, slug, title):
        click.echo(f"✓ {path.relative_to(layout.root)}")
    click.echo(f"✓ {layout.catalogue.relative_to(layout.root)}, one entry more")
    click.echo(
        f"Next: change them (CONTRIBUTING.md), then: course build {slug} && course audit {slug}"
    )
