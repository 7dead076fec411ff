"""A result is written whole or not at all, and is read as what it was."""

import json
from dataclasses import replace

import pytest

from coursework.checks.verdict import CheckResult, Report
from coursework.cohort.forms import Origin
from coursework.cohort.results import Result, Results, bounded, key_of
from coursework.cohort.source import HandedIn
from coursework.trouble import CourseError

CHECK = CheckResult("greets", "GET / answers hello", "failed", 0, 3, saw="x", log="y")
REPORT = Report("90-tiny", "ab12", 7, (CHECK,), {"total_s": 1.5}, ("w",))
RESULT = Result("ada", "90-tiny", "key", REPORT)


def test_a_result_comes_back_as_it_was(tmp_path):
    results = Results(tmp_path / "results")
    results.write(RESULT)
    assert results.read("ada") == RESULT
    assert results.all() == [RESULT]


def test_a_learner_keeps_a_name_that_no_file_can_have(tmp_path):
    """The file's name is made safe, the learner's is not; an older file is read as well."""
    results = Results(tmp_path)
    named = replace(RESULT, learner="José Ångström_7303")
    results.write(named)
    (file,) = tmp_path.iterdir()
    assert file.name.isascii()
    assert results.all() == [results.read("José Ångström_7303")] == [named]
    file.write_text(file.read_text("utf-8").replace(named.learner, file.stem), "utf-8")
    assert results.read(named.learner) == named


def test_what_a_program_printed_can_be_stored(tmp_path):
    report = replace(REPORT, checks=(replace(CHECK, saw="\ud800 \x00 ü"),))
    results = Results(tmp_path)
    results.write(replace(RESULT, report=bounded(report)))
    read = results.read("ada")
    assert read is not None
    assert read.report.checks[0].name == "greets"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"learner": "ada"}', "\x00"])
def test_half_a_result_is_none(tmp_path, text):
    (tmp_path / "ada.json").write_text(text)
    assert Results(tmp_path).read("ada") is None


def test_a_result_that_cannot_be_written_leaves_the_earlier_one(tmp_path):
    results = Results(tmp_path)
    results.write(RESULT)
    with pytest.raises(TypeError):
        results.write(replace(RESULT, key=object()))  # type: ignore[arg-type]
    assert results.read("ada") == RESULT
    assert [p.name for p in tmp_path.iterdir()] == ["ada.json"]


def test_a_folder_that_cannot_be_written_is_told_with_the_way_on(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CourseError, match="then type the command again"):
        Results(tmp_path / "file").write(RESULT)


def test_texts_of_a_report_are_bounded_and_steer_no_terminal():
    loud = replace(CHECK, saw="\x1b[2J" + "x" * 10**6, log="\x1b]0;t\x07")
    (check,) = bounded(replace(REPORT, checks=(loud,))).checks
    assert len(check.saw) <= 4000
    assert "\x1b" not in check.saw + check.log


@pytest.mark.parametrize(
    ("change", "final"),
    [({}, True), ({"trouble": "ours"}, False)],
)
def test_what_could_not_be_judged_is_not_final(change, final):
    assert replace(RESULT, **change).is_final is final


def test_a_check_that_could_not_be_judged_is_not_final():
    report = replace(REPORT, checks=(replace(CHECK, verdict="error"),))
    assert not replace(RESULT, report=report).is_final


def test_a_key_changes_with_the_notebook_and_with_what_grades_it():
    assert len({key_of(b"a", "x"), key_of(b"b", "x"), key_of(b"a", "y")}) == 3


def test_whose_it_is_and_when_it_came_is_noted_without_grading(tmp_path):
    results = Results(tmp_path)
    results.write(RESULT)
    origin = Origin("Canvas", "ada", "4711", is_late=True)
    noted = results.noted(HandedIn("ada", bytes, origin), "key")
    assert noted == replace(RESULT, origin=origin)
    assert results.read("ada") == noted
    assert results.noted(HandedIn("bob", bytes), "key") is None


def test_a_result_of_an_earlier_notebook_keeps_its_time(tmp_path):
    """--changed-since could not judge the later one, which must not make the earlier one late."""
    results = Results(tmp_path)
    in_time = replace(RESULT, origin=Origin("Blackboard", "ada", when="2026-03-02T10:00:00"))
    results.write(in_time)
    late = Origin("Blackboard", "ada", when="2026-03-09T10:00:00")
    assert results.noted(HandedIn("ada", bytes, late), "the later one's") == in_time
    assert results.read("ada") == in_time


def test_an_older_result_says_nothing_of_its_origin(tmp_path):
    results = Results(tmp_path)
    results.write(RESULT)
    assert "origin" not in json.loads((tmp_path / "ada.json").read_bytes())
    assert results.read("ada") == RESULT


def test_no_learner_gets_what_is_another_learners(tmp_path):
    """Some disks take Ada.json for ada.json; a copy of a file is no second learner."""
    results = Results(tmp_path)
    results.write(RESULT)
    whole = (tmp_path / "ada.json").read_bytes()
    for name in ("Ada", "ada copy"):
        (tmp_path / f"{name}.json").write_bytes(whole)
    assert results.read("Ada") is None
    assert results.all() == [RESULT]
