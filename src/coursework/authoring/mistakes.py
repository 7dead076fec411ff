"""Wrong answers that are diffs against the reference solution."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from coursework.authoring.diffs import REJECTED, DiffError, apply_diff, diff_of
from coursework.authoring.source import read_cells, reference_files
from coursework.files import folder_files
from coursework.layout import Layout
from coursework.modules.module_files import module_files
from coursework.trouble import CourseError

ENDING = ".diff"
_NAME = re.compile(r"[a-z][a-z0-9_]*/[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Solution:
    """The reference solution of a module, as an answer holds it.

    Args:
        layout: the clone.
        slug: of the module.
    """

    layout: Layout
    slug: str

    @cached_property
    def starter(self) -> dict[str, bytes]:
        """The files that an answer begins with."""
        return dict(module_files(self.layout, self.slug).starter)

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Starter files and those of the reference solution, by relative path."""
        reference = reference_files(read_cells(self.layout.solution(self.slug)))
        return {**self.starter, **reference}

    def built(self, answer: Mapping[str, bytes]) -> dict[str, bytes]:
        """Return what is built of an answer: starter and given files are laid again."""
        return module_files(self.layout, self.slug).around(answer)


@dataclass(frozen=True)
class Mistake:
    """One mistake: a sentence that names it, and what it changes in the solution.

    Args:
        solution: that it is laid over.
        path: of its file, wrong/<check>/<mistake>.diff.
    """

    solution: Solution
    path: Path

    @property
    def name(self) -> str:
        """The check that it fails and its own name, such as `quick_start/json_as_text`."""
        return f"{self.path.parent.name}/{self.path.stem}"

    @cached_property
    def text(self) -> bytes:
        """Its file."""
        return self.path.read_bytes()

    @property
    def why(self) -> str:
        """The sentence that names it: the file's first line; empty where a diff begins there."""
        line = self.text.partition(b"\n")[0].decode("utf-8", "replace").strip()
        return "" if line.startswith(("diff ", "--- ")) else line

    @cached_property
    def folder(self) -> dict[str, bytes]:
        """The solution with the mistake in it; DiffError where it no longer applies."""
        return apply_diff(self.solution.files, self.text)

    @property
    def answer(self) -> dict[str, bytes]:
        """What a learner who makes the mistake writes: without starter files as they were."""
        starter = self.solution.starter
        return {name: data for name, data in self.folder.items() if starter.get(name) != data}

    @property
    def changed(self) -> dict[str, bytes]:
        """Those of its files that are not the solution's."""
        same = self.solution.files
        return {name: data for name, data in self.folder.items() if same.get(name) != data}

    @property
    def changes_nothing(self) -> bool:
        """Whether what is built is the solution all the same."""
        return self.solution.built(self.answer) == self.solution.built(self.solution.files)

    def write(self, folder: Mapping[str, bytes], why: str) -> None:
        """Make it the difference between the solution and a folder's files.

        Raises:
            CourseError: the sentence is none, or what is built would be the solution.
        """
        if not why or "\n" in why or not why.isprintable():
            raise CourseError(
                f"No sentence names the mistake {self.name}.",
                why="its diff begins with one line that a reviewer reads first",
                fix='type the command again with --why "Say what is wrong."',
            )
        changes = diff_of(self.solution.files, folder)
        if self.solution.built(folder) == self.solution.built(self.solution.files):
            raise DiffError(
                f"{self.name} changes nothing.",
                why="what is built is the solution: starter and given files are laid again",
                fix="edit a file that the exercise asks for, then type the command again",
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(f"{why}\n".encode() + changes)

    def refresh(self) -> bool:
        """Write it anew where it applies at other lines than it says; tell whether it changed.

        Raises:
            DiffError: it no longer applies.
        """
        current = f"{self.why}\n".encode() + diff_of(self.solution.files, self.folder)
        if current == self.text:
            return False
        self.path.write_bytes(current)
        return True


def find_mistakes(solution: Solution) -> list[Mistake]:
    """Return all mistakes of a module that are diffs, in order of their names."""
    folder = solution.layout.grader(solution.slug) / "wrong"
    return [Mistake(solution, path) for path in sorted(folder.glob(f"*/*{ENDING}"))]


def mistake_named(solution: Solution, name: str, *, may_be_new: bool) -> Mistake:
    """Return a mistake by its name.

    Raises:
        CourseError: it is no name, a folder of this name is the wrong answer, or there is none.
    """
    example = f"course wrong {solution.slug} quick_start/json_as_text --into /tmp/mistake"
    name = name.removeprefix("wrong/").removesuffix(ENDING)
    if not _NAME.fullmatch(name):
        raise CourseError(
            f"{name!r} names no mistake.",
            why="it is a check and a mistake, both lower-case words joined by underscores",
            fix=example,
        )
    path = solution.layout.grader(solution.slug) / "wrong" / f"{name}{ENDING}"
    if path.with_suffix("").is_dir():
        shown = path.with_suffix("").relative_to(solution.layout.root)
        raise CourseError(
            f"{name} is a folder of files, not a diff.",
            fix=f"edit {shown}; to make it a diff, move the folder away first",
        )
    if not (may_be_new or path.is_file()):
        known = ", ".join(mistake.name for mistake in find_mistakes(solution)) or "none"
        raise CourseError(f"{solution.slug} has no mistake {name}.", why=f"it has {known}")
    return Mistake(solution, path)


def read_mutated(folder: Path) -> dict[str, bytes]:
    """Return the files of an edited folder, without rejected parts of an old diff or a repository.

    Raises:
        CourseError: there is no such folder, or it holds a link.
    """
    if not folder.is_dir():
        raise CourseError(
            f"{folder} is no folder.", fix=f"course wrong NN check/mistake --into {folder}"
        )
    files = folder_files(folder)
    return {
        name: data
        for name, data in files.items()
        if not name.endswith(REJECTED) and not name.startswith(".git/")
    }
