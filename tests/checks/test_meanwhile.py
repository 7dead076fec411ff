"""A story beside the checks has its own log and command, until a check asks for its result."""

import threading

import pytest

from coursework.checks.builder import Builder
from coursework.checks.failure import Failure
from coursework.checks.load import at_once
from coursework.checks.meanwhile import Meanwhile

pytestmark = pytest.mark.engine

PROGRAM = {"Dockerfile": 'FROM busybox:1.37\nENTRYPOINT ["echo"]\n'}


@pytest.fixture
def run(run_of):
    return run_of(PROGRAM)


def test_a_story_goes_on_while_others_do(run):
    """Nobody waits for it before its result is asked for."""
    go = threading.Event()
    story = Meanwhile(run.evidence)(lambda: go.wait(20))
    go.set()
    assert story.result() is True


def test_what_a_story_looks_at_is_not_the_running_checks(run):
    """The log and the command of a check are its own, whatever goes on beside it."""
    image = Builder(run).first_image()
    image.run(args=["of the check"])
    ran = threading.Event()

    def story():
        image.run(args=["of the story"])
        ran.set()

    Meanwhile(run.evidence)(story)
    assert ran.wait(30)
    assert run.evidence.log(None) == "of the check"


def test_the_check_that_asks_takes_over_what_the_story_saw(run):
    """Its report shows the story's log and command, and calls made at once belong to it too."""
    image = Builder(run).first_image()

    def story():
        with at_once(lambda word: image.run(args=[word]), ["one"]) as crowd:
            pass
        return crowd.results()[0]

    told = Meanwhile(run.evidence)(story)
    image.run(args=["of the check"])
    finished = told.result()
    assert run.evidence.log(None) == "one"
    seen = run.evidence.command(None)
    assert seen.startswith(f"docker logs {finished.container_name}; docker inspect ")


def test_a_failure_in_a_story_is_the_failure_of_the_check_that_asks(run):
    """It is raised where the result is asked for, with its own words."""

    def story():
        raise Failure("a light", "darkness", command="docker ps")

    with pytest.raises(Failure, match="looked for a light, saw darkness"):
        Meanwhile(run.evidence)(story).result()
