"""A HorizontalPodAutoscaler: pods that work hard get help."""

import time

import pytest

pytestmark = [pytest.mark.engine, pytest.mark.nightly]

SCALED_WITHIN_S = 60
BURNERS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: burner}
spec:
  replicas: 1
  selector: {matchLabels: {app: burner}}
  template:
    metadata: {labels: {app: burner}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: burner
        image: busybox:1.37
        command: [sh, -c, "while :; do :; done"]
        resources: {requests: {cpu: 50m}, limits: {cpu: 100m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: burner}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: burner}
  minReplicas: 1
  maxReplicas: 2
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
"""  # noqa: E501 - a manifest


def test_pods_that_work_hard_get_help(namespace):
    namespace.apply({"k8s/all.yaml": BURNERS.encode()})
    deadline = time.monotonic() + SCALED_WITHIN_S
    while namespace.get("deployments", "burner")["status"].get("readyReplicas") != 2:
        assert time.monotonic() < deadline, namespace.get("horizontalpodautoscalers", "burner")
        time.sleep(0.2)
    (metric,) = namespace.get("horizontalpodautoscalers", "burner")["status"]["currentMetrics"]
    assert metric["resource"]["current"]["averageUtilization"] > 50
