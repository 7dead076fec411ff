"""A node: up with all its parts, stopped quickly, back with what it held."""

import time

import pytest

from coursework.checks.cluster import ClusterClient
from coursework.checks.failure import Failure
from coursework.cluster import ApiError, Node
from coursework.trouble import CourseError
from tests.conftest import CLUSTER_NAME

pytestmark = pytest.mark.engine


@pytest.fixture
def other(engine):
    """Give another cluster beside the tests' own, deleted afterwards."""
    made = Node(engine, f"{CLUSTER_NAME}-other")
    made.delete()
    yield made
    made.delete()


def test_its_system_runs_as_pods_that_anybody_can_list(node):
    pods = node.api().list("pods", namespace="kube-system")
    names = {p["metadata"]["name"].rsplit("-", 2)[0] for p in pods}
    assert names == {"coredns", "door", "local-volumes", "metrics-server"}


def test_it_says_its_version_and_takes_pods(node):
    (found,) = node.api().list("nodes")
    assert found["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.36.")
    assert found["metadata"]["name"] == "node"


def test_metrics_are_served(node):
    found = node.api().call("GET", "apis/metrics.k8s.io/v1beta1/nodes")
    assert found["items"][0]["usage"]["memory"]


def test_only_who_has_a_certificate_is_let_in(node):
    with pytest.raises(ApiError, match="Unauthorized") as refused:
        type(node.api())(node.access().as_user("made-up")).list("pods")
    assert refused.value.code == 401


def test_two_stand_side_by_side_and_one_that_is_killed_comes_back_with_its_data(node, other):
    other.start(lambda _: None, memory="2g")
    kept = {"metadata": {"name": "kept"}, "data": {"seat": "C4"}}
    other.api().create("configmaps", kept, namespace="default")
    assert other.access().server != node.access().server
    with pytest.raises(ApiError):
        node.api().get("configmaps", "kept", namespace="default")

    start = time.monotonic()
    assert other.stop()
    assert time.monotonic() - start < 5
    assert other.state == "stopped"
    other.start(lambda _: None)
    assert other.api().get("configmaps", "kept", namespace="default")["data"] == {"seat": "C4"}
    assert not other.missing()
    assert not node.missing()


def test_what_is_not_there_is_told(other):
    assert other.state == "absent"
    assert not other.stop()
    assert not other.delete()
    with pytest.raises(CourseError, match="No Kubernetes runs"):
        other.access()


def test_an_address_of_no_service_is_refused_and_never_leaves_the_node(node, namespace):
    with pytest.raises(Failure, match="connection refused"):
        ClusterClient(node, namespace, "pod/nobody", "nobody", "10.96.99.99:80").get("/")
