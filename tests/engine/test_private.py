"""A private engine is started, found, stopped and recovered: on a real dockerd."""

import os
import signal
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from coursework.engine import address, processes
from coursework.engine.private import PrivateEngine
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine


def silent(_: str) -> None:
    """Take progress and show nothing."""


def _running(engine: PrivateEngine) -> int:
    pid = engine.pid()
    assert pid is not None
    return pid


def _remains(engine: PrivateEngine) -> list[processes.Process]:
    return processes.find_programs(("dockerd", "containerd"), engine.exec_root)


def test_it_starts_and_answers(private: PrivateEngine) -> None:
    """After a start its own socket answers, with its own data root."""
    assert private.start(silent)
    assert private.answers()
    assert address.get(private.docker_host, "/info", 10)["DockerRootDir"] == str(private.data)


def test_a_second_start_finds_the_first(private: PrivateEngine) -> None:
    """A second start leaves the running daemon as it is."""
    private.start(silent)
    pid = _running(private)
    assert not PrivateEngine(private.folder).start(silent)
    assert private.pid() == pid


def test_two_starts_at_once_start_one_daemon(private: PrivateEngine) -> None:
    """Of two simultaneous starts one waits for the other."""
    started: list[bool] = []
    threads = [
        threading.Thread(target=lambda: started.append(private.start(silent))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(started) == [False, True]


def test_stop_leaves_no_process_and_no_bridge(private: PrivateEngine) -> None:
    """A stop ends dockerd and containerd, and takes the bridge away; a second stop does nothing."""
    private.start(silent)
    assert _bridge_exists(private)
    assert private.stop(silent)
    assert _remains(private) == []
    assert not _bridge_exists(private)
    assert not private.answers()
    assert not private.stop(silent)


def _bridge_exists(engine: PrivateEngine) -> bool:
    return f"{engine.name}:" in Path("/proc/thread-self/net/dev").read_text("utf-8")


def test_a_killed_daemon_is_recovered(private: PrivateEngine) -> None:
    """After a SIGKILL of dockerd the next start gives an engine that answers."""
    private.start(silent)
    killed = _running(private)
    os.kill(killed, signal.SIGKILL)
    assert private.start(silent)
    assert _running(private) != killed
    assert private.answers()


def test_stop_after_a_kill_ends_what_is_left(private: PrivateEngine) -> None:
    """After a SIGKILL of dockerd a stop leaves no containerd behind."""
    private.start(silent)
    os.kill(_running(private), signal.SIGKILL)
    private.stop(silent)
    assert _remains(private) == []


def test_a_stale_socket_is_no_obstacle(private: PrivateEngine) -> None:
    """A socket that nobody listens on is replaced."""
    private.start(silent)
    private.stop(silent)
    Path(private.docker_host.removeprefix("unix://")).touch()
    assert not private.answers()
    assert private.start(silent)


def test_a_pid_file_that_names_another_program_is_stale(private: PrivateEngine) -> None:
    """A number that now is another program's is neither trusted nor ended."""
    with subprocess.Popen(["sleep", "600"]) as other:
        private.pid_file.write_text(f"{other.pid}", encoding="ascii")
        assert private.pid() is None
        assert private.start(silent)
        private.stop(silent)
        assert other.poll() is None
        other.kill()


def test_a_long_folder_gets_a_short_socket(private: PrivateEngine) -> None:
    """A folder too long for socket names has its sockets under /run."""
    deep = PrivateEngine(private.folder / ("d" * 80))
    try:
        assert deep.start(silent)
        assert deep.docker_host.startswith("unix:///run/course-")
    finally:
        deep.stop(silent)


def test_a_daemon_that_cannot_start_tells_why(private: PrivateEngine) -> None:
    """The error carries dockerd's last words and the path of its log."""
    private.data.parent.mkdir(exist_ok=True)
    private.data.write_text("in the way", encoding="ascii")
    with pytest.raises(CourseError) as caught:
        private.start(silent)
    assert str(private.data) in caught.value.why
    assert str(private.log) in caught.value.fix
    assert _remains(private) == []


@pytest.fixture
def sleeping(private: PrivateEngine) -> Iterator[int]:
    """Return the number of a container's process in a running private engine."""
    private.start(silent)
    client = docker.DockerClient(base_url=private.docker_host)
    with tempfile.TemporaryFile() as nothing:
        tarfile.open(fileobj=nothing, mode="w").close()
        nothing.seek(0)
        client.api.import_image_from_data(nothing.read(), repository="empty")
    programs = [f"{folder}:{folder}:ro" for folder in ("/usr", "/lib", "/lib64", "/bin")]
    container = client.containers.run("empty", "sleep 600", volumes=programs, detach=True)
    container.reload()
    yield int(container.attrs["State"]["Pid"])
    client.close()


def test_containers_of_a_killed_daemon_end_with_the_next_start(
    private: PrivateEngine, sleeping: int
) -> None:
    """A container that outlives its dockerd runs no longer once the engine is back."""
    os.kill(_running(private), signal.SIGKILL)
    assert processes.is_running(sleeping)
    private.start(silent)
    assert not processes.is_running(sleeping)
    assert address.get(private.docker_host, "/containers/json", 10) == []


def test_stop_after_a_kill_ends_containers(private: PrivateEngine, sleeping: int) -> None:
    """After a SIGKILL of dockerd a stop leaves no container's process and no shim."""
    os.kill(_running(private), signal.SIGKILL)
    assert private.stop(silent)
    assert not processes.is_running(sleeping)
    assert _remains(private) == []
