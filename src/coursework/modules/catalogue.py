"""The course's modules, read from course/catalogue.toml."""

import difflib
import itertools
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from coursework.layout import Layout
from coursework.trouble import CourseError

# The image of the node in which a cluster runs.
CLUSTER_IMAGE = "course/kubernetes:1"
# A letter follows where one topic has several exercises: 33, 33b, 33c.
NUMBER = r"\d\d[a-z]?"
_SLUG = re.compile(NUMBER + r"-[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True)
class Module:
    """One lesson with its exercise, as the catalogue describes it.

    Args:
        slug: folder name everywhere, such as `02-first-server`.
        title: the heading a learner sees.
        part: the part of the course that it belongs to; menu and map are grouped by it.
        objectives: what the learner can do afterwards, each a phrase after "can".
        requires: slugs of modules to take before.
        minutes: time for lesson and exercise together.
        images: base images that the exercise may build on.
        lesson_images: further images that only the lesson runs.
        check_images: images that checks start beside the answer.
        cluster_images: images that the answer's manifests may name; the module needs a cluster
            where there is one.
        sandbox: whether its checks run commands against an engine of their own.
    """

    slug: str
    title: str
    part: str
    objectives: tuple[str, ...]
    requires: tuple[str, ...]
    minutes: int
    images: tuple[str, ...]
    lesson_images: tuple[str, ...] = ()
    check_images: tuple[str, ...] = ()
    cluster_images: tuple[str, ...] = ()
    sandbox: bool = False

    @property
    def number(self) -> str:
        """What its slug begins with, such as `02` or `33b`."""
        return self.slug.partition("-")[0]

    @property
    def label(self) -> str:
        """Its number and title, as menus show them."""
        return f"{self.number} · {self.title}"

    @property
    def all_images(self) -> tuple[str, ...]:
        """Every image that the module needs, each once."""
        groups = (self.images, self.lesson_images, self.check_images, self.cluster_images)
        node = (CLUSTER_IMAGE,) if self.cluster_images else ()
        return tuple(dict.fromkeys(itertools.chain(*groups, node)))


@dataclass(frozen=True)
class Catalogue:
    """All modules in course order."""

    modules: tuple[Module, ...]

    def parts(self) -> list[tuple[str, list[Module]]]:
        """Return the name of each part with its modules, in course order."""
        grouped = itertools.groupby(self.modules, key=lambda module: module.part)
        return [(part, list(modules)) for part, modules in grouped]

    def find(self, name: str) -> Module:
        """Find a module by its slug, its number or its name without the number.

        Raises:
            CourseError: no module or several carry that name; up to three similar ones are named.
        """
        wanted = name.strip("/")
        exact = [m for m in self.modules if m.slug == wanted]
        found = exact or [m for m in self.modules if wanted in (m.number, m.slug.partition("-")[2])]
        if len(found) == 1:
            return found[0]
        similar = difflib.get_close_matches(wanted, [m.slug for m in self.modules], 3, 0.4)
        raise CourseError(
            f"There is no module {name!r}.",
            why=f"similar names: {', '.join(similar)}" if similar else "no name is similar",
            fix="course list",
        )


def _module(entry: dict[str, Any], source: Path) -> Module:
    known = {f.name for f in fields(Module)}
    where = entry.get("slug", "an entry without slug")
    if surplus := sorted(set(entry) - known):
        raise CourseError(f"{source}: {where} has unknown keys: {', '.join(surplus)}.")
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
    try:
        module = Module(**values)
    except TypeError as error:
        raise CourseError(f"{source}: {where} is incomplete.", why=str(error)) from error
    if not isinstance(module.sandbox, bool):
        raise CourseError(f"{source}: {where} says sandbox = {module.sandbox!r}: true or false.")
    if not _SLUG.fullmatch(module.slug):
        raise CourseError(f"{source}: {module.slug!r} is no slug of the form 02-first-server.")
    return module


def load_catalogue(layout: Layout) -> Catalogue:
    """Read the catalogue of a clone.

    Raises:
        CourseError: the file is not TOML, or an entry is incomplete, unknown or double.
    """
    source = layout.catalogue
    try:
        content = tomllib.loads(source.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"{source} cannot be read.", why=str(error)) from error
    entries = content.pop("module", [])
    if content or not isinstance(entries, list):
        raise CourseError(
            f"{source} cannot be read.", why="it holds something else than [[module]] entries"
        )
    modules = tuple(_module(entry, source) for entry in entries)
    slugs = [m.slug for m in modules]
    if double := {s for s in slugs if slugs.count(s) > 1}:
        raise CourseError(f"{source}: listed twice: {', '.join(sorted(double))}.")
    return Catalogue(modules)
