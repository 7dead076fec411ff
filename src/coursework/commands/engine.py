"""course engine: the container engine that everything runs in."""

import json
import os

import click

from coursework.engine import address, buildx, find_engine, start_engine, use
from coursework.engine.private import private_engine
from coursework.progress_line import steps


@click.group(name="engine")
def command() -> None:
    """Start, stop or show the container engine.

    \b
    Example:
      course engine status
    """


@command.command()
def start() -> None:
    """Find the user's own Docker, or start the course's private engine."""
    with steps() as tell:
        engine = start_engine(tell)
        trouble = buildx.bring(tell)
    click.echo(f"✓ {engine.kind} engine at {engine.docker_host}")
    if trouble:
        click.echo(f"! {trouble}", err=True)


@command.command()
@click.option("--if-unused", is_flag=True, help="Leave it where a lab or a check uses it.")
def stop(if_unused: bool) -> None:
    """End the private engine with its containers; images stay, your own Docker too."""
    private = private_engine()
    if if_unused and use.is_used(private.folder):
        click.echo("The private engine is in use and keeps running.")
        return
    with steps() as tell:
        stopped = private.stop(tell)
    click.echo(
        "✓ private engine stopped; its images stay" if stopped else "No private engine runs."
    )


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def status(as_json: bool) -> None:
    """Show which engine answers; exit 1 where none does."""
    engine = find_engine()
    version = engine.client.version()["Version"] if engine else None
    looked_at = address.host_addresses()
    if not os.environ.get("DOCKER_HOST"):
        looked_at.append(private_engine().docker_host)
    shown = {
        "answers": engine is not None,
        "kind": engine.kind if engine else None,
        "docker_host": engine.docker_host if engine else None,
        "version": version,
        "looked_at": looked_at,
    }
    if as_json:
        click.echo(json.dumps(shown, indent=2))
    elif engine:
        click.echo(f"✓ {engine.kind} engine, Docker {version}, at {engine.docker_host}")
    else:
        told = " (DOCKER_HOST says so)" if os.environ.get("DOCKER_HOST") else ""
        click.echo(
            f"✗ no engine answers\n  why   looked at {', '.join(looked_at)}{told}"
            "\n  fix   course engine start"
        )
    if not engine:
        click.get_current_context().exit(1)
