"""An upstream beside the answer: it answers, holds, fails and breaks off as told, and records."""

import http.client
import json
import socket
import time
import urllib.request
from urllib.parse import urlsplit

import pytest

from coursework.checks.builder import Builder
from coursework.checks.failure import Failure
from coursework.checks.load import at_once
from coursework.checks.run import CheckRun, Task
from coursework.checks.services import Services
from coursework.checks.stub import Stub
from coursework.containers.building import Limits
from coursework.containers.runs import open_run
from coursework.images import ensure_images
from coursework.modules.catalogue import Module
from coursework.sandbox import open_fleet
from coursework.submissions.files import Submission
from coursework.trouble import CourseError
from tests.clone import own

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def first(engine, shared_run):
    """Return a stub for all of them."""
    ensure_images(engine, ["python:3.13-slim"])
    return Stub(shared_run)


@pytest.fixture
def stub(first):
    """Return an upstream that was told nothing yet."""
    return first.another()


def ask(stub, method, target, body=None, headers=()):
    """Ask as an answer would; return status, fields and body."""
    line = http.client.HTTPConnection(urlsplit(stub.url).netloc, timeout=20)
    try:
        line.request(method, target, body, dict(headers))
        reply = line.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        line.close()


def test_a_route_is_answered_as_told(stub):
    """Status, fields and JSON; what no rule fits is 404."""
    stub.reply("POST /charges", 201, json={"id": "ō1"}, headers={"Location": "/charges/1"})
    status, fields, body = ask(stub, "POST", "/charges?now", b"{}")
    assert (status, json.loads(body)) == (201, {"id": "ō1"})
    assert fields["Location"] == "/charges/1"
    assert fields["Content-Type"] == "application/json"
    assert ask(stub, "GET", "/charges")[0] == 404
    assert ask(stub, "POST", "/charges/1")[0] == 404


@pytest.mark.parametrize("chunked", [False, True])
def test_bytes_go_out_whole_with_and_without_a_length(stub, chunked):
    """They come as they are; a reply without a body has none."""
    stub.reply("/ledger", body=b"a\xff\nb" * 1000, chunked=chunked)
    assert ask(stub, "GET", "/ledger")[2] == b"a\xff\nb" * 1000
    status, fields, body = ask(stub, "HEAD", "/ledger")
    assert (status, body) == (200, b"")
    assert ("Content-Length" in fields) is not chunked


def test_it_notes_when_a_request_came(stub):
    """The pause between two requests can be told from what it noted."""
    for _ in range(2):
        ask(stub, "GET", "/quote")
        time.sleep(0.2)
    first, second = stub.requests("/quote")
    assert 0.2 <= second.at_s - first.at_s < 10


def test_what_was_told_last_counts_first_and_for_as_often_as_told(stub):
    """An upstream that fails twice is well again afterwards."""
    stub.reply("", 200)
    stub.reply("/charges*", 503, times=2)
    assert [ask(stub, "GET", "/charges/7")[0] for _ in range(3)] == [503, 503, 200]


def test_one_stub_serves_many_stories(stub):
    """A text in the target or the body narrows a rule, a hold and what is looked at."""
    stub.reply("POST /charges", 201)
    stub.reply("POST /charges", 402, having="ben")
    assert ask(stub, "POST", "/charges", b'{"user": "ada"}')[0] == 201
    assert ask(stub, "POST", "/charges", b'{"user": "ben"}')[0] == 402
    assert ask(stub, "POST", "/charges?user=ben", b"{}")[0] == 402
    assert len(stub.requests("POST /charges", having="ben")) == 2


