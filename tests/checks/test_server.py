"""Servers with a HEALTHCHECK, frozen ones, and ones that may do little."""

import subprocess
import time

import pytest

from coursework.checks.builder import Builder
from coursework.checks.failure import CHECK_AGAIN, Failure, StartFailure
from coursework.checks.load import at_once

pytestmark = pytest.mark.engine

SERVE = """#!/bin/sh
mkdir -p /tmp/www && echo hello > /tmp/www/index.html
[ -z "$WRITES" ] || touch "$WRITES" || exit 1
"""
DOCKERFILE = """FROM busybox:1.37
COPY serve.sh /
{health}
CMD sh /serve.sh && {command}
"""
SEAT = r"""#!/bin/sh
mkdir /tmp/taken 2> /dev/null && status=201 || status=409
printf "Status: $status Said\r\nContent-Type: text/plain\r\n\r\n"
"""
SEATS = "FROM busybox:1.37\nCOPY --chmod=755 seat /www/cgi-bin/\nCMD exec httpd -f -p 3000 -h /www"
PROBE = "HEALTHCHECK --interval=1s --timeout=1s --retries=1 CMD wget -q -O - http://127.0.0.1:3000/"


@pytest.fixture
def image(image_of):
    def of(command="exec httpd -f -p 3000 -h /tmp/www", health=PROBE):
        dockerfile = DOCKERFILE.format(command=command, health=health)
        return image_of({"Dockerfile": dockerfile, "serve.sh": SERVE})

    return of


def comes_again(asking):
    """Return what the failure of a request says of its command."""
    with pytest.raises(Failure) as told:
        asking()
    assert told.value.comes_again is not None
    return told.value.comes_again()


@pytest.fixture
def seats(run_of):
    """Return a run, and a server that sells one seat once."""
    run = run_of({"Dockerfile": SEATS, "seat": SEAT})
    return run, Builder(run).first_image().start()


def test_a_reply_knows_whether_it_comes_again(seats):
    """The seat is taken by now; the page is still not there; a server that hangs still does."""
    _, server = seats
    assert not comes_again(lambda: server.post("/cgi-bin/seat").expect(409))
    assert comes_again(lambda: server.get("/none").expect(200))
    server.freeze()
    assert comes_again(lambda: server.get("/none", timeout_s=0.5))


def test_what_many_at_once_saw_is_shown_by_checking_again(seats):
    """One curl alone meets no rush."""
    run, server = seats
    server.get("/none").expect(404)
    with at_once(lambda _: server.post("/cgi-bin/seat").status, range(3)) as rush:
        pass
    assert sorted(rush.results()) == [201, 409, 409]
    assert run.evidence.command(None) == CHECK_AGAIN
    server.get("/none").expect(404)
    assert run.evidence.command(None).startswith("curl")


@pytest.mark.parametrize("command", ["exec httpd -f -p 3000 -h /tmp/www",
                                     "httpd -f -p 3000 -h /tmp/www & wait"])  # fmt: skip
def test_a_frozen_server_becomes_unhealthy(image, command):
    """Every process of it stops, also behind a shell: it accepts, and answers nothing."""
    server = image(command).start()
    server.wait_for_health("healthy", within_s=20)
    assert server.health() == "healthy"
    server.freeze()
    with pytest.raises(Failure, match=r"timed out|no reply|nothing"):
        server.get("/", timeout_s=0.5)
    server.wait_for_health("unhealthy", within_s=20)


def test_a_probe_that_runs_while_the_server_is_frozen_ends(image):
    """The engine would wait ten seconds for one that is stopped."""
    server = image().start()
    server.get("/").expect(200)
    probe = "while ! [ -e /tmp/frozen ]; do sleep 0.1; done; touch /tmp/ended"
    server.container.removable.exec_run(["sh", "-c", probe], detach=True)
    server.freeze()
    server.container.run_inside("touch", "/tmp/frozen")
    looking = "until [ -e /tmp/ended ]; do sleep 0.1; done"
    server.container.run_inside("timeout", "20", "sh", "-c", looking)


