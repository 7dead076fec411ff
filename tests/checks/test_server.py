"""Servers with a HEALTHCHECK, frozen ones, and ones that may do little."""

import pytest

from coursework.checks.failure import Failure

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
PROBE = "HEALTHCHECK --interval=1s --timeout=1s --retries=1 CMD wget -q -O - http://127.0.0.1:3000/"


@pytest.fixture
def image(image_of):
    def of(command="exec httpd -f -p 3000 -h /tmp/www", health=PROBE):
        dockerfile = DOCKERFILE.format(command=command, health=health)
        return image_of({"Dockerfile": dockerfile, "serve.sh": SERVE})

    return of


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
