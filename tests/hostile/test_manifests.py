"""Manifests that want more than their namespace: each is refused, in words, or harmless."""

import pytest

from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure
from tests.conftest import Notes, cluster_of

pytestmark = pytest.mark.engine

POD = """
apiVersion: v1
kind: Pod
metadata: {name: hostile}
spec:
  %s
  containers:
  - name: a
    image: busybox:1.37
    command: [sleep, "99"]
    %s
  volumes: [%s]
"""
SECURITY = 'violates PodSecurity "baseline:latest"'


def pod(spec="enableServiceLinks: false", container="tty: false", volume=""):
    """Return a pod with something in it that it may not have."""
    return POD % (spec, container, volume)


def rbac(kind, name, text):
    """Return an object of the API's own rights."""
    version = "rbac.authorization.k8s.io/v1"
    return f"apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n{text}\n"


BINDING = """
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:serviceaccounts"}]
"""
ALL = 'rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]'
NODES = 'rules: [{apiGroups: [""], resources: [nodes/proxy], verbs: [get, create]}]'
WEBHOOK = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: hostile}
webhooks: []
"""
SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: hostile}\nspec: {ports: [{port: 443}], %s}"
)
HOSTILE = {
    "a privileged container": (pod(container="securityContext: {privileged: true}"), SECURITY),
    "a capability": (
        pod(container="securityContext: {capabilities: {add: [SYS_ADMIN]}}"), SECURITY),
    "an unmasked /proc": (pod(container="securityContext: {procMount: Unmasked}"), "Unmasked"),
    "a port of the host": (pod(container="ports: [{containerPort: 1, hostPort: 1}]"), SECURITY),
    "the host's network": (pod(spec="hostNetwork: true"), SECURITY),
    "the host's processes": (pod(spec="hostPID: true"), SECURITY),
    "the host's memory": (pod(spec="hostIPC: true"), SECURITY),
    "a folder of the host": (pod(volume="{name: h, hostPath: {path: /}}"), SECURITY),
    "no seccomp": (
        pod(container="securityContext: {seccompProfile: {type: Unconfined}}"), SECURITY),
    "a sysctl of the kernel": (
        pod(spec="securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}"), SECURITY),
    "a system priority": (
        pod(spec="priorityClassName: system-node-critical"), "insufficient quota"),
    "another namespace": (
        pod().replace("{name: hostile}", "{name: hostile, namespace: kube-system}"),
        "names the namespace kube-system"),
    "a new namespace": (
        ("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: hostile\n"
        "  labels: {pod-security.kubernetes.io/enforce: privileged}\n"),
        "makes a namespace of its own"),
    "all rights in the cluster": (rbac("ClusterRoleBinding", "hostile", BINDING), "cannot"),
    "all rights by a role of its own": (rbac("Role", "hostile", ALL), "attempting to grant"),
    "the kubelet's API": (rbac("ClusterRole", "hostile", NODES), "cannot"),
    "a volume in the host's folder": (
        ("apiVersion: v1\nkind: PersistentVolume\nmetadata: {name: hostile}\nspec:\n"
        "  {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], hostPath: {path: /}}\n"),
        "cannot"),
    "an address of the cluster": (
        SERVICE % "externalIPs: [10.96.0.1]", "Use of external IPs is denied"),
    "a load balancer": (SERVICE % "type: LoadBalancer", "exceeded quota"),
    "a webhook": (WEBHOOK, "cannot"),
    "an API of its own": (
        ("apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.h.io}\n"
        "spec: {group: h.io, version: v1, groupPriorityMinimum: 1, versionPriority: 1}\n"),
        "cannot"),
    "a larger quota": (
        ("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: learner}\n"
        "spec: {hard: {pods: '500'}}\n"), "cannot"),
    "a laxer namespace": (
        ("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: NAMESPACE\n"
        "  labels: {pod-security.kubernetes.io/enforce: privileged}\n"),
        "makes a namespace of its own"),
    "a pod's name that fits in no rule": (
        pod().replace("{name: hostile}", f"{{name: {'n' * 64}}}"), "at most 63 characters"),
    "a policy's name that fits in no rule": (
        ("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        f"metadata: {{name: {'n' * 64}}}\nspec: {{podSelector: {{}}}}\n"), "at most 63 characters"),
    "endpoints elsewhere": (
        ("apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: hostile}\n"
        "addressType: IPv4\nendpoints: [{addresses: [10.95.0.1]}]\n"), "cannot"),
}  # fmt: skip

SHUT = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut}
spec: {podSelector: {}}
"""
# All that a policy can ask for, at its edges.
ODD_POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: %s}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]
  ingress:
  - from:
    - {ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8, 10.1.0.0/16, 255.255.255.255/32]}}
    - {ipBlock: {cidr: 10.0.0.0/8}}
    - {ipBlock: {cidr: "::/0", except: ["fe80::/10"]}}
    - {namespaceSelector: {}}
    ports:
    - {port: w}
    - {port: nobody-has-it}
    - {protocol: SCTP, port: 1}
    - {protocol: UDP, port: 1, endPort: 65535}
    - {protocol: TCP}
  - ports: [{port: w}, {protocol: SCTP}]
  egress:
  - to: [{ipBlock: {cidr: 0.0.0.0/32}}, {podSelector: {}, namespaceSelector: {}}]
    ports: [{port: w}, {protocol: SCTP, port: 9, endPort: 9}]
  - {}
