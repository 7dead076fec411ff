"""One file that carries a class through a day without network: all base images, packages included.

A bundle is a zip: manifest.json says what it holds, images.tar is what `docker save` writes.
Inside, images have names of the bundle's own, so that loading never takes a name from an image
that is there already.
"""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker.errors import ImageNotFound

from coursework.engine import Engine
from coursework.images.inventory import LABEL, Present
from coursework.images.lock import one_at_a_time
from coursework.images.making import build
from coursework.images.transfer import load_blocks, saved_blocks
from coursework.images.zipped import opened, read_manifest
from coursework.trouble import CourseError

_SCHEMA = 1
_MANIFEST = "manifest.json"
_IMAGES = "images.tar"
_TOLD_EVERY_BYTES = 20_000_000
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]")

Progress = Callable[[str], None]


def write_bundle(
    engine: Engine, inventory: dict[str, Present], file: Path, progress: Progress
) -> bool:
    """Write all images into one file; the file is there only when it is whole.

    Args:
        engine: which has them.
        inventory: of the engine, with every image present.
        file: to write.
        progress: is told how far it is.

    Returns:
        Whether it was written; False where the file already holds just these images.

    Raises:
        CourseError: the engine or the disk failed.
    """
    with one_at_a_time(progress), _bundled(engine, inventory, progress) as images:
        manifest = {"schema": _SCHEMA, "architecture": _architecture(engine), "images": images}
        if _manifest_of(file) == manifest:
            return False
        part = file.with_name(file.name + ".part")
        try:
            _write(engine, manifest, part, file.name, progress)
            part.replace(file)
        except OSError as error:
            raise CourseError(
                f"{file} cannot be written.", why=str(error.strerror), fix=f"df -h {file.parent}"
            ) from error
        finally:
            _remove(part)
    return True


def _write(
    engine: Engine, manifest: dict[str, Any], part: Path, shown: str, progress: Progress
) -> None:
    images = manifest["images"].values()
    done = 0
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
        bundle.writestr(_MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
        with bundle.open(_IMAGES, "w", force_zip64=True) as target:
            for block in saved_blocks(engine, [image["tag"] for image in images]):
                target.write(block)
                # Layers that images share are saved once: how much it will be is not known.
                if done % _TOLD_EVERY_BYTES > (done := done + len(block)) % _TOLD_EVERY_BYTES:
                    progress(f"{shown}: {done / 1e6:.0f} MB saved")


@contextmanager
def _bundled(
    engine: Engine, inventory: dict[str, Present], progress: Progress
) -> Iterator[dict[str, dict[str, Any]]]:
    """Tag the images with the bundle's names for them, for a while."""
    tags = {name: f"course/bundled:{_NOT_IN_TAGS.sub('-', name)}" for name in inventory}
    images = {}
    try:
        for name, present in inventory.items():
            if present.state == "pulled" and present.recipe.locks:
                # The official image lacks the packages: a layer of them is laid on it.
                build(engine, present.recipe, progress, origin=name, tag=tags[name])
            else:
                engine.client.images.get(name).tag(tags[name])
            image = engine.client.images.get(tags[name])
            images[name] = {
                "tag": tags[name],
                "id": image.id,
                "digest": image.labels.get(LABEL, ""),
                "size_bytes": image.attrs["Size"],
            }
        yield images
    finally:
        _untag(engine, tags.values())


def _untag(engine: Engine, tags: Any) -> None:
    for tag in tags:
        try:
            engine.client.api.remove_image(tag)
        except ImageNotFound:
            continue


def _remove(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:
        # The folder cannot be written: nothing of ours stands in it.
        return


def _architecture(engine: Engine) -> str:
    return str(engine.client.version()["Arch"])


def _manifest_of(file: Path) -> Any:
    try:
        with opened(file) as bundle:
            return read_manifest(bundle, _MANIFEST)
    except CourseError:
        return None


def load_bundle(
    engine: Engine, file: Path, inventory: dict[str, Present], progress: Progress
) -> list[str]:
    """Load a bundle's images; what the engine has already is not loaded again.

    Args:
        engine: where to load them.
        file: the bundle.
        inventory: of the engine: an image that somebody else made keeps its name.
        progress: is told how far it is.

    Returns:
        The names of the images that it gave.

    Raises:
        CourseError: the file is damaged or for other machines, or the engine refuses it.
    """
    with one_at_a_time(progress), opened(file) as bundle:
        manifest = read_manifest(bundle, _MANIFEST)
        images = manifest["images"]
        if manifest["architecture"] != (here := _architecture(engine)):
            raise CourseError(
                f"{file} is for {manifest['architecture']} machines; this one is {here}.",
                fix="make a bundle on a machine of this kind: course images bundle FILE",
            )
        wanted = [n for n in images if n in inventory and _is_wanted(inventory[n], images[n])]
        if not wanted:
            return []
        progress(f"{file.name}: reading it through")
        if bundle.testzip() is not None:
            raise zipfile.BadZipFile
        tags = {name: images[name]["tag"] for name in images}
        try:
            tell = _twentieths(f"{file.name}: loading", bundle.getinfo(_IMAGES).file_size, progress)
            with bundle.open(_IMAGES) as source:
                load_blocks(engine, source, tell)
            for name in wanted:
                repository, _, tag = name.rpartition(":")
                engine.client.images.get(tags[name]).tag(repository, tag)
        finally:
            _untag(engine, tags.values())
    return wanted


def _is_wanted(present: Present, offered: dict[str, Any]) -> bool:
    if present.state == "out of date":
        return bool(offered["digest"] == present.recipe.digest)
    return present.state == "absent"


def _twentieths(what: str, total: int, progress: Progress) -> Callable[[int], None]:
    """Return a function that is told of further bytes and tells each further twentieth."""
    done, told = 0, -1

    def add(size: int) -> None:
        nonlocal done, told
        done += size
        if (twentieth := done * 20 // max(total, 1)) != told:
            told = twentieth
            progress(f"{what}, {done / 1e6:.0f} of {total / 1e6:.0f} MB")

    return add
