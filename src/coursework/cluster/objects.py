"""What several parts read from the API's objects, which are JSON values."""

from typing import Any

Json = dict[str, Any]


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
