"""What being late costs: by the rule, by each one's own deadline, and never by a guess."""

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from coursework.checks.verdict import CheckResult
from coursework.cohort.dates import end_of, time_of
from coursework.cohort.forms import Origin
from coursework.cohort.late import (
    Deadline,
    Rule,
    finals,
    read_due,
    read_extensions,
    read_rule,
    read_times,
)
from coursework.trouble import CourseError
from tests.cohort.test_results import REPORT, RESULT

BERLIN = ZoneInfo("Europe/Berlin")
RULE = read_rule("10 % a day, at most 50 %")
CHECK = CheckResult("greets", "GET / answers hello", "passed", 8, 10)


def handed_in(when, learner="ada", **check):
    report = replace(REPORT, checks=(replace(CHECK, **check),))
    return replace(RESULT, learner=learner, report=report, origin=Origin("Blackboard", when=when))


def deadline(due="2026-03-02 23:59", rule=RULE, zone=BERLIN, **more):
    at = end_of(due, zone)
    assert at is not None
    return Deadline(at, zone, rule, **more)


def final(when, *arguments, **more):
    (found,) = finals([handed_in(when)], deadline(*arguments, **more))
    return found


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("10 % a day, at most 50 %", Rule(10, "day", 50)),
        ("10% per day,at most 50%", Rule(10, "day", 50)),
        ("2.5 % an hour", Rule(2.5, "hour", 100)),
        ("100%/day", Rule(100, "day", 100)),
    ],
)
def test_a_rule_is_read(text, rule):
    assert read_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "10", "10 points a day", "0 % a day", "110 % a day", "10 % a day, at most 200 %"]
)
def test_a_rule_that_is_none_is_refused_with_one(text):
    with pytest.raises(CourseError, match="--late is not understood") as refused:
        read_rule(text)
    assert refused.value.fix == '--late "10 % a day, at most 50 %"'


@pytest.mark.parametrize("text", ["2026-03-02", "Monday", "2026-03-02 23:59 Mars"])
def test_a_deadline_that_is_no_time_is_refused(text):
    with pytest.raises(CourseError, match="--due is not understood") as refused:
        read_due(text)
    assert "2026-03-02 23:59 Europe/Berlin" in refused.value.fix


def test_a_deadline_says_which_zone_counts():
    assert read_due("2026-03-02 23:59 Europe/Berlin")[1] == BERLIN
    assert read_due("2026-03-02 23:59")[1] is None


@pytest.mark.parametrize(
    ("when", "points"),
    [
        ("2026-03-02T10:00:00", 8),
        ("2026-03-02T23:59:59", 8),
        ("2026-03-03T00:00:00", 7),
        ("2026-03-03T23:59:59", 7),
        ("2026-03-04T00:00:00", 6),
        ("2026-03-30T12:00:00", 3),
    ],
)
def test_each_begun_day_costs_up_to_the_most(when, points):
    assert final(when).points == points


def test_nobody_gets_less_than_nothing():
    (found,) = finals([handed_in("2026-03-09T12:00:00", points=3)], deadline())
    assert (found.lowered_by, found.points) == (5, 0)


def test_both_points_are_told_where_they_are_lowered():
    told = final("2026-03-04T02:00:00").told
    assert told == ("Due 2026-03-02 23:59 Europe/Berlin, handed in 1 day 2 h late: 8 - 2 = 6 of 10")
    assert final("2026-03-02T10:00:00").told == ""


def test_an_extension_is_one_learners_own():
    extensions = {"bob": end_of("2026-03-05 12:00", BERLIN)}
    class_ = [handed_in("2026-03-04T12:00:00", name) for name in ("ada", "bob")]
    found = finals(class_, deadline(extensions=extensions))
    assert [f.points for f in found] == [6, 8]


def test_the_instructors_word_counts_more_than_a_names():
    said = {"ada": time_of("2026-03-02 12:00", BERLIN)}
    assert final("2026-03-09T12:00:00", handed_in=said).points == 8


@pytest.mark.parametrize("when", ["", "yesterday"])
def test_without_a_time_nothing_is_guessed(when):
    found = final(when)
    assert (found.has_time, found.points, found.lowered_by, found.told) == (False, None, 0, "")
    (nothing,) = finals([handed_in(when, points=0)], deadline())
    assert (nothing.has_time, nothing.points) == (True, 0)


def test_what_was_not_judged_stays_undecided():
    (found,) = finals([handed_in("2026-03-02T10:00:00", verdict="error")], deadline())
    assert found.points is None


def test_a_time_with_a_zone_is_read_in_it_and_another_in_the_deadlines():
    tokyo = ZoneInfo("Asia/Tokyo")
    assert final("2026-03-02 22:59 UTC").points == 8
    assert final("2026-03-02 22:59 UTC", zone=tokyo).points == 7
    assert final("2026-03-02T22:59:00", zone=tokyo).points == 8


def test_the_hour_that_clocks_are_put_forward_in_is_none():
    """29 March 2026, 02:00 is 03:00 in Berlin: from 01:30 to 04:00 is one hour and a half."""
    hourly = read_rule("10 % an hour")
    assert final("2026-03-29T04:00:00", "2026-03-29 01:30:00", hourly).lowered_by == 2


def test_without_a_deadline_points_are_the_checks():
    (found,) = finals([handed_in("")], None)
    assert (found.points, found.due, found.told) == (8, None, "")


def test_times_are_read_from_a_csv(tmp_path):
    path = tmp_path / "extensions.csv"
    path.write_text("learner,due\nada,2026-03-05 12:00\nbob,\n")
    names = ["ada", "bob"]
    assert read_times(path, "due", names, BERLIN, pytest.fail) == {
        "ada": end_of("2026-03-05 12:00", BERLIN)
    }
    path.write_text("Learner;Handed_In\nada;2026-03-05 12:00\n")
    at = time_of("2026-03-05 12:00", BERLIN)
    assert read_times(path, "handed_in", names, BERLIN, pytest.fail) == {"ada": at}


def test_a_bad_time_in_a_csv_is_told_with_whose_it_is(tmp_path):
    path = tmp_path / "extensions.csv"
    path.write_text("learner,due\nada,5 March\n")
    with pytest.raises(CourseError, match="the time of ada is not understood: '5 March'"):
        read_times(path, "due", ["ada"], BERLIN, pytest.fail)


def test_an_extension_that_ends_before_the_deadline_is_refused(tmp_path):
    """A slip of the year would cost the learner all points."""
    path = tmp_path / "extensions.csv"
    path.write_text("learner,due\nada,2025-03-05 12:00\n")
    with pytest.raises(CourseError, match="the extension of ada ends before") as refused:
        read_extensions(path, deadline().at, ["ada"], BERLIN, pytest.fail)
    assert "2025-03-05 12:00 Europe/Berlin is before 2026-03-02 23:59" in refused.value.why
