"""`--record` proves what is new or changed, keeps what holds, and writes nothing that does not."""

from typing import Any

import pytest

from coursework.authoring.audit import Subject, audit_structure
from coursework.authoring.audit.recording import Recorder
from coursework.authoring.outputs import read_outputs
from coursework.authoring.proof import read_proof
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from tests.authoring.conftest import ALPHA, build, edit
from tests.authoring.recorded import record as pretend_recorded

pytestmark = pytest.mark.engine
LESSON = f"course/{ALPHA}/lesson.md"
CHECKS = f"graders/{ALPHA}/checks.py"
RIGHT = f"graders/{ALPHA}/right/plain_socket/server.py"
WRONG = f"graders/{ALPHA}/wrong/greets/greeting_typed_in.diff"


def record(layout, engine, *, everything=False):
    """Record a module; return the rules of what is found and the answers that were graded."""
    build(layout)
    subject = Subject(layout, load_catalogue(layout).find(ALPHA))
    told: list[str] = []
    recorder = Recorder(subject, everything=everything)
    found = [
        *recorder.exercise(jobs=1, repeat=1, tell=told.append),
        *recorder.lesson(engine, told.append),
    ]
    graded = [step.split(" ")[-1] for step in told if step.startswith("[")]
    ran = [step for step in told if step.startswith(f"{ALPHA} lesson")]
    return [f.rule for f in found], graded + ["lesson"] * bool(ran)


def proof_of(layout: Layout) -> Any:
    return read_proof(layout, ALPHA)


def outputs_of(layout: Layout) -> Any:
    return read_outputs(layout, ALPHA)


def quick(layout: Layout) -> list[str]:
    subject = Subject(layout, load_catalogue(layout).find(ALPHA))
    return [f.rule for f in audit_structure(subject, recorded=True)[0]]


def test_only_what_holds_is_recorded_and_only_what_changed_is_proved_again(clone, engine):
    """First with a bad answer and a broken lesson, then mended, then with changes."""
    edit(clone, RIGHT, "200 OK", "201 Created")
    edit(clone, LESSON, "ExitCode}}' lantern-silent", "ExitCode}}' lantern-nobody")
    rules, first = record(clone, engine)
    assert rules == ["right-answer-fails", "lesson-cell-fails"]
    assert {"solution", "blank", "right/plain_socket", "wrong/greets/greeting_typed_in",
            "junk/silence", "lesson"} <= set(first)  # fmt: skip
    assert outputs_of(clone) is None
    assert proof_of(clone).lesson is None
    assert "right/plain_socket" not in proof_of(clone).exercise.answers
    assert quick(clone) == ["missing-outputs", "stale-proof"]

    edit(clone, RIGHT, "201 Created", "200 OK")
    edit(clone, LESSON, "lantern-nobody", "lantern-silent")
    assert record(clone, engine) == ([], ["right/plain_socket", "lesson"])
    assert quick(clone) == []
    answers = proof_of(clone).exercise.answers
    assert answers["wrong/greets/greeting_typed_in"].verdicts == {"greets": "failed"}
    assert answers["solution"].verdicts == {"greets": "passed"}
    assert answers["solution"].seconds > 0
    texts = [o for cell in outputs_of(clone).cells for o in cell]
    assert any("Server running" in text for text in texts)

    assert record(clone, engine) == ([], [])
    edit(clone, WRONG, '"hello"', '"good evening"')
    assert quick(clone) == ["stale-proof"]
    assert record(clone, engine) == ([], ["wrong/greets/greeting_typed_in"])


def test_all_answers_of_other_checks_are_proved_again(clone):
    """What was proved of the old ones is forgotten before the first is graded."""
    pretend_recorded(clone, ALPHA)
    edit(clone, CHECKS, "server.get", "reply = server.get")
    subject = Subject(clone, load_catalogue(clone).find(ALPHA))
    found = Recorder(subject, everything=False).exercise(jobs=1, repeat=1, tell=_stop)
    with pytest.raises(InterruptedError):
        list(found)
    assert proof_of(clone).exercise.answers == {}
    assert proof_of(clone).lesson is not None


def _stop(step):
    raise InterruptedError(step)
