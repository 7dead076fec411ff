"""NetworkPolicies: a pod that is cut off is asked in vain, and one rule lets one asker in."""

import pytest

from coursework.checks.cluster import ClusterClient
from coursework.checks.failure import Failure
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %s}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: a, image: "busybox:1.37", command: [sh, -c, "%s"]}]
---
"""
SERVE = "echo seats >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""
DENY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody}
spec: {podSelector: {}, policyTypes: [%s]}
"""
ALLOW = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friends}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: 8080}]}]
"""


@pytest.fixture
def shop(namespace):
    """Return a namespace with a server, and two pods that can ask it."""
    text = SERVICE + "---\n" + POD % ("web", "web", SERVE)
    text += "".join(POD % (name, name, "exec sleep 600") for name in ("friend", "stranger"))
    namespace.apply({"k8s/all.yaml": text.encode()})
    wait_until(lambda: len(running(namespace)) == 3)
    wait_until(lambda: namespace.ready_endpoints("web") == 1)
    return namespace


def running(namespace):
    """Return the pods that run."""
    return [p for p in namespace.all_of("pods") if p["status"].get("phase") == "Running"]


@pytest.fixture
def reaches(node, shop):
    """Return what tells whether a pod gets an answer of the server."""

    def ask(pod):
        wget = ["wget", "-q", "-O", "-", "-T", "2", f"http://web.{shop.name}.svc.cluster.local."]
        command = ["kubectl", "--namespace", shop.name, "exec", pod, "--", *wget]
        return node.run_as("0", command) == (0, "seats\n")

    return ask


def test_a_policy_cuts_off_and_a_rule_lets_one_in(shop, reaches):
    wait_until(lambda: reaches("friend") and reaches("stranger"))
    shop.apply({"k8s/deny.yaml": (DENY % "Ingress").encode()})
    wait_until(lambda: not reaches("friend") and not reaches("stranger"))
    with pytest.raises(Failure):
        shop.server("web").get("/")
    assert not shop.server("web", patient=False).connects()

    shop.apply({"k8s/allow.yaml": ALLOW.encode()})
    wait_until(lambda: reaches("friend"))
    assert not reaches("stranger")

    shop.delete("networkpolicies", "nobody")
    shop.delete("networkpolicies", "friends")
    wait_until(lambda: reaches("stranger"))
    shop.server("web").get("/").expect(200)
    assert shop.server("web", patient=False).connects()


def test_a_policy_keeps_pods_from_asking(shop, reaches):
    wait_until(lambda: reaches("stranger"))
    shop.apply({"k8s/deny.yaml": (DENY % "Egress").encode()})
    wait_until(lambda: not reaches("stranger"))
    # Who comes from elsewhere is let in, and gets an answer.
    shop.server("web").get("/").expect(200)


def test_a_policy_holds_for_pods_that_come_later_and_in_its_namespace_alone(
    node, cluster, shop, reaches
):
    shop.apply({"k8s/deny.yaml": (DENY % "Ingress").encode(), "k8s/allow.yaml": ALLOW.encode()})
    wait_until(lambda: reaches("friend") and not reaches("stranger"))
    shop.apply({"k8s/new.yaml": (POD % ("newcomer", "friend", "exec sleep 600")).encode()})
    wait_until(lambda: len(running(shop)) == 4)
    wait_until(lambda: reaches("newcomer"))

    other = cluster.create_namespace()
    other.apply({"k8s/all.yaml": (SERVICE + "---\n" + POD % ("web", "web", SERVE)).encode()})
    wait_until(lambda: other.ready_endpoints("web") == 1)
    other.server("web").get("/").expect(200)
    with pytest.raises(Failure, match="connection refused"):
        ClusterClient(node, other, "pod/nobody", "nobody", "10.96.99.99:80").get("/")
