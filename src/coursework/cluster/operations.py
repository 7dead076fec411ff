"""What a cluster's owner does beyond reading and writing objects."""

from coursework.cluster.api import Api, ApiError, Json, group_of, path_of

# HTTP's Too Many Requests: a disruption budget does not allow it now.
_NOT_NOW = 429


def evict(api: Api, namespace: str, pod: str) -> str:
    """Ask for a pod to go, as `kubectl drain` does; budgets may refuse it.

    Args:
        api: of the cluster's owner.
        namespace: where it is.
        pod: its name.

    Returns:
        Why a budget refuses, in the API server's words; empty where the pod goes.

    Raises:
        ApiError: it is refused for another reason.
    """
    metadata = {"name": pod, "namespace": namespace}
    wanted = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
    try:
        api.call("POST", f"{path_of('pods', namespace)}/{pod}/eviction", wanted)
    except ApiError as error:
        if error.code != _NOT_NOW:
            raise
        return error.message
    return ""


def is_allowed(
    api: Api, namespace: str, account: str, verb: str, kind: str, *, name: str = "", inside: str
) -> bool:
    """Tell whether a service account may do something, as `kubectl auth can-i` does.

    Args:
        api: of the cluster's owner.
        namespace: of the account.
        account: its name.
        verb: such as `get`.
        kind: in the plural, such as `configmaps`.
        name: of one object; any by default.
        inside: the namespace in which it would do that.
    """
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
    asked = {
        "user": f"system:serviceaccount:{namespace}:{account}",
        "groups": [*groups, "system:authenticated"],
        "resourceAttributes": {
            "namespace": inside, "verb": verb, "group": group_of(kind), "resource": kind,
            "name": name,
        },
    }  # fmt: skip
    answer = api.call("POST", "apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": asked})
    return bool(answer["status"]["allowed"])


def start_job(api: Api, namespace: str, cron_job: Json, name: str) -> Json:
    """Run a CronJob once, now, as `kubectl create job --from` does; return the Job.

    The Job has no ttlSecondsAfterFinished, so it's still there when somebody looks at it.

    Args:
        api: of the cluster's owner.
        namespace: where it is.
        cron_job: as `get` gave it.
        name: of the new Job.
    """
    template = cron_job["spec"]["jobTemplate"]
    labels = (template.get("metadata") or {}).get("labels") or {}
    spec = {key: v for key, v in template["spec"].items() if key != "ttlSecondsAfterFinished"}
    job = {"metadata": {"name": name, "labels": labels}, "spec": spec}
    return api.create("jobs", job, namespace=namespace)
