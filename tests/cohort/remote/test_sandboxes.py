"""Two workers grade in earnest, each with an engine of its own, and one of them is lost."""

import os
import signal
import time

import pytest

from tests.cohort.remote.conftest import ended, machines_in, results
from tests.cohort.test_faults import ANSWERS, EARNED
from tests.learners import POINTS, SLUG, left_behind, points


@pytest.mark.engine
@pytest.mark.timeout(600)
def test_a_class_on_two_workers_has_the_points_of_one_machine(cohort, start_machine, tmp_path):
    for learner, server in ANSWERS.items():
        cohort.hand_in(tmp_path / "in", learner, cohort.notebook(server_py=server))
    cohort.hand_in(tmp_path / "in", "cy", "{")
    clone = cohort.layout.root
    # One after the other: an engine that starts takes away what others have published.
    stays, breaks = start_machine(), start_machine()
    with machines_in(tmp_path / "room", preload="") as machines:
        machines.start_scheduler()
        first = machines.start_worker(clone, machine=stays.variables)
        lost = machines.start_worker(clone, machine=breaks.variables)
        run = machines.grade(clone, tmp_path, SLUG)
        told = wait_for(run, "is ready") + wait_for(run, "is ready") + wait_for(run, "✓")
        assert all(each.engine.client.containers.list() for each in (stays, breaks))
        os.kill(lost.pid, signal.SIGKILL)
        machines.start_worker(clone, machine=breaks.variables)
        told += ended(run)
        found = results(tmp_path, SLUG)
        assert {n: points(r) for n, r in found.items()} == {
            **EARNED, "cy": dict.fromkeys(POINTS, 0)
        }  # fmt: skip
        assert all(r.is_final and r.attempts == 1 for r in found.values())
        assert "was lost" in told
        assert left_behind(stays.engine) == []
        # Alone, the one that came back has to prepare, and finds what it left when it was lost.
        os.kill(first.pid, signal.SIGKILL)
        cohort.hand_in(tmp_path / "in", "eve", cohort.notebook(server_py=ANSWERS["ada"]))
        ended(machines.grade(clone, tmp_path, SLUG))
        assert points(results(tmp_path, SLUG)["eve"]) == POINTS
        assert left_behind(breaks.engine) == []


def wait_for(run, word):
    """Read until a line has a word."""
    told = ""
    while word not in (line := run.stdout.readline()):
        assert run.poll() is None, told
        told += line
        time.sleep(0.01)
    return told + line
