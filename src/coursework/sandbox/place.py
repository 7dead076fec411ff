"""Where sandboxes can be had, what they are made of, and what of them a dead run left behind."""

import json
import platform
import re
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

from coursework.containers.archive import read_file
from coursework.containers.runs import LABEL_RUN, is_alive, label_filters
from coursework.engine import Engine
from coursework.layout import user_cache
from coursework.trouble import CourseError

IMAGE = "course/sandbox:1"
_PREFIX = "course-sandbox-"
_PROFILE = "/usr/share/containers/seccomp.json"
_TRUSTED = "--trusted grades in the engine that you already have: only for answers you trust"


def require_sandboxes(engine: Engine) -> None:
    """Refuse at once where no sandbox can run.

    Raises:
        CourseError: with what is missing.
    """
    if sys.platform != "linux" or not engine.docker_host.startswith("unix:"):
        why = "they need Linux, and an engine on this machine"
    elif _kernel() < (6, 6):
        why = "they keep their layers in memory, which Linux can since 6.6"
    else:
        return
    raise CourseError("No sandbox can run here.", why=why, fix=_TRUSTED)


def _kernel() -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", platform.release())[:2]))


def socket_folders() -> Path:
    """Return the folder that holds one folder for each sandbox, with its engine's socket."""
    return user_cache() / "sandboxes"


def name_of(run_id: str, number: int | str) -> str:
    """Return the name of a sandbox's container, and of its network."""
    return f"{_PREFIX}{run_id}-{number}"


def remove_ended_sockets(outer: Engine) -> None:
    """Remove the folders of sandboxes whose run has ended, unless one was kept."""
    kept = {_name(container) for container in _sandboxes(outer, [LABEL_RUN])}
    for folder in socket_folders().glob("*-*"):
        run_id, _, number = folder.name.partition("-")
        if not is_alive(run_id) and name_of(run_id, number) not in kept:
            shutil.rmtree(folder, ignore_errors=True)


def find_kept(outer: Engine, slug: str) -> str:
    """Return the name of the sandbox that the last failed check of a module left; else empty."""
    found = _sandboxes(outer, label_filters(slug))
    ended = [c for c in found if not is_alive(c.attrs["Labels"][LABEL_RUN])]
    return next((_name(container) for container in ended), "")


def _sandboxes(outer: Engine, labels: list[str]) -> list[Any]:
    """Return the sandboxes that run, the newest first."""
    found = outer.client.containers.list(sparse=True, filters={"label": labels})
    return [container for container in found if _name(container).startswith(_PREFIX)]


def _name(container: Any) -> str:
    return str(container.attrs["Names"][0]).lstrip("/")


@cache
def system_calls(engine: Engine) -> str:
    """Return the system calls allowed inside, as a seccomp profile for the engine.

    It is Debian's for containers in which users make namespaces; only `sethostname`, which an
    engine calls for each container, is refused there and allowed here.
    """
    container: Any = engine.client.containers.create(IMAGE)
    try:
        profile: dict[str, Any] = json.loads(read_file(container, _PROFILE))
    finally:
        container.remove()
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name != "sethostname"]
    profile["syscalls"] = [r for r in profile["syscalls"] if r["names"]]
    profile["syscalls"].append({"names": ["sethostname"], "action": "SCMP_ACT_ALLOW"})
    return json.dumps(profile)
