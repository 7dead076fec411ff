"""Reading a bundle's zip: whole, or said to be damaged."""

import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from coursework.trouble import CourseError

# What zipfile raises for files that are cut, changed, encrypted or no zip at all.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@contextmanager
def opened(file: Path) -> Iterator[zipfile.ZipFile]:
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


def read_manifest(bundle: zipfile.ZipFile, name: str) -> Any:
    """Read what a bundle says of itself.

    Raises:
        BadZipFile: it says nothing, or nothing that this version understands.
    """
    try:
        manifest = json.loads(bundle.read(name))
        for image in manifest["images"].values():
            if not {"tag", "id", "digest", "size_bytes"} <= image.keys():
                raise zipfile.BadZipFile
        if manifest["schema"] != 1 or not manifest["architecture"]:
            raise zipfile.BadZipFile
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise zipfile.BadZipFile from error
    return manifest
