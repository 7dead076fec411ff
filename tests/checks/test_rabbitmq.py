"""A RabbitMQ beside the answer: its queues and messages are seen as they really are."""

import subprocess

import pika
import pytest

from coursework.checks.failure import Failure
from coursework.checks.rabbitmq import PERSISTENT, RabbitMQ
from coursework.images import ensure_images

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def rabbitmq(engine, shared_run):
    """Return a broker for all of them."""
    ensure_images(engine, ["rabbitmq:4.0"])
    return RabbitMQ(shared_run)


@pytest.fixture
def vhost(rabbitmq):
    """Return a virtual host that is empty."""
    return rabbitmq.create_vhost()


@pytest.fixture
def answer(vhost):
    """Connect as the answer does, with the address it was given and nothing else."""
    with pika.BlockingConnection(pika.URLParameters(vhost.url)) as connection:
        yield connection.channel()


def test_what_the_answer_publishes_is_seen(vhost, answer):
    """A message in the check's queue comes with its properties and its bytes, and stays there."""
    vhost.declare_exchange("lantern")
    answer.exchange_declare("lantern", "topic", durable=True)
    vhost.declare_queue("ours", exchange="lantern", key="booking.*")
    properties = pika.BasicProperties(delivery_mode=2, headers={"x-try": 3}, message_id="m1")
    answer.basic_publish("lantern", "booking.created", '{"user": "ō\'Żółć 🎟"}'.encode(), properties)
    answer.basic_publish("lantern", "show.created", b"for another queue")
    answer.basic_publish("lantern", "booking.gone", b"\xff\x00")
    for _ in range(2):
        first, second = vhost.messages("ours", at_least=2)
        assert (first.exchange, first.routing_key) == ("lantern", "booking.created")
        assert first.json() == {"user": "ō'Żółć 🎟"}
        assert first.properties["delivery_mode"] == PERSISTENT
        assert first.properties["headers"]["x-try"] == 3
        assert (second.body, second.properties.get("delivery_mode")) == (b"\xff\x00", None)
    with pytest.raises(Failure, match="JSON"):
        second.json()


def test_what_the_check_publishes_reaches_the_answer(vhost, answer):
    """Ready and unacked are counted while the answer consumes; so are its acknowledgements."""
    answer.queue_declare("notices", durable=True, arguments={"x-queue-type": "quorum"})
    answer.exchange_declare("lantern", "topic", durable=True)
    assert vhost.publish("lantern", "booking.created", json={"n": 0}) is False
    answer.queue_bind("notices", "lantern", "booking.created")
    for n in range(3):
        assert vhost.publish("lantern", "booking.created", json={"n": n}) is True
    found = vhost.wait_for_queue("notices", ready=3, unacked=0)
    assert (found.kind, found.is_durable, found.consumers) == ("quorum", True, 0)
    method, _, body = answer.basic_get("notices")
    assert body == b'{"n": 0}'
    vhost.wait_for_queue("notices", ready=2, unacked=1)
    answer.basic_ack(method.delivery_tag)
    vhost.wait_for_queue("notices", ready=2, unacked=0)


def test_a_queue_that_is_absent_or_otherwise_is_named(vhost, answer):
    """The failure says what there is instead."""
    with pytest.raises(Failure, match=r"no such queue; there are: none"):
        vhost.wait_for_queue("notices", within_s=0.1)
    with pytest.raises(Failure, match="a queue notices"):
        vhost.messages("notices")
    with pytest.raises(Failure, match="an exchange lantern"):
        vhost.publish("lantern", "a", json={})
    answer.queue_declare("notices")
    with pytest.raises(Failure, match=r"with 1 ready.* saw 0 ready, 0 unacked, 0 consumers"):
        vhost.wait_for_queue("notices", ready=1, within_s=0.1)
    with pytest.raises(Failure, match="1 message in notices, saw 0"):
        vhost.messages("notices", at_least=1, within_s=0.1)
    assert vhost.queue("notices").is_durable is False


def test_vhosts_do_not_see_each_other(rabbitmq, vhost, answer):
    """What one check declares is in no other check's way."""
    answer.queue_declare("notices")
    assert [q.name for q in vhost.queues()] == ["notices"]
    assert rabbitmq.create_vhost().queues() == []


def test_the_report_can_show_it_again(shared_run, vhost, answer, engine):
    """The command that is noted prints the queues."""
    answer.queue_declare("notices")
    vhost.queues()
    typed = subprocess.run(
        ["bash", "-c", shared_run.evidence.command(None)], env=engine.environment(),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "notices\t0\t0\t0" in typed.stdout


def test_a_stop_keeps_what_is_durable(rabbitmq, vhost):
    """Meanwhile nobody can connect; afterwards it is at the same address, with its messages."""
    vhost.declare_exchange("lantern")
    vhost.declare_queue("ours", exchange="lantern", key="#")
    vhost.publish("lantern", "a", json={"n": 7})
    url = vhost.url
    with rabbitmq.stopped(), pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.URLParameters(url))
    [message] = vhost.messages("ours", at_least=1)
    assert (message.json(), vhost.url) == ({"n": 7}, url)