def test_a_probe_that_fails_is_told_with_what_it_printed(image):
    """The failure shows the probe's own words."""
    server = image(health=PROBE.replace("3000/", "3000/none")).start()
    with pytest.raises(Failure, match="404") as failure:
        server.wait_for_health("healthy", within_s=4)
    assert failure.value.command.startswith("docker inspect")


@pytest.mark.parametrize(
    ("env", "hint"), [({"PORT": "3000"}, "from the environment"), ({}, "listen on port 3000")]
)
def test_a_wrong_port_is_told_with_its_cause(image, env, hint):
    """Without PORT, there is no variable to read."""
    server = image("exec httpd -f -p 3001 -h /tmp/www").start(env=env, ready_within_s=1)
    with pytest.raises(StartFailure, match="3001, not on port 3000") as failure:
        server.get("/")
    assert hint in failure.value.hint


@pytest.mark.parametrize("account", ["lantern", "root:lantern"])
def test_an_account_that_the_image_lacks_is_a_mistake_of_the_dockerfile(image_of, account):
    """The engine refuses to start it, and the check fails."""
    server = image_of({"Dockerfile": f"FROM busybox:1.37\nUSER {account}\n"}).start()
    with pytest.raises(StartFailure, match="unable to find") as failure:
        server.get("/")
    assert failure.value.hint.startswith("USER")


def test_probes_are_told_one_by_one(image):
    """With what each printed; those that failed too."""
    server = image(health=PROBE.replace("3000/", "3000/none")).start()
    probes = server.probes(at_least=2, within_s=20)
    assert [probe.exit_code for probe in probes[:2]] == [1, 1]
    assert "404" in probes[0].output
    assert probes[0].began < probes[1].began


def test_without_health_check_there_are_no_probes(image):
    """What there is when the time is over is returned."""
    assert image(health="").start().probes(at_least=1, within_s=0.1) == []


def test_a_server_can_start_without_the_probes_of_its_image(image):
    """Nobody looks at its health then."""
    server = image().start(healthcheck=False)
    server.get("/").expect(200)
    assert server.health() == "none"


def test_an_image_tells_its_settings(image):
    """As the engine has them."""
    assert image().config["Healthcheck"]["Interval"] == 10**9


def test_an_image_without_health_check_is_told_at_once(image):
    """There is nothing to wait for."""
    with pytest.raises(Failure, match="there is none"):
        image(health="").start().wait_for_health("healthy", within_s=60)


def test_a_confined_server_writes_to_tmp_alone(image):
    """With a read-only root it works as long as it writes below /tmp."""
    built = image()
    built.start(confined=True).get("/").expect(200)
    with pytest.raises(Failure, match="exit code 1"):
        built.start(confined=True, env={"WRITES": "/beside-the-code"}).get("/")


def typed(command):
    """Type a command of a report; return what a terminal shows."""
    ended = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False, timeout=30
    )
    return ended.stdout + ended.stderr


@pytest.fixture(autouse=True)
def terminal(engine, monkeypatch):
    """Type commands with the engine's programs."""
    for name, value in engine.environment().items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(
    ("command", "saw", "shown", "within_s"),
    [
        ("exec httpd -f -p 3001 -h /tmp/www", "not on port 3000", ":::3001", 4),
        ("exec httpd -f -p 127.0.0.1:3000 -h /tmp/www", "on 127.0.0.1:3000 only",
         "127.0.0.1:3000", 4),
        # A busy machine is no excuse for the others; here it is, up to four times as long.
        ("exec sleep 60", "listens nowhere", "Foreign Address", 13),
    ],
)  # fmt: skip
def test_what_was_late_before_anybody_looked_is_told_at_once(image, command, saw, shown, within_s):
    """Its time began when it started: the first use does not wait as long again."""
    server = image(command, health="").start(ready_within_s=4)
    server.container.wait(4.5)
    start = time.monotonic()
    with pytest.raises(Failure, match=saw) as failed:
        server.get("/")
    assert time.monotonic() - start < within_s
    assert shown in typed(failed.value.command)


