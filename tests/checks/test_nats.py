"""A NATS beside the answer: what its streams hold, and what survives a crash."""

import asyncio
import socket
import subprocess
from urllib.parse import urlsplit

import nats as client
import pytest

from coursework.checks.failure import Failure
from coursework.checks.nats import Nats
from coursework.images import ensure_images
from coursework.trouble import CourseError
from tests.waiting import wait_until

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def nats(engine, shared_run):
    """Return a broker for all of them: each has a stream of its own."""
    ensure_images(engine, ["course/nats:1"])
    return Nats(shared_run)


@pytest.fixture
def stream(nats, request):
    """Return the name of an empty stream, and of its subjects' first word."""
    name = f"S{abs(hash(request.node.name))}"
    nats.create_stream(name, [f"{name}.>"])
    return name


def publish(nats, subject, body, message_id):
    """Publish as the answer does, with the address it was given and nothing else."""

    async def talk():
        connection = await client.connect(nats.url)
        headers = {"Nats-Msg-Id": message_id}
        ack = await connection.jetstream().publish(subject, body, headers=headers)
        await connection.close()
        return ack

    assert urlsplit(nats.url).scheme == "nats"
    return asyncio.run(talk())


def test_what_the_answer_publishes_is_seen(nats, stream):
    """Subject, headers in any case, body and number, in the stream's order."""
    assert nats.messages(stream) == []
    publish(nats, f"{stream}.confirmed", '{"user": "ō\'Żółć 🎟"}'.encode(), "e-1")
    publish(nats, f"{stream}.cancelled", b"\x00\xff", "e-2")
    first, second = nats.messages(stream)
    assert (first.subject, first.sequence) == (f"{stream}.confirmed", 1)
    assert first.headers["nats-msg-id"] == "e-1"
    assert first.json() == {"user": "ō'Żółć 🎟"}
    assert (second.body, second.headers["Nats-Msg-Id"]) == (b"\x00\xff", "e-2")


def test_messages_are_told_apart_by_their_subject(nats, stream):
    """A subject, or a pattern of one; what is in between is left out."""
    for subject in ("a.x", "b.y", "a.z"):
        nats.publish(f"{stream}.{subject}", json=1)
    found = nats.messages(stream, f"{stream}.a.*")
    assert [(message.subject[-1], message.sequence) for message in found] == [("x", 1), ("z", 3)]


def test_the_broker_drops_what_it_already_has(nats, stream):
    """That is JetStream's own doing: a second message with the same id is not stored."""
    assert not publish(nats, f"{stream}.a", b"once", "same").duplicate
    assert publish(nats, f"{stream}.a", b"twice", "same").duplicate
    assert [message.body for message in nats.messages(stream)] == [b"once"]


def test_the_checks_publish_too(nats, stream):
    """With a number as the receipt, and with headers where somebody wants them."""
    assert nats.publish(f"{stream}.a", json={"show_id": 7}) == 1
    assert nats.publish(f"{stream}.a", json={"show_id": 8}, headers={"Nats-Msg-Id": "m"}) == 2
    first, second = nats.messages(stream)
    assert first.json() == {"show_id": 7}
    assert second.headers["Nats-Msg-Id"] == "m"


def test_a_body_that_is_no_json_is_the_answers_failure(nats, stream):
    publish(nats, f"{stream}.a", b"{show_id: 7}", "e-1")
    with pytest.raises(Failure, match="a JSON body in your message"):
        nats.messages(stream)[0].json()


def test_a_stream_that_is_gone_is_the_answers_failure(nats):
    with pytest.raises(Failure, match="a stream NOWHERE"):
        nats.messages("NOWHERE")


def test_a_crash_keeps_what_was_stored(nats, stream):
    """While it is away nobody gets through; then it is back at the same address."""
    nats.publish(f"{stream}.a", json=7)
    address = nats.url
    with nats.stopped():
        parts = urlsplit(address)
        # The kernel closes the sockets of what was killed a moment after its memory.
        wait_until(lambda: is_refused(parts.hostname, parts.port), within_s=2)
    assert nats.url == address
    assert nats.publish(f"{stream}.a", json=8) == 2
    assert [message.json() for message in nats.messages(stream)] == [7, 8]


def is_refused(host, port):
    """Tell whether nobody listens there."""
    try:
        socket.create_connection((host, port), 2).close()
    except ConnectionRefusedError:
        return True
    return False


def test_another_broker_has_streams_of_its_own(nats, stream):
    other = nats.another()
    assert other.url != nats.url
    with pytest.raises(Failure, match=f"a stream {stream}"):
        other.messages(stream)


def test_the_report_can_show_it_again(shared_run, nats, stream, engine):
    """The command that is noted prints the messages."""
    nats.publish(f"{stream}.a", json={"show_id": 4711}, headers={"Nats-Msg-Id": "m-1"})
    nats.messages(stream, f"{stream}.*")
    typed = subprocess.run(
        ["bash", "-c", shared_run.evidence.command(None)], env=engine.environment(),
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert '{"show_id": 4711}' in typed.stdout
    assert "Nats-Msg-Id: m-1" in typed.stdout


def test_a_broker_that_is_gone_is_our_trouble(run_of):
    """No answer can end it: it has no way in but the protocol."""
    beside = Nats(run_of({}))
    beside.container.signal("SIGKILL")
    beside.container.wait(5)
    with pytest.raises(CourseError, match="does not start"):
        beside.messages("LANTERN")
