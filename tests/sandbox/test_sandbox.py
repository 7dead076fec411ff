"""A sandbox is an engine like another, from which nothing leads out."""

import os
import signal
import time
from contextlib import contextmanager

import pytest

from coursework.checks.deadline import Deadline, answers_run_in
from coursework.containers.building import BuildFailed, Limits, build_image
from coursework.engine.processes import processor_seconds_together
from coursework.grading.warming import warming_answers
from coursework.sandbox import open_fleet
from coursework.sandbox.place import socket_folders
from coursework.trouble import CourseError
from tests.learners import SLUG, SMALL, left_behind

pytestmark = pytest.mark.engine
BASE = "FROM python:3.13-slim\n"
PIP = "RUN pip download -q --no-deps --no-cache-dir --dest /tmp "


@contextmanager
def one_sandbox(cohort):
    """Return a sandbox and its engine, that nobody else uses."""
    answers = warming_answers(cohort.layout, cohort.module)
    with open_fleet(
        cohort.engine, cohort.module, answers, lambda _: None, ahead=1, wanted=1, limits=SMALL
    ) as fleet:
        yield fleet.take()


@pytest.fixture(scope="module")
def taken(cohort):
    """Return a sandbox and its engine."""
    with one_sandbox(cohort) as sandbox_and_engine:
        yield sandbox_and_engine
    assert left_behind(cohort.engine) == []


def run(engine, *command):
    """Run a command in a container of a sandbox, and give what it printed."""
    printed = engine.client.containers.run(
        "busybox:1.37", ["sh", "-c", " ".join(command)], remove=True, stderr=True
    )
    return printed.decode().strip()


def test_it_begins_with_the_images_of_its_module_and_the_steps_of_warming_answers(taken, cohort):
    _, engine = taken
    tags = {tag for image in engine.client.api.images() for tag in image["RepoTags"] or ()}
    assert "python:3.13-slim" in tags
    lines: list[str] = []
    (files,) = warming_answers(cohort.layout, cohort.module)
    build_image(engine, files, module=SLUG, on_line=lines.append)
    assert any("CACHED" in line for line in lines)


def test_a_grader_that_cannot_reach_its_sandboxes_says_so_and_judges_nobody(cohort, own_network):
    del own_network
    with (
        pytest.raises(CourseError, match="does not reach its own sandboxes") as refused,
        one_sandbox(cohort),
    ):
        pass
    assert "--network=host" in refused.value.why
    assert left_behind(cohort.engine) == []


@contextmanager
def left_running(engine, command):
    """Start a container in a sandbox; give the folder in /proc of its first process."""
    container = engine.client.containers.run("busybox:1.37", ["sh", "-c", command], detach=True)
    try:
        container.reload()
        yield engine.process_folder(container.attrs["State"]["Pid"])
    finally:
        container.remove(force=True)


def test_who_waits_beside_a_container_that_takes_all_processors_is_not_late(taken):
    """One good wait of five is enough, since other tests leave processors free now and then."""
    _, engine = taken
    with (
        left_running(engine, "while :; do :; done & while :; do :; done") as busy,
        left_running(engine, "sleep 60") as idle,
        answers_run_in(engine),
    ):
        before = [processor_seconds_together(process) or 0.0 for process in (busy, idle)]
        assert not all(_is_late_after_a_second(idle) for _ in range(5))
        after = [processor_seconds_together(process) or 0.0 for process in (busy, idle)]
    used = [since - until for since, until in zip(after, before, strict=True)]
    assert used[0] > 0.2
    assert used[1] < 0.1


def _is_late_after_a_second(process):
    deadline = Deadline(1.0, lambda: processor_seconds_together(process))
    time.sleep(1.2)
    assert deadline.is_reached()
    return deadline.has_passed()


def test_containers_in_it_find_no_way_out(taken):
    _, engine = taken
    assert run(engine, "ls /sys/class/net | tr '\\n' ' '").split() == ["eth0", "lo"]
    assert "can't resolve" in run(engine, 'nslookup registry.invalid || echo "can\'t resolve"')
    assert run(engine, "test -e /socket || echo absent") == "absent"


def test_a_look_up_fails_at_once(taken):
    _, engine = taken
    start = time.monotonic()
    run(engine, "wget -q -T 30 http://registry.invalid/ || true")
    assert time.monotonic() - start < 15


def test_a_build_reaches_a_package_registry_and_nothing_else(taken):
    _, engine = taken
    word = os.urandom(4).hex()
    build_image(engine, {"Dockerfile": f"{BASE}{PIP} six # {word}\n".encode()}, module=SLUG)
    fetch = f"RUN python -c \"import urllib.request as u; u.urlopen('http://{word}.invalid')\"\n"
    with pytest.raises(BuildFailed) as failed:
        build_image(engine, {"Dockerfile": f"{BASE}{fetch}".encode()}, module=SLUG)
    assert "403" in failed.value.log


def test_a_build_ends_at_its_limits(taken):
    _, engine = taken
    with pytest.raises(BuildFailed, match="did not end in 3 s"):
        build_image(
            engine, {"Dockerfile": f"{BASE}RUN sleep 99\n".encode()}, module=SLUG, limits=Limits(3)
        )


def test_a_build_that_fills_the_disk_ends_and_is_told_so(cohort):
    # The engine gives the room back some time later: what others do meanwhile would fail.
    with (
        one_sandbox(cohort) as (_, engine),
        pytest.raises(BuildFailed, match="more than its engine's disk holds"),
    ):
        build_image(
            engine, {"Dockerfile": f"{BASE}RUN head -c 600M /dev/zero > /x\n".encode()},
            module=SLUG,
        )  # fmt: skip


def test_nothing_can_be_put_in_the_sockets_place(taken, cohort):
    sandbox, _ = taken
    container = cohort.engine.client.containers.get(sandbox.name)
    for command in ("rm -f /socket/docker.sock", "touch /socket/x", "touch /home/student/x"):
        code, _ = container.exec_run(["sh", "-c", command], user="student")
        assert code != 0, command
    assert sandbox.is_intact()


def test_it_has_no_privileges(taken, cohort):
    sandbox, engine = taken
    attrs = cohort.engine.client.containers.get(sandbox.name).attrs["HostConfig"]
    assert not attrs["Privileged"]
    assert not attrs["CapAdd"]
    assert attrs["ReadonlyRootfs"]
    assert "rootless" in str(engine.client.info()["SecurityOptions"])
    owner = os.stat(f"/proc/{engine.process}").st_uid  # noqa: PTH116 - of a process
    children = [p for p in os.listdir("/proc") if p.isdigit() and is_below(p, engine.process)]  # noqa: PTH208
    assert children
    assert owner != 0 or {os.stat(f"/proc/{p}").st_uid for p in children} != {0}  # noqa: PTH116


def is_below(pid, ancestor):
    """Tell whether a process is another one's child."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return int(file.read().rpartition(")")[2].split()[1]) == ancestor
    except OSError:
        return False


def test_an_engine_that_is_not_the_one_that_started_is_noticed(cohort):
    with one_sandbox(cohort) as (sandbox, engine):
        assert sandbox.is_intact()
        os.kill(engine.process, signal.SIGKILL)
        time.sleep(1)
        assert not sandbox.is_intact()
    assert not [f for f in socket_folders().iterdir() if f.name in sandbox.name]
