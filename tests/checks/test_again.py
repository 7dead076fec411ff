"""The line that shows a failure again works where the learner types it."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from coursework.checks.again import again
from coursework.checks.evidence import Evidence
from coursework.checks.failure import CHECK_AGAIN, BuildFailure, Failure
from coursework.checks.home import Home

FAILED = Failure("200", "404", command="curl -i 'http://localhost:1/a b'")


def _refused():
    raise Failure("a reply", "connection refused")


@pytest.fixture
def run():
    """Return what of a run is asked here: a sandboxed one in work/07-docker-basics."""
    home = Home("course check 07-docker-basics", Path("/clone/work/07-docker-basics"))
    return SimpleNamespace(
        task=SimpleNamespace(home=home, module=SimpleNamespace(slug="07-docker-basics")),
        services=SimpleNamespace(engine=SimpleNamespace(is_sandbox=True)),
        evidence=Evidence(),
    )


def test_in_the_learners_own_engine_it_is_typed_as_it_is(run):
    run.services.engine.is_sandbox = False
    run.evidence.note_command("docker logs x", is_fleeting=True)
    assert again(run, "up", FAILED, is_last=False) == FAILED.command
    assert again(run, "up", None, is_last=False) == "docker logs x"


def test_in_an_engine_that_is_thrown_away_it_is_typed_inside(run):
    command = again(run, "up", FAILED, is_last=False)
    inside = "\"curl -i 'http://localhost:1/a b'\""
    assert command == f"course shell 07-docker-basics --failed -c {inside}"


def test_what_later_checks_change_there_is_checked_again(run):
    """A container of the run stays as it was; what a script has started does not."""
    run.evidence.note_command("docker inspect lantern", is_fleeting=True)
    again_only = "course check 07-docker-basics --only up"
    assert again(run, "up", None, is_last=False) == again_only
    assert again(run, "up", None, is_last=True).endswith("--failed -c 'docker inspect lantern'")
    run.evidence.note_command("docker logs x")
    assert "--failed" in again(run, "up", None, is_last=False)


def test_a_build_is_tried_in_the_learners_folder(run):
    """There the learner changes the file; where there is no folder, it is checked again."""
    build = "docker build /clone/work/07-docker-basics"
    failed = BuildFailure("an image", "none", command=build)
    assert again(run, "up", failed, is_last=False) == build
    failed.command = ""
    assert again(run, "up", failed, is_last=False) == "course check 07-docker-basics --only up"


@pytest.mark.parametrize("comes", [lambda: False, _refused])
def test_what_does_not_come_again_is_checked_again(run, comes):
    """A seat that is taken now is refused for another reason than the one that failed."""
    run.services.engine.is_sandbox = False
    failed = Failure("409", "201", command="curl -i http://localhost:1/")
    failed.comes_again = comes
    assert again(run, "books", failed, is_last=True) == "course check 07-docker-basics --only books"
    failed.comes_again = lambda: True
    assert again(run, "books", failed, is_last=True) == failed.command


@pytest.mark.parametrize("command", [CHECK_AGAIN, f"{CHECK_AGAIN}\ndocker logs database"])
def test_what_no_single_command_shows_is_checked_again(run, command):
    run.services.engine.is_sandbox = False
    run.evidence.note_command("curl -i http://localhost:1/")
    failed = Failure("1 time 201", "2 times 201", command=command)
    assert again(run, "books", failed, is_last=True) == "course check 07-docker-basics --only books"


def test_a_failure_without_a_command_is_checked_again(run):
    nothing = Failure("a file ops.sh", "there is none")
    assert again(run, "up", nothing, is_last=True) == "course check 07-docker-basics --only up"
