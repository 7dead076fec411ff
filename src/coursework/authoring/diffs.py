"""Diffs as `git diff` prints them: written from two sets of files, and laid over one."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from coursework.files import folder_files, lay_files
from coursework.trouble import CourseError

REJECTED = ".rej"
_LIMIT_S = 30
# Which blob a file was is of no use without its repository, and would change with every edit.
_INDEX = re.compile(rb"^index [0-9a-f]+\.\.[0-9a-f]+( \d+)?\n", re.MULTILINE)


class DiffError(CourseError):
    """A diff that does not apply to these files, or files that no diff can describe."""


def apply_diff(files: Mapping[str, bytes], diff: bytes) -> dict[str, bytes]:
    """Return the files with a diff laid over them by `git apply`.

    Args:
        files: by relative path.
        diff: as `git diff` prints it; text before its first header is skipped.

    Raises:
        DiffError: it applies nowhere, leaves the folder, or makes a link.
    """
    # Only files that the diff may name are laid: hundreds of diffs are applied in a quick audit.
    named = {n: d for n, d in files.items() if not n.isascii() or n.encode() in diff}
    with _folder(named) as folder:
        done = _git(folder, "apply", "--whitespace=nowarn", "-", stdin=diff)
        if done.returncode:
            raise DiffError("The diff no longer applies.", why=_errors(done))
        others = {name: data for name, data in files.items() if name not in named}
        return {**others, **_read(folder)}


def apply_what_fits(folder: Path, diff: bytes) -> list[str]:
    """Lay the parts of a diff that still apply over a folder.

    Returns:
        The files, ending in `.rej`, that now hold the parts that do not.
    """
    _git(folder, "apply", "--whitespace=nowarn", "--reject", "-", stdin=diff)
    return [path.relative_to(folder).as_posix() for path in sorted(folder.rglob(f"*{REJECTED}"))]


def diff_of(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> bytes:
    """Return what `git diff` prints between two sets of files; empty where they are the same.

    Raises:
        DiffError: a file that differs is not text.
    """
    with _folder(before) as folder:
        _sound(_git(folder, "init", "--quiet", "--template="))
        _sound(_git(folder, "add", "--force", "--all"))
        for name in before:
            (folder / name).unlink()
        lay_files(folder, after)
        if new := [name for name in after if name not in before]:
            _sound(_git(folder, "add", "--force", "--intent-to-add", "--", *new))
        options = ("--no-color", "--no-ext-diff", "--no-renames", "--ignore-submodules")
        settings = ("-c", "core.fileMode=false", "-c", "core.quotePath=false")
        text = _sound(_git(folder, *settings, "diff", *options)).stdout
    if b"\nBinary files " in text:
        raise DiffError(
            "A file that differs is not text.",
            why="a diff is read by people, and answers are text",
            fix="remove it from the folder, then type the command again",
        )
    return _INDEX.sub(b"", text)


@contextmanager
def _folder(files: Mapping[str, bytes]) -> Iterator[Path]:
    """Lay files in a temporary folder that ends with the block."""
    with tempfile.TemporaryDirectory(prefix="course-diff-") as name:
        folder = Path(name).resolve()
        lay_files(folder, files)
        yield folder


def _read(folder: Path) -> dict[str, bytes]:
    try:
        return folder_files(folder)
    except CourseError as error:
        raise DiffError("The diff makes a link.", why="an answer consists of files") from error


def _git(folder: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder, as if nobody had configured it and no repository were around."""
    program = shutil.which("git")
    if program is None:
        raise CourseError("git is missing.", fix="install it: apt-get install git")
    own = {
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C",
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        [program, *words],
        cwd=folder,
        env={**kept, **own},
        input=stdin,
        capture_output=True,
        timeout=_LIMIT_S,
        check=False,
    )


def _sound(done: subprocess.CompletedProcess[bytes]) -> subprocess.CompletedProcess[bytes]:
    if done.returncode:
        raise CourseError("git failed.", why=_errors(done))
    return done


def _errors(done: subprocess.CompletedProcess[bytes]) -> str:
    return " · ".join(done.stderr.decode(errors="replace").split("\n")[:3]).strip(" ·")
