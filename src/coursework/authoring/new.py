"""Beginning a module: everything it needs, laid out whole or not at all."""

import json
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from coursework.authoring.build import compare, write
from coursework.authoring.catalogue_text import with_entry
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

ROOMS = ("course", "solutions", "graders", "exercises")
_SLUG = re.compile(r"\d\d-[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LIMIT_SLUG_CHARACTERS = 40
_ENDING = ".in"
_FIRST_PART = "Part one"
_CATALOGUE_ENTRY = "catalogue_entry.toml.in"


def new_module(layout: Layout, slug: str, title: str | None = None) -> list[Path]:
    """Lay out a module that passes its own audit.

    Args:
        layout: the clone.
        slug: such as `05-web-sockets`.
        title: the heading; made from the slug by default.

    Returns:
        The files, without those of exercises/.

    Raises:
        CourseError: the name is bad or taken; nothing was changed.
    """
    _refuse_name(layout, slug)
    words = _words(layout, slug, title)
    old = layout.catalogue.read_bytes()
    entry = _filled((files(__package__) / "templates" / _CATALOGUE_ENTRY).read_text("utf-8"), words)
    catalogue = with_entry(old.decode("utf-8"), entry, slug[:2])
    with _stage(layout) as stage:
        _lay_templates(stage.root, slug, words)
        stage.catalogue.write_text(catalogue, "utf-8", newline="\n")
        for difference in compare(stage, slug):
            write(difference)
        laid = [p for p in sorted(stage.root.rglob("*")) if p.is_file()]
        names = [p.relative_to(stage.root) for p in laid if p != stage.catalogue]
        _move(stage, layout, slug)
    return [layout.root / n for n in names if n.parts[0] != "exercises"]


def _refuse_name(layout: Layout, slug: str) -> None:
    if not _SLUG.fullmatch(slug) or len(slug) > _LIMIT_SLUG_CHARACTERS:
        raise CourseError(
            f"{slug!r} is no name for a module.",
            why="it is two digits, then lower-case words of a-z and 0-9, joined by hyphens,"
            f" at most {_LIMIT_SLUG_CHARACTERS} characters",
            fix="course new 05-web-sockets",
        )
    for module in load_catalogue(layout).modules:
        if module.slug[:2] == slug[:2]:
            raise CourseError(
                f"The number {slug[:2]} is taken.",
                why=f"course/catalogue.toml lists {module.slug}",
                fix=f"course new {_free_number(layout)}-{slug[3:]}",
            )
    for room in ROOMS:
        if (layout.root / room / slug).exists():
            raise CourseError(
                f"{room}/{slug} is there already, without an entry in the catalogue.",
                fix=f"move it away, then: course new {slug}",
            )


def _free_number(layout: Layout) -> str:
    taken = {m.slug[:2] for m in load_catalogue(layout).modules}
    return next((f"{n:02}" for n in range(1, 100) if f"{n:02}" not in taken), "99")


def _words(layout: Layout, slug: str, title: str | None) -> dict[str, str]:
    title = slug[3:].replace("-", " ").capitalize() if title is None else title.strip()
    if not title or not title.isprintable():
        raise CourseError(f"{title!r} is no title.", fix=f'course new {slug} --title "Web sockets"')
    modules = load_catalogue(layout).modules
    before = [m for m in modules if m.slug < slug]
    # A module usually continues the part of the one before it.
    part = [*before[-1:], *modules[:1]][0].part if modules else _FIRST_PART
    return {
        "slug": slug,
        "title": title,
        "title_as_toml": json.dumps(title, ensure_ascii=False),
        "part_as_toml": json.dumps(part, ensure_ascii=False),
        "requires": f'"{before[-1].slug}"' if before else "",
    }


def _filled(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace("{{" + name + "}}", value)
    return text


@contextmanager
def _stage(layout: Layout) -> Iterator[Layout]:
    """Make a clone to lay the module in; it is gone afterwards."""
    layout.state.mkdir(exist_ok=True)
    stage = Layout(Path(tempfile.mkdtemp(prefix="new-", dir=layout.state)))
    try:
        for room in ROOMS:
            (stage.root / room).mkdir()
        yield stage
    finally:
        shutil.rmtree(stage.root, ignore_errors=True)


def _lay_templates(root: Path, slug: str, words: dict[str, str]) -> None:
    for room in (files(__package__) / "templates").iterdir():
        if room.is_dir():
            _lay_folder(room, root / room.name / slug, words)


def _lay_folder(source: Traversable, target: Path, words: dict[str, str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for item in source.iterdir():
        if item.is_dir():
            _lay_folder(item, target / item.name, words)
        elif item.name.endswith(_ENDING):
            text = _filled(item.read_text("utf-8"), words)
            (target / item.name.removesuffix(_ENDING)).write_text(text, "utf-8", newline="\n")


def _move(stage: Layout, layout: Layout, slug: str) -> None:
    try:
        for room in ROOMS:
            (layout.root / room).mkdir(exist_ok=True)
            (stage.root / room / slug).rename(layout.root / room / slug)
        # Last: a module counts from the moment that the catalogue lists it.
        stage.catalogue.replace(layout.catalogue)
    except BaseException:
        if stage.catalogue.exists():
            _take_back(stage, layout, slug)
        raise


def _take_back(stage: Layout, layout: Layout, slug: str) -> None:
    for room in ROOMS:
        if not (stage.root / room / slug).exists():
            shutil.rmtree(layout.root / room / slug, ignore_errors=True)
