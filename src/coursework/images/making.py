"""Making one base image: pulled where a registry answers, else built."""

import json
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docker.errors import APIError

from coursework.containers.building import Build, BuildFailed, Limits
from coursework.engine import Engine
from coursework.images.inventory import LABEL
from coursework.images.recipe import Recipe
from coursework.images.rootfs import host_ca_bundle, make_rootfs
from coursework.trouble import CourseError

REGISTRY_ANSWERS_WITHIN_S = 2.0
_LIMITS = Limits(seconds=1800, disk_bytes=20 * 1024**3)
_answers: dict[str, bool] = {}


def registry_answers(engine: Engine, name: str) -> bool:
    """Tell whether the engine reaches a registry that knows an image, asked once a process."""
    if engine.docker_host not in _answers:
        found = threading.Event()

        def ask() -> None:
            try:
                engine.client.images.get_registry_data(name)
            except (APIError, OSError):
                return
            found.set()

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(REGISTRY_ANSWERS_WITHIN_S)
        _answers[engine.docker_host] = found.is_set()
    return _answers[engine.docker_host]


def pull(engine: Engine, recipe: Recipe, progress: Callable[[str], None]) -> None:
    """Pull an image; layers that are there already are not fetched again.

    Raises:
        CourseError: the registry refused or the network failed on the way.
    """
    layers: dict[str, tuple[int, int]] = {}
    try:
        for event in engine.client.api.pull(recipe.name, stream=True, decode=True):
            if "error" in event:
                raise CourseError(f"{recipe.name} cannot be pulled.", why=event["error"])
            _note_layer(layers, event)
            had, size = (sum(v[i] for v in layers.values()) for i in (0, 1))
            progress(f"{recipe.name}: {len(layers)} layers, {had / 1e6:.0f} of {size / 1e6:.0f} MB")
    except APIError as error:
        raise CourseError(
            f"{recipe.name} cannot be pulled.",
            why=str(error.explanation),
            fix=f"course images build {recipe.name}",
        ) from error


def _note_layer(layers: dict[str, tuple[int, int]], event: dict[str, Any]) -> None:
    detail = event.get("progressDetail") or {}
    if "total" in detail and event.get("status") == "Downloading":
        layers[event["id"]] = (detail["current"], detail["total"])


def build(
    engine: Engine,
    recipe: Recipe,
    progress: Callable[[str], None],
    *,
    origin: str = "",
    tag: str = "",
) -> None:
    """Build an image from its folder; those that it needs must be there.

    Args:
        engine: where to build.
        recipe: of the image.
        progress: is told each step.
        origin: lay only the packages' layer, on this image.
        tag: the name of the result; the recipe's by default.

    Raises:
        CourseError: it does not build; with the step and the last lines.
    """
    options = [f"--tag={tag or recipe.name}", f"--label={LABEL}={recipe.digest}"]
    if origin:
        options.append(f"--build-arg=ORIGIN={origin}")
    with tempfile.TemporaryDirectory(prefix="course-image-") as temporary:
        context = Path(temporary) / "context"
        _lay_context(recipe, context, lambda text: progress(f"{recipe.name}: {text}"))
        try:
            Build(
                engine, context, options, _LIMITS, lambda line: progress(f"{recipe.name}: {line}")
            ).run()
        except BuildFailed as failed:
            raise CourseError(
                f"The image {recipe.name} could not be built.",
                why=f"{failed.saw}\n{failed.log}",
                fix=f"look at the network and the disk, then: course images build {recipe.name}",
            ) from failed


def _lay_context(recipe: Recipe, context: Path, progress: Callable[[str], None]) -> None:
    shutil.copytree(recipe.folder, context)
    if "rootfs.tar" in (context / "Dockerfile").read_text("utf-8"):
        make_rootfs(context / "rootfs.tar", progress)
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
