"""course lab: what its terminals and kernels are given."""

import signal
from pathlib import Path

import pytest
import requests

from coursework.containers.runs import open_run
from coursework.engine import processes
from coursework.lab.server import free_port
from tests.commands.conftest import SLUG

pytestmark = pytest.mark.engine


# JupyterLab opens at the first lesson, and the tiny course has none.
LESSON = """---
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# Tiny
"""


@pytest.fixture
def lab(clone, course):
    """Return what starts a lab with options: its process, and its address with the token."""
    started = []
    lesson = clone.root / "course" / SLUG / "lesson.md"
    lesson.parent.mkdir(parents=True, exist_ok=True)
    lesson.write_text(LESSON, "utf-8")

    def start(*options):
        process = course("lab", "--no-browser", "--port", str(free_port(9410)), *options)
        started.append(process)
        for line in process.stdout:
            if line.strip().startswith("http://"):
                return process, line.strip()
        raise AssertionError(process.stderr.read())

    yield start
    for process in started:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


def descendants(pid):
    """Return the numbers of all processes below one."""
    found = processes.children(pid)
    return [*found, *(deeper for child in found for deeper in descendants(child))]


def told(pid):
    """Return how a process was called, and its variables; nothing of one that is gone."""
    try:
        words, pairs = (
            Path(f"/proc/{pid}/{file}").read_text("utf-8").split("\0")
            for file in ("cmdline", "environ")
        )
    except OSError:
        return [], {}
    return words, dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_another_clusters_kubeconfig_reaches_terminals_and_kernels(lab, tmp_path):
    theirs = tmp_path / "their kubeconfig"
    theirs.write_text("apiVersion: v1\nkind: Config\n")
    process, url = lab("--kubeconfig", str(theirs))
    address, _, token = url.partition("/lab")
    headers = {"Authorization": f"token {token.rpartition('token=')[2]}"}
    for kind in ("terminals", "kernels"):
        requests.post(f"{address}/api/{kind}", headers=headers, timeout=30).raise_for_status()
    below = [told(pid) for pid in descendants(process.pid)]
    for program in ("jupyterlab", "bash", "ipykernel_launcher"):
        given = [v for words, v in below if any(w.endswith(program) for w in words)]
        assert given, program
        assert {variables.get("KUBECONFIG") for variables in given} == {str(theirs)}


def test_the_end_of_a_lab_removes_what_failed_checks_left(lab, clone, engine, monkeypatch):
    """Nobody looks at it any more; what a check under way has made stays."""
    monkeypatch.chdir(clone.root)
    image, words = "python:3.13-slim", ["sleep", "600"]
    with open_run(SLUG) as ended:
        left = engine.client.containers.run(image, words, labels=ended.labels, detach=True)
    with open_run(SLUG) as run:
        used = engine.client.containers.run(image, words, labels=run.labels, detach=True)
        process, _ = lab()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        found = {c.id for c in engine.client.containers.list(all=True, ignore_removed=True)}
    assert left.id not in found
    assert used.id in found


def test_a_kubeconfig_that_is_not_there_is_told(finished):
    code, _, errors = finished("lab", "--kubeconfig", "/nowhere")
    assert code == 2
    assert "does not exist" in errors
