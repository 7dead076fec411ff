"""A Memcached beside the answer: what the answer wrote is seen as it really is."""

import socket
import subprocess
from urllib.parse import urlsplit

import pytest

from coursework.checks.failure import Failure
from coursework.checks.memcached import Memcached
from coursework.images import ensure_images

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def memcached_server(engine, shared_run):
    """Return a server for all of them."""
    ensure_images(engine, ["memcached:1.6"])
    return Memcached(shared_run)


@pytest.fixture
def memcached(memcached_server):
    """Return it, empty."""
    memcached_server.run("flush_all")
    return memcached_server


def put(store, key, text, seconds):
    """Store a text as the answer does, with the address it was given and nothing else."""
    address = urlsplit(store.url)
    assert address.scheme == "memcached"
    data = text.encode()
    with socket.create_connection((address.hostname, address.port), 5) as connection:
        connection.sendall(b"set %s 0 %d %d\r\n%s\r\n" % (key.encode(), seconds, len(data), data))
        assert connection.recv(100) == b"STORED\r\n"


def test_what_the_answer_writes_is_seen(memcached):
    """It is empty at first; keys are in order, and a value comes as it is."""
    assert memcached.keys() == []
    put(memcached, "show:9", "Hamlet", 60)
    put(memcached, "show:7", "ō'Żółć 🎟", 60)
    put(memcached, "lock:7", "x", 60)
    assert memcached.keys() == ["lock:7", "show:7", "show:9"]
    assert memcached.keys("show:*") == ["show:7", "show:9"]
    assert memcached.run("get", "show:7") == ["VALUE show:7 0 16", "ō'Żółć 🎟", "END"]


def test_a_key_is_named_as_it_was_written(memcached):
    """What the protocol shows escaped is a key like any other."""
    put(memcached, "show%37:é", "x", 60)
    assert memcached.keys() == ["show%37:é"]
    assert memcached.ttl("show%37:é") > 50


def test_a_key_says_how_long_it_stays(memcached):
    """Seconds, None for ever, and 0 for a key that is gone."""
    put(memcached, "show:7", "x", 90)
    put(memcached, "forever", "x", 0)
    assert 60 < memcached.ttl("show:7") <= 90
    assert memcached.ttl("forever") is None
    assert memcached.ttl("gone") == 0


def test_the_report_can_show_it_again(shared_run, memcached, engine):
    """The command that is noted prints what was seen."""
    put(memcached, "forever", "x", 0)
    memcached.ttl("forever")
    typed = subprocess.run(
        ["bash", "-c", shared_run.evidence.command(None)], env=engine.environment(),
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert "HD t-1" in typed.stdout


def test_a_memcached_that_the_answer_shut_down_is_its_failure(run_of):
    """It was there before, so something ended it."""
    memcached = Memcached(run_of({}))
    assert memcached.keys() == []
    memcached.container.signal("SIGKILL")
    memcached.container.wait(5)
    with pytest.raises(Failure, match="it was there before") as failure:
        memcached.keys()
    assert failure.value.command.startswith("docker logs 98-checks-")
