"""Images that the cluster must have: copied once, found by their short names."""

import pytest

from coursework.cluster.images import load_images
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine

POD = {
    "metadata": {"name": "box"},
    "spec": {"containers": [{"name": "box", "image": "busybox:1.37", "command": ["sleep", "60"]}]},
}


def test_an_image_that_is_there_is_not_copied_again(engine, node):
    assert load_images(engine, node, ["busybox:1.37"]) == []


def test_an_image_that_changed_is_copied_again(engine, node):
    first = engine.client.images.get("busybox:1.37")
    first.tag("course-test/changing", "1")
    assert load_images(engine, node, ["course-test/changing:1"]) == ["course-test/changing:1"]
    engine.client.images.get("debian:trixie-slim").tag("course-test/changing", "1")
    try:
        assert load_images(engine, node, ["course-test/changing:1"]) == ["course-test/changing:1"]
    finally:
        engine.client.images.remove("course-test/changing:1")


def test_several_are_copied_at_once_each_under_its_name(engine, node):
    names = ["course-test/first:1", "course-test/second:1"]
    for name in names:
        engine.client.images.get("busybox:1.37").tag(name)
    try:
        assert load_images(engine, node, [*names, "busybox:1.37"]) == names
        assert load_images(engine, node, names) == []
    finally:
        for name in names:
            engine.client.images.remove(name)


def test_a_pod_finds_it_without_a_registry(namespace):
    namespace.api.create("pods", POD, namespace=namespace.name)
    while namespace.get("pods", "box")["status"].get("phase") == "Pending":
        assert "ErrImage" not in str(namespace.get("pods", "box")["status"])
    assert namespace.get("pods", "box")["status"]["phase"] == "Running"


def test_an_image_that_nobody_has_is_told(engine, node):
    with pytest.raises(CourseError, match="The engine has no image nowhere/nothing:1"):
        load_images(engine, node, ["nowhere/nothing:1"])
