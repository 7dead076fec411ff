"""The map of all modules: a picture whose boxes are links, drawn from the catalogue alone."""

import textwrap
from collections.abc import Iterator, Mapping
from html import escape

from coursework.modules.catalogue import Catalogue, Module

_WIDTH, _HEIGHT = 300, 96
_GAP_X, _GAP_Y = 24, 44
_COLUMNS = 2
_LINE_CHARACTERS = 30


def roadmap_svg(catalogue: Catalogue) -> str:
    """Give the map as one line of SVG; each box links to its lesson, seen from the site's root."""
    places = _places(catalogue)
    columns = 1 + max((column for column, _ in places.values()), default=0)
    rows = 1 + max((row for _, row in places.values()), default=0)
    width = columns * (_WIDTH + _GAP_X) - _GAP_X + 4
    height = rows * (_HEIGHT + _GAP_Y) - _GAP_Y + 4
    drawn = [*_lines(catalogue, places), *(_box(m, places[m.slug]) for m in catalogue.modules)]
    return (
        f'<svg class="roadmap" viewBox="-2 -2 {width} {height}" style="max-width: {width}px"'
        f' role="img" aria-label="Map of the modules">{"".join(drawn)}</svg>'
    )


def _places(catalogue: Catalogue) -> dict[str, tuple[int, int]]:
    """Give column and row of each module: below all that it requires."""
    depths: dict[str, int] = {}
    for module in catalogue.modules:
        depths[module.slug] = 1 + max((depths.get(r, 0) for r in module.requires), default=0)
    places: dict[str, tuple[int, int]] = {}
    row = 0
    for depth in sorted(set(depths.values())):
        level = [slug for slug, of in depths.items() if of == depth]
        for number, slug in enumerate(level):
            places[slug] = (number % _COLUMNS, row + number // _COLUMNS)
        row += -(-len(level) // _COLUMNS)
    return places


def _lines(catalogue: Catalogue, places: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    for module in catalogue.modules:
        x, y = _corner(places[module.slug])
        for slug in module.requires:
            from_x, from_y = _corner(places[slug])
            start = f"{from_x + _WIDTH // 2} {from_y + _HEIGHT}"
            yield f'<path d="M{start} L{x + _WIDTH // 2} {y}"/>'


def _corner(place: tuple[int, int]) -> tuple[int, int]:
    return place[0] * (_WIDTH + _GAP_X), place[1] * (_HEIGHT + _GAP_Y)


def _box(module: Module, place: tuple[int, int]) -> str:
    x, y = _corner(place)
    title = textwrap.wrap(f"{module.slug[:2]} · {module.title}", _LINE_CHARACTERS)[:3]
    texts = [
        f'<text x="{x + 14}" y="{y + 26 + 21 * n}">{escape(t)}</text>' for n, t in enumerate(title)
    ]
    corner = f'x="{x + _WIDTH - 12}" y="{y + _HEIGHT - 8}"'
    return (
        f'<a href="{module.slug}/"><rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}"'
        f' rx="8"/>{"".join(texts)}'
        f'<text class="minutes" {corner} text-anchor="end">{module.minutes} min</text></a>'
    )
