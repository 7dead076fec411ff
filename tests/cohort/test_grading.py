"""A class graded in sandboxes: each submission once, equal to `course check`, nothing left."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from coursework.cohort.gradebook import write_gradebook
from coursework.cohort.grading import Progress
from coursework.cohort.results import Results
from coursework.containers.runs import LABEL_RUN
from coursework.layout import user_cache
from coursework.sandbox.place import socket_folders
from tests.clone import clone_with_tiny
from tests.learners import POINTS, RIGHT, SLUG, Class, left_behind, points

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sandboxes")]
HALF = RIGHT.replace('b"hello"', 'b"<b>hi</b>"')


@pytest.fixture(scope="module")
def term(cohort, tmp_path_factory):
    """Return a class of three after it was graded: right, half right, damaged."""
    folder = tmp_path_factory.mktemp("term")
    cohort.hand_in(folder / "in", "ada", cohort.notebook(server_py=RIGHT))
    cohort.hand_in(folder / "in", "bob", cohort.notebook(server_py=HALF))
    cohort.hand_in(folder / "in", "cy", json.dumps(cohort.notebook())[:-9])
    results, _ = cohort.grade(folder / "in", folder / "out")
    return folder, results


def test_each_submission_has_the_points_that_it_earned(term):
    _, results = term
    assert points(results["ada"]) == POINTS
    assert points(results["bob"]) == {**POINTS, "greets": 0, "serves_many": 0}
    assert points(results["cy"]) == dict.fromkeys(POINTS, 0)
    assert "damaged" in results["cy"].report.checks[0].saw
    assert all(r.is_final for r in results.values())


def test_nothing_is_left_running(term, cohort):
    assert term
    assert left_behind(cohort.engine) == []


def test_what_has_not_changed_is_not_graded_again(term, cohort):
    folder, _ = term
    assert cohort.grade(folder / "in", folder / "out")[1] == []
    cohort.hand_in(folder / "in", "cy", cohort.notebook(server_py="x = 1\n"))
    results, graded = cohort.grade(folder / "in", folder / "out")
    assert graded == ["cy"]
    assert points(results["cy"])["greets"] == 0


def test_the_gradebook_holds_every_result(term, tmp_path):
    from nbgrader.api import Gradebook

    _, results = term
    url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    # A second writing changes nothing.
    assert [write_gradebook(url, results.values()) for _ in range(2)] == [3, 3]
    with Gradebook(url) as book:
        grades = book.find_submission_notebook("exercise", SLUG, "bob").grades
        had = {g.name: (g.auto_score, g.needs_manual_grade) for g in grades}
    assert had["check-greets"] == (0, False)
    assert had["check-echoes"] == (2, False)


def runs_of_this_process():
    """Yield the runs whose lock this process holds: a class that is graded elsewhere lives on."""
    for file in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if (held := file.readlink()).parent == user_cache() / "runs":
                yield held.stem


def sandboxes_of_this_process(engine):
    """Return their sandboxes."""
    return [
        container
        for run in runs_of_this_process()
        for container in engine.client.containers.list(
            ignore_removed=True,
            filters={"name": "course-sandbox-", "label": f"{LABEL_RUN}={run}"},
        )
    ]


def test_a_sandbox_that_is_killed_costs_nobody_a_point(cohort, tmp_path):
    cohort.hand_in(tmp_path / "in", "ada", cohort.notebook(server_py=RIGHT))
    troubles, stop = [], threading.Event()

    def kill_the_first():
        while not stop.is_set():
            for container in sandboxes_of_this_process(cohort.engine):
                started = container.attrs["State"]["StartedAt"]
                # Its own: another process may have sandboxes, too.
                own = socket_folders() / container.name.removeprefix("course-sandbox-")
                if started and (own / "docker.sock").exists():
                    time.sleep(0.5)
                    container.kill()
                    return
            time.sleep(0.05)

    killer = threading.Thread(target=kill_the_first)
    killer.start()
    try:
        results, _ = cohort.grade(
            tmp_path / "in", tmp_path / "out",
            progress=Progress(on_trouble=lambda name, _: troubles.append(name)),
        )  # fmt: skip
    finally:
        stop.set()
        killer.join()
    assert troubles == ["ada"]
    assert points(results["ada"]) == POINTS
    assert left_behind(cohort.engine) == []


def test_a_check_that_breaks_is_tried_in_a_second_sandbox_and_left_to_a_person(engine, tmp_path):
    room = Class(clone_with_tiny(tmp_path / "clone", SLUG), engine)
    checks = room.layout.grader(SLUG) / "checks.py"
    title = '    """GET / answers hello"""'
    checks.write_text(
        checks.read_text("utf-8").replace(title, f'{title}\n    int("ours")'), "utf-8"
    )
    room.hand_in(tmp_path / "in", "ada", room.notebook(server_py=RIGHT))
    results, _ = room.grade(tmp_path / "in", tmp_path / "out")
    assert results["ada"].attempts == 2
    assert not results["ada"].is_final
    assert points(results["ada"]) == {**POINTS, "greets": None, "serves_many": 0}
    assert left_behind(engine) == []


def test_a_run_that_is_killed_is_resumed_where_it_stood(cohort, term, tmp_path):
    folder, undisturbed = term
    for learner, server in (("ada", RIGHT), ("bob", HALF), ("dee", RIGHT), ("eve", HALF)):
        cohort.hand_in(tmp_path / "in", learner, cohort.notebook(server_py=server))
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from coursework.cli import main; main()", "grade"]
    book = f"sqlite:///{tmp_path / 'gradebook.db'}"
    command += [str(tmp_path / "in"), "--module", SLUG, "--out", str(out), "--gradebook", book]
    variables = {**os.environ, "DOCKER_HOST": cohort.engine.docker_host}
    first = subprocess.Popen(
        [*command, "--jobs", "1"], cwd=cohort.layout.root, env=variables, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    results = Results(out / "results" / SLUG)
    while not results.all():
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = {r.learner: r for r in results.all()}
    assert len(before) < 4
    again = subprocess.run(
        command, cwd=cohort.layout.root, env=variables, timeout=170,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    after = {r.learner: r for r in results.all()}
    assert {n: after[n] for n in before} == before
    assert {n: r.origin.name for n, r in after.items()} == {n: n for n in after}
    wanted = {"ada": "ada", "dee": "ada", "bob": "bob", "eve": "bob"}
    assert {n: points(r) for n, r in after.items()} == {
        n: points(undisturbed[same]) for n, same in wanted.items()
    }
    assert left_behind(cohort.engine) == []
    assert (out / "feedback" / SLUG / "eve.html").is_file()
    assert folder
