"""The docker command for terminals, cells and checks: one that works, with settings of our own."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from coursework.engine import address
from coursework.engine.packages import INSTALL_DOCKER
from coursework.files import read_object, write_whole
from coursework.layout import Layout, find_layout, user_cache
from coursework.programs import run
from coursework.trouble import CourseError

# What a user's own settings say about reaching registries and the network holds here as well.
_TAKEN_OVER = ("auths", "credHelpers", "credsStore", "proxies")
_PLUGIN_FOLDERS = tuple(
    Path(base) / "docker" / "cli-plugins"
    for base in ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
)
# Until then the command brings BuildKit and builds in a third of the time; later it wants buildx.
_LAST_WITH_BUILDKIT_INSIDE = 22
_ANSWERS_WITHIN_S = 20
_SETTINGS = "docker"
_PROGRAMS = "bin"
_KUBECONFIG = "kubeconfig"


def environment(docker_host: str) -> dict[str, str]:
    """Return the environment in which docker, compose, buildx and kubectl reach an engine.

    Raises:
        CourseError: no docker command here can build for this engine.
    """
    layout = find_layout()
    settings, programs = layout.state / _SETTINGS, layout.state / _PROGRAMS
    _prepare(layout, docker_host)
    own = [str(Path(sys.executable).parent), str(programs)]
    rest = [p for p in os.environ.get("PATH", os.defpath).split(os.pathsep) if p not in own]
    return {
        **_inherited(),
        "DOCKER_HOST": docker_host,
        "DOCKER_CONFIG": str(settings),
        "DOCKER_BUILDKIT": "1",
        # A file of our own, there or not: kubectl never looks at the user's.
        "KUBECONFIG": str(kubeconfig()),
        "PATH": os.pathsep.join([*own, *rest]),
    }


def _inherited() -> dict[str, str]:
    """Return this process's variables; meanwhile pytest, in another thread, may remove its own."""
    found = {name: os.environ.get(name) for name in list(os.environ)}
    return {name: value for name, value in found.items() if value is not None}


def programs() -> Path:
    """Return the folder of commands that the course brings for itself."""
    return find_layout().state / _PROGRAMS


def kubeconfig() -> Path:
    """Return the file in which `course cluster start` says how the cluster is reached."""
    return find_layout().state / _KUBECONFIG


@cache
def _prepare(layout: Layout, docker_host: str) -> None:
    settings, programs = layout.state / _SETTINGS, layout.state / _PROGRAMS
    programs.mkdir(parents=True, exist_ok=True)
    write_settings(settings, _own_settings(settings))
    link_plugins(settings)
    choose_docker(settings, programs, docker_host)


def _own_settings(settings: Path) -> Path:
    """Return the user's folder, also from inside a lab whose DOCKER_CONFIG is ours."""
    users = address.user_docker_folder()
    return Path.home() / ".docker" if users == settings else users


def write_settings(settings: Path, users: Path) -> None:
    """Write the course's Docker settings from what the user's say about registries and proxies."""
    theirs = address.read_settings(users)
    text = json.dumps({k: theirs[k] for k in _TAKEN_OVER if k in theirs}, indent=2) + "\n"
    target = settings / "config.json"
    if target.is_file() and target.read_text("utf-8") == text:
        return
    settings.mkdir(parents=True, exist_ok=True)
    settings.chmod(0o700)
    # It holds credentials: nobody else may read it, not even for a moment.
    write_whole(target, text.encode(), mode=0o600)


def buildx_cache() -> Path:
    """Return the path of the buildx that was fetched for this user, there or not."""
    return user_cache() / "programs" / "docker-buildx"


def find_buildx() -> Path | None:
    """Find a buildx plugin on this machine; one that was fetched is newer than the system's."""
    own = Path.home() / ".docker" / "cli-plugins"
    candidates = [folder / "docker-buildx" for folder in (own, *_PLUGIN_FOLDERS)]
    return next((p for p in (buildx_cache(), *candidates) if os.access(p, os.X_OK)), None)


def link_plugins(settings: Path) -> None:
    """Put compose, and buildx where there is one, beside the settings."""
    plugins = settings / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    # The locked environment brings compose: the same version for every learner.
    _link(plugins / "docker-compose", Path(sys.executable).parent / "docker-compose")
    if buildx := find_buildx():
        _link(plugins / "docker-buildx", buildx)


def _link(link: Path, target: Path) -> None:
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f"{link.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)


def choose_docker(settings: Path, programs: Path, docker_host: str) -> Path:
    """Choose a docker command that reaches the engine and can build with BuildKit.

    The choice is remembered while no candidate changes; one that is not first on PATH is linked
    from the folder of our programs, which comes before it.

    Raises:
        CourseError: there is none; with what each said.
    """
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    folders = [p for p in dict.fromkeys([*path, "/usr/bin"]) if p != str(programs)]
    found = [Path(p) / "docker" for p in folders if os.access(Path(p) / "docker", os.X_OK)]
    mark = _mark([*found, settings / "cli-plugins" / "docker-buildx"], docker_host)
    memory = settings / "chosen.json"
    known = read_object(memory)
    chosen = Path(known.get("docker", ""))
    if known.get("mark") != mark:
        chosen = _best_working(found, settings, docker_host)
        memory.write_text(json.dumps({"mark": mark, "docker": str(chosen)}), encoding="utf-8")
    link = programs / "docker"
    if found[0] == chosen:
        link.unlink(missing_ok=True)
    else:
        _link(link, chosen)
    return chosen


def _mark(programs: list[Path], docker_host: str) -> list[str]:
    changed = (f"{p} {p.stat().st_mtime_ns}" for p in programs if p.exists())
    return [docker_host, *changed]


def _best_working(found: list[Path], settings: Path, docker_host: str) -> Path:
    reasons, working = [], []
    for docker in found:
        try:
            major = client_version(docker, settings, docker_host)
        except ValueError as error:
            reasons.append(f"{docker}: {error}")
            continue
        if major <= _LAST_WITH_BUILDKIT_INSIDE:
            return docker
        working.append(docker)
    if working:
        return working[0]
    raise CourseError(
        "No docker command here can build for this engine.",
        why="; ".join(reasons) or "there is no program named docker on PATH",
        fix=f"apt-get install docker-cli docker-buildx, or {INSTALL_DOCKER}",
    )


def client_version(docker: Path, settings: Path, docker_host: str) -> int:
    """Try a docker command and return its major version.

    Raises:
        ValueError: it does not run, does not reach the engine or cannot build with BuildKit.
    """
    env = {**_inherited(), "DOCKER_CONFIG": str(settings), "DOCKER_HOST": docker_host}
    versions = ["version", "--format", "{{.Client.Version}} {{.Server.Version}}"]
    try:
        answer = run([docker, *versions], env=env, timeout=_ANSWERS_WITHIN_S)
        if answer.returncode:
            raise ValueError(answer.stderr.strip() or "does not reach the engine")
        major = int(answer.stdout.split(".", 1)[0])
        if major <= _LAST_WITH_BUILDKIT_INSIDE:
            return major
        if run([docker, "buildx", "version"], env=env, timeout=_ANSWERS_WITHIN_S).returncode:
            raise ValueError("its buildx plugin is missing")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ValueError(str(error)) from error
    return major
