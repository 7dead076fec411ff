"""Building one base image from its folder, on those that it needs."""

import json
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from docker.errors import APIError
from requests.exceptions import RequestException

from coursework.containers.building import Build, BuildFailed, Limits
from coursework.engine import Engine
from coursework.images.inventory import LABEL
from coursework.images.recipe import Recipe
from coursework.images.rootfs import host_ca_bundle, make_rootfs
from coursework.trouble import CourseError

_LIMITS = Limits(seconds=3600, disk_bytes=20 * 1024**3)
# BuildKit's plain progress begins a step so: "#7 [built 2/4] RUN apt-get update".
_STEP = re.compile(r"#\d+ \[(?:\S+ )?(\d+/\d+)\] (.*)")
_STEP_SHOWN = 60


def build(
    engine: Engine,
    recipe: Recipe,
    progress: Callable[[str], None],
    *,
    origin: str = "",
    target: str = "",
    tag: str = "",
) -> None:
    """Build an image from its folder; those that it needs must be there.

    Args:
        engine: where to build.
        recipe: of the image.
        progress: is told each step.
        origin: lay only the packages' layer, on this image.
        target: stop at this stage.
        tag: the name of the result; the recipe's by default.

    Raises:
        CourseError: it does not build; with the step and the last lines.
    """
    options = [f"--tag={tag or recipe.name}", f"--label={LABEL}={recipe.digest}"]
    if origin:
        options.append(f"--build-arg=ORIGIN={origin}")
    if target:
        options.append(f"--target={target}")
    with tempfile.TemporaryDirectory(prefix="course-image-") as temporary:
        context = Path(temporary) / "context"
        _lay_context(recipe, context, lambda text: progress(f"{recipe.name}: {text}"))
        try:
            Build(engine, context, options, _LIMITS, _steps(recipe.name, progress)).run()
        except BuildFailed as failed:
            raise CourseError(
                f"The image {recipe.name} could not be built.",
                why=f"{failed.saw}\n{failed.log}",
                fix=f"look at the network and the disk, then: course images build {recipe.name}",
            ) from failed


def _steps(name: str, progress: Callable[[str], None]) -> Callable[[str], None]:
    """Return a reader of a build's log that tells its steps, without what each of them prints."""

    def read(line: str) -> None:
        if step := _STEP.match(line):
            shown = step[2] if len(step[2]) <= _STEP_SHOWN else f"{step[2][:_STEP_SHOWN]} …"
            progress(f"{name}: step {step[1]} {shown}")

    return read


def forget(engine: Engine, image_id: str) -> None:
    """Remove an image of ours that lost its name to a newer one, unless something uses it."""
    if not image_id:
        return
    try:
        if not engine.client.images.get(image_id).tags:
            engine.client.images.remove(image_id)
    except (APIError, RequestException):
        # A container runs on it, it is gone, or a busy engine removes it when it comes to it.
        return


def _lay_context(recipe: Recipe, context: Path, progress: Callable[[str], None]) -> None:
    shutil.copytree(recipe.folder, context)
    if (options := context / "mmdebstrap.txt").is_file():
        make_rootfs(context / "rootfs.tar", options, progress)
        (context / "ca.crt").write_bytes(host_ca_bundle())
    locks = context / "locks"
    locks.mkdir()
    for number, lock in enumerate(recipe.locks):
        if lock.name == "package-lock.json":
            _lay_npm_lock(lock, locks / str(number))
        else:
            shutil.copy(lock, locks / f"{number}-{lock.name}")


def _lay_npm_lock(lock: Path, folder: Path) -> None:
    """Lay a lock file with the package.json that it was made from, which it repeats."""
    folder.mkdir()
    shutil.copy(lock, folder)
    root = json.loads(lock.read_text("utf-8"))["packages"][""]
    (folder / "package.json").write_text(json.dumps(root), "utf-8")
