"""Two workers grade in earnest, one of them is lost: points are those of one machine."""

import os
import signal
import time

import pytest

from tests.cohort.remote.conftest import ended, machines_in, results
from tests.cohort.test_faults import ANSWERS, EARNED
from tests.learners import POINTS, SLUG, left_behind, points


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_a_class_on_two_workers_has_the_points_of_one_machine(cohort, tmp_path):
    for learner, server in ANSWERS.items():
        cohort.hand_in(tmp_path / "in", learner, cohort.notebook(server_py=server))
    cohort.hand_in(tmp_path / "in", "cy", "{")
    clone = cohort.layout.root
    variables = {"preload": "", "DOCKER_HOST": cohort.engine.docker_host}
    with machines_in(tmp_path / "room", **variables) as machines:
        machines.start_scheduler()
        machines.start_worker(clone)
        lost = machines.start_worker(clone)
        run = machines.grade(clone, tmp_path, SLUG)
        told = wait_for(run, "is ready") + wait_for(run, "is ready") + wait_for(run, "✓")
        os.kill(lost.pid, signal.SIGKILL)
        machines.start_worker(clone)
        told += ended(run)
        found = results(tmp_path, SLUG)
        assert {n: points(r) for n, r in found.items()} == {
            **EARNED, "cy": dict.fromkeys(POINTS, 0)
        }  # fmt: skip
        assert all(r.is_final and r.attempts == 1 for r in found.values())
        assert "was lost" in told
        assert left_behind(cohort.engine) == []


def wait_for(run, word):
    """Read until a line has a word."""
    told = ""
    while word not in (line := run.stdout.readline()):
        assert run.poll() is None, told
        told += line
        time.sleep(0.01)
    return told + line
