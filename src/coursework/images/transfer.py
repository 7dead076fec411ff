"""Images as one stream of bytes: out of an engine, and into one or into a command of its own."""

import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO

from coursework.engine import Engine
from coursework.trouble import CourseError

BLOCK_BYTES = 1 << 20


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
        while block := process.stdout.read(BLOCK_BYTES):
            yield block
        if process.wait():
            raise CourseError("The images cannot be saved.", why=_said(errors), fix="course doctor")


def load_blocks(
    engine: Engine,
    blocks: Iterable[bytes],
    command: Iterable[str] = ("docker", "load", "--quiet"),
    refusal: str = "The engine refuses the images.",
) -> None:
    """Let an engine load what `docker save` wrote.

    Args:
        engine: which loads.
        blocks: what `docker save` wrote, in pieces of any size.
        command: that takes them.
        refusal: what is said where it does not.

    Raises:
        CourseError: the engine refuses them.
    """
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            list(command),
            env=engine.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
    ):
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        # Where the engine refuses, its own words follow.
        with suppress(BrokenPipeError):
            for block in blocks:
                process.stdin.write(block)
            process.stdin.close()
        if process.wait():
            why = _said(errors)
            full = "no space left on device" in why.lower()
            raise CourseError(refusal, why=why, fix="df -h" if full else "course doctor")


def _said(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace").strip()[-300:]
