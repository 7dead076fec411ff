"""Where a learner has the answer: commands of a report are typed there."""

from dataclasses import dataclass
from pathlib import Path

from coursework.layout import Layout


@dataclass(frozen=True)
class Home:
    """Where a learner has the answer that is checked.

    Args:
        check: the command that checks it again; ` --only NAME` may follow.
        folder: with its files, for docker build; None where they are on no disk.
    """

    check: str
    folder: Path | None = None

    def check_only(self, name: str) -> str:
        """Return the command that runs one check again."""
        return f"{self.check} --only {name}"


def work_of(layout: Layout, slug: str) -> Home:
    """Return where a learner works on a module unless they say otherwise."""
    return Home(f"course check {slug}", layout.work(slug))
