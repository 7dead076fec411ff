"""What a worker sends back is looked at before it counts."""

import json
from dataclasses import replace

import pytest

from coursework.checks.points import Check
from coursework.checks.verdict import Report
from coursework.cohort.remote.travel import (
    NotAResultError,
    Sent,
    packed,
    packed_trouble,
    unpacked,
)
from coursework.cohort.results import Result
from coursework.trouble import CourseError

CHECKS = tuple(Check(name, f"{name} holds", 5, (), "", ()) for name in ("first", "second"))
SENT = Sent("90-remote", "k", CHECKS)


def result(**changed):
    """Return a result of what was sent, but for what a test changes."""
    checks = (CHECKS[0].result("passed"), CHECKS[1].result("failed", saw="nothing"))
    report = Report("90-remote", "0" * 8, 7, checks, {"total_s": 1.5}, ("a warning",))
    return Result(**{"learner": "", "module": "90-remote", "key": "k", "report": report, **changed})


def changed(**values):
    """Return a packed result in which a check says something else."""
    sent = json.loads(packed(result()))
    sent["report"]["checks"][1] |= values
    return json.dumps(sent).encode()


def test_a_result_arrives_as_it_was_sent():
    assert unpacked(packed(result()), SENT) == result()


def test_texts_of_a_learner_are_bounded_on_arrival_as_well():
    arrived = unpacked(changed(saw="\x1b[2J" + "x" * 9000), SENT)
    assert len(arrived.report.checks[1].saw) == 4000
    assert "\x1b" not in arrived.report.checks[1].saw
    report = replace(result().report, warnings=("\x1b[2J" + "x" * 9000,) * 100)
    arrived = unpacked(packed(result(report=report, trouble="\x1b[2J" + "x" * 9000)), SENT)
    assert len(arrived.report.warnings) == 50
    assert {len(w) for w in arrived.report.warnings} == {4000}
    assert "\x1b" not in arrived.trouble + arrived.report.warnings[0]
    assert len(arrived.trouble) <= 1000


def test_a_machine_that_cannot_grade_says_why():
    with pytest.raises(CourseError, match=r"The engine is gone\. refused"):
        unpacked(packed_trouble(CourseError("The engine is gone.", why="refused")), SENT)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"machine": "m", "report": {}}',
        "text",
        {"learner": ""},
        ValueError("the task broke"),
        b"[" * 100_000,
        b" " * 9_000_000,
        packed(result(key="another's")),
        packed(result(module="91-other")),
        packed(result(learner="eve")),
        packed(result(attempts=3)),
        changed(points=5),
        changed(points=99, max_points=99),
        changed(verdict="passed"),
        changed(verdict="forged"),
        changed(name="third"),
        changed(duration_s=float("nan")),
        packed(result()).replace(b"1.5", b"1e400"),
        packed(result()).replace(b"1.5", b"1" * 400),
        changed(extra="x"),
        packed(result(report=Report("90-remote", "0" * 8, 7, ()))),
        packed(result(report=Report("91-other", "0" * 8, 7, result().report.checks))),
    ],
)  # fmt: skip
def test_whatever_else_arrives_is_no_result(data):
    with pytest.raises(NotAResultError):
        unpacked(data, SENT)
