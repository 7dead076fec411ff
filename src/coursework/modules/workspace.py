"""A learner's copy of the modules: laid out once, brought up to date, never overwritten."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

# What was laid, by name: a file that still has this hash was not touched by the learner.
_RECORD = ".laid.json"


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


def _module_files(layout: Layout, slug: str) -> dict[str, bytes]:
    from coursework.authoring.derive import derive_lesson  # noqa: PLC0415 - slow to load

    folder = layout.exercise(slug).parent
    files = {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
    return {"lesson.ipynb": derive_lesson(layout, slug), **files}


def _source_stamp(layout: Layout, slug: str) -> str:
    """Give what changes when the module does, without deriving anything."""
    sources = [layout.lesson(slug), *sorted(layout.exercise(slug).parent.rglob("*"))]
    facts = [(str(p.relative_to(layout.root)), p.stat().st_mtime_ns) for p in sources]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _start_module(layout: Layout, slug: str) -> list[Laid]:
    folder = layout.work(slug)
    record_path = folder / _RECORD
    record = _read_record(record_path)
    stamp = _source_stamp(layout, slug)
    if record.get("stamp") == stamp and all((folder / n).exists() for n in record if n != "stamp"):
        return []
    files = _module_files(layout, slug)
    laid = [_lay(folder, name, data, record) for name, data in files.items()]
    record["stamp"] = stamp
    _write(record_path, json.dumps(record, indent=1, sort_keys=True).encode())
    return laid


def _read_record(path: Path) -> dict[str, str]:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        # Without a record every file counts as the learner's own: nothing is overwritten.
        return {}
    return record if isinstance(record, dict) else {}


def _lay(folder: Path, name: str, data: bytes, record: dict[str, str]) -> Laid:
    path = folder / name
    digest = hashlib.sha256(data).hexdigest()
    if not path.exists():
        state = "new"
    else:
        present = hashlib.sha256(path.read_bytes()).hexdigest()
        if present == digest:
            record[name] = digest
            return Laid(path, "same")
        if record.get(name) == digest:
            # The course has not changed this file since it was laid: only the learner has.
            return Laid(path, "same")
        if present != record.get(name):
            return _lay_beside(path, data)
        state = "updated"
    _write(path, data)
    record[name] = digest
    return Laid(path, state)


def _lay_beside(path: Path, data: bytes) -> Laid:
    digest = hashlib.sha256(data).hexdigest()[:8]
    beside = path.with_name(f"{path.stem}.new-{digest}{path.suffix}")
    if not beside.exists():
        _write(beside, data)
    return Laid(beside, "beside")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)
