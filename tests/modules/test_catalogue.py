"""The catalogue is the only list of modules, and says what is wrong with itself."""

import pytest

from coursework.layout import Layout, find_layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.trouble import CourseError

ENTRY = """
[[module]]
slug = "{slug}"
title = "T"
part = "P"
objectives = ["o"]
requires = []
minutes = 5
images = []
"""


def catalogue(tmp_path, text):
    (tmp_path / "course").mkdir(exist_ok=True)
    (tmp_path / "course" / "catalogue.toml").write_text(text, "utf-8")
    return load_catalogue(Layout(tmp_path))


def test_modules_come_in_course_order():
    """The file's order is the course's order."""
    slugs = [m.slug for m in load_catalogue(find_layout()).modules]
    assert slugs == sorted(slugs)
    assert slugs[:3] == ["00-start", "01-http", "02-first-server"]


def test_all_images_of_a_module_are_each_named_once():
    """Whoever prepares a machine for a module needs what answers, lesson and checks start."""
    module = Module("01-a", "T", "P", ("o",), (), 5, ("a:1",), ("b:1", "a:1"), ("c:1",))
    assert module.all_images == ("a:1", "b:1", "c:1")


def test_a_module_asks_for_an_engine_of_its_own(tmp_path):
    """No module has one unless its entry says so."""
    text = ENTRY.format(slug="01-a") + ENTRY.format(slug="02-b") + "sandbox = true\n"
    assert [m.sandbox for m in catalogue(tmp_path, text).modules] == [False, True]


@pytest.mark.parametrize("name", ["02-first-server", "02", "first-server", "02-first-server/"])
def test_a_module_has_three_names(name):
    """Slug, number and name without number find the same module."""
    assert load_catalogue(find_layout()).find(name).slug == "02-first-server"


def test_an_unknown_module_is_answered_with_similar_ones():
    """A typing mistake is answered with the name that was meant."""
    with pytest.raises(CourseError, match="no module '02-frist-server'") as error:
        load_catalogue(find_layout()).find("02-frist-server")
    assert "02-first-server" in error.value.why


def test_exercises_of_one_topic_share_its_number(tmp_path):
    """A letter follows then, and each is found by number and letter."""
    text = "".join(ENTRY.format(slug=slug) for slug in ("33-a", "33b-c", "33c-d"))
    listed = catalogue(tmp_path, text)
    assert [listed.find(name).label for name in ("33", "33b", "d")] == [
        "33 · T",
        "33b · T",
        "33c · T",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[module", "cannot be read"),
        ("x = 1", "cannot be read"),
        ("[[module]]\nslug = '01-a'\n", "incomplete"),
        (ENTRY.format(slug="First Server"), "no slug of the form"),
        (ENTRY.format(slug="01-a") * 2, "listed twice: 01-a"),
        (ENTRY.format(slug="01-a") + "colour = 'red'\n", "unknown keys: colour"),
        (ENTRY.format(slug="01-a") + "sandbox = 'yes'\n", "sandbox = 'yes': true or false"),
    ],
)
def test_a_broken_catalogue_names_the_place(tmp_path, text, message):
    """Each mistake in the file is named with the entry that has it."""
    with pytest.raises(CourseError, match=message) as error:
        catalogue(tmp_path, text)
    assert "catalogue.toml" in str(error.value)
