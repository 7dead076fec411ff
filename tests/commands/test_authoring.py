"""course new, build and audit: what an author types, reads and gets as an exit code."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from coursework.authoring.new import new_module
from coursework.layout import Layout
from tests.clone import own
from tests.commands.conftest import COURSE
from tests.commands.test_check import containers

ROOT = COURSE.parents[2]
SLUG = own("87-author")


@pytest.fixture
def author(tmp_path):
    """Return a clone with one new module."""
    layout = Layout(tmp_path / "clone")
    layout.catalogue.parent.mkdir(parents=True)
    layout.catalogue.write_text("", "utf-8")
    shutil.copytree(ROOT / "images", layout.root / "images")
    new_module(layout, SLUG)
    return layout


def start(layout, *arguments):
    return subprocess.Popen(
        [COURSE, *arguments],
        cwd=layout.root,
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(layout, *arguments):
    process = start(layout, *arguments)
    out, errors = process.communicate(timeout=200)
    return process.returncode, out, errors


def test_new_says_what_to_type_next(author):
    """Each file is named, and the command that proves the module."""
    code, out, _ = run(author, "new", "88-more", "--title", "More")
    assert code == 0
    assert "✓ course/88-more/lesson.md" in out
    assert "course build 88-more && course audit 88-more" in out.splitlines()[-1]
    code, _, errors = run(author, "new", "88-more")
    assert (code, "The number 88 is taken" in errors) == (2, True)


def test_build_mends_and_check_only_tells(author):
    """--check changes nothing and exits 1; build says what it wrote."""
    file = author.exercise(SLUG)
    file.write_text("{}", "utf-8")
    code, out, _ = run(author, "build", "--check")
    assert (code, file.read_text("utf-8")) == (1, "{}")
    assert f"✗ exercises/{SLUG}/exercise.ipynb is outdated" in out
    code, out, _ = run(author, "build", "87")
    assert (code, f"✓ exercises/{SLUG}/exercise.ipynb changed" in out) == (0, True)
    assert "up to date" in run(author, "build")[1]


def test_a_quick_audit_tells_all_findings_and_counts_them(author):
    """It does not stop at the first; each is file, rule, what and command."""
    (author.root / "course" / "notes.txt").write_text("", "utf-8")
    author.exercise(SLUG).write_text("{}", "utf-8")
    code, out, _ = run(author, "audit", "--quick")
    assert code == 1
    assert "✗ course/notes.txt  unknown-file" in out
    assert f"✗ exercises/{SLUG}/exercise.ipynb  stale-derivation" in out
    assert f"    → course build {SLUG}" in out
    assert f"✗ graders/{SLUG}/proof.json  missing-proof" in out
    assert f"    → course audit {SLUG} --record" in out
    assert out.splitlines()[-1] == "4 findings in 1 module"


@pytest.mark.engine
def test_a_new_module_passes_its_own_audit(author, engine):
    """Lesson, solution, blank, wrong and right answer, junk: nothing is found."""
    assert engine
    code, out, errors = run(author, "audit", "--jobs", "2")
    assert (code, out.splitlines()[-1]) == (0, "✓ nothing found in 1 module"), out + errors
    assert "slowest: " in out


def test_a_record_is_of_a_whole_module(author):
    """What would record a part, or nothing, is refused with the reason."""
    for options, reason in (
        (("--record", "--quick"), "--record proves a module whole"),
        (("--record", "--only", "solution"), "--record proves a module whole"),
        (("--all",), "--all belongs to --record"),
    ):
        code, _, errors = run(author, "audit", "87", *options)
        assert (code, reason in errors) == (2, True)


@pytest.mark.engine
def test_a_module_with_findings_is_not_recorded(author, engine):
    """What can be read is mended first: no grading is started."""
    assert engine
    author.exercise(SLUG).write_text("{}", "utf-8")
    code, out, _ = run(author, "audit", "87", "--record")
    assert (code, "stale-derivation" in out) == (1, True)
    assert not (author.grader(SLUG) / "proof.json").exists()


@pytest.mark.engine
def test_one_answer_is_shown_whole(author, engine):
    """--only shows the report that a learner would get; an unknown name is answered with all."""
    assert engine
    code, out, _ = run(author, "audit", "87", "--only", "wrong/greets/greeting_typed_in")
    assert code == 0
    assert "✗ greets  0 of 10" in out
    assert "looked for" in out
    code, _, errors = run(author, "audit", "87", "--only", "wrong/nobody")
    assert (code, "wrong/greets/greeting_typed_in" in errors) == (2, True)


@pytest.mark.engine
def test_ctrl_c_ends_an_audit_and_leaves_nothing(author, engine):
    """In the middle of a grading: exit code 130, no container stays."""
    process = start(author, "audit", "87", "--only", "junk/silence")
    deadline = time.monotonic() + 60
    while not containers(engine, SLUG) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert containers(engine, SLUG) == []
