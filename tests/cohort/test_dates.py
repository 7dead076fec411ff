"""A time is read as it was written, in a zone that somebody named."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from coursework.cohort.dates import end_of, how_long, nbgraders_time, shown, time_of, zone_of

BERLIN = ZoneInfo("Europe/Berlin")
AT = datetime(2026, 3, 2, 22, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02 23:59 Europe/Berlin",
        "2026-03-02T23:59:00 Europe/Berlin",
        "2026-03-02 22:59 UTC",
        "2026-03-02T22:59:00.000000Z",
        "2026-03-02 23:59+01:00",
        "2026-03-02 23:59:00 +0100",
        " 2026-03-02 17:59:00.0 America/New_York ",
    ],
)
def test_one_moment_in_many_forms(text):
    assert time_of(text, ZoneInfo("Asia/Tokyo")) == AT


@pytest.mark.parametrize(
    "text",
    [
        "", "2026-03-02", "tomorrow", "02.03.2026 23:59", "2026-02-30 10:00", "2026-03-02 24:10",
        "2026-03-02 23:59 Europe/Nowhere", "2026-03-02 23:59 Europe", "2026-03-02 11:59 pm",
        "2026-03-02 23:59 ../../etc/passwd", "2026-03-02 23:59 +99:00",
        "0001-01-01 00:00 +05:00", "9999-12-31 23:59:59 -05:00",
    ],
)  # fmt: skip
def test_what_names_no_moment_is_none(text):
    assert time_of(text, BERLIN) is None
    assert end_of(text, BERLIN) is None


def test_without_a_zone_the_one_that_counts_is_taken(monkeypatch):
    assert time_of("2026-03-02 23:59", BERLIN) == AT
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert time_of("2026-03-03 07:59", None) == AT
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_deadlines_minute_is_in_time_to_its_end():
    assert end_of("2026-03-02 23:59", BERLIN) == AT + timedelta(seconds=59, microseconds=999_999)
    assert end_of("2026-03-02 23:59:00", BERLIN) == AT


def test_the_zone_that_a_time_names():
    assert zone_of("2026-03-02 23:59 Europe/Berlin") == BERLIN
    assert zone_of("2026-03-02 23:59") is zone_of("soon") is None


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b"2026-03-02 22:59:00.000000 UTC\n", "2026-03-02 22:59:00.000000 UTC"),
        (b"2026-03-02 22:59:00", "2026-03-02 22:59:00 UTC"),
        (b"yesterday \xff", "yesterday \ufffd"),
    ],
)
def test_nbgraders_time_is_utc_unless_it_says_otherwise(written, read):
    assert nbgraders_time(written) == read


def test_people_read_the_zone_with_the_time():
    assert shown(AT.astimezone(BERLIN)) == "2026-03-02 23:59 Europe/Berlin"
    assert shown(AT) == "2026-03-02 22:59 UTC"


@pytest.mark.parametrize(
    ("length", "text"),
    [
        ({"days": 1, "hours": 2, "minutes": 3}, "1 day 2 h"),
        ({"days": 2}, "2 days"),
        ({"hours": 1, "minutes": 5}, "1 h 5 min"),
        ({"hours": 21, "minutes": 59, "seconds": 1}, "22 h"),
        ({"microseconds": 1}, "1 min"),
    ],
)
def test_a_length_is_told_in_its_largest_units(length, text):
    assert how_long(timedelta(**length)) == text
