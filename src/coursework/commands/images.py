"""course images: the base images that everything else is built on."""

import json
from collections.abc import Iterable
from pathlib import Path

import click

from coursework.engine import find_engine, start_engine
from coursework.images import ensure_images, known_images, take_inventory
from coursework.images.bundle import load_bundle, write_bundle
from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.progress_line import steps
from coursework.trouble import CourseError


@click.group(name="images", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="List them as JSON for programs.")
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """List, make, build, bundle and load the base images.

    \b
    Example:
      course images
      course images build node:24-slim
      course images bundle class.zip
    """
    if context.invoked_subcommand is None:
        context.invoke(list_images, as_json=as_json)


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def list_images(as_json: bool = False) -> None:
    """Show which images there are, their size, and which modules use them.

    \b
    Example:
      course images list --json
    """
    engine = find_engine()
    if engine is None:
        raise CourseError("No container engine runs.", fix="course engine start")
    inventory = take_inventory(engine, known_images())
    users = _users()
    if as_json:
        rows = [
            {"name": n, "state": p.state, "size_bytes": p.size_bytes, "modules": users.get(n, [])}
            for n, p in inventory.items()
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    for name, present in inventory.items():
        mark = "✓" if present.is_usable else "·"
        size = f"{present.size_bytes / 1e6:.0f} MB" if present.size_bytes else ""
        used = ", ".join(users.get(name, []))
        click.echo(f"{mark} {name:<20} {present.state:<12} {size:>8}  {used}".rstrip())
    if any(not p.is_usable for p in inventory.values()):
        click.echo("Missing ones are made on first use, or now by: course images build")


def _users() -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for module in load_catalogue(find_layout()).modules:
        for name in module.all_images:
            users.setdefault(name, []).append(module.slug)
    return users


@command.command(name="build")
@click.argument("names", nargs=-1)
def build_images(names: tuple[str, ...]) -> None:
    """Build absent or outdated images here, without a registry; all by default.

    \b
    Example:
      course images build python:3.13-slim
    """
    _make(names or known_images(), may_pull=False)


@command.command(name="make")
@click.argument("names", nargs=-1)
@click.option("--except", "left_out", multiple=True, metavar="NAME", help="Leave this one out.")
def make_images(names: tuple[str, ...], left_out: tuple[str, ...]) -> None:
    """Pull what is absent where a registry answers, and build the rest; all by default.

    \b
    Example:
      course images make --except course/kubernetes:1
    """
    _make([name for name in names or known_images() if name not in left_out])


def _make(names: Iterable[str], *, may_pull: bool = True) -> None:
    with steps() as tell:
        engine = start_engine(tell)
        made = ensure_images(engine, names, tell, may_pull=may_pull)
    inventory = take_inventory(engine, known_images())
    for name in made:
        click.echo(f"✓ {name}  {inventory[name].state}  {inventory[name].size_bytes / 1e6:.0f} MB")
    if not made:
        click.echo("✓ nothing to do: the images are there and up to date")


@command.command(name="bundle")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def bundle_images(file: Path) -> None:
    """Write all images into one file, with the packages of the exercises.

    \b
    Example:
      course images bundle class.zip
    """
    with steps() as tell:
        engine = start_engine(tell)
        ensure_images(engine, known_images(), tell)
        written = write_bundle(engine, take_inventory(engine, known_images()), file, tell)
    size = file.stat().st_size / 1e6
    click.echo(f"✓ {file}  {size:.0f} MB" + ("" if written else ", already up to date"))


@command.command(name="load")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def load_images(file: Path) -> None:
    """Load the images of a bundle.

    \b
    Example:
      course images load class.zip
    """
    with steps() as tell:
        engine = start_engine(tell)
        loaded = load_bundle(engine, file, take_inventory(engine, known_images()), tell)
    click.echo(f"✓ loaded {', '.join(loaded)}" if loaded else "✓ all of it is here already")
