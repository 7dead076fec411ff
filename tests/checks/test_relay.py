"""A relay between the answer and a Redis: what flows, what is held, what is refused and cut."""

import socket
import threading
import time
from urllib.parse import urlsplit

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from coursework.checks.companion import Companion
from coursework.checks.failure import fail
from coursework.checks.patience import eventually
from coursework.checks.relay import Relays, Traffic
from coursework.checks.store import Store
from coursework.images import ensure_images
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def relays(engine, shared_run):
    """Return the opener of relays for all of them."""
    ensure_images(engine, ["python:3.13-slim"])
    return Relays(shared_run)


@pytest.fixture(scope="module")
def store(engine, shared_run):
    ensure_images(engine, ["redis:8.0"])
    beside = Store(shared_run)
    yield beside
    beside.close()


@pytest.fixture
def relay(relays, store):
    return relays.to(store.url)


@pytest.fixture
def answer(relay):
    """Connect as the answer does, with the relay's address and nothing else."""
    with connect(relay) as connection:
        yield connection


def connect(relay, timeout_s=5.0):
    return redis.Redis.from_url(
        relay.url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )  # fmt: skip


def raw(relay):
    parts = urlsplit(relay.url)
    return socket.create_connection((parts.hostname, parts.port), 5)


def test_what_is_sent_arrives_in_both_directions(store, answer):
    """Megabytes too, whatever bytes they are."""
    value = bytes(range(256)) * 20_000
    answer.set("poster", value)
    assert answer.get("poster") == value
    assert store.run("STRLEN", "poster") == len(value)


def test_the_address_is_the_services_own_but_for_host_and_port(relays, store):
    """User, password, path and query stay as they are."""
    host = store.container.network_address
    relay = relays.to(f"postgres://app:p%40ss@{host}:6379/app_1?sslmode=disable")
    parts = urlsplit(relay.url)
    assert (parts.username, parts.password, parts.path, parts.query) == (
        "app", "p%40ss", "/app_1", "sslmode=disable",
    )  # fmt: skip
    assert parts.hostname != host


def test_each_relay_is_alone(relays, store, answer):
    """One that refuses leaves the others as they are."""
    other = relays.to(store.url)
    with other.stopped():
        assert answer.ping()


def test_connections_and_bytes_are_counted(relay):
    """From both sides, as the service sees them."""
    assert relay.traffic() == Traffic()
    for _ in range(3):
        with raw(relay) as line:
            line.sendall(b"PING\r\n")
            assert line.recv(64) == b"+PONG\r\n"
    assert relay.traffic() == Traffic(connections=3, sent_bytes=18, received_bytes=21)


def test_a_silent_service_accepts_and_says_nothing(store, relay, answer):
    """Old connections hang, new ones are accepted and hang; afterwards what was held is done."""
    answer.set("seat", "C4")
    with relay.silent():
        with connect(relay, 0.3) as hasty, pytest.raises(redis.TimeoutError):
            hasty.ping()
        sent = relay.traffic().sent_bytes
        waiting = threading.Thread(target=answer.set, args=("seat", "C5"))
        waiting.start()
        eventually(lambda: grown(relay, sent), within_s=5)
        assert store.run("GET", "seat") == "C4"
    waiting.join(5)
    assert store.run("GET", "seat") == "C5"
    assert answer.get("seat") == b"C5"


def grown(relay, sent):
    if relay.traffic().sent_bytes == sent:
        fail("something sent", "nothing yet")


def test_a_stopped_service_refuses_until_it_is_back(relay, answer):
    """What was open is closed; afterwards the same address accepts again."""
    answer.ping()
    with relay.stopped():
        with pytest.raises(redis.ConnectionError):
            answer.ping()
        with pytest.raises(ConnectionRefusedError):
            raw(relay)
    assert answer.ping()


def test_cut_connections_can_be_made_again(relay, answer):
    """Each open one is closed once, and counted."""
    answer.ping()
    with raw(relay) as line:
        line.sendall(b"PING\r\n")
        line.recv(64)
        assert relay.cut() == 2
        assert line.recv(64) == b""
    assert answer.ping()


def test_half_a_hang_up_is_led_on(relay):
    """Who has sent everything may still read, as over a plain connection."""
    with raw(relay) as line:
        line.sendall(b"PING\r\n" * 3)
        line.shutdown(socket.SHUT_WR)
        said = b""
        while block := line.recv(64):
            said += block
    assert said == b"+PONG\r\n" * 3


def test_a_service_that_is_gone_hangs_up(relays, run_of):
    """Nobody behind the relay: the connection is closed, and the relay stays."""
    store = Store(run_of({}))
    relay = relays.to(store.url)
    store.close()
    store.container.signal("SIGKILL")
    store.container.wait(5)
    for _ in range(2):
        with raw(relay) as line:
            line.settimeout(10)
            assert line.recv(64) == b""


def test_the_answer_cannot_give_orders(relay, answer):
    """Its network is the relay's: without the token nothing is said and nothing changes."""
    host = urlsplit(relay.url).hostname
    for order in (b'{"do": "refuse", "port": 8001}\n', b'{"token": "", "do": "ping"}\n', b"?\n"):
        with socket.create_connection((host, 8000), 5) as line:
            line.sendall(order)
            assert line.recv(64) == b""
    assert answer.ping()


def test_a_mistake_of_the_check_is_ours(run_of):
    """A command that the program does not know, or a program that is gone, is told as trouble."""
    companion = Companion(run_of({}), "relay")
    with pytest.raises(CourseError, match="relay does not answer") as trouble:
        companion.ask("accept", port=1)
    assert "KeyError" in trouble.value.why
    companion.container.signal("SIGKILL")
    companion.container.wait(5)
    start = time.monotonic()
    with pytest.raises(CourseError, match="relay does not answer"):
        companion.ask("accept", port=1)
    assert time.monotonic() - start < 30


def test_replies_can_be_held_while_requests_go_through(store, relay, answer):
    """The service has done what was asked, and the answer does not know it yet."""
    answer.set("seat", "free")
    done = []
    with relay.replies_held():
        thread = threading.Thread(target=lambda: done.append(answer.set("seat", "sold")))
        thread.start()
        eventually(lambda: store.run("GET", "seat") == "sold" or fail("sold", "free"), within_s=5)
        assert done == []
    thread.join()
    assert done == [True]
