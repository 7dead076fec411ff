"""What the private engine needs from the distribution, installed by apt on Debian and Ubuntu."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coursework.programs import last_words, run
from coursework.trouble import CourseError

INSTALL_DOCKER = "https://docs.docker.com/engine/install/"
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_REFUSE_SERVICES = Path("/usr/sbin/policy-rc.d")
# Program that must exist -> package that brings it.
_NEEDED = {
    "dockerd": "docker.io",
    "docker": "docker-cli",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "curl": "curl",
}
# Programs whose package exists only in newer releases: in older ones docker.io brings them.
_WHERE_AVAILABLE = frozenset({"docker-cli", "docker-buildx"})


def find_program(name: str) -> str | None:
    """Find a program on PATH or in the system's own folders, which a user's PATH may lack."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS])
    return shutil.which(name, path=path)


def missing_packages() -> list[str]:
    """Return the packages that a private engine still needs here."""
    missing = [package for name, package in _NEEDED.items() if not find_program(name)]
    if "docker.io" in missing:
        missing.append("docker-buildx")
    return missing


def require_installable() -> None:
    """Check that packages can be installed here.

    Raises:
        CourseError: not root, or not Debian or Ubuntu; with what to do instead.
    """
    if os.geteuid() != 0:
        raise CourseError(
            "No container engine answers, and only root can start one.",
            why="no Docker on DOCKER_HOST, in the docker context or at /var/run/docker.sock",
            fix=f"install Docker and start it ({INSTALL_DOCKER}), or be root on Debian or Ubuntu",
        )
    if not shutil.which("apt-get"):
        raise CourseError(
            "No container engine answers, and none can be installed here.",
            why="apt-get is missing: this is neither Debian nor Ubuntu",
            fix=f"install Docker ({INSTALL_DOCKER}) and start it",
        )


def install(packages: list[str], progress: Callable[[str], None]) -> None:
    """Install packages; those that only newer releases have are left out where absent.

    Args:
        packages: names as apt knows them.
        progress: is told what happens.

    Raises:
        CourseError: apt failed; with its last words.
    """
    progress("reading the lists of packages")
    _apt("update")
    available = [p for p in packages if p not in _WHERE_AVAILABLE or _is_available(p)]
    progress(f"installing {', '.join(available)}")
    with _without_services():
        _apt("install", "--yes", "--no-install-recommends", *available)


def _is_available(package: str) -> bool:
    return run(["apt-cache", "show", package]).returncode == 0


def _apt(*arguments: str) -> None:
    command = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = run([*command, *arguments], env=variables, errors="replace")
    if done.returncode:
        raise CourseError(
            f"apt-get {arguments[0]} failed.",
            why=last_words(done, 3).replace("\n", "; "),
            fix=f"apt-get {' '.join(arguments)}",
        )


@contextmanager
def _without_services() -> Iterator[None]:
    """Where systemd does not run, keep apt from starting a Docker that nobody would stop."""
    if Path("/run/systemd/system").is_dir() or _REFUSE_SERVICES.exists():
        yield
        return
    _REFUSE_SERVICES.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    _REFUSE_SERVICES.chmod(0o755)
    try:
        yield
    finally:
        _REFUSE_SERVICES.unlink(missing_ok=True)
