"""How a whole run behaves: a small one, in a process of its own."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.clone import ROOT

PLUGINS = [
    f"tests.running.{name}" for name in ("signals", "groups", "nightly", "kubernetes", "plugin")
]
# Without all the other plugins a run begins in a second.
VARIABLES = {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
FIRST = """
import os, pytest, time

@pytest.fixture(scope="session")
def cohort(worker_id):
    return worker_id

@pytest.fixture
def tidied(worker_id):
    open(f"began-{worker_id}", "w").close()
    yield
    time.sleep(1)
    open(f"tidied-{worker_id}", "w").close()

def note(what, worker_id):
    with open(what, "a") as file:
        file.write(f"{worker_id}\\n")

def test_shares(cohort, worker_id):
    note("sandboxes", worker_id)

def test_of_the_file(worker_id):
    note(__name__, worker_id)

def test_of_the_file_too(worker_id):
    note(__name__, worker_id)

def test_what_it_starts_hears_an_interrupt():
    import signal, subprocess, sys
    code = "import signal; print(signal.getsignal(signal.SIGINT) == signal.default_int_handler)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True\\n"

@pytest.mark.nightly
def test_at_night():
    raise AssertionError
"""
SECOND = FIRST.split("@pytest.mark.nightly", maxsplit=1)[0]
FAULTS = """
import os, time

def test_hangs():
    time.sleep(60)

def test_loses_its_worker():
    os._exit(7)

def test_goes_on():
    pass
"""
WAITING = """
from test_first import tidied
import time

def test_waits(tidied):
    time.sleep(60)
"""


@pytest.fixture
def project(tmp_path):
    """Return a folder of tests, and what starts a run of them with the plugins of these."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nmarkers =\n  nightly: left out\naddopts = -p no:cacheprovider\n"
    )
    (tmp_path / "test_first.py").write_text(FIRST)

    def start(*words, first=()):
        variables = {n: v for n, v in os.environ.items() if not n.startswith("PYTEST")}
        command = [*first, sys.executable, "-m", "pytest", "-n2", "--dist=loadgroup", *words]
        for name in ("xdist", "pytest_timeout", *PLUGINS):
            command += ["-p", name]
        return subprocess.Popen(
            command, cwd=tmp_path, env={**variables, **VARIABLES}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    return tmp_path, start


def test_a_file_and_a_group_stay_on_one_worker_and_the_night_is_told(project):
    folder, start = project
    (folder / "test_second.py").write_text(SECOND)
    # As a script starts what it puts into the background.
    run = start(first=("sh", "-c", 'trap "" INT; exec "$@"', "sh"))
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert "8 passed" in said
    assert "1 long tests were left for the night" in said
    workers = {n: (folder / n).read_text().split() for n in ("sandboxes", "test_first")}
    assert [(len(w), len(set(w))) for w in workers.values()] == [(2, 1), (2, 1)]


def test_one_that_hangs_and_one_that_takes_its_worker_along_fail_alone(project):
    folder, start = project
    (folder / "test_faults.py").write_text(FAULTS)
    run = start("--timeout=2", "test_faults.py", "test_first.py")
    said, _ = run.communicate(timeout=120)
    assert run.returncode == 1
    assert "2 failed, 5 passed" in said
    assert "Timeout (>2.0s)" in said
    assert "crashed while running 'test_faults.py::test_loses_its_worker'" in said


def test_an_interrupt_of_the_controller_alone_lets_both_workers_tidy_up(project):
    folder, start = project
    for name in ("test_one.py", "test_two.py"):
        (folder / name).write_text(WAITING)
    run = start("test_one.py", "test_two.py")
    deadline = time.monotonic() + 60
    while len(list(folder.glob("began-*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == pytest.ExitCode.INTERRUPTED, said
    assert {path.name for path in folder.glob("tidied-*")} == {"tidied-gw0", "tidied-gw1"}
