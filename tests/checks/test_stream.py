"""Streams call at a steady rate, wait for no call, and give every outcome."""

import threading
import time
from collections import Counter

import pytest

from coursework.checks.failure import Failure, fail
from coursework.checks.load import IN_CROWD, call_before_release
from coursework.checks.stream import at_rate


def test_calls_begin_while_others_are_under_way():
    """One that hangs holds up nobody; the block's end waits for it."""
    gate = threading.Event()
    calls = iter(range(10_000))
    with at_rate(lambda: next(calls) or gate.wait(10), per_s=500) as stream:
        stream.wait_for(20)
        gate.set()
    assert len(stream.results()) >= 20


def test_the_rate_is_never_higher():
    """Not even after a pause in which nothing could be sent."""
    begun = []
    with at_rate(lambda: begun.append(time.monotonic()), per_s=100) as stream:
        stream.wait_for(30)
    # A hundredth of a second between two, but for the time that a thread takes to start.
    assert begun[-1] - begun[0] > 0.25


def test_outcomes_are_counted_by_what_they_are():
    """Results by a key, failures by what was seen."""
    numbers = iter(range(10_000))
    with at_rate(lambda: next(numbers) % 3 or fail("a reply", "silence"), per_s=1000) as stream:
        stream.wait_for(9)
    counts = stream.count(lambda number: "odd" if number == 1 else "even")
    assert set(counts) == {"odd", "even", "silence"}
    assert (
        counts.total() == len(stream.outcomes()) == len(stream.results()) + len(stream.failures())
    )
    assert Counter(f.saw for f in stream.failures()) == {"silence": counts["silence"]}


def test_nothing_begins_after_the_block():
    """Whatever was counted stays as it is."""
    with at_rate(lambda: None, per_s=1000) as stream:
        stream.wait_for(3)
    ended = len(stream.outcomes())
    time.sleep(0.05)
    assert len(stream.outcomes()) == ended


def test_a_failed_check_waits_for_no_call():
    """The calls have deadlines of their own."""
    gate = threading.Event()

    def check():
        with at_rate(lambda: gate.wait(20), per_s=100) as stream:
            stream.wait_for(2)
            fail("something", "nothing")

    start = time.monotonic()
    with pytest.raises(Failure):
        check()
    assert time.monotonic() - start < 10
    gate.set()


def test_a_mistake_of_the_check_is_raised():
    """Where the check waits, and at the block's end."""
    with pytest.raises(ZeroDivisionError), at_rate(lambda: 1 // 0, per_s=100) as stream:
        stream.wait_for(50)


def test_calls_know_that_they_are_many():
    """A request of a stream shows nothing when it is sent alone."""
    with at_rate(IN_CROWD.get, per_s=1000) as stream:
        stream.wait_for(2)
    assert set(stream.results()) == {True}


def test_a_stream_waits_for_calm():
    """Conditions that were registered hold before the first call."""
    order = []
    forget = call_before_release(lambda: order.append("calm"))
    with at_rate(lambda: order.append("call"), per_s=1000) as stream:
        stream.wait_for(1)
    forget()
    assert order[0] == "calm"
