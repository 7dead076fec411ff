"""A run is alive while its process is, however that ends."""

import re
import signal
import subprocess
import sys

import pytest

from coursework.containers.runs import is_alive, open_run

_HOLD = """
import sys, time
from coursework.containers.runs import open_run
with open_run("90-tiny") as run:
    print(run.run_id, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_a_run_lives_as_long_as_it_is_open():
    """Inside it is alive, afterwards not, and its labels name it."""
    with open_run("90-tiny") as run:
        assert is_alive(run.run_id)
        clone = run.labels.pop("course.clone")
        assert re.fullmatch("[0-9a-f]{12}", clone)
        assert run.labels == {
            "course.clone": clone,
            "course.module": "90-tiny",
            "course.run": run.run_id,
        }
    assert not is_alive(run.run_id)


def test_a_killed_process_leaves_a_dead_run():
    """A run whose process was killed is dead at once, without anybody tidying up."""
    with subprocess.Popen([sys.executable, "-c", _HOLD], stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        run_id = held.stdout.readline().strip()
        assert is_alive(run_id)
        held.send_signal(signal.SIGKILL)
        held.wait()
    assert not is_alive(run_id)


def test_a_run_that_never_was_is_dead():
    """An unknown id is no living run."""
    assert not is_alive("00000000")
