"""course engine shows, starts and stops the engine, for people and for programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coursework.engine import Engine

_COURSE = Path(sys.executable).with_name("course")


def _course(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_COURSE, "engine", *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.engine
def test_status_names_the_engine(engine: Engine) -> None:
    """Programs read kind, address and version; the exit code is 0 where one answers."""
    done = _course("status", "--json")
    shown = json.loads(done.stdout)
    assert done.returncode == 0
    assert (shown["kind"], shown["docker_host"]) == (engine.kind, engine.docker_host)
    assert shown["version"]


def test_status_without_an_engine_exits_1(tmp_path: Path) -> None:
    """Where none answers the status says so, with the command that starts one."""
    done = _course(
        "status", DOCKER_HOST=f"unix://{tmp_path}/none.sock", XDG_CACHE_HOME=str(tmp_path)
    )
    assert done.returncode == 1
    assert "course engine start" in done.stdout
    assert f"looked at unix://{tmp_path}/none.sock (DOCKER_HOST says so)" in done.stdout


@pytest.mark.engine
def test_start_finds_the_engine_that_runs(engine: Engine) -> None:
    """A start where an engine answers names it and changes nothing."""
    done = _course("start")
    assert done.returncode == 0
    assert engine.docker_host in done.stdout


def test_stop_without_a_private_engine_is_fine(tmp_path: Path) -> None:
    """Stopping twice, or never having started, is no error."""
    done = _course("stop", XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 0
    assert "No private engine runs" in done.stdout
