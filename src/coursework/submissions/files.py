"""The files of a submission: which names and sizes are taken, and an answer that is a folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from coursework.trouble import CourseError

LIMIT_FILES = 200
LIMIT_FILE_BYTES = 1_000_000
LIMIT_TOTAL_BYTES = 5_000_000
LIMIT_PATH_CHARACTERS = 200


class SubmissionError(CourseError):
    """The submission cannot be graded as it is; the message says which part and what to do."""


@dataclass(frozen=True)
class Submission:
    """What was handed in, as it was read.

    Args:
        files: content by relative POSIX path.
        module: that the notebook names, if any.
        warnings: what looks like a part of the answer, and was not read as one.
    """

    files: Mapping[str, bytes]
    module: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class Files:
    """Files as they grow, cell by cell, within the limits.

    Args:
        starter: what lies there already, and may be appended to.
        content: what was written.
    """

    starter: Mapping[str, bytes] = field(default_factory=dict)
    content: dict[str, bytes] = field(default_factory=dict)

    def write(self, path: str, text: str, *, append: bool) -> None:
        """Write a file, or append to it.

        Raises:
            SubmissionError: the path, the text or the whole is refused.
        """
        name = plain_path(path)
        data = _encoded(name, text)
        before = self.content.get(name, self.starter.get(name, b"")) if append else b""
        self.put(name, before + data)

    def put(self, name: str, data: bytes) -> None:
        """Take a file, or refuse it and leave all as it was.

        Raises:
            SubmissionError: the whole is over a limit.
        """
        whole = {**self.content, name: data}
        _refuse_over_limits(whole, name)
        self.content = whole


def plain_path(path: str) -> str:
    """Normalise a relative path, or refuse it.

    Raises:
        SubmissionError: absolute, leaving the folder, expanded by a kernel, or unprintable.
    """
    parts = PurePosixPath(path).parts
    reasons = {
        "it is empty": not parts,
        "it is absolute": path.startswith("/") or re.match(r"[A-Za-z]:", path) is not None,
        "it leaves the folder with ..": ".." in parts,
        "it uses a backslash; write folders with /": "\\" in path,
        "it would be expanded by the kernel; write it plainly": any(c in path for c in "{}$~"),
        "it has characters that cannot be printed": not path.isprintable(),
        f"it is longer than {LIMIT_PATH_CHARACTERS} characters": len(path) > LIMIT_PATH_CHARACTERS,
    }
    for reason, applies in reasons.items():
        if applies:
            raise SubmissionError(
                f"The file name {path[:80]!r} is refused.",
                why=reason,
                fix="name a file inside the exercise's folder, such as %%writefile server.js",
            )
    return str(PurePosixPath(*parts))


def _encoded(name: str, text: str) -> bytes:
    if "\0" not in text:
        try:
            return text.encode()
        except UnicodeEncodeError:
            pass
    raise SubmissionError(
        f"The file {name} is refused: it is not text.",
        why="it holds a NUL or characters that UTF-8 cannot carry",
        fix="write source code only; let the Dockerfile install what is binary",
    )


def _refuse_over_limits(files: Mapping[str, bytes], name: str) -> None:
    total = sum(map(len, files.values()))
    reasons = {
        f"{len(files)} files; at most {LIMIT_FILES} are allowed": len(files) > LIMIT_FILES,
        f"{name} has {len(files[name]):,} bytes; at most {LIMIT_FILE_BYTES:,} are allowed": (
            len(files[name]) > LIMIT_FILE_BYTES
        ),
        f"all files have {total:,} bytes; at most {LIMIT_TOTAL_BYTES:,} are allowed": (
            total > LIMIT_TOTAL_BYTES
        ),
        f"{name} is a file and a folder at once": any(
            str(parent) in files for parent in PurePosixPath(name).parents
        )
        or any(other.startswith(f"{name}/") for other in files),
    }
    for reason, applies in reasons.items():
        if applies:
            raise SubmissionError(
                "The submission is refused.",
                why=reason,
                fix="keep only the source files that the exercise asks for",
            )
