"""Where an instructor has submissions: nbgrader's tree, a folder of notebooks, or an LMS's zip.

Everything here comes from learners: names become identifiers, never paths, and nothing is unpacked.
"""

import hashlib
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import LIMIT_NOTEBOOK_BYTES, parse_notebook, read_handed_in
from coursework.trouble import CourseError

NOTEBOOK = "exercise.ipynb"
_LIMIT_ENTRIES = 20_000
# What reading a member that was damaged, encrypted or packed in an unknown way can end with.
_DAMAGES = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, RuntimeError)
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}")
# Canvas: `doejane_LATE_4711_88123_exercise-2.ipynb`; the number is the person's.
_CANVAS = re.compile(r"(?P<name>[^_/]+)(?:_LATE)?_(?P<id>\d+)_\d+_[^/]*\.ipynb")
# Moodle: `Jane Doe_4711_assignsubmission_file/exercise.ipynb`.
_MOODLE = re.compile(r"(?P<name>[^/]+)_(?P<id>\d+)_assignsubmission_file_?/[^/]*\.ipynb")


@dataclass(frozen=True)
class HandedIn:
    """One learner's notebook.

    Args:
        learner: an identifier that is safe in a file's name; what a gradebook knows.
        read: gives the notebook's bytes; SubmissionError where there are none.
    """

    learner: str
    read: Callable[[], bytes]


def find_submissions(source: Path, slug: str) -> list[HandedIn]:
    """Return the submissions to a module, by learner's name.

    Args:
        source: nbgrader's `submitted/`, a folder of `<learner>.ipynb`, or an LMS's zip.
        slug: of the module.

    Raises:
        CourseError: there are none; with the three forms.
    """
    if source.is_dir():
        found = list(_in_tree(source, slug)) or list(_in_folder(source))
    elif source.is_file() and zipfile.is_zipfile(source):
        found = list(_in_zip(source))
    else:
        found = []
    if not found:
        raise CourseError(
            f"{source} holds no submission to {slug}.",
            why=f"looked for <learner>/{slug}/{NOTEBOOK}, <learner>.ipynb, or a zip of Canvas or"
            " Moodle",
            fix="course grade --help",
        )
    return sorted(_each_once(found), key=lambda s: s.learner)


def answered_module(source: Path, slugs: Sequence[str]) -> str:
    """Return the one module that a source's submissions answer; empty where they name none.

    Args:
        source: as for find_submissions.
        slugs: of all modules.

    Raises:
        CourseError: they answer several.
    """
    if source.is_dir():
        folders = [f for f in source.iterdir() if f.is_dir() and not f.is_symlink()]
        found = [s for s in slugs if any((folder / s).is_dir() for folder in folders)]
        notebooks = [] if found else list(_in_folder(source))
    else:
        found, notebooks = [], list(_in_zip(source)) if zipfile.is_zipfile(source) else []
    named = {_named(notebook) for notebook in notebooks}
    found += [s for s in slugs if s in named]
    if len(found) > 1:
        raise CourseError(
            f"{source} holds submissions to several modules.",
            why=", ".join(found),
            fix=f"course grade {source} --module {found[0]}",
        )
    return found[0] if found else ""


def _named(submission: HandedIn) -> str | None:
    try:
        return parse_notebook(submission.read()).module
    except SubmissionError:
        return None


def identifier(name: str) -> str:
    """Return a name as an identifier; one that had to be changed gets a mark of what it was."""
    if _SAFE.fullmatch(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9._@-]+", "-", name).strip("-._@")[:60] or "learner"
    return f"{plain}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:6]}"


def _each_once(found: Iterable[HandedIn]) -> list[HandedIn]:
    by_name: dict[str, HandedIn] = {}
    for submission in found:
        if submission.learner in by_name:
            raise CourseError(
                f"{submission.learner} has handed in twice.",
                fix="leave the one to be graded where it is, and take out the other",
            )
        by_name[submission.learner] = submission
    return list(by_name.values())


def _in_tree(source: Path, slug: str) -> Iterable[HandedIn]:
    for folder in sorted(source.iterdir()):
        place = folder / slug
        # A learner who handed in something else has handed in: it is told, not lost.
        if not folder.is_symlink() and place.is_dir():
            yield HandedIn(identifier(folder.name), _reader(place / NOTEBOOK))


def _in_folder(source: Path) -> Iterable[HandedIn]:
    for path in sorted(source.glob("*.ipynb")):
        yield HandedIn(identifier(path.stem), _reader(path))


def _reader(path: Path) -> Callable[[], bytes]:
    return lambda: read_handed_in(path)


def _in_zip(source: Path) -> Iterable[HandedIn]:
    try:
        with zipfile.ZipFile(source) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile) as error:
        raise CourseError(f"{source} is damaged.", why=str(error)) from error
    if len(members) > _LIMIT_ENTRIES:
        raise CourseError(f"{source} has over {_LIMIT_ENTRIES:,} entries.", fix="split it")
    for member in members:
        path = PurePosixPath(member.filename)
        match = _MOODLE.search(member.filename) or _CANVAS.fullmatch(path.name)
        if match:
            name = f"{match['name']}_{match['id']}"
            yield HandedIn(identifier(name), _zip_reader(source, member))


def _zip_reader(source: Path, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise SubmissionError("The notebook cannot be read.", why="it is a link")
        try:
            with zipfile.ZipFile(source) as archive, archive.open(member) as file:
                return file.read(LIMIT_NOTEBOOK_BYTES + 1)
        except _DAMAGES as error:
            raise SubmissionError("The notebook cannot be read.", why=str(error)[:120]) from error

    return read
