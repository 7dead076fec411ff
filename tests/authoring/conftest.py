"""What tests of authoring share: a clone with two modules as `course new` lays them out."""

import shutil
from pathlib import Path

import pytest

from coursework.authoring.derive import compare, write
from coursework.authoring.new import new_module
from coursework.layout import Layout

ROOT = Path(__file__).parents[2]
ALPHA, BETA = "10-alpha", "20-beta"


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory) -> Layout:
    """Return the clone that the others are copies of; nobody changes it."""
    layout = Layout(tmp_path_factory.mktemp("laid-out") / "clone")
    layout.catalogue.parent.mkdir(parents=True)
    layout.catalogue.write_text("# The modules.\n", "utf-8")
    shutil.copytree(ROOT / "images", layout.root / "images")
    new_module(layout, ALPHA, "First steps")
    new_module(layout, BETA)
    return layout


@pytest.fixture
def clone(laid_out, tmp_path) -> Layout:
    """Return a clone with two modules to change at will."""
    shutil.copytree(laid_out.root, tmp_path / "clone")
    return Layout(tmp_path / "clone")


def edit(layout: Layout, name: str, old: str, new: str) -> None:
    """Replace a text that stands in a file; a test that changes nothing tests nothing."""
    path = layout.root / name
    text = path.read_text("utf-8")
    assert old in text, f"{name} does not hold {old!r}"
    path.write_text(text.replace(old, new), "utf-8")


def build(layout: Layout, slug: str = ALPHA) -> None:
    """Derive a module's exercise again."""
    for difference in compare(layout, slug):
        write(difference)


def tree(root: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
