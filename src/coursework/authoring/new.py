"""Beginning a module: everything it needs, laid out whole or not at all."""

import itertools
import json
import re
import shutil
from pathlib import Path

from coursework.authoring.derive import compare, write
from coursework.files import write_whole
from coursework.layout import Layout
from coursework.modules.catalogue import NUMBER, load_catalogue
from coursework.trouble import CourseError

ROOMS = ("course", "solutions", "graders", "exercises")
_SLUG = re.compile(rf"({NUMBER})-([a-z][a-z0-9]*(-[a-z0-9]+)*)")
_LIMIT_SLUG_CHARACTERS = 40
_ENDING = ".in"
_FIRST_PART = "Part one"
_TEMPLATES = Path(__file__).with_name("templates")
_ENTRY = re.compile(r"^\[\[module\]\]", re.MULTILINE)
_NUMBER = re.compile(rf'^slug = "({NUMBER})-', re.MULTILINE)


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
    number = _number_of(layout, slug)
    words = _words(layout, slug, title)
    entry = _filled((_TEMPLATES / "catalogue_entry.toml.in").read_text("utf-8"), words)
    catalogue = _with_entry(layout.catalogue.read_text("utf-8"), entry, number)
    try:
        _lay_templates(layout, slug, words)
        for difference in compare(layout, slug):
            write(difference)
        # Last: a module counts from the moment that the catalogue lists it.
        write_whole(layout.catalogue, catalogue.encode())
    except BaseException:
        for room in ROOMS:
            shutil.rmtree(layout.root / room / slug, ignore_errors=True)
        raise
    written = [p for room in ROOMS[:-1] for p in (layout.root / room / slug).rglob("*")]
    return sorted(path for path in written if path.is_file())


def _number_of(layout: Layout, slug: str) -> str:
    """Return what a slug begins with, once it is known to be no bad or taken name."""
    parts = _SLUG.fullmatch(slug)
    if not parts or len(slug) > _LIMIT_SLUG_CHARACTERS:
        raise CourseError(
            f"{slug!r} is no name for a module.",
            why="it is two digits, a letter if several belong together, then lower-case words"
            f" of a-z and 0-9, joined by hyphens, at most {_LIMIT_SLUG_CHARACTERS} characters",
            fix="course new 05-web-sockets",
        )
    for module in load_catalogue(layout).modules:
        if module.number == parts[1]:
            raise CourseError(
                f"The number {parts[1]} is taken.",
                why=f"course/catalogue.toml lists {module.slug}",
                fix=f"course new {_free_number(layout)}-{parts[2]}",
            )
    for room in ROOMS:
        if (layout.root / room / slug).exists():
            raise CourseError(
                f"{room}/{slug} is there already, without an entry in the catalogue.",
                fix=f"move it away, then: course new {slug}",
            )
    return parts[1]


def _free_number(layout: Layout) -> str:
    taken = {m.number for m in load_catalogue(layout).modules}
    return next((f"{n:02}" for n in range(1, 100) if f"{n:02}" not in taken), "99")


def _words(layout: Layout, slug: str, title: str | None) -> dict[str, str]:
    title = (
        slug.partition("-")[2].replace("-", " ").capitalize() if title is None else title.strip()
    )
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


def _lay_templates(layout: Layout, slug: str, words: dict[str, str]) -> None:
    for template in _TEMPLATES.rglob(f"*/*{_ENDING}"):
        room, *names = template.relative_to(_TEMPLATES).with_suffix("").parts
        target = layout.root.joinpath(room, slug, *names)
        write_whole(target, _filled(template.read_text("utf-8"), words).encode())


def _with_entry(text: str, entry: str, number: str) -> str:
    """Return the catalogue's text with an entry before the first one of a greater number.

    Args:
        text: of the catalogue.
        entry: begins with [[module]].
        number: what its slug begins with.
    """
    text = text.rstrip("\n") + "\n"
    starts = [match.start() for match in _ENTRY.finditer(text)]
    for start, end in itertools.pairwise([*starts, len(text)]):
        found = _NUMBER.search(text, start, end)
        if found and found[1] > number:
            place = _with_comments_above(text, start)
            return f"{text[:place]}{entry.strip()}\n\n{text[place:]}"
    return f"{text}\n{entry.strip()}\n"


def _with_comments_above(text: str, start: int) -> int:
    """Return where the comment lines right above an entry begin."""
    while start > 0:
        previous = text.rfind("\n", 0, start - 1) + 1
        if not text[previous:start].startswith("#"):
            break
        start = previous
    return start
