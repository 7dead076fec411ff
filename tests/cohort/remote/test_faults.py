"""What can break between machines: each submission has one result all the same."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cohort.remote.conftest import ended, graded, hand_in, results
from tests.waiting import wait_until

pytestmark = pytest.mark.timeout(600)
RIGHT = dict.fromkeys(("ada", "bob", "cy"), "right")


def test_a_worker_that_is_killed_gives_its_submission_to_another(machines, clone, tmp_path):
    machines.start_scheduler()
    machines.start_worker(clone)
    machines.start_worker(clone)
    hand_in(tmp_path, **RIGHT, dee="waits")
    run = machines.grade(clone, tmp_path)
    wait_until((machines.room / "started").exists, within_s=150)
    os.kill(int((machines.room / "started").read_text()), signal.SIGKILL)
    (machines.room / "go").touch()
    said = ended(run)
    found = results(tmp_path)
    assert {n: r.report.points for n, r in found.items()} == dict.fromkeys([*RIGHT, "dee"], 10)
    assert all(r.is_final for r in found.values())
    assert sorted(word for word, _ in graded(machines)) == ["right"] * 3 + ["waits"] * 2
    assert said.count("✓ dee") == 1
    assert "! dee: the worker tcp://127.0.0.1:" in said
    assert "Dask's dashboard: http://127.0.0.1:" in said


@pytest.mark.nightly
def test_who_loses_two_workers_is_not_judged_and_the_others_are(machines, clone, tmp_path):
    machines.start_scheduler()
    machines.start_worker(clone, nanny=True)
    machines.start_worker(clone, nanny=True)
    hand_in(tmp_path, **RIGHT, dee="kills", eve="lies")
    said = ended(machines.grade(clone, tmp_path), 2)
    found = results(tmp_path)
    assert {name for name, r in found.items() if r.is_final} == set(RIGHT)
    assert found["dee"].trouble.startswith("It was given to 2 workers: the worker tcp://")
    assert [c.verdict for c in found["dee"].report.checks] == ["error"] * 5
    assert "its checks or points are not those of the module" in found["eve"].trouble
    assert [word for word, _ in graded(machines)].count("kills") == 2
    assert "not judged, for you to look at: dee, eve" in said


@pytest.mark.nightly
def test_when_the_scheduler_dies_the_run_ends_and_the_next_one_carries_on(
    machines, clone, tmp_path
):
    scheduler = machines.start_scheduler()
    machines.start_worker(clone)
    hand_in(tmp_path, **RIGHT, dee="waits")
    run = machines.grade(clone, tmp_path)
    wait_until((machines.room / "started").exists, within_s=150)
    os.killpg(scheduler.pid, signal.SIGKILL)
    said = ended(run, 2)
    assert "The scheduler is gone." in said
    assert "then type the command again" in said
    before = results(tmp_path)
    assert set(before) == set(RIGHT)
    (machines.room / "go").touch()
    (machines.room / "graded").unlink()
    machines.start_scheduler()
    machines.start_worker(clone)
    ended(machines.grade(clone, tmp_path))
    after = results(tmp_path)
    assert {name: after[name] for name in before} == before
    assert after["dee"].is_final
    assert [word for word, _ in graded(machines)] == ["waits"]


def test_a_worker_of_another_commit_is_named_and_not_used(machines, clone, tmp_path):
    ours, other = tmp_path / "ours", tmp_path / "other"
    for folder, note in ((ours, "one"), (other, "two")):
        shutil.copytree(clone, folder)
        commit(folder, note)
    machines.start_scheduler()
    machines.start_worker(other)
    hand_in(tmp_path, **RIGHT)
    said = ended(machines.grade(ours, tmp_path), 2)
    assert "No worker can grade for this clone." in said
    assert f"it has commit {head(other)[:9]}, this clone has {head(ours)[:9]}" in said
    machines.start_worker(ours)
    said = ended(machines.grade(ours, tmp_path))
    assert "is not used: it has commit" in said
    assert graded(machines) == [("right", str(ours))] * 3


def commit(folder, note):
    """Make a clone a repository with one commit."""
    author = ["-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", note]):
        subprocess.run(["git", "-C", folder, *words], check=True)


def head(folder):
    """Return the commit of a clone."""
    words = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.nightly
def test_a_worker_without_sandboxes_is_named_and_one_that_comes_later_is_used(
    machines, clone, tmp_path
):
    machines.start_scheduler()
    hand_in(tmp_path, **RIGHT)
    run = machines.grade(clone, tmp_path)
    told: list[str] = []
    while "waiting for a worker" not in "".join(told):
        told.append(run.stdout.readline())
    machines.start_worker(clone)
    assert "is ready for 1 at a time" in ended(run)
    machines.start_worker(clone, "--name", "without")
    (machines.room / "graded").unlink()
    hand_in(tmp_path, **RIGHT, dee="waits")
    run = machines.grade(clone, tmp_path)
    wait_until((machines.room / "started").exists, within_s=150)
    (machines.room / "go").touch()
    assert "is not used: it offers no sandbox" in ended(run)
    assert [word for word, _ in graded(machines)] == ["waits"]


def test_no_scheduler_is_said_in_words(machines, clone, tmp_path):
    hand_in(tmp_path, **RIGHT)
    said = ended(machines.grade(clone, tmp_path), 2)
    assert f"No scheduler answers at {machines.address}." in said
    assert not Path(tmp_path / "out" / "results").exists()
