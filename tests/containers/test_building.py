"""Builds end in an image, or in the line that says why not."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from coursework.containers.building import BuildFailed, Limits, build_image
from coursework.containers.cleaning import clean
from coursework.engine import Engine
from coursework.images import ensure_images
from coursework.trouble import CourseError
from tests.clone import own

pytestmark = pytest.mark.engine
MODULE = own("98-building")


@pytest.fixture
def built(engine):
    """Return a function that builds a Dockerfile; its images are removed afterwards."""
    ensure_images(engine, ["busybox:1.37"])
    yield lambda text, **more: build_image(
        engine, {"Dockerfile": text.encode()}, module=MODULE, **more
    )
    clean(engine.client, MODULE)


def test_a_build_gives_an_image(engine, built):
    """The id is that of an image with the module's label."""
    image = engine.client.images.get(built("FROM busybox:1.37\nRUN echo hello > /greeting\n"))
    assert image.labels["course.module"] == MODULE


def test_the_lines_of_a_build_are_told(built):
    """Whoever waits sees the steps."""
    lines: list[str] = []
    built(f"FROM busybox:1.37\nRUN echo step-{time.time_ns()}\n", on_line=lines.append)
    assert any("RUN echo step-" in line for line in lines)


@pytest.mark.parametrize(
    ("dockerfile", "saw"),
    [
        ("FROM busybox:1.37\nCOPPY . .\n", "unknown instruction: COPPY"),
        ("FROM busybox:1.37\nRUN exit 3\n", "exit code: 3"),
        ("FROM busybox:1.37\nCOPY none.txt .\n", "none.txt"),
        ("FROM node:23-nowhere\n", "node:23-nowhere is not here"),
        ("# syntax=docker/nowhere:1\nFROM busybox:1.37\n", "docker/nowhere:1 is not here"),
    ],
)
def test_a_failure_names_its_reason(built, dockerfile, saw):
    """The reason is one line, and the log's last lines are with it."""
    with pytest.raises(BuildFailed) as failed:
        built(dockerfile)
    assert saw in failed.value.saw
    assert failed.value.log


def test_a_base_image_of_another_platform_is_named(built):
    """The image is here, and the exercise names it: only the platform is another one."""
    with pytest.raises(BuildFailed) as failed:
        built("FROM --platform=linux/s390x busybox:1.37\n")
    assert failed.value.saw.startswith("busybox:1.37 is here for linux/")
    assert failed.value.hint == "leave --platform out of FROM"


def test_a_folder_without_a_dockerfile_is_said(engine):
    """Nothing to build: the message says which cell is missing."""
    with pytest.raises(BuildFailed, match="no Dockerfile") as failed:
        build_image(engine, {"server.py": b""}, module=MODULE)
    assert "%%writefile Dockerfile" in failed.value.hint


def test_a_full_disk_is_our_trouble(built, monkeypatch):
    """When the engine's disk is nearly full the build stops, and it is nobody's mistake."""
    from coursework.containers import building

    monkeypatch.setattr(building, "_LEAST_FREE_BYTES", 1 << 60)
    with pytest.raises(CourseError, match="disk is full") as error:
        built("FROM busybox:1.37\nRUN sleep 20\n")
    assert "course clean" in error.value.fix


def test_a_limit_of_time_stops_the_build(engine, built):
    """A build over its time is stopped, and no step of it goes on in the engine."""
    mark = f"sleep 31{os.getpid()}"
    with pytest.raises(BuildFailed, match="did not end in 1 s"):
        built(f"FROM busybox:1.37\nRUN {mark}\n", limits=Limits(seconds=1))
    if engine.docker_host.startswith("unix:"):
        assert_gone(mark)


def command_lines():
    """Return what each process of this machine was started with."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def assert_gone(mark):
    """Wait until no process of this machine carries the mark in its command."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(line.startswith(mark) for line in command_lines()):
            return
        time.sleep(0.1)
    pytest.fail(f"still running: {mark}")


def test_an_engine_that_is_gone_is_our_trouble():
    """No engine behind the address: the message names the command that starts one."""
    nowhere = Engine("host", "unix:///tmp/no-engine-here.sock")
    with pytest.raises((CourseError, Exception)) as error:
        build_image(nowhere, {"Dockerfile": b"FROM scratch\n"}, module=MODULE)
    assert not isinstance(error.value, BuildFailed)


_BUILD = """
import sys
from coursework.containers.building import build_image
from coursework.engine import Engine
files = {"Dockerfile": f"FROM busybox:1.37\\nRUN {sys.argv[2]}\\n".encode()}
show = lambda line: print(line, flush=True)
build_image(Engine("host", sys.argv[1]), files, module=sys.argv[3], on_line=show)
"""


def test_ctrl_c_ends_a_build_at_once(engine, built):
    """An interrupted build leaves no process and no temporary folder."""
    del built
    mark = f"sleep 32{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", _BUILD, engine.docker_host, mark, MODULE],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if f"RUN {mark}" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    if engine.docker_host.startswith("unix:"):
        assert_gone(mark)
