"""course shell: a terminal in which docker, kubectl and course work as the lessons say."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

if TYPE_CHECKING:
    from coursework.engine import Engine
    from coursework.modules.catalogue import Module


@click.command(name="shell")
@click.argument("module", required=False)
@click.option("-c", "text", metavar="COMMAND", help="Run this one command, then end.")
@click.option(
    "--failed",
    is_flag=True,
    help="Enter the engine that the last failed check of MODULE left, where it had its own.",
)
def command(module: str | None, text: str | None, *, failed: bool) -> int:
    """Open a terminal in a module's folder, with the course's programs and its container engine.

    Exit code: the shell's.

    \b
    Example:
      course shell 02-first-server
      course shell 02 -c 'docker ps'
      course shell 07 --failed -c 'docker ps --all'
    """
    from coursework.engine import start_engine  # noqa: PLC0415 - keeps --help quick
    from coursework.progress_line import steps  # noqa: PLC0415 - as above

    layout = find_layout()
    folder = layout.root
    found = load_catalogue(layout).find(module) if module else None
    slug = found.slug if found else ""
    if failed:
        return _enter(found, text)
    if slug:
        folder = layout.work(slug)
        if not folder.is_dir():
            raise CourseError(
                f"{slug} is not begun: there is no work/{slug}.", fix=f"course start {slug}"
            )
    with steps() as tell:
        environment = start_engine(tell).environment()
    if not text:
        click.echo(f"A shell in {folder.relative_to(layout.root.parent)}; exit or Ctrl-D ends it.")
    shell = os.environ.get("SHELL") or "sh"
    return _run(["sh", "-c", text] if text else [shell], folder, environment)


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> int:
    try:
        return subprocess.run(words, cwd=folder, env=environment, check=False).returncode
    except FileNotFoundError as error:
        raise CourseError(
            f"{words[0]} does not start.", why=str(error), fix="SHELL=sh course shell"
        ) from error


def _enter(module: "Module | None", text: str | None) -> int:
    """Run a shell, or one command, in the engine that a failed check has left."""
    from coursework.engine import find_engine  # noqa: PLC0415 - keeps --help quick
    from coursework.sandbox.inside import answer_folder, entering  # noqa: PLC0415 - as above

    if not module:
        raise click.UsageError("--failed wants a module, such as: course shell 07 --failed")
    slug = module.slug
    if not module.sandbox:
        raise CourseError(
            f"{slug} has no engine of its own.",
            why="what its checks start runs in the usual engine of this machine",
            fix=f"course shell {slug.partition('-')[0]}",
        )
    engine = find_engine()
    name = _kept(engine, slug) if engine else ""
    if not (engine and name):
        raise CourseError(
            f"No failed check of {slug} has left an engine of its own.",
            why="it ends with the next check, `course clean`, and the lab",
            fix=f"course check {slug}",
        )
    if not text:
        click.echo(
            "The engine of the last failed check, with the files that were checked in this folder;"
            " exit or Ctrl-D ends the shell."
        )
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    words = ["sh", "-c", text] if text else ["bash"]
    typed = entering(name, answer_folder(slug), words, terminal=terminal)
    return _run(typed, Path.cwd(), engine.environment())


def _kept(engine: "Engine", slug: str) -> str:
    from coursework.sandbox.place import find_kept  # noqa: PLC0415 - keeps --help quick

    return find_kept(engine, slug)
