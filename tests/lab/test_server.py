"""The lab is a real JupyterLab: it answers, and one Ctrl-C leaves nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from coursework.engine import processes
from coursework.lab.server import Lab, free_port, has_display
from coursework.trouble import CourseError


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Return a running lab of an empty folder."""
    environment = dict(os.environ)
    with Lab(tmp_path / "work", environment, free_port(), tmp_path / "lab.log") as running:
        running.wait_until_usable()
        yield running


def _ask(lab: Lab, path: str, method: str = "GET") -> dict[str, object]:
    token = lab.url.rpartition("token=")[2]
    request = urllib.request.Request(
        f"http://127.0.0.1:{lab.port}{path}",
        method=method,
        headers={"Authorization": f"token {token}"},
        data=b"{}" if method == "POST" else None,
    )
    with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
        answer: dict[str, object] = json.load(reply)
        return answer


def _descendants(pid: int) -> list[int]:
    found = processes.children(pid)
    return [*found, *(deeper for child in found for deeper in _descendants(child))]


def test_leaving_it_ends_kernels_and_terminals(tmp_path: Path) -> None:
    """A kernel and a terminal that were opened end with the lab."""
    log = tmp_path / "lab.log"
    with Lab(tmp_path / "work", dict(os.environ), free_port(), log) as lab:
        lab.wait_until_usable()
        _ask(lab, "/api/kernels", "POST")
        _ask(lab, "/api/terminals", "POST")
        opened = _descendants(lab.pid)
        assert len(opened) >= 2
    assert [pid for pid in opened if processes.is_running(pid)] == []
    assert free_port(lab.port) == lab.port


def test_it_refuses_a_visitor_without_its_token(lab: Lab) -> None:
    """The address works with the token only."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"http://127.0.0.1:{lab.port}/api/kernels", timeout=10)
    caught.value.close()
    assert caught.value.code == 403


def test_its_page_asks_nothing_and_shows_nothing_of_an_instructor(lab: Lab) -> None:
    """No question about news, no menu that generates assignments: they are switched off."""
    page = f"{lab.url.partition('?')[0]}?token={lab.url.rpartition('token=')[2]}"
    with urllib.request.urlopen(page, timeout=10) as reply:  # noqa: S310
        text = reply.read().decode()
    config = re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', text, re.DOTALL)
    assert config is not None
    disabled = json.loads(config[1])["disabledExtensions"]
    assert {"@jupyter/nbgrader", "@jupyterlab/apputils-extension:announcements"} <= set(disabled)


def test_a_taken_port_is_passed_over() -> None:
    """The next free port is taken where another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        assert free_port(taken) > taken


def test_one_that_cannot_start_tells_why(tmp_path: Path) -> None:
    """A server that ends at once is our trouble, with the path of its log."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        lab = Lab(tmp_path / "work", dict(os.environ), port, tmp_path / "lab.log")
        with lab, pytest.raises(CourseError) as caught:
            lab.wait_until_usable()
    assert str(tmp_path / "lab.log") in caught.value.fix


def test_no_browser_over_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over SSH a browser would open where nobody sees it."""
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.1 1 192.0.2.2 22")
    assert not has_display()


@pytest.mark.engine
@pytest.mark.usefixtures("engine")
def test_one_interrupt_ends_the_command(tmp_path: Path) -> None:
    """`course lab` prints its address, and one Ctrl-C ends it with exit code 0."""
    command = [
        str(Path(sys.executable).with_name("course")),
        "lab",
        "--no-browser",
        "--port",
        "8950",
    ]
    printed = tmp_path / "printed"
    with (
        printed.open("w") as out,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=out, text=True) as course,
    ):
        assert course.stdout is not None
        address = next(
            found for line in course.stdout if (found := re.search(r"http://\S+token=\w+", line))
        )
        below = _descendants(course.pid)
        course.send_signal(signal.SIGINT)
        rest = course.stdout.read()
    assert address
    assert course.returncode == 0
    assert "have ended" in rest
    assert [pid for pid in below if processes.is_running(pid)] == []
