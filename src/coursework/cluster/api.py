"""The Kubernetes API over HTTP: objects are JSON values, as `kubectl get -o json` prints them.

Kubernetes' own Python client takes a second to import, for a class for each kind of object; a check
looks at a handful of fields.
"""

import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from coursework.cluster.kubeconfig import Access
from coursework.trouble import CourseError

_CALL_WITHIN_S = 30.0
# Kinds by the path below which their objects are: the API's own word, in the plural.
_GROUPS = {
    "configmaps": "api/v1", "endpoints": "api/v1", "events": "api/v1", "limitranges": "api/v1",
    "namespaces": "api/v1", "nodes": "api/v1", "persistentvolumeclaims": "api/v1",
    "persistentvolumes": "api/v1", "pods": "api/v1", "resourcequotas": "api/v1",
    "secrets": "api/v1", "serviceaccounts": "api/v1", "services": "api/v1",
    "daemonsets": "apis/apps/v1", "deployments": "apis/apps/v1", "replicasets": "apis/apps/v1",
    "statefulsets": "apis/apps/v1", "cronjobs": "apis/batch/v1", "jobs": "apis/batch/v1",
    "horizontalpodautoscalers": "apis/autoscaling/v2",
    "endpointslices": "apis/discovery.k8s.io/v1",
    "ingresses": "apis/networking.k8s.io/v1", "networkpolicies": "apis/networking.k8s.io/v1",
    "poddisruptionbudgets": "apis/policy/v1",
    "rolebindings": "apis/rbac.authorization.k8s.io/v1",
    "roles": "apis/rbac.authorization.k8s.io/v1",
}  # fmt: skip
_WITHOUT_NAMESPACE = ("namespaces", "nodes", "persistentvolumes")
Json = dict[str, Any]


class ApiError(Exception):
    """The API server refused.

    Args:
        code: HTTP's status.
        message: in the API server's own words.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Api:
    """One cluster's API, asked as one user.

    Example:
        >>> api.get("deployments", "web", namespace="shop")["status"]["readyReplicas"]
        2

    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self._session = requests.Session()
        # A proxy of the user's network is not on the way to this machine's own container.
        self._session.trust_env = False
        self._session.mount("https://", _Tls(access))
        if access.token:
            self._session.headers["Authorization"] = f"Bearer {access.token}"

    def get(self, kind: str, name: str, *, namespace: str = "") -> Json:
        """Return one object.

        Args:
            kind: in the plural, such as `deployments`.
            name: of the object.
            namespace: where it is; none for a kind without namespaces.

        Raises:
            ApiError: 404 where there is none.
        """
        return self.call("GET", f"{path_of(kind, namespace)}/{name}")

    def list(self, kind: str, *, namespace: str = "", labels: str = "") -> list[Json]:
        """Return all objects of a kind.

        Args:
            kind: in the plural, such as `pods`.
            namespace: where they are; all namespaces by default.
            labels: a selector such as `app=web`.
        """
        query = {"labelSelector": labels} if labels else {}
        found: list[Json] = self.call("GET", path_of(kind, namespace), query=query)["items"]
        return found

    def wait_for_change(self, kind: str, seen: Json, *, within_s: float) -> None:
        """Wait until an object is another than it was when it was seen, or that long.

        The API server tells (`watch=true`): nobody has to ask again and again.

        Args:
            kind: in the plural.
            seen: the object, as `get` gave it.
            within_s: seconds.
        """
        metadata = seen["metadata"]
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={metadata['name']}",
            "resourceVersion": metadata["resourceVersion"],
        }
        try:
            with self._session.get(
                f"{self.access.server}/{path_of(kind, metadata.get('namespace', ''))}",
                params=query, stream=True, timeout=(_CALL_WITHIN_S, within_s),
            ) as answer:  # fmt: skip
                if answer.ok:
                    # The caller asks again, and sees what has changed.
                    next(answer.iter_content(chunk_size=None), b"")
                elif answer.status_code != requests.codes.gone:
                    # Refused, as by a server that has too much to do: nobody asks again at once.
                    time.sleep(within_s)
        except requests.RequestException:
            # Nothing has changed; or it does not answer, which the next call says.
            return

    def create(self, kind: str, manifest: Json, *, namespace: str = "") -> Json:
        """Make an object."""
        return self.call("POST", path_of(kind, namespace), manifest)

    def patch(self, kind: str, name: str, change: Json, *, namespace: str = "") -> Json:
        """Change an object by a merge patch (RFC 7386)."""
        return self.call("PATCH", f"{path_of(kind, namespace)}/{name}", change)

    def delete(self, kind: str, name: str, *, namespace: str = "") -> None:
        """Delete an object; one that is gone is fine."""
        try:
            self.call("DELETE", f"{path_of(kind, namespace)}/{name}")
        except ApiError as error:
            if error.code != requests.codes.not_found:
                raise

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return the text that a path answers, such as a pod's log."""
        return self._answer("GET", path, None, query).text

    def call(
        self,
        method: str,
        path: str,
        value: Json | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Json:
        """Make one request and return the object that it answers.

        Raises:
            ApiError: it is refused.
            CourseError: the API server does not answer.
        """
        found: Json = self._answer(method, path, value, query).json()
        return found

    def _answer(
        self, method: str, path: str, value: Json | None, query: Mapping[str, str] | None
    ) -> requests.Response:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        try:
            answer = self._session.request(
                method,
                f"{self.access.server}/{path}",
                params=dict(query or {}),
                json=value,
                headers={"Content-Type": kind} if value is not None else None,
                timeout=_CALL_WITHIN_S,
            )
        except requests.RequestException as error:
            raise CourseError(
                f"The Kubernetes at {self.access.server} does not answer.",
                why=str(error)[:200],
                fix="course cluster status",
            ) from error
        if not answer.ok:
            raise ApiError(answer.status_code, _words(answer))
        return answer


class _Tls(HTTPAdapter):
    """What requests needs to trust the cluster's own authority, without files that stay."""

    def __init__(self, access: Access) -> None:
        self._access = access
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._access.context(), **options)

    def cert_verify(self, conn: Any, *_: Any, **__: Any) -> None:
        # None of the world's authorities is asked here: reading them takes 40 ms a connection.
        conn.cert_reqs = "CERT_REQUIRED"


