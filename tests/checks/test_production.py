"""A namespace as in production, and what goes wrong there: evictions, rights, jobs that are due."""

import time

import pytest

from coursework.checks.failure import Failure
from coursework.cluster.api import group_of, is_true

pytestmark = pytest.mark.engine

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web-0, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: busybox:1.37
    command: [sleep, "600"]
    resources: {requests: {cpu: 10m, memory: 8Mi}, limits: {memory: 16Mi}}
    securityContext:
      runAsNonRoot: true
      runAsUser: 65534
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      seccompProfile: {type: RuntimeDefault}
"""
BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
"""
RIGHTS = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader}
rules: [{apiGroups: [""], resources: [configmaps], resourceNames: [settings], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: reader}
subjects: [{kind: ServiceAccount, name: clerk}]
"""
NIGHTLY = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 1 1 *"
  jobTemplate:
    spec:
      ttlSecondsAfterFinished: 0
      template:
        spec:
          restartPolicy: Never
          containers: [{name: main, image: "busybox:1.37", command: [echo, three o'clock]}]
"""


def answer(text):
    """Return one file of manifests as an answer has it."""
    return {"k8s/all.yaml": text.encode()}


@pytest.mark.parametrize(
    ("left_out", "saw"),
    [
        ("      runAsNonRoot: true\n", 'violates PodSecurity "restricted:latest"'),
        ("cpu: 10m, ", "must specify requests.cpu"),
        ("memory: 16Mi", "must specify limits.memory"),
    ],
    ids=["security", "request", "limit"],
)
def test_a_restricted_namespace_fills_nothing_in(cluster, left_out, saw):
    namespace = cluster.create_namespace(restricted=True)
    assert left_out in POD
    with pytest.raises(Failure, match=saw):
        namespace.apply(answer(POD.replace(left_out, "")))
    namespace.apply(answer(POD))


def test_evictions_are_granted_until_the_budget_refuses(namespace):
    pods = [POD.replace("web-0", f"web-{number}") for number in range(3)]
    namespace.apply(answer("---\n".join([BUDGET, *pods])))
    deadline = time.monotonic() + 60
    # A pod that does not run yet may always go, and the budget counts a moment after they do.
    while not all(is_true(pod, "Ready") for pod in namespace.all_of("pods")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while namespace.evict("web-0"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "disruption budget" in namespace.evict("web-1")
    with pytest.raises(Failure, match="not found"):
        namespace.evict("web-9")


def test_rights_are_asked_for_as_can_i_does(namespace):
    """A kustomization may build on other folders, and gives a subject its namespace."""
    files = {
        "rights/kustomization.yaml": b"resources: [all.yaml]",
        "rights/all.yaml": RIGHTS.encode() + b"---\napiVersion: v1\nkind: ServiceAccount\n"
        b"metadata: {name: clerk}\n",
        "stage/kustomization.yaml": f"namespace: {namespace.name}\nresources: [../rights]".encode(),
    }
    assert {o["kind"] for o in namespace.rendered(files, folder="stage")} >= {"Role", "RoleBinding"}
    namespace.apply(files, folder="stage")
    deadline = time.monotonic() + 10
    while not namespace.may("clerk", "get", "configmaps", "settings"):
        assert time.monotonic() < deadline
    assert not namespace.may("clerk", "get", "configmaps", "others")
    assert not namespace.may("clerk", "list", "configmaps")
    assert not namespace.may("clerk", "get", "configmaps", "settings", inside="default")
    assert not namespace.may("default", "get", "configmaps", "settings")
    assert not namespace.may("clerk", "patch", "deployments")


def test_what_was_rendered_before_is_not_part_of_it(namespace):
    one = {"stage/kustomization.yml": b"resources: [all.yaml]", "stage/all.yaml": RIGHTS.encode()}
    namespace.rendered(one, folder="stage")
    other = {"stage/kustomization.yaml": b"resources: [one.yaml]", "stage/one.yaml": POD.encode()}
    (pod,) = namespace.rendered(other, folder="stage")
    assert pod["kind"] == "Pod"


def test_the_group_of_a_kind_is_what_rights_name():
    assert [group_of("pods"), group_of("deployments")] == ["", "apps"]


def test_a_cron_job_runs_now(namespace):
    namespace.apply(answer(NIGHTLY))
    job = namespace.start_job("nightly")
    (pod,) = namespace.wait_for_pods("jobs", job, at_least=1, within_s=20, ready=False)
    namespace.wait_for_job(job, within_s=20)
    assert namespace.log(pod["metadata"]["name"]) == "three o'clock\n"
    with pytest.raises(Failure, match="cronjob hourly"):
        namespace.start_job("hourly")


def test_pods_are_waited_for_whoever_asked_for_them(namespace):
    web = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: "busybox:1.37", command: [sleep, "600"]}]
"""
    namespace.apply(answer(web))
    pods = namespace.wait_for_pods("deployments", "web", at_least=2, within_s=20)
    assert len(pods) == 2
    with pytest.raises(Failure, match="deployment web with 3 ready pods within 1 s"):
        namespace.wait_for_pods("deployments", "web", at_least=3, within_s=1)


def test_an_impatient_client_sees_what_any_client_would(namespace):
    """It asks the address of the Service, and a refusal counts at once."""
    namespace.apply(
        answer(
            "apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
            "spec: {selector: {app: web}, ports: [{port: 80}]}\n---\n" + POD
        )
    )
    address = namespace.get("services", "web")["spec"]["clusterIP"]
    with pytest.raises(Failure, match="refused") as refused:
        namespace.server("web", patient=False).get("/")
    assert f"{address}:80" in refused.value.looked_for + refused.value.saw
    assert not namespace.server("web", patient=False).connects()
