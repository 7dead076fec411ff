"""The map of all modules."""

import re

from coursework.modules.catalogue import Catalogue, Module
from coursework.publishing.roadmap import roadmap_svg


def module(slug, *requires, title="A title", part="Tools"):
    return Module(slug, title, part, ("do",), requires, 10, ())


def boxes(svg):
    """Return the place of each box by its link: x, y."""
    found = re.findall(r'<a href="([^"]*)"><rect x="(\d+)" y="(\d+)"', svg)
    return {link: (int(x), int(y)) for link, x, y in found}


def test_each_module_is_a_link_below_all_that_it_requires():
    modules = (module("01-a"), module("02-b", "01-a"), module("03-c", "01-a"),
               module("04-d", "02-b", "03-c"))  # fmt: skip
    svg = roadmap_svg(Catalogue(modules))
    places = boxes(svg)
    assert set(places) == {f"{m.slug}/" for m in modules}
    for m in modules:
        for before in m.requires:
            assert places[f"{before}/"][1] < places[f"{m.slug}/"][1]
    assert svg.count("<path") == 4


def test_each_part_begins_below_the_one_before_and_says_its_name():
    modules = (module("01-a"), module("02-b", "01-a"), module("03-c", part="Rush & co"),
               module("04-d", "01-a", part="Rush & co"))  # fmt: skip
    svg = roadmap_svg(Catalogue(modules))
    places = boxes(svg)
    headings = re.findall(r'<text class="part" x="0" y="(\d+)">([^<]*)<', svg)
    assert [name for _, name in headings] == ["Tools", "Rush &amp; co"]
    heights = {name: int(y) for y, name in headings}
    assert heights["Tools"] < places["01-a/"][1]
    assert places["02-b/"][1] < heights["Rush &amp; co"] < places["03-c/"][1]
    assert places["03-c/"][1] == places["04-d/"][1]


def test_no_two_boxes_overlap():
    modules = tuple(module(f"{n:02}-m") for n in range(1, 12))
    places = boxes(roadmap_svg(Catalogue(modules)))
    assert len(set(places.values())) == len(modules)


def test_a_title_is_text_in_lines_that_fit():
    long = "Locks & <races>: what two buyers of one seat see of each other in a database"
    svg = roadmap_svg(Catalogue((module("01-a", title=long),)))
    assert "<races>" not in svg
    lines = re.findall(r"<text x=[^>]*>([^<]*)<", svg)
    assert 2 <= len(lines) <= 4


def test_no_module_is_no_trouble():
    assert roadmap_svg(Catalogue(())).startswith("<svg")
