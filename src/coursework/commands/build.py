"""course build: exercises derived from their source."""

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue


@click.command(name="build")
@click.argument("modules", nargs=-1)
@click.option("--check", "only_look", is_flag=True, help="Change nothing; exit 1 on a difference.")
def command(modules: tuple[str, ...], only_look: bool) -> int:
    """Derive exercises/ from solutions/, all modules by default.

    Files whose source is gone are removed from exercises/.

    \b
    Example:
      course build 02-first-server
      course build --check
    """
    from coursework.authoring.derive import compare, write  # noqa: PLC0415 - keeps --help quick
    from coursework.progress_line import steps  # noqa: PLC0415 - as above

    layout = find_layout()
    catalogue = load_catalogue(layout)
    slugs = [catalogue.find(m).slug for m in modules] or [m.slug for m in catalogue.modules]
    differences = []
    with steps() as tell:
        for slug in dict.fromkeys(slugs):
            tell(f"deriving {slug}")
            differences += compare(layout, slug)
    words = {"missing": "added", "outdated": "changed", "surplus": "removed"}
    for found in differences:
        name = found.path.relative_to(layout.root)
        if only_look:
            click.echo(f"✗ {name} is {found.state}")
        else:
            write(found)
            click.echo(f"✓ {name} {words[found.state]}")
    if not differences:
        click.echo("✓ exercises/ is up to date")
    elif only_look:
        click.echo(f"{len(differences)} differ; to derive them: course build {' '.join(modules)}")
        return 1
    return 0
