"""The cluster's API: who is believed, and who tells of a change."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import certifi
import pytest

from coursework.cluster.api import Api
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine


@pytest.fixture
def note(node, namespace):
    """Return a ConfigMap."""
    manifest = {"metadata": {"name": "note"}, "data": {"text": "old"}}
    return node.api().create("configmaps", manifest, namespace=namespace.name)


def test_a_change_is_told_when_it_comes(node, note):
    """Nobody waits until the time is over, and nobody asks again and again."""
    api, namespace = node.api(), note["metadata"]["namespace"]
    change = {"data": {"text": "new"}}
    later = threading.Timer(
        0.5, api.patch, ("configmaps", "note", change), {"namespace": namespace}
    )
    later.start()
    began = time.monotonic()
    api.wait_for_change("configmaps", note, within_s=30)
    assert 0.5 <= time.monotonic() - began < 15
    later.join()
    assert api.get("configmaps", "note", namespace=namespace)["data"] == {"text": "new"}


def test_what_has_changed_before_is_told_at_once(node, note):
    """What counts is the object that was seen."""
    api, namespace = node.api(), note["metadata"]["namespace"]
    api.patch("configmaps", "note", {"data": {"text": "new"}}, namespace=namespace)
    began = time.monotonic()
    api.wait_for_change("configmaps", note, within_s=30)
    assert time.monotonic() - began < 15


def test_without_a_change_the_time_is_waited(node, note):
    """And no error comes of it."""
    began = time.monotonic()
    node.api().wait_for_change("configmaps", note, within_s=0.5)
    assert time.monotonic() - began >= 0.5


def test_a_refused_watch_is_not_repeated_at_once(node, note):
    """Who asks in a loop would keep a server busy that refuses because it is."""
    stranger = Api(node.access().as_user("made-up"))
    began = time.monotonic()
    stranger.wait_for_change("configmaps", note, within_s=0.5)
    assert time.monotonic() - began >= 0.5


def test_who_has_a_certificate_of_somebody_else_is_not_believed(node):
    """The world's authorities have not signed the cluster's."""
    world = Path(certifi.where()).read_text("utf-8")
    with pytest.raises(CourseError, match="does not answer") as trouble:
        Api(replace(node.access(), authority=world)).list("nodes")
    assert "CERTIFICATE_VERIFY_FAILED" in trouble.value.why
