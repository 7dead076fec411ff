"""A Redis beside the answer: what the answer wrote is seen as it really is."""

import pytest
import redis

from coursework.checks.failure import Failure
from coursework.checks.store import Store
from coursework.images import ensure_images

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def redis_server(engine, shared_run):
    """Return a server for all of them."""
    ensure_images(engine, ["redis:8.0"])
    beside = Store(shared_run)
    yield beside
    beside.close()


@pytest.fixture
def store(redis_server):
    """Return it, empty."""
    redis_server.run("FLUSHALL")
    return redis_server


@pytest.fixture
def answer(store):
    """Connect as the answer does, with the address it was given and nothing else."""
    with redis.Redis.from_url(store.url) as connection:
        yield connection


def test_what_the_answer_writes_is_seen(store, answer):
    """It is empty at first; texts, numbers, hashes and sets come as they are."""
    assert store.keys() == []
    answer.hset("user:ada", mapping={"role": "usher", "shows": 7})
    answer.sadd("sessions:ada", "x", "y")
    assert store.run("HGET", "user:ada", "role") == "usher"
    assert store.run("HGETALL", "user:ada") == {"role": "usher", "shows": "7"}
    assert store.run("SMEMBERS", "sessions:ada") == {"x", "y"}
    assert store.run("EXISTS", "user:ada", "user:ben") == 1
    assert store.run("HGET", "user:ben", "role") is None


def test_what_the_check_writes_is_seen_by_the_answer(store, answer):
    """A check may change what the answer has stored."""
    store.run("HSET", "user:ada", "role", "ō'Żółć 🎟")
    assert answer.hget("user:ada", "role").decode() == "ō'Żółć 🎟"


def test_bytes_that_are_no_text_do_no_harm(store, answer):
    """A salt of raw bytes is shown with � where it is no UTF-8."""
    answer.set("salt", b"\xff\x00c4")
    assert store.run("GET", "salt") == "\ufffd\x00c4"


def test_keys_match_a_pattern_and_are_in_order(store, answer):
    """As many as there are, sorted, whatever order Redis has."""
    answer.mset({"user:ben": 1, "session:1": 1, "user:ada": 1})
    assert store.keys("user:*") == ["user:ada", "user:ben"]
    assert store.keys() == ["session:1", "user:ada", "user:ben"]


def test_a_key_says_how_long_it_stays(store, answer):
    """Seconds, None for ever, and 0 for a key that is gone."""
    answer.set("session:1", "ada", px=90_500)
    answer.set("forever", "1")
    assert 60 < store.ttl("session:1") <= 90.5
    assert store.ttl("forever") is None
    assert store.ttl("gone") == 0


def test_a_key_of_another_type_is_the_answers_failure(store, answer):
    """It is told with the command that shows it."""
    answer.set("user:ada", '{"role": "usher"}')
    with pytest.raises(Failure, match="WRONGTYPE") as failure:
        store.run("HGET", "user:ada", "role")
    assert failure.value.command.startswith("docker exec 98-checks-")
    assert failure.value.command.endswith("redis-cli HGET user:ada role")


def test_a_mistake_of_the_check_is_no_failure_of_the_answer(store):
    """A command that Redis does not know is raised as it is: our error, not the learner's."""
    with pytest.raises(redis.ResponseError, match="unknown command"):
        store.run("GETT", "user:ada")


def test_a_redis_that_the_answer_shut_down_is_its_failure(run_of):
    """It was there before, so the answer ended it."""
    store = Store(run_of({}))
    with redis.Redis.from_url(store.url) as answer:
        answer.shutdown(nosave=True)
    with pytest.raises(Failure, match="it was there before") as failure:
        store.keys()
    assert failure.value.command.startswith("docker logs 98-checks-")
