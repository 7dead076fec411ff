"""What nbgrader_config.py sets: where things are, and which steps are ours."""

import shutil
import unicodedata
from pathlib import Path
from typing import Any

from coursework.authoring.derive import derive_source
from coursework.cohort.gradebook import COURSE_ID, default_address
from coursework.files import files_digest, lay_files
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.modules.module_files import module_files

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


def bring_sources_up_to_date(layout: Layout, folder: Path) -> list[str]:
    """Derive the source version of each module whose author's files changed.

    Args:
        layout: the clone.
        folder: nbgrader's source folder; a module's files are in `folder/<slug>`.

    Returns:
        The slugs that were derived.

    Raises:
        CourseError: a module cannot be derived.
    """
    slugs = [module.slug for module in load_catalogue(layout).modules]
    changed = [slug for slug in slugs if _digest(layout, slug) != _recorded(folder, slug)]
    for slug in changed:
        shutil.rmtree(folder / slug, ignore_errors=True)
        lay_files(folder / slug, derive_source(layout, slug))
        # Last: an interrupted derivation is not taken for a whole one.
        _mark(folder, slug).write_text(_digest(layout, slug), "ascii")
    return changed


def _mark(folder: Path, slug: str) -> Path:
    return folder / f".{slug}.sha256"


def _recorded(folder: Path, slug: str) -> str:
    try:
        return _mark(folder, slug).read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _digest(layout: Layout, slug: str) -> str:
    laid = module_files(layout, slug)
    return files_digest(
        {
            "exercise.md": layout.solution(slug).read_bytes(),
            "checks.py": (layout.grader(slug) / "checks.py").read_bytes(),
            **{f"starter/{name}": data for name, data in laid.starter.items()},
            **{f"given/{name}": data for name, data in laid.given.items()},
        }
    )
