"""The buildx plugin where the distribution has none: out of a newer Debian's package."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from coursework.engine import command_line
from coursework.layout import find_layout

if TYPE_CHECKING:
    from coursework.engine.connection import Engine

_SOURCE = "debian:trixie-slim"
# The container only fetches; what it fetched is unpacked there and copied out.
_FETCH = """
set -e
cd /tmp
apt-get update -q
apt-get download -q docker-buildx
dpkg-deb -x docker-buildx_*.deb unpacked
cat "$(find unpacked -name docker-buildx -type f | head -n 1)" > /out/docker-buildx
"""
_FETCHED_WITHIN_S = 300


@contextmanager
def fetching_in_background(engine: "Engine") -> Iterator[None]:
    """Fetch buildx meanwhile, where there is none; what is not done at the end is given up."""
    if command_line.find_buildx():
        yield
        return
    with (find_layout().state / "buildx.log").open("wb") as log:
        fetching = subprocess.Popen(
            [sys.executable, "-m", "coursework.engine.buildx"],
            env=engine.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        if fetching.poll() is None:
            os.killpg(fetching.pid, signal.SIGTERM)
        fetching.wait()


def fetch(engine: "Engine") -> Path:
    """Fetch buildx into the user's cache and put it beside the course's Docker settings.

    Raises:
        CourseError: the image that it is fetched in cannot be made.
        subprocess.CalledProcessError: the package cannot be fetched.
    """
    from coursework.images import ensure_images  # noqa: PLC0415 - images build on this package

    target = command_line.buildx_cache()
    target.parent.mkdir(parents=True, exist_ok=True)
    ensure_images(engine, [_SOURCE])
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        subprocess.run(
            ["docker", "run", "--rm", "-v", f"{folder}:/out", _SOURCE, "sh", "-c", _FETCH],
            env=engine.environment(),
            timeout=_FETCHED_WITHIN_S,
            check=True,
        )
        fetched = Path(folder) / "docker-buildx"
        fetched.chmod(0o755)
        fetched.replace(target)
    command_line.link_plugins(find_layout().state / "docker")
    return target


if __name__ == "__main__":
    from coursework.engine import find_engine

    if (found := find_engine()) and not command_line.find_buildx():
        fetch(found)
