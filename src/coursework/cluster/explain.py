"""Why a workload is not ready: one line, from what the cluster itself says of it."""

from dataclasses import dataclass

from coursework.cluster.api import Api, ApiError, Json, is_true, selector, without_ending
from coursework.words import shortened

_LOG_LINES = "8"
_NO_IMAGE = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")


@dataclass(frozen=True)
class Explanation:
    """What keeps a workload from being ready.

    Args:
        saw: one line.
        pod: the pod that matters; empty where there is none.
        events: the last things that happened to it, oldest first.
        log: the last lines that it printed.
    """

    saw: str
    pod: str = ""
    events: tuple[str, ...] = ()
    log: str = ""


def explain(api: Api, namespace: str, workload: Json) -> Explanation:
    """Look from a workload to the pod that matters, and say what it waits for.

    Args:
        api: of somebody who may look.
        namespace: where it is.
        workload: a Deployment, StatefulSet, ReplicaSet, DaemonSet or Job, as the API gives it.
    """
    pods = without_ending(api.list("pods", namespace=namespace, labels=selector(workload)))
    troubled = [
        p for p in pods if p["status"].get("phase") != "Succeeded" and not is_true(p, "Ready")
    ]
    if troubled:
        # The newest one is of the newest template.
        pod = max(troubled, key=lambda p: str(p["metadata"]["creationTimestamp"]))
        return _of_pod(api, namespace, pod)
    if refused := _refused(api, namespace, workload):
        return Explanation(refused)
    wanted = workload["spec"].get("replicas", workload["spec"].get("completions", 1))
    return Explanation(f"{len(pods)} of {wanted} pods, and no word why")


def _of_pod(api: Api, namespace: str, pod: Json) -> Explanation:
    name = pod["metadata"]["name"]
    events = _events(api, namespace, name)
    words = tuple(shortened(f"{e['reason']}: {e.get('message', '')}", 200) for e in events[-2:])
    return Explanation(f"pod {name} {_why(pod, events)}", name, words, _log(api, namespace, pod))


def _why(pod: Json, events: list[Json]) -> str:
    status = pod["status"]
    scheduled = next(
        (c for c in status.get("conditions", []) if c["type"] == "PodScheduled"), {"status": "True"}
    )
    if scheduled["status"] == "False":
        return f"finds no node: {shortened(scheduled.get('message', ''), 200)}"
    initial = status.get("initContainerStatuses", [])
    for container in [*initial, *status.get("containerStatuses", [])]:
        if found := _why_container(container, is_initial=container in initial):
            return found
    if failing := next((e for e in reversed(events) if e["reason"] == "Unhealthy"), None):
        return f"runs, but is not ready: {shortened(failing['message'].strip(), 200)}"
    if stuck := next((e for e in reversed(events) if e["type"] == "Warning"), None):
        return f"does not start: {stuck['reason']}: {shortened(stuck['message'], 200)}"
    return f"is {status.get('phase', 'Unknown').lower()} and not ready"


def _why_container(container: Json, *, is_initial: bool) -> str:
    name = f"init container {container['name']}" if is_initial else container["name"]
    state = container.get("state", {})
    waiting = state.get("waiting", {})
    reason, message = waiting.get("reason", ""), shortened(waiting.get("message", ""), 200)
    if reason in _NO_IMAGE:
        return f"has no image {container['image']} ({reason}): {message}"
    ended = state.get("terminated") or container.get("lastState", {}).get("terminated")
    if ended and (reason == "CrashLoopBackOff" or ended.get("exitCode")):
        times = container.get("restartCount", 0) + (1 if state.get("terminated") else 0)
        how = "by lack of memory" if ended.get("reason") == "OOMKilled" else "again and again"
        back = f" ({reason})" if reason else ""
        return f"ends {how}: {name} with exit code {ended['exitCode']}, {times} times{back}"
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        return f"does not start: {name}: {reason}: {message}"
    if is_initial and "running" in state:
        return f"waits for its {name}, which still runs"
    return ""


def _refused(api: Api, namespace: str, workload: Json) -> str:
    """Return the API server's own words where it refuses to make the pods."""
    conditions = workload["status"].get("conditions", [])
    failure = next((c for c in conditions if c["type"] == "ReplicaFailure"), None)
    if failure and failure["status"] == "True":
        return f"no pod, since it is refused: {shortened(failure.get('message', ''), 300)}"
    events = _events(api, namespace, workload["metadata"]["name"])
    failed = next((e for e in reversed(events) if e["reason"].startswith("Failed")), None)
    return f"no pod, since it is refused: {shortened(failed['message'], 300)}" if failed else ""


def _events(api: Api, namespace: str, name: str) -> list[Json]:
    path = f"api/v1/namespaces/{namespace}/events"
    found = api.call("GET", path, query={"fieldSelector": f"involvedObject.name={name}"})["items"]
    return sorted(found, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))


def _log(api: Api, namespace: str, pod: Json) -> str:
    """Return the log of the container that ended last, or else of the first that runs."""
    statuses = [
        *pod["status"].get("initContainerStatuses", []),
        *pod["status"].get("containerStatuses", []),
    ]
    for status in sorted(statuses, key=lambda s: -s.get("restartCount", 0)):
        path = f"api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}/log"
        query = {"container": status["name"], "tailLines": _LOG_LINES}
        for previous in ("false", "true"):
            try:
                if text := api.text(path, {**query, "previous": previous}).strip():
                    return text
            except ApiError:
                # It has not printed yet, or never ran before.
                continue
    return ""
