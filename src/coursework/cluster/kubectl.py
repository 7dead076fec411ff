"""The kubectl of the cluster's own version, for terminals and cells, and the file that it reads."""

import os
import platform
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from coursework.cluster.node import Node
from coursework.engine import Engine, command_line

_INSIDE = "/usr/local/bin/kubectl"
# What Docker calls a machine, and what Python calls it.
_SAME = {"amd64": "x86_64", "arm64": "aarch64"}


def write_kubeconfig(node: Node) -> Path:
    """Write how the owner reaches the cluster to where the lab's commands look.

    Raises:
        CourseError: the cluster does not run.
    """
    target = command_line.kubeconfig()
    target.parent.mkdir(parents=True, exist_ok=True)
    text = node.access().written()
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    # A key stands in it: nobody else may read it, not even for a moment.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(target)
    return target


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
    target.parent.mkdir(parents=True, exist_ok=True)
    stream, _ = container.get_archive(_INSIDE)
    fresh = target.with_name(f"kubectl.{os.getpid()}")
    with TemporaryFile() as whole:
        for part in stream:
            whole.write(part)
        whole.seek(0)
        with tarfile.open(fileobj=whole) as tar:
            program = tar.extractfile("kubectl")
            assert program is not None  # noqa: S101 - it is a file of our own image
            fresh.write_bytes(program.read())
    fresh.chmod(0o755)
    fresh.replace(target)
    mark.write_text(container.image.id)
    return target
