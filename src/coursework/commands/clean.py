"""course clean: remove what ended checks left in the engine and in the cluster."""

import click

from coursework.cluster import Node
from coursework.cluster.namespace import remove_ended_namespaces
from coursework.containers.cleaning import clean
from coursework.engine import find_engine
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.sandbox.place import remove_ended_sockets
from coursework.trouble import CourseError


@click.command(name="clean")
@click.argument("module", required=False)
@click.option(
    "--all", "everywhere", is_flag=True, help="Of all clones on this machine; asks first."
)
@click.option("--yes", is_flag=True, help="With --all: do not ask.")
def command(module: str | None, everywhere: bool, yes: bool) -> None:
    """Remove what ended checks of this clone left; checks under way keep theirs.

    \b
    Example:
      course clean
      course clean 02-first-server
      course clean --all
    """
    engine = find_engine()
    if engine is None:
        raise CourseError(
            "No container engine answers: there is nothing to clean.", fix="course doctor"
        )
    if everywhere and not yes:
        click.confirm("Remove what checks of every clone on this machine have left?", abort=True)
    slug = load_catalogue(find_layout()).find(module).slug if module else None
    click.echo(f"Removed {clean(engine.client, slug, everywhere=everywhere)}.")
    remove_ended_sockets(engine)
    for node in (Node(engine), Node(engine, rootless=True)):
        if node.state != "running":
            continue
        if count := remove_ended_namespaces(node.api(), slug or "", everywhere=everywhere):
            click.echo(f"Removed {count} namespace{'' if count == 1 else 's'} of {node.name}.")
