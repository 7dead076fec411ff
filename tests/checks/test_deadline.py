"""A deadline: an idle machine keeps it, a busy one puts it off, not for ever."""

import time

import pytest

from coursework.checks.deadline import Deadline, ProcessorTime, processor_time


def machine(*readings):
    """Return what reads these times one after another, the last one again and again."""
    left = list(readings)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


BUSY = machine, (ProcessorTime(100, 1000), ProcessorTime(104, 1100))
IDLE = machine, (ProcessorTime(100, 1000), ProcessorTime(160, 1100))


@pytest.mark.parametrize(
    ("readings", "slept_s", "passed"),
    [
        (IDLE, 0.0, False),
        (IDLE, 0.3, True),
        (BUSY, 0.3, False),
        (BUSY, 1.0, True),
        ((machine, (None,)), 0.3, True),
    ],
    ids=["early", "late", "late on a busy machine", "far too late", "a machine that tells nothing"],
)
def test_it_passes_late_and_on_a_busy_machine_later(readings, slept_s, passed):
    make, times = readings
    deadline = Deadline(0.2, read=make(*times))
    time.sleep(slept_s)
    assert deadline.has_passed() is passed


@pytest.mark.parametrize(("used_s", "passed"), [(0.1, False), (0.3, True)])
def test_who_kept_the_machine_busy_is_late(used_s, passed):
    make, times = BUSY
    used = machine(7.0, 7.0 + used_s)
    deadline = Deadline(0.2, used, read=make(*times))
    time.sleep(0.3)
    assert deadline.has_passed() is passed


def test_this_machine_tells_the_time_of_its_processors():
    first = processor_time()
    if first is None:
        pytest.skip("this machine has no /proc/stat")
    assert 0 < first.idle < first.total
