"""nbgrader's source versions: exercises with their solutions, derived from solutions/."""

import shutil
from pathlib import Path

from coursework.authoring.derive import derive_source
from coursework.files import files_digest, lay_files
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.modules.module_files import module_files


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
