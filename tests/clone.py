"""Clones for tests: of this course, and of the tiny one alone."""

import os
import shutil
from pathlib import Path

from coursework.layout import Layout

ROOT = Path(__file__).parents[1]
TINY = ROOT / "tests" / "tiny"


# Modules of this process: what tests of them leave is removed at its end.
OWN: set[str] = set()


def own(slug: str) -> str:
    """Return a module's name that no other process uses: what it makes is this process's alone."""
    OWN.add(mine := f"{slug}-{os.getpid()}")
    return mine


def tiny_clone(root: Path, slug: str) -> Layout:
    """Make a clone whose only module is the tiny one, under another name, without base images."""
    shutil.copytree(TINY, root)
    _rename(root, slug)
    layout = Layout(root)
    text = layout.catalogue.read_text("utf-8").replace('["python:3.13-slim"]', "[]")
    layout.catalogue.write_text(text, "utf-8")
    return layout


def clone_with_tiny(root: Path, slug: str = "90-tiny") -> Layout:
    """Make a clone of this course in which the tiny module is one more, by this name."""
    for folder in ("course", "graders", "images", "solutions"):
        shutil.copytree(ROOT / folder, root / folder)
    ours = Layout(root).catalogue.read_text("utf-8")
    shutil.copytree(TINY, root, dirs_exist_ok=True)
    _rename(root, slug)
    text = f"{ours}\n{Layout(root).catalogue.read_text('utf-8')}"
    Layout(root).catalogue.write_text(text, "utf-8")
    return Layout(root)


def _rename(root: Path, slug: str) -> None:
    for folder in ("graders", "solutions"):
        (root / folder / "90-tiny").rename(root / folder / slug)
    catalogue = Layout(root).catalogue
    catalogue.write_text(catalogue.read_text("utf-8").replace("90-tiny", slug), "utf-8")
