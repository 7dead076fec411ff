"""One file that carries a class through a day without network: all base images, packages included.

A bundle is a zip: manifest.json says what it holds, images.tar is what `docker save` writes.
"""

import json
import subprocess
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from coursework.engine import Engine
from coursework.images.inventory import Present
from coursework.images.making import build
from coursework.trouble import CourseError

_SCHEMA = 1
_MANIFEST = "manifest.json"
_IMAGES = "images.tar"
_BLOCK_BYTES = 1 << 20
# An official image with the packages' layer on it travels under this name.
_WARM = "course/warm-"


def write_bundle(
    engine: Engine, inventory: dict[str, Present], file: Path, progress: Callable[[str], None]
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
    saved = {name: _saved_name(engine, present, progress) for name, present in inventory.items()}
    ids = {name: engine.client.images.get(tag).id for name, tag in saved.items()}
    manifest = {"schema": _SCHEMA, "images": saved, "ids": ids}
    if _manifest_of(file) == manifest:
        return False
    total = sum(p.size_bytes for p in inventory.values())
    part = file.with_name(file.name + ".part")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bundle:
            bundle.writestr(_MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))
            with bundle.open(_IMAGES, "w", force_zip64=True) as target:
                for done, block in _saved_blocks(engine, list(saved.values())):
                    target.write(block)
                    progress(f"{file.name}: {done / 1e6:.0f} of about {total / 1e6:.0f} MB")
        part.replace(file)
    except OSError as error:
        raise CourseError(
            f"{file} cannot be written.", why=str(error.strerror), fix=f"df -h {file.parent}"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return True


def _saved_name(engine: Engine, present: Present, progress: Callable[[str], None]) -> str:
    recipe = present.recipe
    if present.state != "pulled" or not recipe.locks:
        return recipe.name
    warm = _WARM + recipe.name
    build(engine, recipe, progress, origin=recipe.name, tag=warm)
    return warm


def _saved_blocks(engine: Engine, tags: list[str]) -> Iterator[tuple[int, bytes]]:
    with subprocess.Popen(
        ["docker", "save", *tags],
        env=engine.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        assert process.stderr is not None  # noqa: S101 - as above
        done = 0
        while block := process.stdout.read(_BLOCK_BYTES):
            done += len(block)
            yield done, block
        said = process.stderr.read().decode(errors="replace").strip()
    if process.returncode:
        raise CourseError("The images cannot be saved.", why=said, fix="course doctor")


def _manifest_of(file: Path) -> Any:
    try:
        with zipfile.ZipFile(file) as bundle:
            return json.loads(bundle.read(_MANIFEST))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    damaged = CourseError(
        f"{file} is no whole bundle.",
        why="it is damaged, cut short, or something else",
        fix="copy it again from where it was made: course images bundle FILE",
    )
    try:
        with zipfile.ZipFile(file) as bundle:
            yield bundle
    except FileNotFoundError as error:
        raise CourseError(f"There is no file {file}.", fix="course images load FILE") from error
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise damaged from error


def load_bundle(
    engine: Engine, file: Path, inventory: dict[str, Present], progress: Callable[[str], None]
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
        CourseError: the file is damaged, or the engine refuses it.
    """
    with _opened(file) as bundle:
        manifest = json.loads(bundle.read(_MANIFEST))
        progress(f"{file.name}: reading it through")
        if bundle.testzip() is not None:
            raise zipfile.BadZipFile
        wanted = [n for n in manifest["images"] if _is_wanted(inventory.get(n), manifest["ids"][n])]
        if not wanted:
            return []
        with bundle.open(_IMAGES) as source:
            _load(engine, source, bundle.getinfo(_IMAGES).file_size, file.name, progress)
    for name in wanted:
        image = engine.client.images.get(manifest["images"][name])
        image.tag(*name.split(":"))
    return wanted


def _is_wanted(present: Present | None, image_id: str) -> bool:
    if present is None or present.state in ("absent", "out of date"):
        return True
    return present.state == "built" and present.image_id != image_id


def _load(
    engine: Engine, source: IO[bytes], size: int, name: str, progress: Callable[[str], None]
) -> None:
    with subprocess.Popen(
        ["docker", "load", "--quiet"],
        env=engine.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        assert process.stderr is not None  # noqa: S101 - as above
        said: list[bytes] = []
        reader = threading.Thread(target=lambda: said.append(process.stderr.read()), daemon=True)  # type: ignore[union-attr]
        reader.start()
        done = 0
        try:
            while block := source.read(_BLOCK_BYTES):
                process.stdin.write(block)
                done += len(block)
                progress(f"{name}: {done / 1e6:.0f} of {size / 1e6:.0f} MB")
            process.stdin.close()
        except BrokenPipeError:
            # The engine refused; its own words follow.
            pass
        process.wait()
        reader.join()
    if process.returncode:
        why = b"".join(said).decode(errors="replace").strip()
        raise CourseError("The engine refuses the bundle.", why=why, fix="course doctor")
