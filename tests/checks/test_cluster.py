"""The cluster as a check holds it: filled, waited for, asked, and why something is not ready."""

import subprocess

import pytest

from coursework.checks.failure import Failure
from coursework.cluster import kubectl
from tests.clone import tiny_clone

pytestmark = pytest.mark.engine

WEB = """
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
      containers:
      - name: web
        image: busybox:1.37
        command: [sh, -c, "mkdir /site; hostname >/site/index.html; httpd -f -p 3000 -h /site"]
        readinessProbe: {httpGet: {path: /, port: 3000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 3000}]}
"""


def answer(text, name="all.yaml"):
    """Return one file of manifests as an answer has it."""
    return {f"k8s/{name}": text.encode()}


def test_an_answer_is_applied_waited_for_and_asked_by_name(namespace, notes):
    namespace.apply(answer(WEB))
    assert notes.command == f"kubectl --namespace {namespace.name} apply --filename k8s/"
    namespace.wait_for_rollout("deployments", "web", within_s=20)
    pods = {p["metadata"]["name"] for p in namespace.pods_of("deployments", "web")}
    reply = namespace.server("web").get("/").expect(200)
    assert reply.text.strip() in pods
    assert "port-forward service/web 8080:80 & sleep 3; curl -i http://localhost:8080/" in (
        reply.command
    )


def test_a_command_runs_in_a_pod_and_its_exit_code_is_known(namespace, notes):
    namespace.apply(answer(WEB))
    namespace.wait_for_rollout("deployments", "web", within_s=20)
    code, said = namespace.execute("deployment/web", "sh", "-c", "hostname; exit 7")
    assert code == 7
    assert said.startswith("web-")
    assert len(said.splitlines()) == 1
    assert "exec deployment/web -- sh -c" in notes.command


@pytest.mark.parametrize("name", ["kustomization.yaml", "kustomization.yml"])
def test_a_kustomization_is_applied_as_one(namespace, name):
    kustomization = b"resources: [web.yaml]\nnamePrefix: new-\n"
    files = {**answer(WEB, "web.yaml"), f"k8s/{name}": kustomization}
    namespace.apply(files)
    assert namespace.get("deployments", "new-web")


def test_what_the_cluster_refuses_is_told_in_its_words(namespace):
    with pytest.raises(Failure) as refused:
        namespace.apply(answer(WEB.replace("replicas: 2", "replicas: many")))
    assert "replicas" in refused.value.saw
    assert "/tmp" not in refused.value.saw
    with pytest.raises(Failure, match="there is none"):
        namespace.apply({"notes.txt": b""})


def test_a_terminal_is_given_what_it_needs_to_type_a_reports_command(
    namespace, engine, node, tmp_path, monkeypatch
):
    """Also where nobody has typed `course cluster start`: the file and the program are brought."""
    monkeypatch.chdir(tiny_clone(tmp_path / "clone", "90-kubectl").root)
    if kubectl.bring(engine, node) is None:
        pytest.skip("the node's kubectl does not run on this machine")
    with pytest.raises(Failure) as refused:
        namespace.get("deployments", "web")
    typed = subprocess.run(
        ["bash", "-c", refused.value.command], env=engine.environment(), capture_output=True,
        text=True, check=False, timeout=30,
    )  # fmt: skip
    assert '"web" not found' in typed.stderr


@pytest.mark.parametrize("name", ["default", "lantern"])
def test_a_namespace_that_a_manifest_names_is_the_mistake(namespace, name):
    """Not the long refusal that comes of it; that is in the log."""
    named = WEB.replace(
        "metadata: {name: web}\nspec:\n", f"metadata: {{name: web, namespace: {name}}}\nspec:\n", 1
    )
    files = {
        **answer("apiVersion: v1\nkind: Namespace\nmetadata: {name: lantern}\n", "00.yaml"),
        **answer(named),
    }
    with pytest.raises(Failure) as refused:
        namespace.apply(files)
    assert refused.value.saw == f"k8s/all.yaml names the namespace {name}"
    assert "take the namespace out" in refused.value.hint
    assert len(refused.value.__notes__[0]) > 20


@pytest.mark.parametrize("path", ["base/all.yaml", "overlays/dev/kustomization.yaml"])
def test_folders_below_are_not_what_kubectl_applies(namespace, path):
    with pytest.raises(Failure) as refused:
        namespace.apply(answer(WEB, path))
    assert refused.value.saw == f"only folders: {path.split('/')[0]}"
    assert "reads no folders below" in refused.value.hint


def test_what_kubectl_was_given_goes_when_it_ends(node, namespace):
    """A cluster may live for months, and each check lays its files into it."""
    namespace.apply(answer(WEB))
    assert namespace.rendered(answer(WEB))
    with pytest.raises(Failure):
        namespace.apply(answer("kind: Nonsense\n"))
    assert namespace.name not in node.run_inside("ls", "/tmp")


def test_what_cannot_be_changed_is_told_without_its_content(namespace):
    job = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec:\n  template:\n    spec:\n"
        "      restartPolicy: Never\n      containers: [{name: a, image: IMAGE}]\n"
    )
    namespace.apply(answer(job.replace("IMAGE", "busybox:1.37")))
    with pytest.raises(Failure) as refused:
        namespace.apply(answer(job.replace("IMAGE", "busybox:1.38")))
    assert refused.value.saw.endswith("spec.template: field is immutable")


