"""A run without checks: tests use the instruments as a check would."""

from contextlib import contextmanager

import pytest

from coursework.checks.builder import Builder
from coursework.checks.home import Home
from coursework.checks.run import CheckRun, Task
from coursework.checks.services import Services
from coursework.containers.building import Limits
from coursework.containers.runs import open_run
from coursework.images import ensure_images
from coursework.modules.catalogue import Module
from coursework.submissions.files import Submission
from tests.clone import own
from tests.engine.conftest import own_network

__all__ = ["own_network"]

MODULE = Module(own("98-checks"), "T", "P", ("o",), (), 5, ("busybox:1.37",))


@pytest.fixture
def run_of(engine, tmp_path):
    """Return a function that opens a run on files; what runs in it ends with the test."""
    with opened_runs(engine, tmp_path) as open_on:
        yield open_on


@pytest.fixture(scope="module")
def shared_run(engine, tmp_path_factory):
    """Return a run without files that all tests of a file share."""
    with opened_runs(engine, tmp_path_factory.mktemp("shared")) as open_on:
        yield open_on({})


@pytest.fixture
def image_of(run_of):
    """Return a function that builds an image of files."""
    return lambda files: Builder(run_of(files)).first_image()


@contextmanager
def opened_runs(engine, folder):
    """Yield a function that opens a run on files; their images go at the very end."""
    ensure_images(engine, MODULE.images)
    with open_run(MODULE.slug) as run:
        opened = []

        def open_on(files):
            told = {name: text.encode() for name, text in files.items()}
            submission = Submission(told, MODULE.slug)
            nobody = lambda _: None  # noqa: E731 - nobody listens
            task = Task(
                MODULE, submission, Home("course check", folder), 7, Limits(), nobody, nobody
            )
            opened.append(CheckRun(task, Services(engine, run)))
            return opened[-1]

        yield open_on
        for each in opened:
            each.close()
