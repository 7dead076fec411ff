"""Ctrl-C while a class is graded: earlier results stay."""

import threading
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from coursework.cohort import grading
from coursework.cohort.grading import Progress, grade_cohort
from coursework.cohort.results import Results
from coursework.cohort.source import HandedIn
from tests.cohort.test_results import RESULT


class Judge:
    """Judges one submission, and cannot after a stop."""

    layout = module = fleet = None

    def __init__(self):
        self.begun, self.go = threading.Event(), threading.Event()

    def judge(self, submission, *_):
        """Give a result when the test says so."""
        self.begun.set()
        self.go.wait(30)
        return replace(RESULT, learner=submission.learner, trouble="the sandbox is gone")


class Process:
    """In a grading process's place."""

    def stop(self):
        """Nothing runs."""


def test_what_a_stop_breaks_off_replaces_no_result(tmp_path, monkeypatch):
    judge, results = Judge(), Results(tmp_path)
    results.write(RESULT)
    monkeypatch.setattr(grading, "Worker", Process)
    monkeypatch.setattr(grading, "graded_by", lambda *_: "by")

    def press_ctrl_c(_):
        judge.begun.wait(30)
        raise KeyboardInterrupt

    monkeypatch.setattr(grading, "time", SimpleNamespace(sleep=press_ctrl_c))
    with pytest.raises(KeyboardInterrupt):
        grade_cohort(
            cast("Any", judge), results, [HandedIn("ada", lambda: b"{}")], nullcontext(), jobs=1,
            progress=Progress(),
        )  # fmt: skip
    monkeypatch.undo()
    threads = [t for t in threading.enumerate() if "_take" in t.name]
    judge.go.set()
    for thread in threads:
        thread.join(30)
    assert threads
    assert results.read("ada") == RESULT
