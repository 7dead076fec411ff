"""course check: exit codes, JSON, watching, Ctrl-C, and two checks at once."""

import json
import signal
import time

import jsonschema
import pytest

from tests.commands.conftest import SLUG, save
from tests.grading.test_grade import CASES, SCHEMA

pytestmark = pytest.mark.engine
RIGHT = (CASES / "right" / "server.py").read_text("utf-8")


def containers(engine, text=SLUG):
    return [
        c.name
        for c in engine.client.containers.list(all=True, ignore_removed=True)
        if c.name.startswith(text)
    ]


def test_a_right_answer_ends_with_0(finished):
    """All passed: exit code 0, and behind the sum stands what comes next."""
    code, out, _ = finished("check", SLUG)
    assert code == 0
    *_, total, following = out.splitlines()
    assert "10 of 10 points" in total
    last = "That was the last module: all of them are passed"
    assert following == f"{last}; to see our solution beside yours: course solution {SLUG}"


def test_a_wrong_answer_ends_with_1(finished, clone):
    """Some failed: exit code 1, with the command to retype on a line of its own."""
    save(clone, RIGHT.replace('b"hello"', 'b"bye"'))
    code, out, _ = finished("check", "90", "--only", "greets")
    assert code == 1
    assert "  try         curl -i http://localhost:" in out
    assert finished("clean", SLUG)[0] == 0


def test_a_folder_elsewhere_is_named_as_it_is(finished, tmp_path):
    """The command of a failed build builds the folder that was checked; checks are asked again."""
    answer = tmp_path / "an answer"
    answer.mkdir()
    (answer / "Dockerfile").write_text("FROM python:3.13-slim\nRUN exit 7\n", "utf-8")
    code, out, _ = finished("check", str(answer), "--module", "90")
    assert code == 1
    assert f"  try         docker build '{answer}'\n" in out


def test_a_notebook_elsewhere_is_checked_again(finished, clone, tmp_path):
    """Its cells need not have been run there, so there is no folder to build."""
    save(clone, RIGHT, Dockerfile="FROM python:3.13-slim\nRUN exit 7\n")
    moved = clone.work(SLUG) / "exercise.ipynb"
    moved = moved.rename(tmp_path / "mine.ipynb")
    code, out, _ = finished("check", str(moved), "--only", "greets")
    assert code == 1
    assert f"  try         course check {moved} --module {SLUG} --only greets\n" in out


def test_a_report_that_is_kept_has_no_spinner_in_it(finished, monkeypatch):
    """A notebook's kernel asks for colours, and its cells keep whatever is printed."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, out, _ = finished("check", SLUG, "--only", "greets")
    assert (code, "✓ greets" in out, "\x1b" in out) == (0, True, False)


def test_trouble_of_ours_ends_with_2(finished):
    """A module that is not there, or a check that is not there: exit code 2 and what to type."""
    code, _, errors = finished("check", "91-none")
    assert (code, "fix   course list" in errors) == (2, True)
    code, _, errors = finished("check", SLUG, "--only", "none")
    assert (code, "greets, takes_port" in errors) == (2, True)


def test_a_damaged_notebook_ends_with_2_and_is_left_alone(finished, clone):
    """Half a notebook is a message; not a byte of it is changed."""
    path = clone.work(SLUG) / "exercise.ipynb"
    path.write_text('{"nbformat": 4, "cells": [', "utf-8")
    code, _, errors = finished("check", SLUG)
    assert (code, "is damaged" in errors) == (2, True)
    assert path.read_text("utf-8") == '{"nbformat": 4, "cells": ['


def test_json_is_alone_on_the_output(finished):
    """--json prints the report and nothing else; the seed repeats."""
    code, out, _ = finished("check", SLUG, "--json", "--seed", "5")
    report = json.loads(out)
    jsonschema.validate(report, SCHEMA)
    assert (code, report["seed"], report["points"]) == (0, 5, 10)


def test_a_file_that_differs_from_its_cell_is_warned_of(finished, clone):
    """The cell is checked; a changed file on disk is named."""
    (clone.work(SLUG) / "server.py").write_text("other", "utf-8")
    code, out, _ = finished("check", SLUG, "--only", "greets")
    assert code == 0
    assert "server.py on disk differs" in out


def test_ctrl_c_removes_what_was_started(course, clone, engine):
    """Interrupted in the middle of a check: exit code 130, one line, and no container stays."""
    save(clone, RIGHT.replace("self.send_response(200)", "import time; time.sleep(60)"))
    process = course("check", SLUG)
    deadline = time.monotonic() + 60
    while not containers(engine) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped" in errors
    assert "Traceback" not in errors
    assert containers(engine) == []


def test_what_a_killed_check_left_is_removed_by_the_next(course, finished, clone, engine):
    """A check killed outright leaves containers; the next check of the module removes them."""
    save(clone, RIGHT.replace("self.send_response(200)", "import time; time.sleep(60)"))
    process = course("check", SLUG)
    deadline = time.monotonic() + 60
    while not containers(engine) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    left = containers(engine)
    assert left
    save(clone, RIGHT)
    assert finished("check", SLUG)[0] == 0
    assert not set(left) & set(containers(engine))


def test_two_checks_at_once_do_not_disturb_each_other(course):
    """Two checks of one module side by side both pass."""
    both = [course("check", SLUG) for _ in range(2)]
    results = [p.communicate(timeout=120) for p in both]
    assert [p.returncode for p in both] == [0, 0], results


def test_watch_checks_again_on_save(course, clone):
    """Saving the notebook runs the checks again; Ctrl-C ends the watching."""
    process = course("check", SLUG, "--only", "greets", "--watch")
    seen = []

    def wait_for(text):
        for line in process.stdout:
            seen.append(line)
            if text in line:
                return
        pytest.fail("".join(seen) + process.stderr.read())

    wait_for("Watching exercise.ipynb")
    save(clone, RIGHT.replace('b"hello"', 'b"bye"'))
    wait_for("✗ greets")
    save(clone, RIGHT)
    wait_for("✓ greets")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