def _words(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:300]


def path_of(kind: str, namespace: str = "") -> str:
    """Return the path of the objects of a kind.

    Raises:
        KeyError: the kind is unknown here.
    """
    if not namespace or kind in _WITHOUT_NAMESPACE:
        return f"{_GROUPS[kind]}/{kind}"
    return f"{_GROUPS[kind]}/namespaces/{namespace}/{kind}"


def group_of(kind: str) -> str:
    """Return the API group of a kind, as rights name it; empty for the core group.

    Raises:
        KeyError: the kind is unknown here.
    """
    _, _, rest = _GROUPS[kind].partition("apis/")
    return rest.partition("/")[0]


def is_true(value: Json, condition: str) -> bool:
    """Tell whether an object says of itself that a condition, such as `Ready`, holds."""
    found = (value.get("status") or {}).get("conditions") or []
    return any(c["type"] == condition and c["status"] == "True" for c in found)


def selector(workload: Json) -> str:
    """Return the labels by which a workload finds its pods, in the syntax of an API query."""
    wanted = workload["spec"].get("selector") or {}
    labels = [f"{name}={value}" for name, value in (wanted.get("matchLabels") or {}).items()]
    return ",".join([*labels, *map(_requirement, wanted.get("matchExpressions") or [])])


def _requirement(expression: Json) -> str:
    """Return one of a selector's matchExpressions in the syntax of an API query."""
    key = str(expression["key"])
    values = ",".join(expression.get("values") or [])
    return {
        "In": f"{key} in ({values})",
        "NotIn": f"{key} notin ({values})",
        "Exists": key,
        "DoesNotExist": f"!{key}",
    }[expression["operator"]]


def without_ending(pods: list[Json]) -> list[Json]:
    """Leave out the pods that are on their way out."""
    return [p for p in pods if not p["metadata"].get("deletionTimestamp")]
