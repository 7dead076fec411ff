"""The course's extension of a kernel: its words are known, and a taken port is told."""

from typing import Any

from coursework.lab.taken_ports import tell_taken_ports
from coursework.notebook import check, hint, review


def load_ipython_extension(shell: Any) -> None:
    """Make the words known in a kernel, as `%load_ext coursework.lab.kernel` does."""
    shell.push({"check": check, "hint": hint, "review": review}, interactive=False)
    shell.events.register("post_run_cell", tell_taken_ports)
