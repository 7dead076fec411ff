"""What `course check` is pointed at: a module, a notebook or a folder of files."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from coursework.checks.home import Home, work_of
from coursework.layout import Layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.modules.module_files import module_files
from coursework.submissions.files import Submission
from coursework.submissions.folder import read_folder
from coursework.submissions.notebook import read_notebook
from coursework.trouble import CourseError

NOTEBOOK = "exercise.ipynb"


@dataclass(frozen=True)
class Target:
    """An answer and the module that it answers.

    Args:
        layout: the clone.
        module: of the catalogue.
        path: the notebook, or the folder of files.
    """

    layout: Layout
    module: Module
    path: Path

    @property
    def is_notebook(self) -> bool:
        """Whether the answer is a notebook."""
        return self.path.suffix == ".ipynb"

    def read(self) -> Submission:
        """Read its files; see coursework.submissions."""
        starter = module_files(self.layout, self.module.slug).starter
        read = read_notebook if self.is_notebook else read_folder
        return read(self.path, starter)

    def home(self) -> Home:
        """Say where it is, for the commands of a report."""
        slug = self.module.slug
        if self.path == self.layout.work(slug) / NOTEBOOK:
            return work_of(self.layout, slug)
        again = f"course check {quote(str(self.path))} --module {slug}"
        # The cells of a notebook elsewhere need not have been run there.
        return Home(again, None if self.is_notebook else self.path)

    def differences(self, submission: Submission) -> tuple[str, ...]:
        """Say which files on disk differ from the notebook's cells, which are what is graded."""
        if not self.is_notebook:
            return ()
        folder = self.path.parent
        return tuple(
            f"{name} on disk differs from its cell in {self.path.name}: the cell was checked."
            " Run the cell, or copy your change into it."
            for name, data in submission.files.items()
            if (folder / name).is_file() and (folder / name).read_bytes() != data
        )


def find_target(layout: Layout, text: str | None, module: str | None = None) -> Target:
    """Find what a person means.

    Args:
        layout: the clone.
        text: a module's name, a notebook or a folder; the current folder by default.
        module: the module's name, where the path does not tell.

    Raises:
        CourseError: there is no such thing, or its module cannot be told.
    """
    catalogue = load_catalogue(layout)
    path = Path(text) if text else Path.cwd()
    if text and not path.exists():
        found = catalogue.find(text)
        return Target(layout, found, _begun(layout, found.slug))
    if path.is_dir() and (path / NOTEBOOK).is_file():
        path /= NOTEBOOK
    path = path.resolve()
    name = module or _module_name(path, [m.slug for m in catalogue.modules])
    if name is None:
        raise CourseError(
            f"{text or 'This folder'} does not tell which module it answers.",
            why="neither the notebook nor a folder above it names one",
            fix=f"course check {text or '.'} --module 02-first-server",
        )
    return Target(layout, catalogue.find(name), path)


def _begun(layout: Layout, slug: str) -> Path:
    path = layout.work(slug) / NOTEBOOK
    if not path.is_file():
        raise CourseError(
            f"{slug} is not begun: there is no {path.relative_to(layout.root)}.",
            fix=f"course start {slug}",
        )
    return path


def _module_name(path: Path, slugs: list[str]) -> str | None:
    if path.suffix == ".ipynb" and (name := read_notebook(path).module):
        return name
    return next((part for part in reversed(path.parts) if part in slugs), None)
