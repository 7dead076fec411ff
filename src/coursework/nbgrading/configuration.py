"""What nbgrader_config.py sets: where things stand, and which steps are ours."""

import unicodedata
from pathlib import Path
from typing import Any

from coursework.cohort.gradebook import COURSE_ID, default_address
from coursework.layout import Layout
from coursework.nbgrading.sources import bring_sources_up_to_date

FOLDER = "classroom"


def configure(config: Any, root: Path) -> None:
    """Set nbgrader up for the clone, and derive the source versions that changed.

    Args:
        config: traitlets' configuration, as `get_config()` gives it.
        root: the clone.

    Raises:
        CourseError: a source version cannot be derived.
    """
    layout = Layout(root.resolve())
    room = layout.root / FOLDER
    (room / "exchange").mkdir(parents=True, exist_ok=True)
    _compose_names(room / "submitted")
    bring_sources_up_to_date(layout, room / "source")
    _set_places(config, layout.root, room)
    _set_steps(config)


def _compose_names(folder: Path) -> None:
    """Name learners' folders in Unicode's NFC, as `course grade` does: nbgrader takes them raw."""
    for path in folder.iterdir() if folder.is_dir() else ():
        composed = path.with_name(unicodedata.normalize("NFC", path.name))
        if composed.name != path.name and not composed.exists():
            path.rename(composed)


def _set_places(config: Any, root: Path, room: Path) -> None:
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.course_id = COURSE_ID
    for step in ("source", "release", "submitted", "autograded", "feedback", "solution"):
        config.CourseDirectory[f"{step}_directory"] = f"{FOLDER}/{step}"
    config.CourseDirectory.db_url = default_address(room)
    config.Exchange.root = str(room / "exchange")
    config.ExportApp.plugin_class = "nbgrader.plugins.export.CsvExportPlugin"
    # What --to sets, which so outranks it.
    config.ExportPlugin.to = f"{FOLDER}/grades.csv"


def _set_steps(config: Any) -> None:
    from nbgrader.preprocessors import (  # noqa: PLC0415 - slow to load
        AssignLatePenalties,
        CheckCellMetadata,
        ClearOutput,
        ComputeChecksums,
        LockCells,
    )

    from coursework.nbgrading.grader import SaveVerdicts, TrustedGrader  # noqa: PLC0415
    from coursework.nbgrading.release import (  # noqa: PLC0415
        ClearFileSolutions,
        SaveReleasedCells,
    )
    from coursework.nbgrading.submitted import SubmittedNotebooks  # noqa: PLC0415

    config.GenerateAssignment.preprocessors = [
        LockCells, ClearFileSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums,
        SaveReleasedCells,
    ]  # fmt: skip
    # What stock steps would mend in a submission, SubmittedNotebooks builds anew.
    config.Autograde.exporter_class = SubmittedNotebooks
    config.Autograde.sanitize_preprocessors = []
    config.Autograde.autograde_preprocessors = [TrustedGrader, SaveVerdicts, AssignLatePenalties]
