"""What comes back twice counts once, and nobody but a run with --scheduler loads Dask."""

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from coursework.checks.points import Check
from coursework.checks.verdict import Report
from coursework.cohort.grading import Progress
from coursework.cohort.remote import bench, connection
from coursework.cohort.remote.batch import Batch
from coursework.cohort.remote.identity import Identity
from coursework.cohort.remote.order import Order
from coursework.cohort.remote.travel import packed
from coursework.cohort.results import Result, Results, key_of
from coursework.cohort.source import HandedIn
from coursework.trouble import CourseError

CHECKS = (Check("first", "first holds", 5, (), "", ()),)
ORDER = Order("course-1", "90-remote", trusted=False, identity=Identity("", "", "", ""))


class Future:
    """A task that never ends by itself."""

    is_cancelled = False

    def add_done_callback(self, _):
        """Nobody is called."""

    def cancel(self):
        """Note it."""
        self.is_cancelled = True


class Client:
    """A client that keeps what is submitted."""

    status = "running"

    def __init__(self):
        self.sent = {}

    def submit(self, *_, key, **__):
        """Keep a task."""
        return self.sent.setdefault(key, Future())


@pytest.fixture
def run(tmp_path):
    """Return a batch of one submission that is under way, its client and what was told."""
    told: list[Result] = []
    client = Client()
    batch = Batch(
        client, "tcp://head:8786", ORDER, "by", CHECKS, Results(tmp_path), [],
        Progress(on_result=told.append, on_trouble=lambda *_: None), print,
    )  # fmt: skip
    batch._submit(HandedIn("ada", lambda: b"{}"), [])
    return batch, client, told


def sent_back():
    """Return what a worker sends for it."""
    report = Report("90-remote", "0" * 8, 1, (CHECKS[0].result("passed"),))
    return packed(Result("", "90-remote", key_of(b"{}", "by"), report))


def test_a_result_that_comes_twice_counts_once(run):
    batch, client, told = run
    (number,) = client.sent
    batch.arrive(number, sent_back())
    batch.arrive(number, sent_back())
    assert [r.learner for r in told] == ["ada"]


def test_a_result_that_comes_after_its_task_was_given_again_counts_no_more(run):
    batch, client, told = run
    (first,) = client.sent
    batch.arrive(first, b"no result")
    assert told == []
    batch.arrive(first, sent_back())
    assert told == []
    _, second = client.sent
    batch.arrive(second, b"no result")
    batch.arrive(second, sent_back())
    (unjudged,) = told
    assert not unjudged.is_final
    assert unjudged.trouble.count("what came back is no result") == 2
    assert client.sent[second].is_cancelled


@pytest.mark.parametrize("slots", [None, "many", 0, -3, 10**9, True, 2.5])
def test_a_worker_that_offers_no_number_is_not_used_and_stops_nobody(run, slots, capsys):
    batch, _, _ = run
    batch._roll._slots["tcp://x"] = 0
    batch._on_told({"kind": "ready", "worker": "tcp://x", "slots": slots})
    assert batch._roll.slots == 0
    assert "tcp://x is not used: it offers" in capsys.readouterr().out


def test_why_a_worker_is_not_used_steers_no_terminal(run):
    batch, client, _ = run
    told = []
    client.run = lambda *_, **__: {"tcp://x": b'{"unfit": "\\u001b[2Jno"}'}
    batch._roll._answered = lambda *words: told.append(words)
    batch._roll._ask("tcp://x")
    assert told == [("tcp://x", "no")]


def test_a_worker_that_is_told_to_leave_before_it_has_joined_prepares_nothing(monkeypatch):
    """Ctrl-C in the first second: it would keep sandboxes for an hour."""
    worker = SimpleNamespace(
        state=SimpleNamespace(nthreads=1, total_resources={"sandbox": 1}), plugins={}
    )
    worker.plugin_add = lambda **_: pytest.fail("it prepares")
    left = bench.leave(ORDER.resource, worker)

    def identity(*_):
        asyncio.run(left)
        return ORDER.identity

    monkeypatch.setattr(bench, "find_layout", lambda: None)
    monkeypatch.setattr(bench, "load_catalogue", lambda _: SimpleNamespace(find=str))
    monkeypatch.setattr(Identity, "of", identity)
    monkeypatch.setattr(bench, "_OVER", set())
    said = asyncio.run(bench.join(ORDER.to_json(), worker))
    assert json.loads(said) == {"unfit": "the run is over"}


def test_without_a_scheduler_dask_is_not_loaded():
    asked = (
        "import sys, coursework.commands.grade, coursework.commands.certificates;"
        "sys.exit(bool({'dask', 'distributed'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


def test_without_dask_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda _: None)
    with pytest.raises(CourseError, match="isn't installed") as refused:
        connection.require_dask()
    assert "coursework[dask]" in refused.value.why
