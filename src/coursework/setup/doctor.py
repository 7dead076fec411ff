"""What the course needs of a machine: each part looked at, with its fix."""

import importlib.metadata
import importlib.util
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coursework.engine import Engine, buildx, find_engine
from coursework.engine.ports import holder_of
from coursework.engine.private import private_engine
from coursework.lab.server import FIRST_PORT
from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.programs import run
from coursework.trouble import CourseError

NEEDED_DISK_GB = 5
NEEDED_MEMORY_GB = 4
LESSONS_PORTS = (3000, 8080)
_GB = 10**9
_ASKED_WITHIN_S = 30


@dataclass(frozen=True)
class Part:
    """One part of the machine.

    Args:
        name: what it is.
        state: `ok`; `warning` where the course runs all the same; `missing` where it cannot.
        seen: what was found.
        fix: the command or link that helps.
    """

    name: str
    state: str
    seen: str
    fix: str = ""


def examine(layout: Layout) -> Iterator[Part]:
    """Look at each part in turn.

    Raises:
        CourseError: the clone itself cannot be read.
    """
    yield _python()
    engine = find_engine()
    yield _engine(engine)
    if engine:
        yield from _commands(engine)
        yield from _images(engine, layout)
    yield _disk(engine)
    yield _memory()
    for port in LESSONS_PORTS:
        yield _port(port, "lessons use it; checks pick free ones", engine)
    yield _port(FIRST_PORT, "JupyterLab takes the next free one", engine)
    yield _nbgrader()
    yield _curl()
    yield _kernel()


def _python() -> Part:
    return Part("python", "ok", f"{sys.version.split()[0]} at {sys.executable}")


def _engine(engine: Engine | None) -> Part:
    if engine is None:
        return Part("engine", "missing", "no container engine answers", "course engine start")
    version = engine.client.version()["Version"]
    return Part("engine", "ok", f"{engine.kind}, Docker {version}, at {engine.docker_host}")


def _commands(engine: Engine) -> Iterator[Part]:
    try:
        environment = engine.environment()
    except CourseError as error:
        yield Part("docker", "missing", f"{error.what} {error.why}", error.fix)
        return
    for name, arguments, state, fix in (
        ("docker", ["--version"], "missing", "apt-get install docker-cli"),
        ("docker compose", ["compose", "version"], "missing", "rm -r .venv && make lab"),
        ("docker buildx", ["buildx", "version"], "warning", "course lab fetches it by itself"),
    ):
        done = run(["docker", *arguments], env=environment, timeout=_ASKED_WITHIN_S)
        said = (done.stdout or done.stderr).strip().splitlines() or ["no answer"]
        if done.returncode:
            yield Part(name, state, said[0], fix)
        elif name == "docker buildx" and buildx.is_wanted():
            seen = f"{said[0]}: docker compose wants a newer one to build with"
            yield Part(name, "warning", seen, f"{fix}; cat {find_layout().state / 'buildx.log'}")
        else:
            yield Part(name, "ok", said[0])


def _images(engine: Engine, layout: Layout) -> Iterator[Part]:
    api: Any = engine.client.api
    # Not client.images.list(): it inspects each image, and one may be gone by then.
    present = {tag for image in api.images() for tag in image["RepoTags"] or ()}
    for module in load_catalogue(layout).modules:
        absent = [name for name in module.all_images if not present & {name, f"{name}:latest"}]
        seen = f"made on first use: {', '.join(absent)}" if absent else "all present"
        yield Part(f"images of {module.slug}", "ok", seen)


def _disk(engine: Engine | None) -> Part:
    root = Path(engine.client.info()["DockerRootDir"]) if engine else private_engine().data
    # Docker Desktop keeps its data root in a virtual machine: there this folder is the nearest.
    existing = next((p for p in (root, *root.parents) if p.is_dir()), Path.cwd())
    free = shutil.disk_usage(existing).free / _GB
    seen = f"{free:.0f} GB free at {existing}"
    if free >= NEEDED_DISK_GB:
        return Part("disk", "ok", seen)
    fix = "course clean, or delete what you no longer need"
    return Part("disk", "missing", f"{seen}; {NEEDED_DISK_GB} GB needed", fix)


def _memory() -> Part:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GB
    if total >= NEEDED_MEMORY_GB * 0.9:
        return Part("memory", "ok", f"{total:.0f} GB")
    fix = "give the machine more memory, or close other programs while you learn"
    return Part("memory", "warning", f"{total:.1f} GB; {NEEDED_MEMORY_GB} GB wanted", fix)


def _port(port: int, use: str, engine: Engine | None) -> Part:
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("", port))
        except OSError:
            holder = holder_of(port, engine)
            told = holder.told if holder else "docker ps shows containers' ports"
            return Part(f"port {port}", "warning", f"in use ({use})", told)
    return Part(f"port {port}", "ok", "free")


def _nbgrader() -> Part:
    again = "rm -r .venv && make lab"
    if importlib.util.find_spec("nbgrader") is None:
        return Part("nbgrader", "missing", "not installed", again)
    if not shutil.which("alembic", path=str(Path(sys.executable).parent)):
        return Part("nbgrader", "missing", "its alembic command is missing", again)
    return Part("nbgrader", "ok", importlib.metadata.version("nbgrader"))


def _curl() -> Part:
    if found := shutil.which("curl"):
        return Part("curl", "ok", found)
    seen = "not on PATH: lessons and failed checks name curl commands"
    return Part("curl", "missing", seen, "apt-get install curl, or https://curl.se/download.html")


def _kernel() -> Part:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel  # noqa: PLC0415

    try:
        spec = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return Part("kernel", "missing", "no kernel named python3", "rm -r .venv && make lab")
    return Part("kernel", "ok", str(spec.resource_dir))
