"""Crowds call side by side and give every result."""

import threading

import pytest

from coursework.checks.failure import Failure, fail
from coursework.checks.load import at_once, call_before_release


def test_all_calls_are_under_way_together():
    """Each call can wait for all others: none is queued behind another."""
    meeting = threading.Barrier(24)
    with at_once(lambda n: (meeting.wait(5), n)[1], range(24)) as crowd:
        pass
    assert crowd.results() == list(range(24))
    assert not crowd.busy


def test_busy_lasts_while_one_call_is_under_way():
    """The crowd is busy until its last call has ended."""
    gate = threading.Event()
    with at_once(lambda n: n or gate.wait(5), range(2)) as crowd:
        assert crowd.busy
        gate.set()
    assert not crowd.busy


def test_a_failure_of_a_call_is_the_crowds():
    """What one call could not do fails whoever asks for the results."""
    with at_once(lambda n: n or fail("an answer", "none"), range(3)) as crowd:
        pass
    with pytest.raises(Failure, match="saw none"):
        crowd.results()


def test_a_crowd_waits_for_calm():
    """Conditions that were registered hold before the calls are released."""
    order = []
    forget = call_before_release(lambda: order.append("calm"))
    with at_once(order.append, ["call"]):
        pass
    forget()
    assert order == ["calm", "call"]
