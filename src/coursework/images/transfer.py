"""Images as one stream of bytes: out of an engine and into one."""

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from coursework.engine import Engine
from coursework.trouble import CourseError

_BLOCK_BYTES = 1 << 20


def saved_blocks(engine: Engine, tags: list[str]) -> Iterator[bytes]:
    """Yield what `docker save` writes, block by block.

    Raises:
        CourseError: the engine cannot save them.
    """
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            ["docker", "save", *tags],
            env=engine.environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        while block := process.stdout.read(_BLOCK_BYTES):
            yield block
        if process.wait():
            raise CourseError("The images cannot be saved.", why=_said(errors), fix="course doctor")


def load_blocks(engine: Engine, source: IO[bytes], tell: Callable[[int], None]) -> None:
    """Let an engine load what `docker save` wrote.

    Args:
        engine: which loads.
        source: what `docker save` wrote.
        tell: is called with the size of each block.

    Raises:
        CourseError: the engine refuses it.
    """
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            ["docker", "load", "--quiet"],
            env=engine.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
    ):
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        try:
            while block := source.read(_BLOCK_BYTES):
                process.stdin.write(block)
                tell(len(block))
            process.stdin.close()
        except BrokenPipeError:
            # The engine refused; its own words follow.
            pass
        if process.wait():
            why = _said(errors)
            full = "no space left on device" in why.lower()
            raise CourseError(
                "The engine refuses the bundle.", why=why, fix="df -h" if full else "course doctor"
            )


def _said(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace").strip()[-300:]