""" % ("n" * 63)


@pytest.fixture(scope="module")
def empty(node):
    """Return a namespace that stays empty: what is refused leaves nothing to the next."""
    with cluster_of(node, Notes()) as cluster:
        yield cluster.create_namespace()


@pytest.mark.parametrize(("manifest", "words"), HOSTILE.values(), ids=HOSTILE.keys())
def test_it_is_refused_in_the_api_servers_words(empty, manifest, words):
    """Or, where the server has refused a namespace, with the manifest that names it."""
    text = manifest.replace("NAMESPACE", empty.name)
    with pytest.raises(Failure) as refused:
        empty.apply({"k8s/all.yaml": text.encode()})
    assert words in refused.value.saw
    assert not empty.all_of("pods")


def test_policies_of_one_keep_none_of_another_from_being_written(cluster):
    server = 'command: [httpd, -f, -p, "80"]\n    ports: [{name: w, containerPort: 80}]'
    text = pod().replace('command: [sleep, "99"]', server)
    one, other = cluster.create_namespace(), cluster.create_namespace()
    one.apply({"k8s/all.yaml": (text + "---" + ODD_POLICY).encode()})
    other.apply({"k8s/all.yaml": text.encode()})
    while not (found := other.get("pods", "hostile"))["status"].get("podIP"):
        assert found["status"]["phase"] == "Pending"
    assert answers_within(15, other.pod_server(found, port=80))
    other.apply({"k8s/all.yaml": SHUT.encode()})
    with pytest.raises(Failure, match="refused"):
        answers_within(15, other.pod_server(found, port=80), never=True)


def answers_within(seconds, server, *, never=False):
    """Ask until there is an answer; or for as long as there is one, until the asking fails."""
    deadline = Deadline(seconds)
    while not deadline.has_passed():
        try:
            if server.get("/").status == 404 and not never:
                return True
        except Failure:
            if never:
                raise
    return False


def test_a_bomb_of_anchors_ends(namespace):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(Failure):
        namespace.apply({"k8s/all.yaml": "\n".join(lines).encode()})


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(":() { : | : & }; :", id="fork bomb"),
        pytest.param("tail /dev/zero", id="memory hog", marks=pytest.mark.nightly),
        pytest.param("while :; do echo noise; done", id="endless log", marks=pytest.mark.nightly),
        pytest.param("dd if=/dev/zero of=/full bs=1M", id="disk filler", marks=pytest.mark.nightly),
    ],
)
def test_what_it_eats_is_limited_and_the_cluster_still_answers(node, namespace, command):
    shell = f"    command: [sh, -c, {command!r}]"
    text = pod().replace('    command: [sleep, "99"]', shell)
    namespace.apply({"k8s/all.yaml": text.encode()})
    while namespace.get("pods", "hostile")["status"]["phase"] == "Pending":
        assert not node.missing()
    for _ in range(20):
        assert node.api().text("readyz") == "ok"
    other = pod().replace("name: hostile", "name: honest")
    namespace.apply({"k8s/all.yaml": other.encode()})
    while namespace.get("pods", "honest")["status"]["phase"] != "Running":
        assert namespace.get("pods", "honest")["status"]["phase"] != "Failed"
    assert not node.missing()
