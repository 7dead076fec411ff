"""A run without checks: tests use the instruments as a check would."""

import pytest

from coursework.checks.session import Session, Task
from coursework.containers.building import Limits
from coursework.containers.cleaning import clean
from coursework.containers.runs import open_run
from coursework.images import ensure_images
from coursework.modules.catalogue import Module
from coursework.submissions.files import Submission
from tests.clone import own

MODULE = Module(own("98-checks"), "T", "P", ("o",), (), 5, ("busybox:1.37",))


@pytest.fixture
def session_of(engine, tmp_path):
    """Return a function that opens a run on files; all that it makes is removed afterwards."""
    ensure_images(engine, MODULE.images)
    with open_run(MODULE.slug) as run:
        opened = []

        def open_session(files):
            told = {name: text.encode() for name, text in files.items()}
            submission = Submission(told, MODULE.slug)
            nobody = lambda _: None  # noqa: E731 - nobody listens
            task = Task(MODULE, submission, tmp_path, 7, Limits(), nobody, nobody)
            opened.append(Session(engine, run, task))
            return opened[-1]

        yield open_session
        for session in opened:
            session.close(keep_failed=False)
    clean(engine.client, MODULE.slug)
