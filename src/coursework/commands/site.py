"""course site: the lessons as a web site."""

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue


@click.command(name="site")
def command() -> None:
    """Build the site into build/site; lessons that changed are run first, for their outputs.

    \b
    Example:
      course site
      python -m http.server --directory build/site
    """
    from coursework.engine import start_engine  # noqa: PLC0415 - keeps --help quick
    from coursework.progress_line import steps  # noqa: PLC0415 - as above
    from coursework.publishing.building import build_site, run_changed_lessons  # noqa: PLC0415

    layout = find_layout()
    with steps() as tell:
        run_changed_lessons(layout, load_catalogue(layout), start_engine, tell)
        tell("building the pages")
        build_site(layout)
    click.echo("✓ build/site\n  see it: python -m http.server --directory build/site")