def test_every_request_is_recorded(stub):
    """Method, path, query, fields and body, also one that came in chunks or was unknown."""
    ask(stub, "PUT", "/a/b?c=%20", b"{}", {"X-Key": "k"})
    ask(stub, "POST", "/chunks", iter([b'{"a"', b": 1}"]))
    put, post = stub.requests(at_least=2)
    assert (put.method, put.path, put.query, put.body) == ("PUT", "/a/b", "c=%20", b"{}")
    assert put.headers["x-key"] == "k"
    assert (post.method, post.json()) == ("POST", {"a": 1})
    assert stub.requests("GET /a/*") == []


def test_a_request_that_does_not_come_is_told_with_those_that_came(stub):
    """So a learner sees the wrong address that was asked."""
    ask(stub, "GET", "/charge")
    with pytest.raises(Failure, match=r"1 request POST /charges at the stub.*GET /charge$"):
        stub.requests("POST /charges", at_least=1, within_s=0.01)
    with pytest.raises(Failure, match="JSON body in your GET /charge"):
        stub.requests()[0].json()


def test_a_hold_lasts_until_it_is_released(stub):
    """The request is there, and nothing comes back until then; others are answered."""
    stub.reply("", 200)
    with (
        stub.holding("/charges") as held,
        at_once(lambda p: ask(stub, "GET", p), ["/charges"]) as c,
    ):
        assert [request.path for request in held.wait()] == ["/charges"]
        assert ask(stub, "GET", "/other")[0] == 200
        assert c.busy
        held.release()
    assert [status for status, *_ in c.results()] == [200]
    assert ask(stub, "GET", "/charges")[0] == 200


def test_a_client_that_hangs_up_waits_no_more(stub):
    """The request is held still, and is counted among those awaited no more."""
    address = urlsplit(stub.url)
    with stub.holding("/charges") as held:
        lines = [socket.create_connection((address.hostname, address.port)) for _ in range(2)]
        for line in lines:
            line.sendall(b"GET /charges HTTP/1.1\r\nHost: x\r\n\r\n")
        held.wait(2)
        assert held.awaited() == 2
        lines[0].close()
        deadline = time.monotonic() + 5
        while held.awaited() == 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (held.awaited(), len(held.wait(2))) == (1, 2)
        lines[1].close()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_is_held_in_its_middle(stub, chunked):
    """The head and the first bytes are sent, the rest when it is released."""
    stub.reply("/ledger", body=b"first\nsecond\n", chunked=chunked)
    with stub.holding("/ledger", after_bytes=6) as held:
        reply = urllib.request.urlopen(f"{stub.url}/ledger", timeout=20)  # noqa: S310 - http
        held.wait()
        assert reply.readline() == b"first\n"
        held.release()
        assert reply.read() == b"second\n"


def test_a_narrow_hold_stays_after_a_failure(stub):
    """The command of the report then shows the same; one for all requests would spoil others."""
    stub.reply("", 200)
    for having in ("", "ben"):
        with pytest.raises(Failure), stub.holding("/charges", having=having):
            raise Failure("a reply", "none")
    assert ask(stub, "GET", "/charges?user=ada")[0] == 200
    line = socket.create_connection((urlsplit(stub.url).hostname, urlsplit(stub.url).port))
    with line:
        line.sendall(b"GET /charges?user=ben HTTP/1.1\r\nHost: x\r\n\r\n")
        stub.requests(having="ben", at_least=1)
        line.settimeout(0.05)
        with pytest.raises(TimeoutError):
            line.recv(1)


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("after", [0, 3, 6])
def test_a_reply_breaks_off(stub, chunked, after):
    """So many bytes come, then the end of the connection, where more was announced."""
    stub.reply("/ledger", body=b"first\nsecond\n", chunked=chunked, breaks_off_after=after)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as broken:
        ask(stub, "GET", "/ledger")
    if isinstance(broken.value, http.client.IncompleteRead) and not chunked:
        assert broken.value.partial == b"first\n"[:after]


def test_a_reply_never_begins(stub):
    """The connection ends without a byte, and the request was received all the same."""
    stub.reply("/ledger", body=b"first\n", breaks_off_after=-1)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(stub, "GET", "/ledger")
    assert len(stub.requests("GET /ledger")) == 1


