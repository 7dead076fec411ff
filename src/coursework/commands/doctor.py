"""course doctor: what the course needs of this machine, with ✓ or the fix."""

import json
from dataclasses import asdict

import click

from coursework.layout import find_layout
from coursework.setup.doctor import examine

_SIGNS = {"ok": "✓", "warning": "!", "missing": "✗"}


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def command(as_json: bool) -> int:
    """Look at each part that the course needs; exit 0 only when it can run.

    \b
    Example:
      course doctor
    """
    parts = []
    for part in examine(find_layout()):
        parts.append(part)
        if not as_json:
            click.echo(f"{_SIGNS[part.state]} {part.name:<26} {part.seen}")
            if part.fix and part.state != "ok":
                click.echo(f"    fix   {part.fix}")
    runs = all(part.state != "missing" for part in parts)
    if as_json:
        click.echo(json.dumps({"runs": runs, "parts": [asdict(p) for p in parts]}, indent=2))
    return 0 if runs else 1
