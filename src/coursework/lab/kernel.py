"""The course's extension of a kernel: known words, made images, told taken ports."""

from typing import Any

from coursework.lab.module_images import images_of_open_notebook
from coursework.lab.taken_ports import tell_taken_ports
from coursework.notebook import check, hint, review


def load_ipython_extension(shell: Any) -> None:
    """Make the words known in a kernel, as `%load_ext coursework.lab.kernel` does."""
    shell.push({"check": check, "hint": hint, "review": review}, interactive=False)
    shell.events.register("post_run_cell", tell_taken_ports)
    if images := images_of_open_notebook():
        images.begin()
        shell.events.register("pre_run_cell", images.wait_for_wanted)
        shell.events.register("post_run_cell", images.tell_absent)
