"""course site: the lessons as a web site."""

import click

from coursework.layout import find_layout


@click.command(name="site")
def command() -> None:
    """Build the site into build/site, with the outputs that lessons were recorded with.

    Nothing runs: a lesson whose code is newer than its outputs is named, with the command.

    \b
    Example:
      course site
      python -m http.server --directory build/site
    """
    from coursework.progress_line import steps  # noqa: PLC0415 - keeps --help quick
    from coursework.publishing.building import build_site  # noqa: PLC0415 - as above

    layout = find_layout()
    with steps() as tell:
        tell("building the pages")
        build_site(layout)
    click.echo("✓ build/site\n  see it: python -m http.server --directory build/site")
