"""What can break under a class that is graded: then it is graded on, and each has one result."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from coursework.cohort.results import Results
from tests.learners import POINTS, RIGHT, SLUG, left_behind, points

pytestmark = pytest.mark.engine
HALF = RIGHT.replace('b"hello"', 'b"<b>hi</b>"')
ANSWERS = {"ada": RIGHT, "bob": HALF, "dee": RIGHT}
_HALF_EARNS = {**POINTS, "greets": 0, "serves_many": 0}
# What a run has that nothing disturbs: see test_grade.
EARNED = {"ada": POINTS, "bob": _HALF_EARNS, "dee": POINTS}


class Grading:
    """`course grade`, as an instructor types it in a clone, one submission after another.

    Args:
        cohort: the class.
        folder: of what is handed in.
        out: the folder of results.
        variables: of the environment: the engine, and where the course keeps its own.
    """

    def __init__(self, cohort, folder, out, **variables):
        self._cohort, self._folder, self._out = cohort, folder, out
        self._variables = {**os.environ, **variables}
        self._results = Results(out / "results" / SLUG)
        for learner, server in ANSWERS.items():
            cohort.hand_in(folder / "in", learner, cohort.notebook(server_py=server))

    def start(self):
        """Begin."""
        book = f"sqlite:///{self._folder / 'gradebook.db'}"
        return self._type(
            str(self._folder / "in"), "--module", SLUG, "--jobs", "1", "--out", str(self._out),
            "--gradebook", book,
        )  # fmt: skip

    def resume(self):
        """Go on, to the end."""
        again = self.start()
        _, said = again.communicate(timeout=170)
        assert again.returncode == 0, said

    def _type(self, *words):
        command = [sys.executable, "-c", "from coursework.cli import main; main()", "grade"]
        return subprocess.Popen(
            [*command, *words], cwd=self._cohort.layout.root, env=self._variables, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def wait_for_the_first(self, process):
        """Wait for a result, and give all that are there."""
        while not (found := self.results()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        return found

    def results(self):
        """Return the results by learner."""
        return {r.learner: r for r in self._results.all()}

    def names(self):
        """Return what stands in the folder of results."""
        return sorted(path.name for path in self._results.folder.iterdir())


@pytest.mark.nightly
def test_an_engine_that_is_killed_is_started_and_the_class_graded_on(
    cohort, start_machine, tmp_path
):
    machine = start_machine()
    grading = Grading(cohort, tmp_path, tmp_path / "out", **machine.variables)
    first = grading.start()
    wait_for_the_second_sandbox(machine.engine, first)
    os.kill(machine.private.pid(), signal.SIGKILL)
    _, said = first.communicate(timeout=120)
    assert first.returncode == 2, said
    assert "The container engine is gone." in said
    assert "course engine start, then type the command again" in said
    assert "Traceback" not in said
    # Who has a sandbox already is graded in it all the same; the third one gets none.
    before = grading.results()
    assert "dee" not in before
    machine.private.start(lambda _: None)
    grading.resume()
    after = grading.results()
    assert {name: after[name] for name in before} == before
    assert {name: points(r) for name, r in after.items()} == EARNED
    assert grading.names() == [f"{name}.json" for name in EARNED]
    assert machine.engine.client.containers.list(all=True) == []
    assert left_behind(machine.engine) == []
    sandboxes = Path(machine.variables["XDG_CACHE_HOME"]) / "http-to-kubernetes" / "sandboxes"
    assert list(sandboxes.iterdir()) == []


def wait_for_the_second_sandbox(engine, process):
    """Wait until it is made: then the first answer is being graded."""
    second = {"name": "course-sandbox-.*-2$"}
    while not engine.client.containers.list(ignore_removed=True, filters=second):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


def test_a_disk_that_fills_up_is_emptied_and_the_class_graded_on(cohort, tmp_path):
    with small_disk(tmp_path / "out") as out:
        variables = {"DOCKER_HOST": cohort.engine.docker_host}
        grading = Grading(cohort, tmp_path, out, **variables)
        first = grading.start()
        before = grading.wait_for_the_first(first)
        fill(out / "full")
        _, said = first.communicate(timeout=120)
        assert first.returncode == 2, said
        assert "cannot be written" in said
        assert "make room (df -h), then type the command again" in said
        assert "Traceback" not in said
        assert grading.results() == before
        assert grading.names() == [f"{name}.json" for name in before]
        assert left_behind(cohort.engine) == []
        (out / "full").unlink()
        grading.resume()
        after = grading.results()
        assert {name: after[name] for name in before} == before
        assert {name: points(r) for name, r in after.items()} == EARNED
        assert grading.names() == [f"{name}.json" for name in EARNED]
        assert left_behind(cohort.engine) == []
        assert (out / "feedback" / SLUG / "dee.html").is_file()


@contextmanager
def small_disk(folder):
    """Return a folder on a disk of its own that holds little."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk of its own here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(path):
    """Write until there is no room for a byte more."""
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
        write_without_end(file)


def write_without_end(file):
    """Write zeros, a page at a time."""
    while True:
        file.write(bytes(4096))
