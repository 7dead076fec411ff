"""A namespace for somebody whom nobody trusts: all rights in it, none elsewhere, and limits.

Three things confine a user who applies manifests here: the token's role, which ends
at the namespace; Pod Security `baseline`, which the API server enforces in all namespaces but
kube-system, or `restricted`; the quota and the limits below.
"""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from coursework.cluster.api import Api, ApiError, path_of
from coursework.cluster.kubeconfig import Access
from coursework.containers.runs import LABEL_RUN, is_alive, label_filters

USER = "learner"

_QUOTA = {
    "pods": "20",
    "requests.cpu": "1500m",
    "requests.memory": "1Gi",
    "limits.memory": "3Gi",
    # As many pods as there may be, with the default of each.
    "limits.ephemeral-storage": "4Gi",
    "requests.storage": "600Gi",
    "persistentvolumeclaims": "6",
    "services": "20",
    "services.nodeports": "5",
    "services.loadbalancers": "0",
    "configmaps": "40",
    "secrets": "40",
    "count/deployments.apps": "20",
    "count/statefulsets.apps": "10",
    "count/replicasets.apps": "60",
    "count/jobs.batch": "40",
    "count/cronjobs.batch": "5",
    "count/ingresses.networking.k8s.io": "10",
    "count/networkpolicies.networking.k8s.io": "20",
}
_OF_A_CONTAINER = {
    "default": {"cpu": "1", "memory": "128Mi", "ephemeral-storage": "200Mi"},
    "defaultRequest": {"cpu": "20m", "memory": "32Mi", "ephemeral-storage": "10Mi"},
    "max": {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "500Mi"},
}
# A claim becomes a folder of the node, however much it asks for.
_OF_A_CLAIM = {"max": {"storage": "100Gi"}}
_ENFORCE = "pod-security.kubernetes.io/enforce"


def create_namespace(
    api: Api, name: str, labels: Mapping[str, str], *, restricted: bool = False
) -> Access:
    """Make a namespace with its limits, and return how its only user reaches the cluster.

    Args:
        api: of the cluster's owner.
        name: of the namespace, which must not exist.
        labels: of the namespace.
        restricted: as in production: Pod Security `restricted`, and each container says itself
            which processors and memory it requests, and its limit of memory.

    Raises:
        ApiError: the cluster refuses.
    """
    enforced = {_ENFORCE: "restricted"} if restricted else {}
    api.create("namespaces", {"metadata": {"name": name, "labels": {**labels, **enforced}}})
    _create(api, "resourcequotas", name, {"spec": {"hard": _QUOTA}})
    _create(api, "limitranges", name, {"spec": {"limits": _limits(restricted=restricted)}})
    _create(api, "serviceaccounts", name, {})
    role = {
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"
        },
        "subjects": [{"kind": "ServiceAccount", "name": USER, "namespace": name}],
    }  # fmt: skip
    _create(api, "rolebindings", name, role)
    path = f"api/v1/namespaces/{name}/serviceaccounts/{USER}/token"
    token = api.call("POST", path, {"spec": {"expirationSeconds": 3600}})
    return api.access.as_user(token["status"]["token"])


def remove_namespace(api: Api, name: str) -> None:
    """Delete a namespace with all that is in it; the cluster does it in its own time."""
    api.delete("namespaces", name)
    with suppress(ApiError):
        # What does not hear SIGTERM would keep its memory for half a minute.
        api.call("DELETE", path_of("pods", name), query={"gracePeriodSeconds": "0"})


def remove_ended_namespaces(api: Api, module: str = "", *, everywhere: bool = False) -> int:
    """Remove what ended runs left, of one module or of all; return how many."""
    labels = ",".join(label_filters(module, everywhere=everywhere))
    found = [n["metadata"] for n in api.list("namespaces", labels=labels)]
    ended = [n for n in found if not is_alive(n["labels"].get(LABEL_RUN, ""))]
    for namespace in ended:
        remove_namespace(api, namespace["name"])
    return len(ended)


def _limits(*, restricted: bool) -> list[dict[str, Any]]:
    """Return what is filled in and the most of it; where it is restricted, of disk alone.

    What such a container does not say of processors and memory the quota refuses.
    """
    names = ("ephemeral-storage",) if restricted else ("cpu", "memory", "ephemeral-storage")
    filled = {use: {n: given[n] for n in names} for use, given in _OF_A_CONTAINER.items()}
    return [{"type": "Container", **filled}, {"type": "PersistentVolumeClaim", **_OF_A_CLAIM}]


def _create(api: Api, kind: str, namespace: str, manifest: dict[str, Any]) -> None:
    api.create(kind, {"metadata": {"name": USER}, **manifest}, namespace=namespace)
