"""A node whose root is nobody in particular for this machine: where it can run, and with what."""

import sys
from typing import Any

from coursework.engine import Engine
from coursework.sandbox.place import system_calls

COMMAND = ("bash", "/usr/local/bin/rootless.sh", "start")
# Who owns a file of the node's users, as the engine numbers them: /etc/subuid of the image.
_ROOT, _FIRST = 1000, 99_999


def unsupported_reason(engine: Engine) -> str:
    """Tell why a node without root was not tried on such a host; empty where it was."""
    if sys.platform != "linux" or not engine.docker_host.startswith("unix:"):
        return "it was tried on Linux alone, with an engine of this machine"
    info: dict[str, Any] = engine.client.info()
    if str(info.get("CgroupVersion")) != "1":
        return "it was tried with cgroup version 1 alone"
    if any("apparmor" in option for option in info.get("SecurityOptions") or []):
        return "it was not tried under AppArmor"
    return ""


def privileges(engine: Engine) -> dict[str, Any]:
    """Return what its container may do beyond any other: nothing but open a network device.

    A user namespace may mount /proc only where nothing of it is hidden, and what it may ask of
    the kernel is what the sandboxes may.
    """
    device = {"PathOnHost": "/dev/net/tun", "PathInContainer": "/dev/net/tun",
              "CgroupPermissions": "rwm"}  # fmt: skip
    return {
        "Devices": [device],
        "MaskedPaths": [],
        "ReadonlyPaths": [],
        "SecurityOpt": [f"seccomp={system_calls(engine)}"],
    }


def owner(user: int) -> int:
    """Return the number by which the engine knows a user of the node."""
    return _FIRST + user if user else _ROOT
