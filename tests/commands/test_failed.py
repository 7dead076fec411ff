"""What failed in an engine of its own stays there, and the report's line leads to it."""

import os
import re
import subprocess

import pytest

from coursework.containers.cleaning import clean
from coursework.images import ensure_images
from coursework.sandbox.place import find_kept, socket_folders
from tests.clone import clone_with_tiny
from tests.commands.conftest import COURSE, save
from tests.grading.test_grade import CASES
from tests.learners import SLUG

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("sandboxes")]
RIGHT = (CASES / "right" / "server.py").read_text("utf-8")
WRONG = RIGHT.replace('b"hello"', 'b"good bye"')
LIMIT_S = 300


@pytest.fixture(scope="module")
def clone(engine, tmp_path_factory):
    """Return a clone whose tiny module is checked in an engine of its own."""
    ensure_images(engine, ["python:3.13-slim"])
    layout = clone_with_tiny(tmp_path_factory.mktemp("failed") / "clone", SLUG)
    text = layout.catalogue.read_text("utf-8")
    before, _, tiny = text.rpartition("[[module]]")
    layout.catalogue.write_text(f"{before}[[module]]\nsandbox = true{tiny}", "utf-8")
    yield layout
    clean(engine.client, SLUG, everywhere=True)


@pytest.fixture
def typed(clone, engine):
    """Return a function that types a command in the clone: exit code, output, errors."""

    def run(command):
        path = f"{COURSE.parent}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(
            ["bash", "-c", command], cwd=clone.root, capture_output=True, text=True, check=False,
            env={**os.environ, "DOCKER_HOST": engine.docker_host, "PATH": path}, timeout=LIMIT_S,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        return ended.returncode, ended.stdout, ended.stderr

    return run


@pytest.mark.timeout(LIMIT_S)
def test_the_line_of_a_report_shows_the_failure_until_the_check_passes(clone, typed, monkeypatch):
    monkeypatch.chdir(clone.root)
    save(clone, WRONG, module=SLUG)
    code, out, errors = typed(f"course check {SLUG}")
    assert code == 1, errors
    (line,) = re.findall(r"^  try +(course shell .*)$", out, re.MULTILINE)
    code, shown, errors = typed(line)
    assert (code, "good bye" in shown) == (0, True), errors
    code, shown, _ = typed(f"course shell {SLUG} --failed -c 'ls; docker ps; exit 7'")
    assert code == 7
    assert {"Dockerfile", "greeting.txt", "server.py"} <= set(shown.split())
    assert f"{SLUG}-" in shown
    save(clone, RIGHT, module=SLUG)
    code, out, errors = typed(f"course check {SLUG} --only greets")
    assert code == 0, errors
    code, _, errors = typed(f"course shell {SLUG} --failed -c true")
    assert (code, f"fix   course check {SLUG}" in errors) == (2, True)


@pytest.mark.timeout(LIMIT_S)
def test_clean_removes_it(clone, typed, engine, monkeypatch):
    monkeypatch.chdir(clone.root)
    save(clone, WRONG, module=SLUG)
    assert typed(f"course check {SLUG} --only greets")[0] == 1
    name = find_kept(engine, SLUG)
    folder = socket_folders() / name.removeprefix("course-sandbox-")
    assert (folder / "docker.sock").exists()
    assert typed(f"course clean {SLUG}")[0] == 0
    assert find_kept(engine, SLUG) == ""
    assert not folder.exists()


def test_a_module_without_an_engine_of_its_own_is_looked_at_in_the_usual_one(typed):
    """To check it again would leave none either."""
    code, _, errors = typed("course shell 01 --failed")
    assert (code, "has no engine of its own" in errors) == (2, True)
    assert "usual engine" in errors
    assert "fix   course shell 01\n" in errors
    assert "course check" not in errors


def test_a_module_is_wanted(typed):
    """There may be one for each."""
    code, _, errors = typed("course shell --failed")
    assert (code, "such as: course shell 07 --failed" in errors) == (2, True)
