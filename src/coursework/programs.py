"""Programs of this machine, run to their end."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run(command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program without input and return its exit code and what it printed, as text.

    Args:
        command: the program and its arguments.
        options: further ones of `subprocess.run`, such as `env`, `cwd` or `timeout`.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it was ended since it took too long.
    """
    kept: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run(command, check=False, **{**kept, **options})


def last_words(done: subprocess.CompletedProcess[str], lines: int = 1) -> str:
    """Return the last lines of what a program complained about, or else printed."""
    return "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-lines:])
