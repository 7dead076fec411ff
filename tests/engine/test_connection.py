"""Where no engine can be had the person is told what is missing, with the way out."""

import os
import pickle
import socket
from pathlib import Path

import pytest

from coursework.engine import Engine, address, find_engine, packages, start_engine
from coursework.trouble import CourseError


@pytest.fixture(autouse=True)
def _nothing_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a machine without any engine be the one we are on."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(address, "DEFAULT_SOCKET", tmp_path / "docker.sock")


def test_no_engine_is_found_where_none_answers() -> None:
    """Looking for an engine starts none."""
    assert find_engine() is None


def test_a_user_who_is_not_root_is_pointed_to_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not install packages is told where Docker comes from."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CourseError, match="only root can start one") as caught:
        start_engine()
    assert packages.INSTALL_DOCKER in caught.value.fix


def test_a_machine_without_apt_is_pointed_to_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root on another distribution is told where Docker comes from."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(packages, "SYSTEM_FOLDERS", ())
    with pytest.raises(CourseError, match="none can be installed here") as caught:
        start_engine()
    assert packages.INSTALL_DOCKER in caught.value.fix


def test_an_unwritable_socket_is_a_matter_of_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker that runs, but not for this user, is named with the command that lets the user in."""
    with socket.socket(socket.AF_UNIX) as docker:
        docker.bind(str(tmp_path / "docker.sock"))
        docker.listen()

        def refuse(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        # Root may open every socket: the kernel's refusal cannot be had for real here.
        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(CourseError, match="may not talk to it") as caught:
            start_engine()
    assert "usermod -aG docker" in caught.value.fix


def test_a_sandbox_knows_the_engine_it_runs_in() -> None:
    """What has no room in it, such as a cluster, is started there."""
    host = Engine("host", "unix:///run/docker.sock")
    sandbox = Engine("sandbox", "tcp://10.1.0.2:2375", outer_host=host.docker_host)
    assert sandbox.outer.docker_host == host.docker_host
    assert not sandbox.outer.is_sandbox
    assert host.outer is host


def test_an_engine_in_use_can_be_sent_to_another_process(engine: Engine) -> None:
    """Whoever gets it opens a connection of their own."""
    assert engine.client.ping()
    sent = pickle.loads(pickle.dumps(engine))  # noqa: S301 - it was made in the line before
    assert sent == engine
    assert sent.client.ping()
