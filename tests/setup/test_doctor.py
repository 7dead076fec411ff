"""The doctor looks at every part, tells what is wrong and how to mend it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from coursework.engine import Engine
from coursework.layout import find_layout
from coursework.setup.doctor import examine

_COURSE = Path(sys.executable).with_name("course")


@pytest.mark.engine
def test_a_machine_with_an_engine_can_run(engine: Engine) -> None:
    """Where an engine answers nothing is missing, and the engine is named with its address."""
    parts = {part.name: part for part in examine(find_layout())}
    assert [p for p in parts.values() if p.state == "missing"] == []
    assert engine.docker_host in parts["engine"].seen
    assert parts["docker compose"].state == "ok"


@pytest.mark.engine
def test_a_taken_port_is_a_warning_with_a_fix(engine: Engine) -> None:
    """A port that lessons use and another program holds does not stop the course."""
    del engine
    with socket.socket() as other:
        try:
            other.bind(("", 3000))
        except OSError:
            pytest.skip("another program holds port 3000 already")
        other.listen()
        found = next(p for p in examine(find_layout()) if p.name == "port 3000")
    assert found.state == "warning"
    assert "port 3000 is taken" in found.fix
    assert f"process {os.getpid()}" in found.fix


def test_without_an_engine_it_exits_1_and_names_the_fix(tmp_path: Path) -> None:
    """With no engine the course cannot run: exit 1, and the command that starts one."""
    nowhere = {"DOCKER_HOST": f"unix://{tmp_path}/none.sock", "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run(
        [_COURSE, "doctor", "--json"],
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert not report["runs"]
    engine = next(p for p in report["parts"] if p["name"] == "engine")
    assert (engine["state"], engine["fix"]) == ("missing", "course engine start")


def test_a_machine_without_curl_is_told_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lessons and failed checks name curl commands, so the course cannot do without."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    curl = next(p for p in examine(find_layout()) if p.name == "curl")
    assert (curl.state, curl.fix.split(",")[0]) == ("missing", "apt-get install curl")
