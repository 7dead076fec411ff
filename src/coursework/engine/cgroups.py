"""Control groups: mounted for the private engine where nothing did, and what one has used."""

from collections import defaultdict
from pathlib import Path

from coursework.programs import last_words, run
from coursework.trouble import CourseError

_ROOT = Path("/sys/fs/cgroup")


def mount_where_missing() -> None:
    """Mount the control groups at /sys/fs/cgroup unless something is there already.

    Raises:
        CourseError: the kernel refuses.
    """
    if any(_ROOT.iterdir()):
        return
    hierarchies = _first_generation(Path("/proc/cgroups").read_text("ascii"))
    if not hierarchies:
        _mount("cgroup2", _ROOT)
        return
    _mount("tmpfs", _ROOT, "mode=755")
    for controllers in hierarchies:
        folder = _ROOT / controllers
        folder.mkdir()
        _mount("cgroup", folder, controllers)


def processor_seconds(process: Path) -> float | None:
    """Return the processor time of the control group that a process is in.

    Args:
        process: its folder in /proc.

    Returns:
        Seconds of all its processes so far, those that ended included: `cpuacct.usage`
        (nanoseconds, cgroup v1) or `usage_usec` of `cpu.stat` (v2). None where nobody can look.
    """
    try:
        groups = (process / "cgroup").read_text("ascii").splitlines()
        for _, controllers, path in (line.split(":", 2) for line in groups):
            folder = _ROOT / controllers / path.lstrip("/")
            if "cpuacct" in controllers.split(","):
                return int((folder / "cpuacct.usage").read_text("ascii")) / 1e9
            if not controllers and (folder / "cpu.stat").is_file():
                first, *_ = (folder / "cpu.stat").read_text("ascii").splitlines()
                return int(first.removeprefix("usage_usec ")) / 1e6
    except (OSError, ValueError):
        pass
    return None


def _first_generation(table: str) -> list[str]:
    """Return each cgroup v1 hierarchy's controllers, joined by commas; none under cgroup v2."""
    hierarchies: dict[str, list[str]] = defaultdict(list)
    for line in table.splitlines()[1:]:
        name, hierarchy, _, enabled = line.split()
        if enabled == "1" and hierarchy != "0":
            hierarchies[hierarchy].append(name)
    return [",".join(names) for names in hierarchies.values()]


def _mount(kind: str, target: Path, options: str = "") -> None:
    command = ["mount", "-t", kind, *(["-o", options] if options else []), kind, str(target)]
    done = run(command)
    if done.returncode:
        raise CourseError(
            "Control groups cannot be mounted, so containers cannot run here.",
            why=last_words(done),
            fix="inside a container: start it with --privileged, or give it the host's docker.sock",
        )
