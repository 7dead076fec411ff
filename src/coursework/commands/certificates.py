"""course certificates: for gradings on several machines, so that only those take part."""

import shlex
from pathlib import Path

import click

from coursework.cohort.remote.connection import require_dask


@click.command(name="certificates")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(folder: Path) -> None:
    """Write certificates into FOLDER for `course grade --scheduler tls://…`.

    Copy FOLDER to the same place on each machine, and name it in DASK_CONFIG there: for the
    scheduler, for each worker, and where you type `course grade`. Anyone who has its key can take
    part, so guard it like a password.

    \b
    Example:
      course certificates ~/dask-tls
      export DASK_CONFIG=~/dask-tls
      dask scheduler --protocol tls
    """
    require_dask()
    from coursework.cohort.remote.certificates import write_certificates  # noqa: PLC0415 - an extra

    ends = write_certificates(folder)
    place = shlex.quote(str(folder.absolute()))
    click.echo(f"✓ {folder} holds certificates until {ends:%d %B %Y}")
    click.echo(f"On each machine, with this folder in the same place: export DASK_CONFIG={place}")
