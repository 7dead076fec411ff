"""The map of all modules: a picture whose boxes are links, part by part, from the catalogue."""

import textwrap
from collections.abc import Iterator, Mapping
from html import escape

from coursework.modules.catalogue import Catalogue, Module

_WIDTH, _HEIGHT = 300, 96
_GAP_X, _GAP_Y = 24, 44
_HEADING = 52
_COLUMNS = 2
_LINE_CHARACTERS = 30


def roadmap_svg(catalogue: Catalogue) -> str:
    """Return the map as one line of SVG; each box links to its lesson from the site's root."""
    corners: dict[str, tuple[int, int]] = {}
    headings: list[str] = []
    bottom = 0
    for part, modules in catalogue.parts():
        headings.append(f'<text class="part" x="0" y="{bottom + 30}">{escape(part)}</text>')
        corners |= _corners(modules, bottom + _HEADING)
        bottom = max(corners[m.slug][1] for m in modules) + _HEIGHT + _GAP_Y
    width = max((x for x, _ in corners.values()), default=0) + _WIDTH + 4
    height = max(bottom - _GAP_Y, 0) + 4
    boxes = (_box(m, corners[m.slug]) for m in catalogue.modules)
    drawn = [*_lines(catalogue, corners), *headings, *boxes]
    return (
        f'<svg class="roadmap" viewBox="-2 -2 {width} {height}" style="max-width: {width}px"'
        f' role="img" aria-label="Map of the modules">{"".join(drawn)}</svg>'
    )


def _corners(modules: list[Module], top: int) -> dict[str, tuple[int, int]]:
    """Return the corner of each box of a part: below all boxes of the part that it requires."""
    depths: dict[str, int] = {}
    for module in modules:
        depths[module.slug] = 1 + max((depths.get(r, 0) for r in module.requires), default=0)
    corners: dict[str, tuple[int, int]] = {}
    for depth in sorted(set(depths.values())):
        level = [slug for slug, of in depths.items() if of == depth]
        for number, slug in enumerate(level):
            row, column = divmod(number, _COLUMNS)
            corners[slug] = (column * (_WIDTH + _GAP_X), top + row * (_HEIGHT + _GAP_Y))
        top = max(y for _, y in corners.values()) + _HEIGHT + _GAP_Y
    return corners


def _lines(catalogue: Catalogue, corners: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    for module in catalogue.modules:
        x, y = corners[module.slug]
        for slug in module.requires:
            from_x, from_y = corners[slug]
            start = f"{from_x + _WIDTH // 2} {from_y + _HEIGHT}"
            yield f'<path d="M{start} L{x + _WIDTH // 2} {y}"/>'


def _box(module: Module, corner_of_box: tuple[int, int]) -> str:
    x, y = corner_of_box
    title = textwrap.wrap(module.label, _LINE_CHARACTERS)[:3]
    texts = [
        f'<text x="{x + 14}" y="{y + 26 + 21 * n}">{escape(t)}</text>' for n, t in enumerate(title)
    ]
    corner = f'x="{x + _WIDTH - 12}" y="{y + _HEIGHT - 8}"'
    return (
        f'<a href="{module.slug}/"><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}"'
        f' rx="8"/>{"".join(texts)}'
        f'<text class="minutes" {corner} text-anchor="end">{module.minutes} min</text></a>'
    )
