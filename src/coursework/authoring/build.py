"""Bringing exercises/ up to date with what is derived from solutions/."""

from dataclasses import dataclass
from pathlib import Path

from coursework.authoring.derive import derive_exercise
from coursework.files import folder_files, lay_files
from coursework.layout import Layout


@dataclass(frozen=True)
class Difference:
    """A file of exercises/ that is not what its source gives.

    Args:
        path: the file.
        data: what it should hold; None where it should not be there.
        state: `missing`, `outdated` or `surplus`.
    """

    path: Path
    data: bytes | None
    state: str


def compare(layout: Layout, slug: str) -> list[Difference]:
    """Derive a module's exercise and compare it with the files that are there.

    Raises:
        CourseError: the source cannot be derived from.
    """
    folder = layout.exercise(slug).parent
    wanted, present = derive_exercise(layout, slug), folder_files(folder)
    found = [
        Difference(folder / name, data, "outdated" if name in present else "missing")
        for name, data in wanted.items()
        if present.get(name) != data
    ]
    return found + [Difference(folder / n, None, "surplus") for n in present if n not in wanted]


def write(difference: Difference) -> None:
    """Make one file what it should be."""
    path = difference.path
    if difference.data is None:
        path.unlink()
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
        return
    lay_files(path.parent, {path.name: difference.data})
