"""One file that carries a class through a day without network: all base images, packages included.

A bundle is a zip: manifest.json says what it holds, images.tar is what `docker save` writes.
Inside, images have names of the bundle's own, so that loading never takes a name from an image
that is there already.
"""

import json
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from docker.errors import ImageNotFound

from coursework.engine import Engine
from coursework.files import one_at_a_time, part_of
from coursework.images.inventory import LABEL, Present
from coursework.images.making import build
from coursework.images.transfer import BLOCK_BYTES, load_blocks, saved_blocks
from coursework.trouble import CourseError

_SCHEMA = 1
_MANIFEST = "manifest.json"
_IMAGES = "images.tar"
_TOLD_EVERY_BYTES = 20_000_000
# What zipfile raises for files that are cut, changed, encrypted or no zip at all.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
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
        try:
            with part_of(file) as part:
                _write(engine, manifest, part, file.name, progress)
        except OSError as error:
            raise CourseError(
                f"{file} cannot be written.", why=str(error.strerror), fix=f"df -h {file.parent}"
            ) from error
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


def _architecture(engine: Engine) -> str:
    return str(engine.client.version()["Arch"])


def _manifest_of(file: Path) -> Any:
    try:
        with _opened(file) as bundle:
            return _manifest(bundle)
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
    with one_at_a_time(progress), _opened(file) as bundle:
        manifest = _manifest(bundle)
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
            load_blocks(engine, _read_blocks(bundle, f"{file.name}: loading", progress))
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


def _read_blocks(bundle: zipfile.ZipFile, what: str, progress: Progress) -> Iterator[bytes]:
    """Yield what `docker save` wrote, and tell each further twentieth of it."""
    total = max(bundle.getinfo(_IMAGES).file_size, 1)
    done, told = 0, -1
    with bundle.open(_IMAGES) as source:
        while block := source.read(BLOCK_BYTES):
            yield block
            done += len(block)
            if (twentieth := done * 20 // total) != told:
                told = twentieth
                progress(f"{what}, {done / 1e6:.0f} of {total / 1e6:.0f} MB")


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """Open a bundle; damage that shows while it is read is said in plain words.

    Raises:
        CourseError: the file is not there, cannot be read, or is damaged.
    """
    try:
        with zipfile.ZipFile(file) as bundle:
            yield bundle
    except FileNotFoundError as error:
        raise CourseError(f"There is no file {file}.", fix="course images load FILE") from error
    except _DAMAGED as error:
        raise CourseError(
            f"{file} is no whole bundle.",
            why="it is damaged, cut short, or something else",
            fix="copy it again from where it was made: course images bundle FILE",
        ) from error
    except OSError as error:
        raise CourseError(f"{file} cannot be read.", why=str(error.strerror)) from error


def _manifest(bundle: zipfile.ZipFile) -> Any:
    """Read what a bundle says of itself.

    Raises:
        BadZipFile: it says nothing, or nothing that this version understands.
    """
    try:
        manifest = json.loads(bundle.read(_MANIFEST))
        whole = all({"tag", "id", "digest"} <= i.keys() for i in manifest["images"].values())
        if not (whole and manifest["schema"] == _SCHEMA and manifest["architecture"]):
            raise zipfile.BadZipFile
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise zipfile.BadZipFile from error
    return manifest
