"""Replies are compared strictly where the contract is strict, and shown where they differ."""

import pytest

from coursework.checks.failure import Failure
from coursework.checks.reply import Headers, Reply


def reply(body=b'{"a": 1, "b": [1, 2]}', kind="application/json; charset=utf-8", status=200):
    headers = Headers([("Content-Type", kind), ("Vary", "a"), ("vary", "b")])
    return Reply(status, "OK", headers, body, command="curl -i http://localhost:1/")


def failure_of(**expected):
    with pytest.raises(Failure) as caught:
        reply().expect(**expected)
    return caught.value


def test_headers_are_found_in_any_case():
    """Field names have no case; repeated fields are joined."""
    assert reply().headers["CONTENT-TYPE"].startswith("application/json")
    assert reply().headers["vary"] == "a, b"
    assert reply().type == "application/json"


def test_a_reply_that_keeps_the_contract_is_given_back():
    """All conditions hold: the reply itself is the result."""
    right = reply()
    assert right.expect(200, exactly={"b": [1, 2], "a": 1}, headers={"Vary": "a, b"}) is right
    assert right.expect(json={"a": 1}, headers={"content-type": None}) is right
    assert right.expect(body='{"a": 1, "b": [1, 2]}') is right


@pytest.mark.parametrize(
    "expected",
    [
        {"status": 201},
        {"exactly": {"a": 1}},
        {"exactly": {"a": True, "b": [1, 2]}},
        {"json": {"a": 2}},
        {"json": {"b": [1]}},
        {"json": {"c": None}},
        {"body": b"other"},
        {"body": b""},
        {"type": "text/html"},
        {"headers": {"Location": None}},
        {"headers": {"Vary": "a"}},
    ],
)
def test_each_difference_is_a_failure(expected):
    """Status, body, type and fields: what differs is named on both sides."""
    failure = failure_of(**expected)
    assert failure.looked_for
    assert failure.saw.startswith("200 · application/json")
    assert failure.command.startswith("curl -i")


def test_json_wants_its_type():
    """JSON sent as text is no JSON answer."""
    with pytest.raises(Failure) as caught:
        reply(kind="text/html").expect(exactly={"a": 1, "b": [1, 2]})
    assert caught.value.looked_for.startswith("application/json")
    assert "text/html" in caught.value.saw


def test_long_bodies_are_cut_where_they_differ():
    """Two long texts are shown around their first difference, not at their beginning."""
    body = b"x" * 5000 + b"HERE" + b"y" * 5000
    with pytest.raises(Failure) as caught:
        reply(body=body, kind="text/plain").expect(body=body.replace(b"HERE", b"THERE"))
    assert "HERE" in caught.value.saw
    assert "THERE" in caught.value.looked_for
    assert len(caught.value.saw) < 400


@pytest.mark.parametrize("body", [b"", b"\xff\x00", b"[" * 100_000, b"NaN x"])
def test_a_body_that_is_no_json_fails_the_check(body):
    """Whatever the body is, reading it as JSON never breaks the checks themselves."""
    with pytest.raises(Failure):
        reply(body=body).expect(exactly={"a": 1})
    with pytest.raises(Failure):
        reply(body=body).json()
    with pytest.raises(Failure):
        reply(body=body).expect(500)
