"""What `course check` is pointed at: a module, a notebook or a folder of files."""

from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from coursework.checks.home import Home, work_of
from coursework.layout import Layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.modules.exercise_notebook import NOTEBOOK, find_exercise
from coursework.modules.module_files import module_files
from coursework.submissions.files import Submission
from coursework.submissions.folder import read_folder
from coursework.submissions.notebook import read_notebook
from coursework.submissions.on_disk import NEWER, OLDER, differs, read_beside
from coursework.trouble import CourseError

_COPY = "if you edited the file itself, copy your change into its cell first"
_WHY = {
    OLDER: f"the saved cell was checked. Run it to write the file; {_COPY}.",
    NEWER: f"the saved cell was checked; the file is newer. Save the notebook (Ctrl-S); {_COPY}.",
}


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
        if self.path == find_exercise(self.layout.work(slug)):
            return work_of(self.layout, slug)
        again = f"course check {quote(str(self.path))} --module {slug}"
        # The cells of a notebook elsewhere need not have been run there.
        return Home(again, None if self.is_notebook else self.path)

    def differences(self, submission: Submission) -> tuple[str, ...]:
        """Say which files on disk differ from the notebook's cells, which are what is graded."""
        if not self.is_notebook:
            return ()
        beside = read_beside(self.path.parent, submission.files)
        kinds = beside.differing(submission.files, self.path.stat().st_mtime_ns, {})
        return tuple(f"{differs(names)}: {_WHY[kind]}" for kind, names in kinds.items())


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
    path = _notebook_in(layout, path.resolve())
    name = module or _module_name(path, [m.slug for m in catalogue.modules])
    if name is None:
        raise CourseError(
            f"{text or 'This folder'} does not tell which module it answers.",
            why="neither the notebook nor a folder above it names one",
            fix=f"course check {text or '.'} --module 02-first-server",
        )
    return Target(layout, catalogue.find(name), path)


def _notebook_in(layout: Layout, path: Path) -> Path:
    """Return the notebook of a folder that holds one, else the path itself."""
    if not path.is_dir():
        return path
    # A folder elsewhere is an answer of files, whatever notebooks lie in it.
    is_work = path.is_relative_to((layout.root / "work").resolve())
    found = find_exercise(path) if is_work else path / NOTEBOOK
    return found if found and found.is_file() else path


def _begun(layout: Layout, slug: str) -> Path:
    path = find_exercise(layout.work(slug))
    if path is None:
        missing = (layout.work(slug) / NOTEBOOK).relative_to(layout.root)
        raise CourseError(
            f"{slug} is not begun: there is no {missing}.", fix=f"course start {slug}"
        )
    return path


def _module_name(path: Path, slugs: list[str]) -> str | None:
    if path.suffix == ".ipynb" and (name := read_notebook(path).module):
        return name
    return next((part for part in reversed(path.parts) if part in slugs), None)
