"""A clone of this course for tests that run whole commands in one."""

import shutil
from pathlib import Path

from coursework.layout import Layout

ROOT = Path(__file__).parents[1]


def clone_with_tiny(root: Path) -> Layout:
    """Make a clone of this course in which the tiny module is one more."""
    for folder in ("course", "graders", "images", "solutions"):
        shutil.copytree(ROOT / folder, root / folder)
    ours = Layout(root).catalogue.read_text("utf-8")
    shutil.copytree(ROOT / "tests" / "tiny", root, dirs_exist_ok=True)
    text = f"{ours}\n{Layout(root).catalogue.read_text('utf-8')}"
    Layout(root).catalogue.write_text(text, "utf-8")
    return Layout(root)
