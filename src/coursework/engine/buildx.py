"""A buildx that compose can build with, where the distribution's is absent or too old."""

import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from coursework.engine import command_line
from coursework.layout import find_layout
from coursework.programs import last_words, run
from coursework.trouble import CourseError

# Compose refuses to build with an older one.
OLDEST = (0, 17)
# Its package wants no newer C library than Debian 12's.
_RELEASE = "forky"
_INSTALL = "https://docs.docker.com/go/buildx/"
_PART = "buildx-"
_ANSWERS_WITHIN_S = 20
_FETCHED_WITHIN_S = 300


def version(plugin: Path) -> tuple[int, int]:
    """Ask a buildx for its version; (0, 0) where it does not run."""
    try:
        said = run([plugin, "version"], timeout=_ANSWERS_WITHIN_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"\bv?(\d+)\.(\d+)\.\d+", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def is_wanted() -> bool:
    """Tell whether this machine's buildx is absent or too old."""
    plugin = command_line.find_buildx()
    return plugin is None or version(plugin) < OLDEST


def fetch() -> Path:
    """Fetch buildx from a newer Debian into the user's cache, and let the course's docker use it.

    Nothing of the system changes: apt works in a folder of its own.

    Raises:
        CourseError: this is no Debian, or the package cannot be fetched.
    """
    target = command_line.buildx_cache()
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_given_up(target.parent)
    with tempfile.TemporaryDirectory(prefix=_PART, dir=target.parent) as name:
        folder = Path(name)
        # apt drops root's rights for downloads; the folder must let it in.
        folder.chmod(0o755)
        _download(folder)
        package = next(folder.glob("docker-buildx_*.deb"))
        _run(["dpkg-deb", "-x", str(package), str(folder / "unpacked")], folder)
        plugin = next((folder / "unpacked").rglob("cli-plugins/docker-buildx"))
        if version(plugin) < OLDEST:
            raise CourseError("The buildx that was fetched does not run here.", fix=_INSTALL)
        plugin.replace(target)
    command_line.link_plugins(find_layout().state / "docker")
    return target


def _remove_given_up(folder: Path) -> None:
    """Remove what a fetch left that was ended before it was done; another may be under way."""
    for part in folder.glob(f"{_PART}*"):
        if time.time() - part.stat().st_mtime > _FETCHED_WITHIN_S:
            shutil.rmtree(part, ignore_errors=True)


def _download(folder: Path) -> None:
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb {_mirror(folder)} {_RELEASE} main\n", encoding="ascii")
    places = {
        "Dir::State": folder / "state",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": sources,
        "Dir::Etc::SourceParts": "/dev/null",
        "Acquire::Languages": "none",
        # A mirror that is some weeks behind is good enough; its signature is still verified.
        "Acquire::Check-Valid-Until": "false",
    }
    options = [word for key, value in places.items() for word in ("-o", f"{key}={value}")]
    _run(["apt-get", "-q", *options, "update"], folder)
    _run(["apt-get", "-q", *options, "download", "docker-buildx"], folder)


def _mirror(folder: Path) -> str:
    """Return the mirror that this machine already takes Debian's packages from."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    for line in _run([*targets, "Origin: Debian", "Label: Debian"], folder).splitlines():
        return line
    raise CourseError("buildx can be fetched for Debian only.", fix=_INSTALL)


def _run(command: list[str], folder: Path) -> str:
    try:
        done = run(command, cwd=folder, timeout=_FETCHED_WITHIN_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    else:
        if not done.returncode:
            return done.stdout
        why = last_words(done)
    what = "buildx cannot be fetched; `docker compose build` goes without."
    raise CourseError(what, why=why, fix=_INSTALL)


def bring(tell: Callable[[str], None] = lambda _: None) -> str:
    """Fetch buildx where it is wanted; return what was in the way, as the course runs without."""
    if not is_wanted():
        return ""
    tell("fetching docker's buildx plugin")
    try:
        fetch()
    except (CourseError, OSError) as trouble:
        return str(trouble)
    return ""


def bring_in_background() -> None:
    """Fetch buildx meanwhile where it is wanted; what is not done at the end is given up."""
    log = find_layout().state / "buildx.log"
    # apt ends with the terminal's Ctrl-C, and the folder that it works in with this process.
    threading.Thread(target=lambda: log.write_text(bring(), "utf-8"), daemon=True).start()
