"""What fails is tried again; what never holds fails with its last words."""

import itertools

import pytest

from coursework.checks.failure import Failure, StartFailure, fail
from coursework.checks.patience import eventually


def holds_at_the(number):
    """Return an expectation that fails until it was tried that often, and counts its tries."""
    tries = itertools.count(1)

    def expectation():
        if (this := next(tries)) < number:
            fail("a light", f"darkness at try {this}")
        return this

    return expectation


def test_what_holds_at_once_is_tried_once():
    assert eventually(holds_at_the(1), within_s=5, attempts=3) == 1


def test_it_is_tried_as_often_as_said():
    assert eventually(holds_at_the(3), attempts=3) == 3
    with pytest.raises(Failure, match="darkness at try 3"):
        eventually(holds_at_the(4), attempts=3)


def test_it_is_tried_for_as_long_as_said():
    assert eventually(holds_at_the(5), within_s=60) == 5
    with pytest.raises(Failure, match="darkness at try 1"):
        eventually(holds_at_the(2))


def test_another_exception_is_no_failure_to_try_again():
    """It is a mistake of the check: ours."""
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 / 0, within_s=5)


def test_what_does_not_start_is_not_tried_again():
    """A second try would only hear that there is nothing to ask, and the reason would be lost."""
    tries = itertools.count(1)

    def expectation():
        raise StartFailure("a server that starts", f"exit code 1 at try {next(tries)}")

    with pytest.raises(StartFailure, match="try 1"):
        eventually(expectation, within_s=5, attempts=3)
