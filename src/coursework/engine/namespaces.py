"""Processes as another process namespace numbers them."""

from pathlib import Path

_PROC = Path("/proc")


def process_inside(first: int, number: int) -> int | None:
    """Return this machine's id of a process that a namespace below knows by another one.

    The kernel lists a process's number in each namespace from ours downwards: NSpid, proc(5).

    Args:
        first: our number of the namespace's process 1.
        number: the other one's.

    Returns:
        None where there is no such process, or this machine cannot look.
    """
    level = len(_status(first, "NSpid")) - 1
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            pid = int(entry.name)
            numbers = _status(pid, "NSpid")
            if level < len(numbers) and numbers[level] == str(number) and _descends(pid, first):
                return pid
    return None


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        pid = int((_status(pid, "PPid") or ["0"])[0])
    return False


def _status(pid: int, field: str) -> list[str]:
    try:
        lines = (_PROC / str(pid) / "status").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return next((line.split()[1:] for line in lines if line.startswith(f"{field}:")), [])
