"""A new module is laid out whole, or nothing is changed."""

import pytest

from coursework.authoring.new import new_module
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError
from tests.authoring.conftest import ALPHA, tree


def test_it_is_listed_at_its_place_and_requires_the_one_before(clone):
    """The entry stands by its number; every other line of the catalogue stays."""
    entries = [part.strip() for part in clone.catalogue.read_text("utf-8").split("[[module]]")]
    new_module(clone, "15-web-sockets", 'Sockets, "open" and shut')
    modules = load_catalogue(clone).modules
    assert [m.slug for m in modules] == ["10-alpha", "15-web-sockets", "20-beta"]
    assert modules[1].title == 'Sockets, "open" and shut'
    assert modules[1].requires == ("10-alpha",)
    assert modules[1].part == modules[0].part
    after = [part.strip() for part in clone.catalogue.read_text("utf-8").split("[[module]]")]
    assert after[:2] + after[3:] == entries


def test_the_title_comes_from_the_name(clone):
    """Without a title the words of the name are one."""
    new_module(clone, "30-rate-limits")
    assert load_catalogue(clone).find("30").title == "Rate limits"


def test_a_letter_lists_it_behind_the_number(clone):
    """Several exercises of one topic come in a row."""
    new_module(clone, "10b-more-alpha")
    slugs = [m.slug for m in load_catalogue(clone).modules]
    assert slugs == ["10-alpha", "10b-more-alpha", "20-beta"]
    with pytest.raises(CourseError, match="The number 10b is taken"):
        new_module(clone, "10b-other")


@pytest.mark.parametrize(
    ("slug", "title", "message"),
    [
        ("web-sockets", None, "no name for a module"),
        ("05-Web_Sockets", None, "no name for a module"),
        ("05-../../tmp", None, "no name for a module"),
        (f"05-{'x' * 60}", None, "no name for a module"),
        ("10-other", None, "The number 10 is taken"),
        ("05-sockets", "two\nlines", "is no title"),
        ("05-sockets", " ", "is no title"),
    ],
)
def test_what_cannot_be_laid_out_changes_nothing(clone, slug, title, message):
    """A bad or taken name, a bad title: a message, and every file as before."""
    before = tree(clone.root)
    with pytest.raises(CourseError, match=message):
        new_module(clone, slug, title)
    assert tree(clone.root) == before


def test_a_folder_that_is_there_is_never_overwritten(clone):
    """An author's half-begun folder is named, not touched."""
    path = clone.root / "graders" / "30-mine" / "checks.py"
    path.parent.mkdir()
    path.write_text("mine", "utf-8")
    before = tree(clone.root)
    with pytest.raises(CourseError, match="graders/30-mine is there already"):
        new_module(clone, "30-mine")
    assert tree(clone.root) == before


def test_a_damaged_catalogue_is_left_alone(clone):
    """The module cannot be listed: nothing is laid out."""
    clone.catalogue.write_text("[[module", "utf-8")
    before = tree(clone.root)
    with pytest.raises(CourseError, match="cannot be read"):
        new_module(clone, "30-mine")
    assert tree(clone.root) == before


def test_a_failure_halfway_is_taken_back(clone):
    """A room that cannot be written to: what was moved before it is gone again."""
    (clone.root / "exercises").rename(clone.root / "elsewhere")
    (clone.root / "exercises").write_text("a file where a folder should be", "utf-8")
    before = tree(clone.root)
    with pytest.raises((CourseError, OSError)):
        new_module(clone, "30-mine")
    assert {k: v for k, v in tree(clone.root).items() if not k.startswith(".course")} == before


def test_the_first_module_of_a_course_is_laid_out_too(laid_out, tmp_path):
    """A catalogue without any entry is a beginning, not damage."""
    from coursework.layout import Layout

    layout = Layout(tmp_path)
    layout.catalogue.parent.mkdir()
    layout.catalogue.write_text("", "utf-8")
    new_module(layout, ALPHA, "First steps")
    ours, theirs = (load_catalogue(x).find(ALPHA) for x in (layout, laid_out))
    assert ours == theirs
