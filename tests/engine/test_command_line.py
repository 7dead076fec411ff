"""The docker command has settings of our own, and the user's stay as they are."""

import json
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coursework.engine import Engine, command_line
from coursework.trouble import CourseError

_THEIRS = {
    "auths": {"example.org": {"auth": "c2VjcmV0"}},
    "proxies": {"default": {"httpProxy": "http://proxy.example.org:3128"}},
    "currentContext": "elsewhere",
    "aliases": {"builder": "buildx"},
}


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """Return a user's Docker folder."""
    folder = tmp_path / "users"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(_THEIRS), encoding="utf-8")
    return folder


def test_the_way_to_registries_is_taken_over(tmp_path: Path, users: Path) -> None:
    """Credentials and proxies of the user hold in the lab; the context and aliases do not."""
    ours = tmp_path / "ours"
    command_line.write_settings(ours, users)
    written = json.loads((ours / "config.json").read_text("utf-8"))
    assert written == {"auths": _THEIRS["auths"], "proxies": _THEIRS["proxies"]}


def test_the_users_settings_stay_as_they_are(tmp_path: Path, users: Path) -> None:
    """Not a byte and not a file of the user's Docker folder changes."""
    before = (users / "config.json").read_bytes()
    command_line.write_settings(tmp_path / "ours", users)
    command_line.link_plugins(tmp_path / "ours")
    assert [p.name for p in users.iterdir()] == ["config.json"]
    assert (users / "config.json").read_bytes() == before


def test_nobody_else_may_read_the_credentials(tmp_path: Path, users: Path) -> None:
    """The copy is readable by its owner only."""
    command_line.write_settings(tmp_path / "ours", users)
    assert stat.S_IMODE((tmp_path / "ours" / "config.json").stat().st_mode) == 0o600


def test_unreadable_settings_count_as_none(tmp_path: Path) -> None:
    """Settings that are not JSON stop nothing."""
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    command_line.write_settings(tmp_path / "ours", tmp_path)
    assert json.loads((tmp_path / "ours" / "config.json").read_text("utf-8")) == {}


def test_a_docker_that_does_not_run_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no docker command works the error says what each one said."""
    broken = tmp_path / "bin" / "docker"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho broken on purpose >&2\nexit 1\n", encoding="ascii")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(broken.parent))
    (tmp_path / "own").mkdir()
    with pytest.raises(CourseError) as caught:
        command_line.choose_docker(tmp_path, tmp_path / "own", f"unix://{tmp_path}/none.sock")
    assert f"{broken}: broken on purpose" in caught.value.why


@pytest.mark.engine
@pytest.mark.parametrize("command", [["version"], ["compose", "version"], ["ps"]])
def test_the_commands_reach_the_engine(engine: Engine, command: list[str]) -> None:
    """Docker and compose run in the environment that an engine gives."""
    subprocess.run(["docker", *command], env=engine.environment(), check=True, capture_output=True)


@pytest.mark.engine
def test_docker_builds_with_buildkit(engine: Engine, tmp_path: Path) -> None:
    """A build by the chosen command uses BuildKit: the old builder refuses `--chmod`."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY --chmod=644 file /\n", "ascii")
    (tmp_path / "file").write_text("content", "ascii")
    done = subprocess.run(
        ["docker", "build", "--quiet", str(tmp_path)],
        env=engine.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("sha256:"), done.stderr
    engine.client.images.remove(done.stdout.strip())


def test_a_variable_that_another_thread_removes_meanwhile_is_left_out(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checks call commands in threads while pytest sets and removes a variable of its own."""
    monkeypatch.setenv("COURSE_TEST_COMES_AND_GOES", "")
    over = threading.Event()
    before = sys.getswitchinterval()
    # Else each of the two waits 5 ms for the other, again and again.
    sys.setswitchinterval(1e-5)

    def come_and_go() -> None:
        while not over.is_set():
            os.environ.pop("COURSE_TEST_COMES_AND_GOES", None)
            os.environ["COURSE_TEST_COMES_AND_GOES"] = "here"

    with ThreadPoolExecutor(1) as other:
        other.submit(come_and_go)
        try:
            found = [command_line.environment(engine.docker_host) for _ in range(500)]
        finally:
            over.set()
            sys.setswitchinterval(before)
    assert all(one["DOCKER_HOST"] == engine.docker_host for one in found)
