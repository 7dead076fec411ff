"""The cluster's image takes minutes to build: it is built while other tests run."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest

from tests.running.groups import CLUSTERS, ByGroup, Groups, group_of

IMAGE = "course/kubernetes:1"
_ENDS_WITHIN_S = 30


def is_there() -> bool:
    """Tell whether clusters can start at once."""
    from coursework.engine import find_engine
    from coursework.images import known_images, take_inventory

    engine = find_engine()
    if engine is None:
        return False
    return take_inventory(engine, {IMAGE: known_images()[IMAGE]})[IMAGE].is_usable


def wait_for_it() -> None:
    """Wait until it is there; what it cannot be built for is told by whatever wants it."""
    from coursework.engine import start_engine
    from coursework.images import ensure_images
    from coursework.trouble import CourseError

    with suppress(CourseError):
        ensure_images(start_engine(), [IMAGE])


class Build:
    """A build of the image beside the tests; it ends with them."""

    def __init__(self) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed at the end
        course = Path(sys.executable).with_name("course")
        self._process = subprocess.Popen(
            [course, "images", "build", IMAGE],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, start_new_session=True,
        )  # fmt: skip

    def is_over(self) -> bool:
        """Tell whether it has ended, in an image or in an error."""
        return self._process.poll() is not None

    def last_line(self) -> str:
        """Return what it told last."""
        # The build writes where this file's own position is: it is not moved.
        number = self._log.fileno()
        text = os.pread(number, 2000, max(0, os.fstat(number).st_size - 2000))
        lines = text.decode(errors="replace").strip().splitlines() or [""]
        return lines[-1].strip("· ")

    def end(self) -> None:
        """Interrupt it where it still runs, and wait until its steps have ended."""
        if not self.is_over():
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._log.close()


class Beside:
    """Builds the image where the tests that were chosen want it and it is not there.

    Args:
        groups: of the tests.
    """

    def __init__(self, groups: Groups) -> None:
        self._groups = groups
        self.build: Build | None = None
        self._was_looked_for = False

    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        """Begin as soon as the tests are known."""
        wanted = any(self._groups.of(test) in CLUSTERS for test in ids)
        if wanted and not self._was_looked_for:
            self._was_looked_for = True
            self.build = None if is_there() else Build()

    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Any) -> ByGroup | None:
        """Let clusters wait for their image, and nobody else."""
        if config.getvalue("dist") != "loadgroup":
            return None
        return ByGroup(
            config, log, self._groups, lambda: self.build is not None and not self.build.is_over()
        )

    def pytest_sessionfinish(self) -> None:
        """Leave no build behind."""
        if self.build is not None:
            self.build.end()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Wait for the image before a test begins: no test's time is spent on it."""
    if group_of(item) in CLUSTERS:
        wait_for_it()
    return (yield)
