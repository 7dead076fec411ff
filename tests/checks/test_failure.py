"""A failure inside `advising` gets its hint."""

import pytest

from coursework.checks import Failure, StartFailure, advising, fail


def test_what_has_no_hint_gets_one():
    with pytest.raises(Failure) as failure, advising("close it"):
        fail("a closed door", "an open one")
    assert failure.value.hint == "close it"


def test_a_hint_of_its_own_stays():
    with pytest.raises(Failure) as failure, advising("close it"):
        fail("a closed door", "no door", hint="build one")
    assert failure.value.hint == "build one"


def test_a_start_that_fails_stays_about_the_start():
    with pytest.raises(StartFailure) as failure, advising("close it"):
        raise StartFailure("a server", "none")
    assert failure.value.hint == ""
