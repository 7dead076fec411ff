"""A node without root: what its root may not do to the machine, and that it comes back."""

import pytest

from coursework.checks.deadline import Deadline
from coursework.cluster import rootless
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

HOG = """
apiVersion: v1
kind: Pod
metadata: {name: hog}
spec:
  restartPolicy: Never
  containers:
  - name: hog
    image: busybox:1.37
    command: [sh, -c, "tail /dev/zero"]
    resources: {limits: {memory: 64Mi}}
"""


LOOK = """
apiVersion: v1
kind: Pod
metadata: {name: look}
spec:
  restartPolicy: Never
  containers:
  - {name: look, image: "busybox:1.37", command: [ls, /sys/class/net]}
"""


@pytest.fixture
def node(engine, judging_node):
    """Return the cluster in which submissions are judged."""
    if why := rootless.unsupported_reason(engine):
        pytest.skip(f"no node without root: {why}")
    return judging_node


def test_its_container_may_do_what_any_container_may(engine, node):
    host = engine.client.containers.get(node.name).attrs["HostConfig"]
    assert not host["Privileged"]
    assert not host["CapAdd"]
    assert [device["PathOnHost"] for device in host["Devices"]] == ["/dev/net/tun"]


@pytest.mark.parametrize(
    "attempt",
    [
        "echo 7 > /proc/sys/kernel/panic",
        "echo '|/tmp/x' > /proc/sys/kernel/core_pattern",
        "mknod /tmp/disk b 8 0",
        "mount -o remount,rw /sys",
        "date --set 2000-01-01",
        "echo a > /sys/fs/cgroup/devices/devices.allow",
        "echo $((8 << 30)) > /sys/fs/cgroup/memory/memory.limit_in_bytes",
        "ls /root",
    ],
)
def test_its_root_is_refused_what_would_change_the_machine(node, attempt):
    code, said = node.run_as("0", ["sh", "-c", attempt])
    assert code, said
    assert "ermitted" in said or "denied" in said or "Read-only" in said, said


def test_what_kubectl_was_given_goes_when_it_ends(node, namespace):
    namespace.apply({"k8s/look.yaml": LOOK.encode()})
    assert namespace.name not in node.run_inside("ls", "/tmp")


def test_its_root_still_limits_pods(namespace):
    namespace.apply({"k8s/hog.yaml": HOG.encode()})
    deadline = Deadline(30)
    while not (ended := namespace.get("pods", "hog")["status"].get("containerStatuses")) or not (
        state := ended[0]["state"].get("terminated")
    ):
        assert not deadline.has_passed(), ended
    assert state["reason"] == "OOMKilled"


def test_a_pod_is_shown_its_own_network_devices_alone(namespace):
    namespace.apply({"k8s/look.yaml": LOOK.encode()})
    wait_until(lambda: namespace.get("pods", "look")["status"].get("phase") == "Succeeded")
    log = namespace.api.text(f"api/v1/namespaces/{namespace.name}/pods/look/log")
    assert log.split() == ["eth0", "lo"]


def test_one_that_was_stopped_comes_back_with_what_it_held(node):
    kept = {"metadata": {"name": "kept"}, "data": {"seat": "C4"}}
    node.api().create("configmaps", kept, namespace="default")
    assert node.stop()
    node.start(lambda _: None)
    assert node.api().get("configmaps", "kept", namespace="default")["data"] == kept["data"]
    node.api().delete("configmaps", "kept", namespace="default")
