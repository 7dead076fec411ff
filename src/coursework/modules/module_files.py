"""The files of a module that are laid around what a learner writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from coursework.files import folder_files
from coursework.layout import Layout

_NOT_LAID = "README.md"


@dataclass(frozen=True)
class ModuleFiles:
    """Starter files, which an answer may replace, and given ones, which are laid over it again.

    Args:
        starter: content by relative path.
        given: content by relative path.
    """

    starter: Mapping[str, bytes] = field(default_factory=dict)
    given: Mapping[str, bytes] = field(default_factory=dict)

    def around(self, written: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return the folder that is built: starter files, then written ones, then given ones."""
        return {**self.starter, **written, **self.given}


def module_files(layout: Layout, slug: str) -> ModuleFiles:
    """Read a module's starter and given files.

    Raises:
        CourseError: one of them is a link.
    """
    return ModuleFiles(folder_files(layout.starter(slug)), folder_files(layout.given(slug)))


def answer_files(folder: Path) -> dict[str, bytes]:
    """Return the files of an answer that an author keeps in a folder, without its README."""
    return {name: data for name, data in folder_files(folder).items() if name != _NOT_LAID}


def right_answers(layout: Layout, slug: str) -> dict[str, dict[str, bytes]]:
    """Return the answers of other designs that people wrote, by name."""
    folders = sorted((layout.grader(slug) / "right").glob("*"))
    return {folder.name: answer_files(folder) for folder in folders if folder.is_dir()}
