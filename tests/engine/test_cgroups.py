"""What a control group has used, in the words of this machine's kernel."""

import time
from pathlib import Path

import pytest

from coursework.engine.cgroups import processor_seconds


def test_the_processor_time_of_a_group_grows_with_what_its_processes_do(engine):
    assert engine.client.ping()
    own = Path("/proc/self")
    before = processor_seconds(own)
    if before is None:
        pytest.skip("this machine tells nobody what a control group used")
    start = time.process_time()
    while time.process_time() - start < 0.2:
        pass
    after = processor_seconds(own)
    assert after is not None
    assert after - before >= 0.19


def test_of_a_process_that_is_gone_nothing_is_known():
    assert processor_seconds(Path("/proc/unseen")) is None
