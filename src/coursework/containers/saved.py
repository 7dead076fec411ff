"""An image taken apart: the files of every layer, deleted ones too, its history and its config."""

import json
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from docker.errors import ImageNotFound

from coursework.engine import Engine

LIMIT_BYTES = 2 * 1024**3
_CHUNK_BYTES = 4 * 1024**2
_MARK_OF_DELETION = ".wh."


class TooLarge(Exception):  # noqa: N818 - a result, not trouble of ours
    """The image has more bytes than anybody wants to look through."""


@dataclass(frozen=True)
class Layer:
    """What one step of a Dockerfile added.

    Args:
        made_by: the step, as the image's history tells it.
        paths: of its files and folders, without a slash at the start.
    """

    made_by: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class SavedImage:
    """One image as `docker save` gives it.

    Args:
        config: variables, command, labels, user, health check: the object of the OCI image spec.
        history: the step of each layer and of each setting, the oldest first.
        layers: those that were added to the base image, the oldest first.
        findings: for each text searched for, the places that hold it.
    """

    config: Mapping[str, Any]
    history: tuple[str, ...]
    layers: tuple[Layer, ...]
    findings: Mapping[str, tuple[str, ...]]


def take_apart(
    engine: Engine, image_id: str, texts: Iterable[str], bases: Iterable[str] = ()
) -> SavedImage:
    """Save an image, and look through everything that it carries.

    Args:
        engine: that has it.
        image_id: of the image.
        texts: to search for, in files, names of files, history and config.
        bases: images whose layers are known and left out.

    Raises:
        TooLarge: it holds more than 2 GiB.
    """
    wanted = {text: text.encode() for text in texts}
    known = {layer for base in bases for layer in _layers_of(engine, base)}
    with tempfile.TemporaryFile(prefix="course-image-") as file:
        _save(engine, image_id, file)
        with tarfile.open(fileobj=file, mode="r:") as archive:
            manifest = json.load(_member(archive, "manifest.json"))[0]
            description = json.load(_member(archive, manifest["Config"]))
            steps = description.get("history", [])
            made_by = [_told(s) for s in steps if not s.get("empty_layer")]
            found: dict[str, list[str]] = {text: [] for text in wanted}
            layers = []
            for name, digest, step in zip(
                manifest["Layers"], description["rootfs"]["diff_ids"], made_by, strict=True
            ):
                if digest not in known:
                    layers.append(_look_through(_member(archive, name), step, wanted, found))
    history = tuple(_told(step) for step in steps)
    config = description.get("config", {})
    for place, content in (("its history", history), ("its settings", config)):
        shown = json.dumps(content, ensure_ascii=False)
        for text in wanted:
            found[text] += [place] if text in shown else []
    findings = {text: tuple(places) for text, places in found.items()}
    return SavedImage(config, history, tuple(layers), findings)


def _layers_of(engine: Engine, name: str) -> list[str]:
    try:
        return list(engine.client.images.get(name).attrs["RootFS"]["Layers"])
    except ImageNotFound:
        # Nothing can be built on what is not there.
        return []


def _save(engine: Engine, image_id: str, file: IO[bytes]) -> None:
    written = 0
    for chunk in engine.client.images.get(image_id).save(chunk_size=_CHUNK_BYTES):
        written += file.write(chunk)
        if written > LIMIT_BYTES:
            raise TooLarge
    file.seek(0)


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    assert file is not None  # noqa: S101 - the engine writes what its manifest names
    return file


def _told(step: Mapping[str, Any]) -> str:
    text = str(step.get("created_by", "")).removeprefix("/bin/sh -c #(nop) ")
    return " ".join(text.removesuffix("# buildkit").split())


def _look_through(
    layer: IO[bytes], made_by: str, wanted: Mapping[str, bytes], found: Mapping[str, list[str]]
) -> Layer:
    paths = []
    with tarfile.open(fileobj=layer, mode="r:*") as files:
        for member in files:
            path = member.name.removeprefix("./")
            if path.rpartition("/")[2].startswith(_MARK_OF_DELETION):
                continue
            paths.append(path)
            held = {text for text in wanted if text in path}
            if member.isfile() and (content := files.extractfile(member)):
                held |= set(_texts_in(content, wanted))
            for text in held:
                found[text].append(f"{path}, of the step {made_by[:80]}")
    return Layer(made_by, tuple(paths))


def _texts_in(content: IO[bytes], wanted: Mapping[str, bytes]) -> Iterator[str]:
    """Return the texts that a file holds; a text may lie across two chunks."""
    overlap = max((len(data) for data in wanted.values()), default=1) - 1
    tail = b""
    while chunk := content.read(_CHUNK_BYTES):
        window = tail + chunk
        yield from (text for text, data in wanted.items() if data in window)
        tail = window[-overlap:] if overlap else b""
