"""Backends name themselves, record what they read, hang, die and come back."""

import http.client
import json
import secrets
import socket
import threading

import pytest

from coursework.checks.backends import PORT, Backends
from coursework.checks.failure import Failure, fail
from coursework.checks.patience import eventually
from coursework.images import ensure_images

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def all_three(engine, shared_run):
    ensure_images(engine, ["python:3.13-slim"])
    return Backends(shared_run)


@pytest.fixture
def backends(all_three):
    """Return them, all of them well."""
    all_three.revive()
    return all_three


@pytest.fixture
def word():
    return secrets.token_hex(12)


def ask(backend, path, method="GET", body=None, timeout_s=5.0):
    """Ask as a balancer does."""
    host = backend.container.network_address
    connection = http.client.HTTPConnection(host, PORT, timeout=timeout_s)
    try:
        connection.request(method, path, body, {"X-User": "ada"})
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read() or b"{}")
    finally:
        connection.close()


def test_each_names_itself_and_shows_what_it_got(backends, word):
    """The addresses are those that `hosts` names."""
    assert list(backends) == list(backends.hosts) == ["b1", "b2", "b3"]
    for name, backend in backends.items():
        assert backends.hosts[name] == backend.container.network_address
        status, said = ask(backend, f"/{word}?day=1", "POST", "row C")
        assert (status, said["backend"], said["method"]) == (200, name, "POST")
        assert (said["path"], said["body"]) == (f"/{word}?day=1", "row C")
        assert ["X-User", "ada"] in said["headers"]


def test_what_was_read_is_recorded(backends, word):
    """Each request once, with its body, chunks joined; a health check isn't."""
    ask(backends["b1"], f"/{word}", "PUT", b"\0seat")
    ask(backends["b1"], f"/{word}", "POST", iter([b"in ", b"pieces"]))
    ask(backends["b1"], "/healthz")
    got = backends.received(word)
    assert [(r.method, r.path, r.body) for r in got["b1"]] == [
        ("PUT", f"/{word}", b"\0seat"),
        ("POST", f"/{word}", b"in pieces"),
    ]
    assert not got["b2"]
    assert not [r for r in backends["b1"].received() if r.path == "/healthz"]
    assert f"b1 PUT /{word}" in backends["b1"].container.log()


def test_a_dead_one_refuses_and_hangs_up_on_what_it_has_read(backends, word):
    """The others stay well, and it comes back at the same address."""
    b2 = backends["b2"]
    b2.hang()
    outcome = []
    waiting = threading.Thread(target=lambda: outcome.append(broken(b2, f"/{word}")))
    waiting.start()
    eventually(lambda: b2.received(word) or fail("a request", "none"), within_s=5)
    b2.die()
    waiting.join(5)
    assert outcome == [True]
    with pytest.raises(ConnectionRefusedError):
        ask(b2, "/healthz")
    assert ask(backends["b1"], "/healthz")[0] == 200
    b2.revive()
    assert ask(b2, "/healthz")[0] == 200


def broken(backend, path):
    """Tell whether a request gets no reply."""
    try:
        ask(backend, path)
    except (http.client.HTTPException, ConnectionError):
        return True
    return False


def test_a_hung_one_accepts_and_says_nothing(backends, word):
    """Not even of its health; what it was asked it answers once it's well."""
    b3 = backends["b3"]
    b3.hang()
    for path in ("/healthz", f"/{word}"):
        with pytest.raises(TimeoutError):
            ask(b3, path, timeout_s=0.3)
    assert [r.path for r in b3.received(word)] == [f"/{word}"]
    outcome = []
    waiting = threading.Thread(target=lambda: outcome.append(ask(b3, f"/{word}")[0]))
    waiting.start()
    eventually(lambda: b3.received(word)[1:] or fail("two requests", "one"), within_s=5)
    b3.revive()
    waiting.join(5)
    assert outcome == [200]


def test_requests_with_a_word_are_read_and_fail(backends, word):
    """One way for each word; all others are answered."""
    b1 = backends["b1"]
    b1.spoil("die", having=f"{word}/x")
    b1.spoil("hang", having=f"{word}/y")
    assert broken(b1, f"/{word}/x")
    with pytest.raises(TimeoutError):
        ask(b1, f"/{word}/y", timeout_s=0.3)
    assert ask(b1, f"/{word}/z")[0] == 200
    assert len(b1.received(word)) == 3


def test_a_signal_does_what_a_person_wants_to_see_again(backends):
    """Those that the commands of reports send."""
    b1 = backends["b1"]
    b1.container.signal("SIGUSR2")
    eventually(lambda: refused(b1), within_s=5)
    b1.container.signal("SIGCONT")
    eventually(lambda: well(b1), within_s=5)
    b1.container.signal("SIGUSR1")
    eventually(lambda: silent(b1), within_s=5)


def refused(backend):
    try:
        ask(backend, "/healthz")
    except ConnectionRefusedError:
        return
    except OSError as error:
        # It's dying.
        fail("a refused connection", repr(error))
    fail("a refused connection", "a reply")


def well(backend):
    try:
        ask(backend, "/healthz")
    except OSError:
        fail("a reply", "none")


def silent(backend):
    try:
        ask(backend, "/healthz", timeout_s=0.2)
    except TimeoutError:
        return
    fail("silence", "a reply")


def test_it_asks_with_its_own_address(backends, word):
    """Whoever is asked sees the container's address as the caller's."""
    b1, b2 = backends["b1"], backends["b2"]
    to = (b2.container.network_address, PORT)
    reply = b1.send(to, "POST", f"/{word}", headers={"Host": "lantern.example"}, body=b"seat")
    said = reply.expect(200).json()
    assert (said["backend"], said["method"], said["body"]) == ("b2", "POST", "seat")
    assert [value for name, value in said["headers"] if name == "Host"] == ["lantern.example"]


def test_half_a_reply_is_a_failure(backends, word):
    """What comes back must be whole."""
    b1, b2 = backends["b1"], backends["b2"]
    b2.spoil("die", having=word)
    with pytest.raises(Failure, match="a reply to GET"):
        b1.send((b2.container.network_address, PORT), "GET", f"/{word}")


def test_what_is_not_http_harms_nobody(backends):
    """A probe that only connects, and bytes that mean nothing."""
    host = backends["b1"].container.network_address
    for said in (b"", b"?\r\n\r\n"):
        with socket.create_connection((host, PORT), 5) as line:
            line.sendall(said)
            line.shutdown(socket.SHUT_WR)
            assert line.recv(64) == b""
    assert ask(backends["b1"], "/healthz")[0] == 200


def test_the_answer_finds_them_by_name(backends, image_of):
    """In its /etc/hosts, as any program looks names up."""
    command = "mkdir /www; cp /etc/hosts /www/; exec httpd -f -p 3000 -h /www"
    image = image_of({"Dockerfile": f"FROM busybox:1.37\nCMD {command}\n"})
    lines = image.start(hosts=backends.hosts).get("/hosts").expect(200).text.splitlines()
    for name, address in backends.hosts.items():
        assert [address, name] in [line.split() for line in lines]