def test_what_an_object_does_not_let_change_is_told_as_its_mistake(namespace):
    settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\nimmutable: true\n"
    namespace.apply(answer(settings + "data: {banner: old}\n"))
    with pytest.raises(Failure, match=r"configmap settings that can be changed, saw .*immutable"):
        namespace.change("configmaps", "settings", {"data": {"banner": "new"}})


def test_what_is_not_there_is_told(namespace):
    with pytest.raises(Failure, match=r'looked for deployment web, saw .* "web" not found'):
        namespace.wait_for_rollout("deployments", "web", within_s=1)


def test_a_service_without_pods_and_one_without_a_name(namespace):
    namespace.apply(answer(WEB.replace("selector: {app: web}, ports", "selector: {a: b}, ports")))
    with pytest.raises(Failure) as refused:
        namespace.server("web").get("/")
    assert refused.value.saw.endswith("connection refused; service web has no ready endpoint")
    with pytest.raises(Failure, match="no such host"):
        namespace.server("shop").get("/")


@pytest.mark.parametrize(
    ("old", "new", "saw"),
    [
        ("busybox:1.37", "nowhere/nothing:1", r"has no image nowhere/nothing:1 \((Err)?Im"),
        ("httpd -f -p", "echo no seats; exit 3; #", r"ends again and again: web with exit code 3"),
        ("port: 3000}, period", "port: 9}, period", r"runs, but is not ready: Readiness probe fai"),
        ("terminationGrace", "nodeSelector: {disk: fast}\n      terminationGrace", "finds no node"),
        ("image: busybox:1.37", "image: busybox:1.37\n        envFrom: [{secretRef: {name: key}}]",
         r'does not start: web: CreateContainerConfigError: secret "key" not found'),
        ("image: busybox:1.37", "image: busybox:1.37\n        resources: {limits: {memory: 1Gi}}",
         "no pod, since it is refused: .* maximum memory usage per Container is 512Mi"),
        ("terminationGrace", "hostNetwork: true\n      terminationGrace",
         'no pod, since it is refused: .* violates PodSecurity "baseline:latest"'),
    ],
    ids=["image", "crash", "probe", "node", "secret", "limit", "security"],
)  # fmt: skip
def test_why_a_rollout_is_not_ready_is_told_in_one_line(namespace, old, new, saw):
    assert old in WEB
    namespace.apply(answer(WEB.replace(old, new)))
    with pytest.raises(Failure, match=f"deployment web ready within 3 s, saw .*{saw}") as late:
        namespace.wait_for_rollout("deployments", "web", within_s=3)
    assert "\n" not in late.value.saw
    assert late.value.command.startswith(f"kubectl --namespace {namespace.name} describe ")


def test_what_a_crashing_pod_printed_stands_in_the_log(namespace):
    namespace.apply(answer(WEB.replace("httpd -f -p", "echo no seats; exit 3; #")))
    with pytest.raises(Failure) as late:
        namespace.wait_for_rollout("deployments", "web", within_s=3)
    assert "no seats" in late.value.__notes__[0]


def test_a_job_is_waited_for(namespace):
    job = """
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  backoffLimit: 1
  template:
    spec:
      restartPolicy: Never
      containers: [{name: migrate, image: "busybox:1.37", command: [sh, -c, "exit CODE"]}]
"""
    namespace.apply(answer(job.replace("CODE", "0")))
    namespace.wait_for_job("migrate", within_s=10)
    namespace.delete("jobs", "migrate")
    namespace.apply(answer(job.replace("CODE", "4").replace("name: migrate}\ns", "name: bad}\ns")))
    with pytest.raises(Failure, match=r"job bad complete within 9 s, saw .* with exit code 4"):
        namespace.wait_for_job("bad", within_s=9)


def test_a_claim_keeps_its_data_when_its_pod_goes(namespace):
    claim = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 10Mi}}}
"""
    keeper = WEB.replace("replicas: 2", "replicas: 1").replace(
        "mkdir /site; hostname >/site/index.html", "hostname >>/site/index.html"
    )
    volume = """      volumes: [{name: site, persistentVolumeClaim: {claimName: data}}]
      containers:
      - name: web
        volumeMounts: [{name: site, mountPath: /site}]
"""
    keeper = keeper.replace("      containers:\n      - name: web\n", volume)
    namespace.apply({**answer(keeper), **answer(claim, "claim.yaml")})
    namespace.wait_for_rollout("deployments", "web", within_s=20)
    (pod,) = namespace.pods_of("deployments", "web")
    namespace.delete("pods", pod["metadata"]["name"])
    while pod["metadata"]["name"] in str(namespace.pods_of("deployments", "web")):
        assert namespace.get("deployments", "web")
    namespace.wait_for_rollout("deployments", "web", within_s=20)
    names = namespace.server("web").get("/").expect(200).text.split()
    assert names[0] == pod["metadata"]["name"] != names[-1]
