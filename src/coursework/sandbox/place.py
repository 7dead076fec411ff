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
from coursework.containers.runs import is_alive
from coursework.engine import Engine
from coursework.layout import user_cache
from coursework.trouble import CourseError

IMAGE = "course/sandbox:1"
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


def remove_ended_sockets() -> None:
    """Remove the folders of sandboxes whose run has ended."""
    for folder in socket_folders().glob("*-*"):
        if not is_alive(folder.name.split("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)


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
