"""What `course grade` was asked for; the last run's words, for --resume."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from coursework.cohort.gradebook import default_address, whole_address
from coursework.files import write_whole
from coursework.layout import Layout
from coursework.trouble import CourseError

_FILE = "grade.json"
_EXAMPLE = "course grade classroom/submitted --module 02"


@dataclass(frozen=True)
class Asked:
    """What a run grades, and where it writes; empty where it was not given.

    Args:
        source: absolute path of the submissions.
        module: slug.
        out: absolute path of the folder of results.
        gradebook: address.
        name_pattern: of the submissions' paths.
    """

    source: str = ""
    module: str = ""
    out: str = ""
    gradebook: str = ""
    name_pattern: str = ""


def from_options(
    source: Path | None, module: str, out: Path | None, gradebook: str | None
) -> Asked:
    """Return what was typed, so that it means the same from every folder.

    Raises:
        CourseError: nothing here can open such a gradebook.
    """
    return Asked(
        str(source.resolve()) if source else "",
        module,
        str(out.resolve()) if out else "",
        whole_address(gradebook) if gradebook else "",
    )


def with_defaults(layout: Layout, asked: Asked) -> Asked:
    """Return it with the classroom's places where none were given.

    Raises:
        CourseError: there is nothing to grade.
    """
    if not asked.source or not asked.module:
        raise CourseError(
            "There is nothing to grade.",
            why="a source is needed, and a module where what was handed in names none",
            fix=_EXAMPLE,
        )
    room = layout.root / "classroom"
    if not asked.gradebook:
        room.mkdir(exist_ok=True)
    return replace(
        asked, out=asked.out or str(room / "grades"),
        gradebook=asked.gradebook or default_address(room),
    )  # fmt: skip


def remember(layout: Layout, asked: Asked) -> None:
    """Keep what a run was asked for, for --resume."""
    # A gradebook's address may hold a password.
    write_whole(layout.state / _FILE, json.dumps(asdict(asked)).encode(), mode=0o600)


def resumed(layout: Layout, asked: Asked) -> Asked:
    """Return the last run's command, with what was typed now in place of its words.

    Raises:
        CourseError: there was none, or it graded something else.
    """
    try:
        last = Asked(**json.loads((layout.state / _FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        raise CourseError("There is no last run to resume.", fix=_EXAMPLE) from None
    if asked.source not in ("", last.source) or asked.module not in ("", last.module):
        raise CourseError(
            "The last run graded something else.",
            why=f"it was {last.module} in {last.source}",
            fix="leave --resume out: what has a result and has not changed is not graded again",
        )
    return replace(last, **{name: word for name, word in asdict(asked).items() if word})
