"""What a killed dockerd leaves: containerd, containers and mounts."""

from pathlib import Path

from coursework.engine import processes
from coursework.programs import run


def clear(exec_root: Path, within_s: float) -> bool:
    """End every process of an engine; containers before the shims that would adopt them.

    Args:
        exec_root: the engine's run-time folder, which each of its processes was started with.
        within_s: how long each may take to end by itself.

    Returns:
        Whether there was one.
    """
    found = processes.find_programs(("dockerd", "containerd"), exec_root)
    shims = [p.pid for p in found if p.program.startswith("containerd-shim")]
    contained = [child for shim in shims for child in processes.children(shim)]
    others = [p.pid for p in found if p.pid not in shims]
    processes.end(contained, min(within_s, 2))
    processes.end(shims, within_s)
    processes.end(others, within_s)
    return bool(found)


def unmount(folder: Path) -> None:
    """Unmount everything below a folder, innermost first."""
    lines = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), reverse=True):
        run(["umount", "--lazy", point])
