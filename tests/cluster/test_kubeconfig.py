"""A kubeconfig: read, written, and refused where it is none."""

import base64

import pytest
import yaml

from coursework.cluster.kubeconfig import Access
from coursework.trouble import CourseError

ACCESS = Access("https://127.0.0.1:6443", "authority", "certificate", "key")


def test_what_is_written_is_read_again():
    assert Access.read(ACCESS.written()) == ACCESS
    visitor = ACCESS.as_user("t0ken")
    assert Access.read(visitor.written(namespace="shop")) == visitor


def test_a_written_one_says_where_commands_look():
    config = yaml.safe_load(ACCESS.written("course", "shop"))
    assert config["current-context"] == "course"
    assert config["contexts"][0]["context"]["namespace"] == "shop"
    data = config["clusters"][0]["cluster"]["certificate-authority-data"]
    assert base64.b64decode(data) == b"authority"


@pytest.mark.parametrize("text", ["", "a: [", "{}", "current-context: nobody\ncontexts: []"])
def test_what_is_none_is_refused(text):
    with pytest.raises(CourseError, match="no usable kubeconfig"):
        Access.read(text)
