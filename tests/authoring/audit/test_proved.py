"""The quick audit notices, without an engine, all that is newer than its proof or its outputs."""

import json
import re
import shutil

import pytest

from coursework.authoring.audit import Subject, audit_structure
from coursework.authoring.proof import read_proof
from coursework.images.recipe import load_recipes
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from tests.authoring.conftest import ALPHA, build, edit
from tests.authoring.recorded import record

LESSON = f"course/{ALPHA}/lesson.md"
OUTPUTS = f"course/{ALPHA}/outputs.json"
EXERCISE = f"solutions/{ALPHA}/exercise.md"
CHECKS = f"graders/{ALPHA}/checks.py"
PROOF = f"graders/{ALPHA}/proof.json"
RIGHT = f"graders/{ALPHA}/right/plain_socket/server.py"
ASKED = 'server.get("/hello").expect(200, exactly={"message": greeting})'
RULES_OF_RECORDS = {
    "missing-outputs", "stale-outputs", "missing-proof", "stale-proof", "edited-proof",
}  # fmt: skip


@pytest.fixture(scope="session")
def proved(laid_out, tmp_path_factory):
    """Return the clone with a recorded module that the others are copies of."""
    layout = Layout(tmp_path_factory.mktemp("proved") / "clone")
    shutil.copytree(laid_out.root, layout.root)
    record(layout, ALPHA)
    return layout


@pytest.fixture
def clone(proved, tmp_path):
    """Return a clone with a recorded module to change at will."""
    shutil.copytree(proved.root, tmp_path / "clone")
    return Layout(tmp_path / "clone")


def found(layout):
    """Return rule, file and words of each finding of the quick audit."""
    load_recipes.cache_clear()
    subject = Subject(layout, load_catalogue(layout).find(ALPHA))
    findings, _ = audit_structure(subject, recorded=True)
    recorded = [f.command for f in findings if f.rule in RULES_OF_RECORDS]
    assert set(recorded) <= {f"course audit {ALPHA} --record"}
    return [(f.rule, f.file, f.what) for f in findings]


def stale(layout):
    """Return what the only finding, a stale proof, names."""
    build(layout)
    ((rule, file, what),) = found(layout)
    assert (rule, file) == ("stale-proof", PROOF)
    return what.removeprefix("new or changed since it was recorded: ")


def test_what_was_recorded_has_no_findings(clone):
    assert found(clone) == []


def test_words_for_readers_leave_a_proof_as_it_is(clone):
    """The lesson's and the exercise's prose, hints, titles and comments."""
    edit(clone, LESSON, "Say what was seen", "Tell what was seen")
    edit(clone, EXERCISE, "## The contract", "## What is asked\n\nWords.\n\n## The contract")
    edit(clone, CHECKS, "Read the text when", "Read it when")
    edit(clone, CHECKS, "@points(", "# What is judged.\n@points(")
    build(clone)
    assert found(clone) == []


def test_a_check_that_always_passes_is_found(clone):
    """Its proof is older than the checks."""
    edit(clone, CHECKS, f"    {ASKED}\n", "    pass\n")
    assert stale(clone) == "checks.py"


def test_a_solution_that_no_longer_builds_is_found(clone):
    """So are the wrong answers, which are laid over it."""
    edit(clone, EXERCISE, "import json", "import jason")
    assert stale(clone) == "solution, wrong/greets/greeting_typed_in"


def test_a_stale_diff_is_found(clone):
    """The mistake no longer applies: that is told by its own rule, beside the proof's."""
    edit(clone, EXERCISE, 'json.dumps({"message"', 'json.dumps({"greeting"')
    build(clone)
    rules = {rule: what for rule, _, what in found(clone)}
    assert set(rules) == {"stale-mistake", "stale-proof"}
    assert rules["stale-proof"] == "new or changed since it was recorded: solution"


def test_each_kind_of_file_is_named(clone):
    """An answer, a starter file, a given one, an image: what an author knows it by."""
    edit(clone, RIGHT, "200 OK", "201 Created")
    assert stale(clone) == "right/plain_socket"
    edit(clone, f"solutions/{ALPHA}/starter/Dockerfile", "FROM", "# First.\nFROM")
    assert stale(clone) == "lesson: starter/, starter/"
    (clone.given(ALPHA)).mkdir()
    (clone.given(ALPHA) / "tonight.txt").write_text("Hamlet", "utf-8")
    edit(clone, "images/python/Dockerfile", "FROM", "# First.\nFROM")
    assert stale(clone) == (
        "lesson: given/, lesson: starter/, lesson: python:3.13-slim, given/ and 2 more"
    )


def test_an_answer_that_is_new_or_gone_is_named(clone):
    wrong = clone.grader(ALPHA) / "wrong" / "greets" / "greeting_typed_in.diff"
    shutil.copy(wrong, wrong.with_name("another.diff"))
    assert stale(clone) == "wrong/greets/another"
    wrong.unlink()
    assert stale(clone) == "wrong/greets/another, wrong/greets/greeting_typed_in is gone"


def test_a_lesson_newer_than_its_outputs_is_found(clone):
    """The outputs are old, and the proof of the lesson with them."""
    edit(clone, LESSON, "GREETING=hello", "GREETING=goodbye")
    rules = {(rule, file): what for rule, file, what in found(clone)}
    assert rules == {
        ("stale-outputs", OUTPUTS): "the outputs are older than the lesson",
        ("stale-proof", PROOF): "new or changed since it was recorded: lesson: its code",
    }


def test_outputs_that_were_edited_are_found(clone):
    """What a lesson printed is what it printed."""
    edit(clone, OUTPUTS, "printed", "said")
    assert stale(clone) == "lesson: outputs.json"


def test_what_was_never_recorded_is_found(clone):
    (clone.root / OUTPUTS).unlink()
    (clone.root / PROOF).unlink()
    assert [rule for rule, _, _ in found(clone)] == ["missing-outputs", "missing-proof"]


def edits():
    """Return ways to change a proof by hand, by name."""
    return {
        "a verdict": lambda text: text.replace('"passed"', '"failed"', 1),
        "a digest": lambda text: re.sub(r'("files": "\w{8})\w+', r"\g<1>00000000", text),
        "a time": lambda text: text.replace("1.5", "0.5", 1),
        "an answer": lambda text: text.replace("plain_socket", "socket_plain"),
        "the seal": lambda text: re.sub(r'"sha256": "\w{4}', '"sha256": "0000', text),
        "no seal": lambda text: json.dumps({**json.loads(text), "sha256": ""}),
        "half of it": lambda text: text[: len(text) // 2],
        "nothing": lambda _: "",
        "a list": lambda _: "[]",
    }


@pytest.mark.parametrize("how", edits())
def test_a_proof_edited_by_hand_is_found(clone, how):
    """Nobody can say in a text editor that something was proved."""
    path = clone.root / PROOF
    before = path.read_text("utf-8")
    path.write_text(edits()[how](before), "utf-8")
    assert path.read_text("utf-8") != before
    assert [(rule, file) for rule, file, _ in found(clone)] == [("edited-proof", PROOF)]


def test_a_mistake_that_changes_its_form_stays_proved(clone):
    """What counts are the files as they are graded, not how the mistake is written down."""
    (mistake,) = Subject(clone, load_catalogue(clone).find(ALPHA)).mistakes
    folder = mistake.path.with_suffix("")
    for name, data in mistake.changed.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    mistake.path.unlink()
    assert found(clone) == []


def test_a_proof_is_read_as_it_was_written(clone):
    proof = record(clone, ALPHA)
    assert read_proof(clone, ALPHA) == proof
