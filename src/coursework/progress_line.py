"""Telling a person what takes time, while it takes it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def steps() -> Iterator[Callable[[str], None]]:
    """Yield a function that is told each step; a terminal shows the current one with a spinner.

    What is told goes to standard error, so that `--json` stays readable by programs.
    """
    if not sys.stderr.isatty():
        yield lambda step: click.echo(f"· {step}", err=True)
        return
    from rich.console import Console  # noqa: PLC0415 - not needed where nothing takes time

    with Console(stderr=True).status("") as status:
        yield status.update