def test_a_delay_is_waited_for(stub):
    """No reply comes before its time."""
    stub.reply("/slow", 200, after_s=0.2)
    begin = time.monotonic()
    assert ask(stub, "GET", "/slow")[0] == 200
    assert time.monotonic() - begin >= 0.2


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_drips(stub, chunked):
    """Byte by byte, so that no read waits long and all of them do."""
    stub.reply("/drip", body=b"drip", drips_s=0.05, chunked=chunked)
    begin = time.monotonic()
    assert ask(stub, "GET", "/drip")[2] == b"drip"
    assert time.monotonic() - begin >= 0.15


def test_connections_are_refused_and_accepted_again(stub):
    """At the same address; others of the container are not touched."""
    stub.reply("", 200)
    url = stub.url
    other = stub.another()
    other.reply("", 204)
    stub.refuse()
    stub.refuse()
    with pytest.raises(ConnectionRefusedError):
        ask(stub, "GET", "/")
    assert ask(other, "GET", "/")[0] == 204
    stub.accept()
    stub.accept()
    assert stub.url == url
    assert ask(stub, "GET", "/")[0] == 200


def test_an_upstream_listens_where_the_contract_says(first):
    """At the port that was asked for, in the same container."""
    other = first.another(9099)
    other.reply("", 204)
    assert urlsplit(other.url).port == 9099
    assert ask(other, "GET", "/")[0] == 204


def test_an_answer_tells_the_stub_nothing(first, stub):
    """The port of the checks wants a token that the answer does not have."""
    stub.reply("", 418)
    with socket.create_connection((urlsplit(first.url).hostname, 8000)) as line:
        line.sendall(b'guess\n{"do": "open"}\n')
        assert line.recv(10) == b""
    assert ask(stub, "GET", "/")[0] == 418


def test_a_stub_that_is_gone_is_our_trouble(run_of):
    """No verdict comes of it."""
    stub = Stub(run_of({}))
    assert stub.url
    stub.container.signal("SIGKILL")
    stub.container.wait(10)
    with pytest.raises(CourseError, match="stub does not answer"):
        stub.requests()


@pytest.fixture
def sandboxed_run(engine, tmp_path):
    """Return a run whose containers are in an engine that is thrown away."""
    nobody = lambda _: None  # noqa: E731 - nobody listens
    slug = own("96-stub")
    module = Module(
        slug, "T", "P", ("o",), (), 5, ("busybox:1.37", "python:3.13-slim"), sandbox=True
    )
    with (
        open_fleet(engine, module, (), nobody, ahead=1, wanted=1) as fleet,
        open_run(slug) as owner,
    ):
        _, inner = fleet.take()
        files = {name: text.encode() for name, text in ANSWER.items()}
        task = Task(module, Submission(files, slug), tmp_path, 7, Limits(), nobody, nobody)
        made = CheckRun(task, Services(inner, owner))
        yield made
        made.close()


ANSWER = {"Dockerfile": 'FROM busybox:1.37\nCMD wget -q -O - "$UPSTREAM/hello"\n'}


@pytest.mark.parametrize("where", ["here", "sandbox"])
def test_an_answer_reaches_it_by_its_address(engine, request, where):
    """From a container, as the answer of a learner does; also in an engine of the answer's own."""
    ensure_images(engine, ["python:3.13-slim", "busybox:1.37"])
    asked = request.getfixturevalue("sandboxed_run" if where == "sandbox" else "run_of")
    run = asked if where == "sandbox" else asked(ANSWER)
    stub = Stub(run)
    stub.reply("GET /hello", body=b"good evening")
    finished = Builder(run).first_image().run(env={"UPSTREAM": stub.url})
    assert (finished.exit_code, finished.output) == (0, b"good evening")
    assert [request.path for request in stub.requests()] == ["/hello"]
