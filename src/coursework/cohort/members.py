"""What lies in a folder or in a zip, by path: listed whole, read one by one, never unpacked."""

import lzma
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import LIMIT_NOTEBOOK_BYTES, read_handed_in
from coursework.trouble import CourseError

# 2,000 learners hand in 40 modules: folders, notebooks and timestamps.
_LIMIT_ENTRIES = 500_000
# What reading a member that was damaged, encrypted or packed in an unknown way can end with.
_DAMAGES = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError)
# What systems and programs leave, and nobody hands in.
_LITTER = re.compile(
    r"__MACOSX|\._.*|\.ipynb_checkpoints|__pycache__|node_modules|\.venv|\.git|\.DS_Store"
    r"|Thumbs\.db|desktop\.ini|\.~lock.*"
)


@dataclass(frozen=True)
class Member:
    """A file, or a folder, whose path ends with a slash.

    Args:
        path: relative, with slashes, in Unicode's NFC.
        changed: when, to be compared with other members of the same source.
        read: gives its bytes; SubmissionError where there are none.
    """

    path: str
    changed: float | tuple[int, ...]
    read: Callable[[], bytes]

    @property
    def is_folder(self) -> bool:
        """Whether it holds others."""
        return self.path.endswith("/")


def members_of(source: Path) -> list[Member]:
    """Return all that lies in a folder or a zip but known litter, by path; none of anything else.

    Raises:
        CourseError: the zip is damaged, or it is too much.
    """
    if source.is_dir():
        found = _in_folder(source)
    elif source.is_file() and zipfile.is_zipfile(source):
        found = _in_zip(source)
    else:
        return []
    kept: list[Member] = []
    for member in found:
        if not any(map(_LITTER.fullmatch, member.path.split("/"))):
            kept.append(member)
        if len(kept) > _LIMIT_ENTRIES:
            raise CourseError(f"{source} has over {_LIMIT_ENTRIES:,} entries.", fix="split it")
    return sorted(kept, key=lambda m: m.path)


def _in_folder(source: Path) -> Iterator[Member]:
    for here, folders, files in os.walk(source):
        folders[:] = [f for f in folders if not _LITTER.fullmatch(f)]
        for name in (*folders, *files):
            path = Path(here) / name
            inner = name in folders and not path.is_symlink()
            place = path.relative_to(source).as_posix() + "/" * inner
            yield Member(_nfc(place), path.lstat().st_mtime, partial(read_handed_in, path))


def _in_zip(source: Path) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(source) as archive:
            listed = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise CourseError(f"{source} is damaged.", why=str(error)) from error
    for info in listed:
        yield Member(_nfc(info.filename), info.date_time, partial(_read_packed, source, info))


def _nfc(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def _read_packed(source: Path, member: zipfile.ZipInfo) -> bytes:
    if stat.S_ISLNK(member.external_attr >> 16):
        raise SubmissionError("The notebook cannot be read.", why="it is a link")
    try:
        with zipfile.ZipFile(source) as archive, archive.open(member) as file:
            return file.read(LIMIT_NOTEBOOK_BYTES + 1)
    except _DAMAGES as error:
        raise SubmissionError("The notebook cannot be read.", why=str(error)[:120]) from error
