"""What `course grade` was asked for, kept so that --resume can leave it out."""

import json
from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path

from coursework.cohort.gradebook import default_address, whole_address
from coursework.layout import Layout
from coursework.trouble import CourseError

_FILE = "grade.json"
_KEPT = 50


@dataclass(frozen=True)
class Asked:
    """What a run grades, and where it writes; empty where it was not said.

    Args:
        source: absolute path of the submissions.
        module: slug.
        out: absolute path of the folder of results.
        gradebook: address.
    """

    source: str = ""
    module: str = ""
    out: str = ""
    gradebook: str = ""


def said(source: Path | None, module: str, out: Path | None, gradebook: str | None) -> Asked:
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
            "It is not said what to grade.",
            why="a source is needed, and a module where what was handed in names none",
            fix="course grade classroom/submitted --module 02",
        )
    room = layout.root / "classroom"
    if not asked.gradebook:
        room.mkdir(exist_ok=True)
    return replace(
        asked, out=asked.out or str(room / "grades"),
        gradebook=asked.gradebook or default_address(room),
    )  # fmt: skip


def remember(layout: Layout, asked: Asked) -> None:
    """Keep what a run was asked for, as the newest one."""
    others = [run for run in _runs(layout) if run != asked]
    text = json.dumps([asdict(run) for run in [asked, *others][:_KEPT]], indent=1)
    layout.state.mkdir(parents=True, exist_ok=True)
    # A gradebook's address may hold a password.
    (layout.state / _FILE).touch(mode=0o600)
    (layout.state / _FILE).write_text(text, "utf-8")


def completed(layout: Layout, asked: Asked) -> Asked:
    """Take what was not said from the newest run of the same source and module.

    Raises:
        CourseError: no source was said, and there was no run that had one.
    """
    for run in _runs(layout):
        same_source = asked.source in ("", run.source)
        same_module = asked.module in ("", run.module)
        if same_source and same_module:
            return replace(run, **{name: v for name, v in asdict(asked).items() if v})
    if not asked.source:
        raise CourseError(
            "There is no run to go on with.", fix="course grade classroom/submitted --module 02"
        )
    return asked


def _runs(layout: Layout) -> Iterator[Asked]:
    try:
        runs = [Asked(**run) for run in json.loads((layout.state / _FILE).read_bytes())]
    except (OSError, ValueError, TypeError):
        return
    yield from (run for run in runs if all(isinstance(v, str) for v in astuple(run)))
