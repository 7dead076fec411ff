"""course shell: a terminal in which docker, kubectl and course work as the lessons say."""

import os
import subprocess
from pathlib import Path

import click

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError


@click.command(name="shell")
@click.argument("module", required=False)
@click.option("-c", "text", metavar="COMMAND", help="Run this one command, then end.")
def command(module: str | None, text: str | None) -> int:
    """Open a terminal in a module's folder, with the course's programs and its container engine.

    Exit code: the shell's.

    \b
    Example:
      course shell 02-first-server
      course shell 02 -c 'docker ps'
    """
    from coursework.engine import start_engine  # noqa: PLC0415 - keeps --help quick
    from coursework.progress_line import steps  # noqa: PLC0415 - as above

    layout = find_layout()
    folder = layout.root
    if module:
        slug = load_catalogue(layout).find(module).slug
        folder = layout.work(slug)
        if not folder.is_dir():
            raise CourseError(
                f"{slug} is not begun: there is no work/{slug}.", fix=f"course start {slug}"
            )
    with steps() as tell:
        environment = start_engine(tell).environment()
    if not text:
        click.echo(f"A shell in {folder.relative_to(layout.root.parent)}; exit or Ctrl-D ends it.")
    return _run(folder, environment, text)


def _run(folder: Path, environment: dict[str, str], text: str | None) -> int:
    shell = os.environ.get("SHELL") or "sh"
    words = ["sh", "-c", text] if text else [shell]
    try:
        return subprocess.run(words, cwd=folder, env=environment, check=False).returncode
    except FileNotFoundError as error:
        raise CourseError(
            f"{shell} does not start.", why=str(error), fix="SHELL=sh course shell"
        ) from error
