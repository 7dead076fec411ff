"""A learner's copy of the modules: laid out once, brought up to date, never overwritten."""

import hashlib
import json
import string
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from coursework.files import folder_files, read_object, write_whole
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.modules.exercise_notebook import NOTEBOOK, find_exercise
from coursework.trouble import CourseError

# What was laid, by name: a file that still has this hash was not touched by the learner.
_RECORD = ".laid.json"
_LETTERS = string.ascii_lowercase


@dataclass(frozen=True)
class Laid:
    """What happened to one file of a learner's copy.

    Args:
        path: the file.
        state: `new`, `same`, `updated`, or `beside` where the learner's own was left alone.
    """

    path: Path
    state: str


def start_modules(layout: Layout, slugs: list[str] | None = None) -> list[Laid]:
    """Lay modules into work/; a file that the learner changed stays, the new one goes beside it.

    Args:
        layout: the clone.
        slugs: which modules; all of the catalogue by default.

    Raises:
        CourseError: work/ cannot be written.
    """
    names = slugs or [m.slug for m in load_catalogue(layout).modules]
    try:
        return [laid for slug in names for laid in _start_module(layout, slug)]
    except OSError as error:
        raise CourseError(
            f"The copy of the course in {layout.root / 'work'} cannot be written.",
            why=f"{error.strerror}: {error.filename}",
            fix="make the folder writable and free some disk, then: course start",
        ) from error


@dataclass(frozen=True)
class Reset:
    """One file that was put back as it was.

    Args:
        path: the file.
        kept: where the learner's own version is now; None where there was none.
    """

    path: Path
    kept: Path | None


def reset_module(layout: Layout, slug: str, name: str = "") -> list[Reset]:
    """Put files of a module back as they were; the learner's versions stay beside them, dated.

    Args:
        layout: the clone.
        slug: of the module.
        name: of one file, such as `exercise.ipynb`; all that the course laid by default.

    Raises:
        CourseError: the module lays no such file, or work/ cannot be written.
    """
    files = _module_files(layout, slug)
    if name and name not in files:
        raise CourseError(
            f"{slug} has no file {name} to put back.", why=f"it has {', '.join(files)}"
        )
    folder = layout.work(slug)
    record = read_object(folder / _RECORD)
    wanted = {name: files[name]} if name else files
    try:
        done = [r for n, data in wanted.items() if (r := _reset(folder / n, data)) is not None]
        record |= {n: _digest(data) for n, data in wanted.items()}
        write_whole(folder / _RECORD, json.dumps(record, indent=1, sort_keys=True).encode())
    except OSError as error:
        raise CourseError(
            f"{folder} cannot be written.",
            why=f"{error.strerror}: {error.filename}",
            fix=f"make the folder writable and free some disk, then: course reset {slug}",
        ) from error
    return done


def _reset(path: Path, data: bytes) -> Reset | None:
    if not path.exists():
        write_whole(path, data)
        return Reset(path, None)
    if path.read_bytes() == data:
        return None
    kept = _free_name(path)
    path.rename(kept)
    write_whole(path, data)
    return Reset(path, kept)


def _free_name(path: Path) -> Path:
    """Return a name that says whose the file is and from when, and that nothing has yet."""
    stamp = f"{datetime.now():%Y-%m-%d-%H%M%S}"  # noqa: DTZ005 - the learner's own clock
    names = (f"{path.stem}.yours-{stamp}{more}{path.suffix}" for more in ("", *_LETTERS))
    return next(p for p in map(path.with_name, names) if not p.exists())


def _module_files(layout: Layout, slug: str) -> dict[str, bytes]:
    from coursework.authoring.derive import derive_lesson  # noqa: PLC0415 - slow to load

    files = folder_files(layout.exercise(slug).parent)
    return {"lesson.ipynb": derive_lesson(layout, slug), **files}


def changed_files(layout: Layout, slug: str) -> list[Path]:
    """Return the files of a module that aren't as the course laid them: a learner changed them."""
    folder = layout.work(slug)
    record = read_object(folder / _RECORD)
    if not record or not folder.is_dir():
        return []
    own = [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    digests = {path: _digest(path.read_bytes()) for path in own}
    # One that `_lay_beside` has laid carries its digest in its name.
    return [
        p for p, d in digests.items() if d != record.get(p.name) and f".new-{d[:8]}" not in p.name
    ]


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _source_stamp(layout: Layout, slug: str) -> str:
    """Return what changes when the module does, without deriving anything."""
    sources = [layout.lesson(slug), *sorted(layout.exercise(slug).parent.rglob("*"))]
    facts = [(str(p.relative_to(layout.root)), p.stat().st_mtime_ns) for p in sources]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _start_module(layout: Layout, slug: str) -> list[Laid]:
    folder = layout.work(slug)
    record_path = folder / _RECORD
    # Without a record every file counts as the learner's own: nothing is overwritten.
    record = read_object(record_path)
    stamp = _source_stamp(layout, slug)
    if record.get("stamp") == stamp and all((folder / n).exists() for n in record if n != "stamp"):
        return []
    files = _module_files(layout, slug)
    laid = [_lay(folder, name, data, record) for name, data in files.items()]
    record["stamp"] = stamp
    write_whole(record_path, json.dumps(record, indent=1, sort_keys=True).encode())
    return laid


def _lay(folder: Path, name: str, data: bytes, record: dict[str, str]) -> Laid:
    path = folder / name
    digest = _digest(data)
    if not path.exists():
        if name == NOTEBOOK and name in record and (renamed := find_exercise(folder)):
            # A second, empty one would be taken for the answer.
            return Laid(renamed, "same")
        state = "new"
    else:
        present = _digest(path.read_bytes())
        if present == digest:
            record[name] = digest
            return Laid(path, "same")
        if record.get(name) == digest:
            # The course has not changed this file since it was laid: only the learner has.
            return Laid(path, "same")
        if present != record.get(name):
            return _lay_beside(path, data)
        state = "updated"
    write_whole(path, data)
    record[name] = digest
    return Laid(path, state)


def _lay_beside(path: Path, data: bytes) -> Laid:
    digest = _digest(data)[:8]
    beside = path.with_name(f"{path.stem}.new-{digest}{path.suffix}")
    if not beside.exists():
        write_whole(beside, data)
    return Laid(beside, "beside")
