"""An answer that is a folder of files, read as `docker build` reads it."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Any

from coursework.submissions.files import (
    LIMIT_FILE_BYTES,
    Files,
    Submission,
    SubmissionError,
    plain_path,
)

# No answer is made of what package managers, git, Python, Terraform and editors leave in a folder.
_LEFTOVERS = (
    "node_modules", ".venv", "venv", ".git", "__pycache__", ".ipynb_checkpoints", ".DS_Store",
    "Thumbs.db", "*~", ".*.sw[a-p]", ".#*", "#*#", ".terraform", "*.tfstate", "*.tfstate.*",
)  # fmt: skip
_NAMED = 5


def read_folder(folder: Path, starter: Mapping[str, bytes] = MappingProxyType({})) -> Submission:
    """Read a folder of files; what tools left there is named, and not taken.

    Args:
        folder: with the answer's files.
        starter: files that are laid around it; their .dockerignore holds where it has none.

    Raises:
        SubmissionError: a file is refused, or the folder is none.
    """
    if not folder.is_dir():
        raise SubmissionError(f"{folder} is no folder.", fix="course check --help")
    left: list[str] = []
    names = sorted(_names(folder, left))
    is_ignored = _dockerignore(folder, starter)
    files = Files()
    for name in names:
        if not is_ignored(name):
            _take(files, folder, name)
    # No image gets them. A check may want one all the same, and none of them is refused.
    for name in filter(is_ignored, names):
        with suppress(SubmissionError):
            _take(files, folder, name)
    named = ", ".join(sorted(left)[:_NAMED]) + (" …" if len(left) > _NAMED else "")
    told = (f"left out, since no answer is made of it: {named}",)
    return Submission(files.content, warnings=told if left else ())


def _names(folder: Path, left: list[str]) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        place = Path(here).relative_to(folder)
        for name in (*folders, *files):
            path = place / name
            if any(fnmatch(name, pattern) for pattern in _LEFTOVERS):
                left.append(path.as_posix())
            elif (folder / path).is_symlink() or (folder / path).is_file():
                yield path.as_posix()
        folders[:] = [f for f in folders if (place / f).as_posix() not in left]


def _take(files: Files, folder: Path, name: str) -> None:
    path = folder / name
    if path.is_symlink():
        raise SubmissionError(f"{name} is refused: it is a link.", fix="copy the file instead")
    if path.stat().st_size > LIMIT_FILE_BYTES:
        raise SubmissionError(
            f"{name} is refused: over {LIMIT_FILE_BYTES:,} bytes.",
            fix="leave it out, or name it in .dockerignore",
        )
    files.put(plain_path(name), path.read_bytes())


def _dockerignore(folder: Path, starter: Mapping[str, bytes]) -> Callable[[str], bool]:
    from docker.utils.build import PatternMatcher  # noqa: PLC0415 - slow to load

    path = folder / ".dockerignore"
    text = (
        path.read_bytes()
        if path.is_file() and not path.is_symlink()
        else starter.get(path.name, b"")
    )
    lines = [x for x in text.decode(errors="replace").splitlines() if not x.startswith("#")]
    matcher: Any = PatternMatcher([x for x in lines if x.strip()])
    try:
        matcher.matches("Dockerfile")
    except re.error as error:
        raise SubmissionError(
            ".dockerignore is refused: docker cannot read a pattern in it.", why=str(error)
        ) from error
    return lambda name: bool(matcher.matches(name)) and name != "Dockerfile"
