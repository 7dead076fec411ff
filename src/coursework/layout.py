"""Where things are in a clone of the course."""

import os
from dataclasses import dataclass
from pathlib import Path

from coursework.trouble import CourseError

_MARK = Path("course") / "catalogue.toml"


@dataclass(frozen=True)
class Layout:
    """The folders of one clone; every path is found from its root."""

    root: Path

    @property
    def catalogue(self) -> Path:
        """The only list of modules."""
        return self.root / _MARK

    @property
    def topics(self) -> Path:
        """Which section teaches what, for readers of the site."""
        return self.catalogue.with_name("topics.md")

    def lesson(self, slug: str) -> Path:
        """The lesson's source, MyST Markdown."""
        return self.root / "course" / slug / "lesson.md"

    def solution(self, slug: str) -> Path:
        """The exercise's source: task and reference solution in one file."""
        return self.root / "solutions" / slug / "exercise.md"

    def given(self, slug: str) -> Path:
        """Files that are laid again over every submission: editing them changes nothing."""
        return self.root / "solutions" / slug / "given"

    def starter(self, slug: str) -> Path:
        """Files to begin with, which a submission may replace."""
        return self.root / "solutions" / slug / "starter"

    def exercise(self, slug: str) -> Path:
        """The learner's notebook, derived from the solution."""
        return self.root / "exercises" / slug / "exercise.ipynb"

    def grader(self, slug: str) -> Path:
        """The folder of a module's checks, wrong answers and right answers."""
        return self.root / "graders" / slug

    def work(self, slug: str) -> Path:
        """Where a learner works on a module."""
        return self.root / "work" / slug

    @property
    def state(self) -> Path:
        """What this clone keeps for itself: the Docker configuration, run locks, marks."""
        return self.root / ".course"


def user_cache() -> Path:
    """Return the folder, shared by all clones of this user, for engines and image layers."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "http-to-kubernetes"


def find_layout(start: Path | None = None) -> Layout:
    """Find the clone that a folder lies in.

    Args:
        start: where to begin looking upwards; the current folder by default.

    Raises:
        CourseError: neither the folder nor this installation lies in a clone.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents, *Path(__file__).resolve().parents):
        if (folder / _MARK).is_file():
            return Layout(folder)
    raise CourseError(
        f"No course found at {here}.",
        why=f"neither it nor a folder above it holds {_MARK}",
        fix="cd to the clone, then type the command again",
    )
