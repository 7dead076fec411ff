"""A module's images: made once its notebook is opened; a cell that wants one waits for it."""

import atexit
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coursework.layout import find_layout
from coursework.modules.catalogue import load_catalogue
from coursework.notebook import SAVES_WHAT_RUNS
from coursework.trouble import CourseError

if TYPE_CHECKING:
    from coursework.engine import Engine

_Show = Callable[[str], None]
# What they are built on is in other files than the cell.
_BUILDS = re.compile(r"docker\s+(compose|build|buildx)\b")
_LOOKED_AT_EVERY_S = 0.2


class ImageMaking:
    """The images that one notebook uses, made by a command beside its kernel.

    Args:
        names: of the images, in the order in which they're made.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._engine: Engine | None = None
        self._command: subprocess.Popen[str] | None = None
        self._step = ""

    def begin(self) -> None:
        """Start to make what is absent; it ends with the kernel, and the stop button leaves it.

        What is only out of date stays: another clone on this machine may have made it so.
        """
        absent = self._absent(self._names)
        if not absent:
            return
        # A kernel ignores interrupts while no cell runs, and what it starts would inherit that.
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            self._command = subprocess.Popen(
                [Path(sys.executable).with_name("course"), "images", "make", *absent],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
        threading.Thread(target=self._read, daemon=True).start()
        atexit.register(self.end)

    def end(self) -> None:
        """Stop it; the image that is being made is given up."""
        if self._command and self._command.poll() is None:
            self._command.send_signal(signal.SIGINT)

    def wait_for_wanted(self, info: Any) -> None:
        """Wait for the images that a cell is about to use, and show below it how far they are.

        Args:
            info: of the cell, as IPython hands it to what is called before each.
        """
        absent = self._absent(wanted_images(str(info.raw_cell or ""), self._names))
        if not absent:
            return
        from IPython.display import HTML, display  # noqa: PLC0415 - only where one is absent

        from coursework.report.notebook import step_html, trouble_html  # noqa: PLC0415 - as above

        area: Any = display(HTML(step_html(f"making {absent[0]}")), display_id=True)  # type: ignore[no-untyped-call]

        def show(text: str) -> None:
            area.update(HTML(step_html(text)))  # type: ignore[no-untyped-call]

        try:
            for name in absent:
                self._have(name, show)
        except CourseError as error:
            area.update(HTML(trouble_html(error)))  # type: ignore[no-untyped-call]
        except KeyboardInterrupt:
            show("stopped waiting: the cell runs without the image")

    def tell_absent(self, result: Any) -> None:
        """Print what to type for the images that a cell lacked, if it failed.

        Args:
            result: of the cell, as IPython hands it to what is called after each.
        """
        if result.error_in_exec is None:
            return
        for name in self._absent(wanted_images(str(result.info.raw_cell or ""), self._names)):
            if self._makes(name):
                told = f"it's being made now ({self._step}). Run the cell again: it waits."
            else:
                told = f"run the cell again, or in a terminal: course images make {name}"
            print(f"the image {name} isn't here yet: {told}")  # noqa: T201 - below the cell

    def _have(self, name: str, show: _Show) -> None:
        from coursework.images import ensure_images  # noqa: PLC0415 - only where one is absent

        assert self._engine is not None  # noqa: S101 - it was asked what is absent
        while self._makes(name):
            show(self._step)
            time.sleep(_LOOKED_AT_EVERY_S)
        # One of its own is quick to begin, whatever the command beside us makes meanwhile.
        ensure_images(self._engine, [name], show)

    def _makes(self, name: str) -> bool:
        running = self._command is not None and self._command.poll() is None
        return running and self._step.startswith(f"{name}: ")

    def _read(self) -> None:
        assert self._command is not None  # noqa: S101 - `begin` has started it
        assert self._command.stderr is not None  # noqa: S101 - PIPE was asked for
        with self._command.stderr as lines:
            for line in lines:
                self._step = line.strip().removeprefix("· ")

    def _absent(self, names: Sequence[str]) -> list[str]:
        """Return which of these images the engine lacks; none without an engine."""
        if not names:
            return []
        from docker.errors import DockerException  # noqa: PLC0415 - a tenth of a second

        from coursework.engine import find_engine  # noqa: PLC0415 - as above
        from coursework.images import known_images  # noqa: PLC0415 - as above
        from coursework.images.inventory import look_for  # noqa: PLC0415 - as above

        try:
            engine = self._engine = self._engine or find_engine()
            recipes = {n: r for n, r in known_images().items() if n in names}
            return [
                n for n, r in recipes.items() if engine and look_for(engine, r).state == "absent"
            ]
        except (CourseError, DockerException, OSError):
            # The cell itself will say what is wrong with the engine.
            return []


def wanted_images(cell: str, names: Sequence[str]) -> list[str]:
    """Return which of these images a cell uses: those it names, or all where it builds.

    Args:
        cell: its text.
        names: of images to look for.
    """
    if "docker" not in cell or cell.startswith("%%writefile"):
        return []
    if _BUILDS.search(cell):
        return list(names)
    return [n for n in names if re.search(rf"(?<![\w./-]){re.escape(n)}(?![\w.-])", cell)]


def images_of_open_notebook() -> ImageMaking | None:
    """Return the images of the notebook that this kernel belongs to; None outside of work/."""
    if not os.environ.get(SAVES_WHAT_RUNS):
        # Outside of the lab no engine is started for a notebook that is only looked at.
        return None
    here = Path.cwd().resolve()
    try:
        layout = find_layout(here)
        found = [m for m in load_catalogue(layout).modules if layout.work(m.slug) == here]
    except CourseError:
        return None
    is_lesson = Path(os.environ.get("JPY_SESSION_NAME", "")).name == "lesson.ipynb"
    names = [
        name
        for module in found
        for name in (*module.images, *(module.lesson_images if is_lesson else module.check_images))
    ]
    return ImageMaking(names) if names else None
