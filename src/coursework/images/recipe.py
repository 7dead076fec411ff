"""What images/ says: a recipe for each base image, found by its folder."""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from coursework.layout import Layout
from coursework.trouble import CourseError

_NAME = re.compile(r"# image: (\S+)")
_OWN = ("course/", "lantern/")
_FROM = re.compile(r"^FROM (\S+)", re.MULTILINE)
# A recipe that mounts `locks` is warmed with what these files pin; by the package manager's image.
_LOCK_FILES = {"node": "package-lock.json", "python": "requirements.txt"}


@dataclass(frozen=True)
class Recipe:
    """How one base image is made.

    Args:
        name: its official name and tag.
        folder: with its Dockerfile and what that copies.
        needs: names of the course's images that it is built on.
        locks: lock files whose packages it carries, the same on every machine in the same order.
        digest: changes when any of these does.
        stem: changes when its folder or what it is built on does; packages it carries leave it.
    """

    name: str
    folder: Path
    needs: tuple[str, ...]
    locks: tuple[Path, ...]
    digest: str
    stem: str

    @property
    def is_official(self) -> bool:
        """Whether a registry has it; the course's own names are never asked of anybody."""
        return not self.name.startswith(_OWN)


def _lock_files(layout: Layout, folder: Path) -> tuple[Path, ...]:
    wanted = _LOCK_FILES.get(folder.name)
    if wanted is None:
        return ()
    found = [
        *layout.root.glob(f"solutions/*/starter/**/{wanted}"),
        *layout.root.glob(f"solutions/*/given/**/{wanted}"),
        *layout.root.glob(f"graders/*/right/**/{wanted}"),
    ]
    # Several folders hold equal locks: each content counts once.
    by_content = {p.read_bytes(): p for p in sorted(found, reverse=True)}
    return tuple(sorted(by_content.values()))


def _digest(files: Iterable[Path], needs: Iterable[str]) -> str:
    content = [(p.name, hashlib.sha256(p.read_bytes()).hexdigest()) for p in files]
    return hashlib.sha256(json.dumps([content, list(needs)]).encode()).hexdigest()[:16]


def _read(layout: Layout, folder: Path) -> tuple[str, tuple[str, ...]]:
    text = (folder / "Dockerfile").read_text("utf-8")
    name = _NAME.match(text)
    if not name:
        raise CourseError(
            f"{folder.relative_to(layout.root)}/Dockerfile does not say which image it makes.",
            fix="begin it with a line such as: # image: node:24-slim",
        )
    return name[1], tuple(dict.fromkeys(n for n in _FROM.findall(text) if ":" in n))


@cache
def load_recipes(layout: Layout) -> dict[str, Recipe]:
    """Read all recipes of a clone, by image name, each after those that it needs.

    Raises:
        CourseError: a Dockerfile does not name its image, or needs one that no folder makes.
    """
    read = {}
    for file in sorted((layout.root / "images").glob("*/Dockerfile")):
        name, needs = _read(layout, file.parent)
        read[name] = (file.parent, needs)
    recipes: dict[str, Recipe] = {}
    stems: dict[str, str] = {}
    for name in _in_order({n: needs for n, (_, needs) in read.items()}):
        folder, needs = read[name]
        locks = _lock_files(layout, folder)
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        # The packages that an image carries change nothing of what is built on it.
        stems[name] = _digest(files, (stems[n] for n in needs))
        digest = _digest(locks, (stems[name],))
        recipes[name] = Recipe(name, folder, needs, locks, digest, stems[name])
    return recipes


def _in_order(needs: dict[str, tuple[str, ...]]) -> list[str]:
    for name, others in needs.items():
        if absent := [other for other in others if other not in needs]:
            raise CourseError(f"No folder of images/ makes {absent[0]}.", why=f"{name} needs it")
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise CourseError("Images need each other.", why=" → ".join(error.args[1])) from error