def test_a_server_that_only_others_can_reach_is_told(image, own_network):
    """As by whoever checks in a container, with the engine's socket."""
    del own_network
    server = image("exec httpd -f -p 3000 -h /tmp/www", health="").start(ready_within_s=4)
    with pytest.raises(Failure, match="port 3000, but no connection from here gets there"):
        server.get("/")


def test_a_server_that_ends_at_once_is_told_with_its_exit_code(image):
    """The command shows the log and the code."""
    server = image("echo no port; exit 3", health="").start()
    with pytest.raises(Failure, match="ended with exit code 3") as failed:
        server.get("/")
    assert typed(failed.value.command).split() == ["no", "port", "exit", "code", "3"]


@pytest.mark.parametrize(
    ("script", "hint"),
    [("# Your server.\n", "serve.sh holds only comments"), ("echo done\n", "the log says why")],
)
def test_a_server_that_ends_well_and_says_nothing_has_no_log_to_look_at(image_of, script, hint):
    """It is not written yet."""
    dockerfile = 'FROM busybox:1.37\nCOPY . /\nCMD ["sh", "serve.sh"]\n'
    server = image_of({"Dockerfile": dockerfile, "serve.sh": script}).start()
    with pytest.raises(Failure, match="ended with exit code 0") as failed:
        server.get("/")
    assert failed.value.hint.startswith(hint)


def test_a_server_that_ended_is_told_with_its_exit_code(image):
    """To ask it again would only be refused: the command shows how it ended."""
    server = image("httpd -p 3000 -h /tmp/www; sleep 3; exit 4", health="").start()
    server.get("/").expect(200)
    server.container.wait(20)
    with pytest.raises(Failure) as failed:
        server.get("/")
    assert failed.value.saw == "connection refused; it ended with exit code 4"
    assert "exit code 4" in typed(failed.value.command)


def test_silent_connections_are_opened_again(image):
    """A request that many of them hold up would be answered alone."""
    server = image(health="").start()
    lines = [server.connect() for _ in range(10)]
    beside = server.get("/").command
    assert beside.startswith("(for n in $(seq 10); do sleep 9 | curl -s -m 9 telnet://localhost:")
    assert "hello" in typed(beside)
    for line in lines:
        line.close()
    assert server.get("/").command == f"curl -i http://localhost:{server.port}/"


def test_a_server_that_does_not_stop_is_shown_to_run_on(image):
    """The command asks again, and lists it."""
    server = image("trap '' TERM; httpd -f -p 3000 -h /tmp/www", health="").start()
    with pytest.raises(Failure, match="it still runs") as failed:
        server.stop(within_s=1)
    assert "Up" in typed(failed.value.command)


def test_a_server_that_was_killed_can_start_again(image):
    """In a fresh container, told the same: what it had in memory is gone."""
    server = image("echo $WORD > /tmp/www/word; httpd -f -p 3000 -h /tmp/www", health="").start(
        env={"WORD": "hamlet"}
    )
    server.get("/word").expect(200, body=b"hamlet\n")
    first = server.container.name
    server.kill()
    with pytest.raises(Failure) as failed:
        server.get("/word")
    assert failed.value.saw.startswith("connection refused; it was killed")
    server.start_again()
    server.get("/word").expect(200, body=b"hamlet\n")
    assert server.container.name != first


def test_a_server_has_a_second_port(image):
    """Its replies come with a line to retype, and its failures tell how the server ended."""
    both = "httpd -p 3000 -h /tmp/www; exec httpd -f -p 9100 -h /"
    server = image(both, health="").start(side_port=9100)
    server.get("/").expect(200, body=b"hello\n")
    reply = server.side.get("/serve.sh")
    reply.expect(200, body=SERVE)
    assert SERVE in typed(reply.command)
    server.get("/serve.sh").expect(404)
    server.kill()
    with pytest.raises(Failure) as failed:
        server.side.get("/serve.sh")
    assert failed.value.saw.startswith("connection refused; it was killed")


def test_a_server_is_known_by_the_name_of_its_machine(image):
    """What a program inside learns as its hostname is what a check is told."""
    serve = "hostname > /tmp/www/index.html && exec httpd -f -p 3000 -h /tmp/www"
    server = image(serve, health="").start()
    assert server.get("/").text.strip() == server.container.hostname
