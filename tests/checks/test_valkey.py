"""A Valkey beside the answer, with the words that a Redis has."""

import pytest
import redis

from coursework.checks.valkey import Valkey
from coursework.images import ensure_images

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def valkey(engine, shared_run):
    """Return a server for all of them."""
    ensure_images(engine, ["valkey:8.1"])
    beside = Valkey(shared_run)
    yield beside
    beside.close()


def test_what_the_answer_writes_is_seen(valkey):
    """A client of Redis reaches it by its address; the report's command asks the container."""
    with redis.Redis.from_url(valkey.url) as answer:
        answer.xadd("events", {"seat": "C4"})
        answer.set("session:ada", "x", ex=60)
        assert answer.info("server")["server_name"] == "valkey"
    assert valkey.run("XLEN", "events") == 1
    assert valkey.keys() == ["events", "session:ada"]
    assert 0 < valkey.ttl("session:ada") <= 60
