"""Schedulers and workers, started as people start them: two programs, each in a clone."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from coursework.cohort.results import Results
from tests.clone import tiny_clone
from tests.waiting import wait_until

SLUG = "90-remote"
FAKED = Path(__file__).with_name("faked.py")
_DASK = [str(Path(sys.executable).with_name("dask"))]
# Programs that load much, on a machine that tests keep busy.
_STARTS_WITHIN_S = 150
_ENDS_WITHIN_S = 240
_COURSE = [sys.executable, "-c", "from coursework.cli import main; main()"]


class Machines:
    """A scheduler and its workers.

    Args:
        room: for logs, and for what faked gradings leave.
        preload: a file that workers load first; none where they grade in earnest.
        variables: of the environment.
    """

    def __init__(self, room, preload=FAKED, **variables):
        self.room = room
        self._preload = ["--preload", str(preload)] if preload else []
        self._variables = {
            **os.environ, "COURSE_TEST_ROOM": str(room), "PYTHONWARNINGS": "ignore", **variables
        }  # fmt: skip
        self._started = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.protocol = "tcp"

    @property
    def address(self):
        """Return the scheduler's address."""
        return f"{self.protocol}://127.0.0.1:{self.port}"

    def start_scheduler(self):
        """Start it, and wait until it listens."""
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--protocol", self.protocol,
                 "--dashboard-address", "127.0.0.1:0"]  # fmt: skip
        scheduler = self._start("scheduler", ["scheduler", *words], self.room)
        wait_until(lambda: self._listens(scheduler), within_s=_STARTS_WITHIN_S)
        return scheduler

    def _listens(self, scheduler):
        assert scheduler.poll() is None, self.log("scheduler")
        with socket.socket() as line:
            return line.connect_ex(("127.0.0.1", self.port)) == 0

    def start_worker(self, clone, *words, nanny=False, machine=None):
        """Start one that takes one grading at a time, and wait until the scheduler knows it.

        Args:
            clone: in which it is started.
            words: in place of those that offer one sandbox.
            nanny: start it again when it dies, which costs another process.
            machine: variables by which it finds an engine of its own.
        """
        words = words or ("--resources", "sandbox=1")
        place = ["--no-dashboard", "--local-directory", str(self.room / "scratch"),
                 "--nthreads", "1", "--nanny" if nanny else "--no-nanny"]  # fmt: skip
        name = f"worker-{len(self._started)}"
        command = ["worker", self.address, *words, *place, *self._preload]
        worker = self._start(name, command, clone, machine)
        wait_until(lambda: "Registered to" in self.log(name), within_s=_STARTS_WITHIN_S)
        return worker

    def _start(self, name, words, folder, machine=None):
        with self._log(name).open("ab") as log:
            process = subprocess.Popen(
                [*_DASK, *words], cwd=folder, env=self._variables | (machine or {}),
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    def _log(self, name):
        return self.room / f"{name}.log"

    def log(self, name):
        """Return what a scheduler or a worker printed."""
        return self._log(name).read_text("utf-8", "replace")

    def end(self):
        """End all, and whatever they started."""
        for process in self._started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def grade(self, clone, folder, slug=SLUG):
        """Type `course grade` over a folder of submissions."""
        words = [str(folder / "in"), "--module", slug, "--out", str(folder / "out"),
                 "--gradebook", f"sqlite:///{folder / 'gradebook.db'}",
                 "--scheduler", self.address]  # fmt: skip
        return subprocess.Popen(
            [*_COURSE, "grade", *words], cwd=clone, env=self._variables, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip


@contextmanager
def machines_in(room, **options):
    """Have machines, and end them."""
    room.mkdir(parents=True, exist_ok=True)
    made = Machines(room, **options)
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """Return a clone of the tiny module."""
    return tiny_clone(tmp_path_factory.mktemp("remote") / "clone", SLUG).root


@pytest.fixture
def machines(tmp_path):
    """Return machines of one test."""
    with machines_in(tmp_path / "room") as made:
        yield made


def hand_in(folder, **does):
    """Hand in what says what its grading does."""
    (folder / "in").mkdir(parents=True, exist_ok=True)
    for learner, word in does.items():
        text = json.dumps({"does": word, "learner": learner})
        (folder / "in" / f"{learner}.ipynb").write_text(text, "utf-8")


def ended(process, code=0):
    """Wait for a command's end; give what it said."""
    try:
        said, _ = process.communicate(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        said, _ = process.communicate()
        raise AssertionError(said) from None
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


def results(folder, slug=SLUG):
    """Return the results by learner."""
    return {r.learner: r for r in Results(folder / "out" / "results" / slug).all()}


def graded(machines):
    """Return what was graded, with where: each once for each time."""
    lines = (machines.room / "graded").read_text("utf-8").splitlines()
    return [tuple(line.split(" ", 1)) for line in lines]
