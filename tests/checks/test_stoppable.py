"""Programs and servers that are told to end: who hears it, when they close, how they exit."""

import time

import pytest

from coursework.checks.failure import Failure

pytestmark = pytest.mark.engine

DOCKERFILE = """FROM busybox:1.37
COPY program.sh /
ENTRYPOINT ["sh", "/program.sh"]
"""
# busybox's own sleep as a child: the shell hears a signal between two of them.
HEARS = "trap 'echo heard; exit 3' TERM; while true; do sleep 0.05; done"
DEAF = "sleep 1000; true"
# On SIGTERM it closes its port, and ends a moment later.
CLOSES = "httpd -f -p 3000 & trap 'kill $!; sleep 1; exit 0' TERM; wait; wait"


@pytest.fixture
def image(image_of):
    return lambda program: image_of({"Dockerfile": DOCKERFILE, "program.sh": f"{program}\n"})


def test_a_program_hears_a_signal_and_ends(image):
    """Its exit code is told, and when it ended; a further signal finds nobody."""
    program = image(HEARS + " # $1").start_program(args=["worker"], env={"NAME": "ada"})
    program.expect_running()
    told = program.signal("SIGTERM")
    ended = program.wait_for_exit(within_s=10)
    assert ended.code == 3
    assert told < ended.at < time.monotonic()
    assert program.logs() == "heard\n"
    assert not program.is_running
    with pytest.raises(Failure, match="exit code 3") as failure:
        program.signal("SIGTERM")
    assert failure.value.command.startswith("docker logs")


def test_a_program_that_does_not_hear_is_told_with_its_process_1(image):
    """The first process gets the signal, and here that is a shell which waits for its child."""
    program = image(DEAF).start_program()
    program.signal("SIGTERM")
    with pytest.raises(Failure, match=r"process 1 is: sh /program\.sh") as failure:
        program.wait_for_exit(within_s=0.2)
    assert "docker ps" in failure.value.command
    program.expect_running(0.1)


def test_a_program_that_ends_too_early_is_told_with_its_exit_code(image):
    """It must run until something, and does not."""
    program = image("exit 5").start_program()
    with pytest.raises(Failure, match=r"until the job is mailed.*exit code 5"):
        program.expect_running(10, until="the job is mailed")


def test_a_server_that_closes_its_port_still_runs(image):
    """Between the last connection and the exit there is a moment, and it is seen."""
    server = image(CLOSES).start()
    told = server.signal("SIGTERM")
    assert told < server.wait_until_refused(within_s=10)
    server.expect_running()
    assert server.wait_for_exit(within_s=10).code == 0
    # What has ended accepts nothing either.
    server.wait_until_refused(within_s=1)


def test_a_server_that_goes_on_accepting_is_told(image):
    """Nobody told it to close."""
    server = image(CLOSES).start()
    with pytest.raises(Failure, match="accepts them"):
        server.wait_until_refused(within_s=0.2)


def test_a_server_that_a_check_ended_starts_again_when_it_is_used(image):
    """The next check has a fresh one; until then none is started for nobody."""
    server = image(CLOSES).start()
    server.signal("SIGTERM")
    server.wait_for_exit(within_s=10)
    first = server.container.name
    server.end_check(passed=True)
    assert server.container.name == first
    server.get("/").expect(404)
    assert server.container.name != first
