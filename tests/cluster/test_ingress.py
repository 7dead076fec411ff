"""Ingresses: by host and path from this machine to a Service, with a class that needs no name."""

import http.client
import time

import pytest

from coursework.cluster.node import INGRESS_PORT
from tests.waiting import wait_until

pytestmark = pytest.mark.engine

ROUTED_WITHIN_S = 20
SERVER = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: web
        image: busybox:1.37
        command:
        - sh
        - -c
        - >-
          mkdir -p /tmp/api && echo NAME >/tmp/index.html && echo NAME >/tmp/api/seats &&
          exec httpd -f -p 8080 -h /tmp
        readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {selector: {app: NAME}, ports: [{port: 80, targetPort: 8080}]}
---
"""
INGRESS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  rules:
  - host: HOST
    http:
      paths:
      - {path: /api, pathType: Prefix, backend: {service: {name: back, port: {number: 80}}}}
      - {path: /, pathType: Prefix, backend: {service: {name: front, port: {number: 80}}}}
  - host: back.HOST
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: back, port: {number: 80}}}}
"""


@pytest.fixture
def ask(node):
    """Return what asks the cluster's Ingress from this machine: status and body."""

    def get(host, path):
        connection = http.client.HTTPConnection(
            "127.0.0.1", node.published_port(INGRESS_PORT), timeout=5
        )
        try:
            connection.request("GET", path, headers={"Host": host})
            reply = connection.getresponse()
            return reply.status, reply.read().decode().strip()
        except (OSError, http.client.HTTPException) as error:
            return 0, repr(error)
        finally:
            connection.close()

    # A start does not wait for it.
    wait_until(lambda: get("nobody.localhost", "/")[0], within_s=60)
    return get


def wait_for(wanted, look):
    """Wait until something is as wanted, and show it where it never is."""
    deadline = time.monotonic() + ROUTED_WITHIN_S
    while (found := look()) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert found == wanted


def test_it_routes_by_host_and_path(namespace, ask):
    host = f"{namespace.name}.localhost"
    text = SERVER.replace("NAME", "front") + SERVER.replace("NAME", "back")
    namespace.apply({"k8s/all.yaml": (text + INGRESS.replace("HOST", host)).encode()})
    for name in ("front", "back"):
        namespace.wait_for_rollout("deployments", name, within_s=30)
    wait_for((200, "front"), lambda: ask(host, "/"))
    wait_for((200, "back"), lambda: ask(host, "/api/seats"))
    wait_for((200, "back"), lambda: ask(f"back.{host}", "/"))
    # A prefix is one of whole words, and the server that gets it has no such page.
    assert ask(host, "/apiary")[0] == 404
    assert ask(f"other.{host}", "/") == (404, "404 page not found")

    found = namespace.get("ingresses", "shop")
    assert found["spec"]["ingressClassName"] == "traefik"
    assert found["status"]["loadBalancer"]["ingress"] == [{"hostname": "localhost"}]

    namespace.change("deployments", "back", {"spec": {"replicas": 0}})
    wait_for(503, lambda: ask(host, "/api/seats")[0])
    assert ask(host, "/") == (200, "front")


def test_its_pod_can_be_listed(node, ask):
    assert ask("nobody.localhost", "/")[0] == 404
    (pod,) = node.api().list("pods", namespace="ingress")
    assert pod["metadata"]["name"].startswith("ingress-")
