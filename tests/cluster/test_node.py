"""A node: up with all its parts, stopped quickly, back with what it held."""

import time

import pytest

from coursework.checks.cluster import ClusterClient
from coursework.checks.failure import Failure
from coursework.cluster import ApiError, Node
from coursework.trouble import CourseError
from tests.conftest import CLUSTER_NAME
from tests.waiting import wait_until

pytestmark = pytest.mark.engine


@pytest.fixture
def other(engine):
    """Return another cluster beside the tests' own, deleted afterwards."""
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
    with other.starting(lambda _: None, memory="2g"):
        assert other.missing() != "its API"
    assert not other.missing()
    kept = {"metadata": {"name": "kept"}, "data": {"seat": "C4"}}
    other.api().create("configmaps", kept, namespace="default")
    assert other.access().server != node.access().server
    with pytest.raises(ApiError):
        node.api().get("configmaps", "kept", namespace="default")

    deleted = {"door", "metrics-server"}
    for name in deleted:
        other.api().delete("deployments", name, namespace="kube-system")
    start = time.monotonic()
    assert other.stop()
    assert time.monotonic() - start < 5
    assert other.state == "stopped"
    other.start(lambda _: None)
    wait_until(lambda: deleted <= deployments_of(other))
    assert other.api().get("configmaps", "kept", namespace="default")["data"] == {"seat": "C4"}
    assert not other.missing()
    assert not node.missing()


def deployments_of(node):
    """Return the names of the system's Deployments."""
    found = node.api().list("deployments", namespace="kube-system")
    return {deployment["metadata"]["name"] for deployment in found}


def test_it_trusts_its_own_authority_alone_though_its_first_objects_come_with_the_image(node):
    trusted = node.api().get(
        "configmaps", "extension-apiserver-authentication", namespace="kube-system"
    )["data"]
    own = {name: node.read(f"/etc/kubernetes/pki/{name}.crt") for name in ("ca", "front-proxy-ca")}
    assert trusted["client-ca-file"].encode() == own["ca"]
    assert trusted["requestheader-client-ca-file"].encode() == own["front-proxy-ca"]
    given = node.api().get("configmaps", "kube-root-ca.crt", namespace="kube-system")["data"]
    assert given["ca.crt"].encode() == own["ca"]


def test_a_pod_reaches_what_is_outside_the_cluster(engine, node, namespace):
    outside = engine.client.containers.run(
        "busybox:1.37", ["httpd", "-f", "-p", "8080", "-h", "/etc"], detach=True
    )
    try:
        outside.reload()
        address = outside.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        asked = ClusterClient(node, namespace, "pod/outside", "outside", f"{address}:8080")
        assert asked.get("/hostname").expect(200).text.strip() == outside.id[:12]
    finally:
        outside.remove(force=True)


def test_what_is_not_there_is_told(other):
    assert other.state == "absent"
    assert not other.stop()
    assert not other.delete()
    with pytest.raises(CourseError, match="No Kubernetes runs"):
        other.access()


def test_an_address_of_no_service_is_refused_and_never_leaves_the_node(node, namespace):
    with pytest.raises(Failure, match="connection refused"):
        ClusterClient(node, namespace, "pod/nobody", "nobody", "10.96.99.99:80").get("/")
