"""The kubectl of the cluster's own version, for terminals and cells, and the file that it reads."""

import platform
import sys
from pathlib import Path
from typing import Any

from coursework.cluster.node import Node
from coursework.engine import Engine, command_line
from coursework.files import write_whole

_INSIDE = "/usr/local/bin/kubectl"
# What Docker calls a machine, and what Python calls it.
_SAME = {"amd64": "x86_64", "arm64": "aarch64"}


def write_kubeconfig(node: Node) -> Path:
    """Write how the owner reaches the cluster to where the lab's commands look.

    Raises:
        CourseError: the cluster does not run.
    """
    target = command_line.kubeconfig()
    write_whole(target, node.access().written().encode(), mode=0o600)
    return target


def bring(engine: Engine, node: Node) -> Path | None:
    """Bring what a terminal needs to type kubectl commands at a cluster; see `provide`.

    Raises:
        CourseError: the cluster does not run.
    """
    write_kubeconfig(node)
    return provide(engine, node)


def provide(engine: Engine, node: Node) -> Path | None:
    """Copy kubectl out of the node to where the lab's commands are found.

    None on a machine that cannot run it: a Mac, or another processor.
    """
    container: Any = engine.client.containers.get(node.name)
    machine = str(container.image.attrs["Architecture"])
    if sys.platform != "linux" or _SAME.get(machine) != platform.machine():
        return None
    target = command_line.programs() / "kubectl"
    mark = target.with_name("kubectl.image")
    if target.is_file() and mark.is_file() and mark.read_text() == container.image.id:
        return target
    write_whole(target, node.read(_INSIDE), mode=0o755)
    mark.write_text(container.image.id)
    return target
