"""Where a learner is: by reports and changed files alone."""

import os

import pytest

from coursework.checks.verdict import CheckResult, Report
from coursework.layout import Layout
from coursework.modules.catalogue import Catalogue, Module
from coursework.modules.progress import (
    left_off,
    next_module,
    opened_images,
    record_report,
    standings,
    start_page,
)
from coursework.modules.workspace import start_modules

CATALOGUE = """
[[module]]
slug = "{slug}"
title = "{title}"
part = "{part}"
objectives = []
requires = {requires}
minutes = 5
images = []
"""
MODULES = (
    Module("10-a", "A", "Tools", (), (), 5, ("busybox:1.37",)),
    Module("11-b", "B", "Tools", (), ("12-c",), 5, ()),
    Module("12-c", "C", "Servers", (), ("10-a",), 5, ()),
)
ALL = Catalogue(MODULES)


@pytest.fixture
def clone(tmp_path):
    """Return a clone of three modules, laid out for a learner."""
    layout = Layout(tmp_path)
    layout.catalogue.parent.mkdir()
    texts = [
        CATALOGUE.format(slug=m.slug, title=m.title, part=m.part, requires=list(m.requires))
        for m in MODULES
    ]
    layout.catalogue.write_text("".join(texts).replace("'", '"'), "utf-8")
    for module in MODULES:
        layout.lesson(module.slug).parent.mkdir(parents=True)
        layout.lesson(module.slug).write_text("# A lesson\n", "utf-8")
        layout.exercise(module.slug).parent.mkdir(parents=True)
        layout.exercise(module.slug).write_text("{}", "utf-8")
    start_modules(layout)
    return layout


def report(slug, points):
    check = CheckResult("answers", "it answers", "passed" if points else "failed", points, 10)
    return Report(slug, "00000000", 7, (check,))


def states(layout):
    return [s.state for s in standings(layout, ALL)]


def write(layout, path, at):
    file = layout.root / "work" / path
    file.write_text("mine", "utf-8")
    os.utime(file, (at, at))


def test_on_the_first_day_all_is_open(clone):
    """Nothing was changed or checked: the lab opens the first lesson."""
    assert states(clone) == ["open"] * 3
    assert left_off(clone, ALL) == "10-a/lesson.ipynb"


def test_a_changed_file_or_a_failed_report_begins_a_module(clone):
    """Both count; the lab opens the notebook that was changed last."""
    write(clone, "10-a/lesson.ipynb", 1_000)
    write(clone, "12-c/exercise.ipynb", 2_000)
    record_report(clone, report("11-b", 0))
    assert states(clone) == ["begun"] * 3
    assert left_off(clone, ALL) == "12-c/exercise.ipynb"


def test_a_passed_module_is_left_behind(clone):
    """All points: passed. The next is the first whose required modules are passed."""
    write(clone, "10-a/exercise.ipynb", 1_000)
    told = record_report(clone, report("10-a", 10))
    assert states(clone) == ["passed", "open", "open"]
    assert next_module(standings(clone, ALL)) == MODULES[2]
    solution = "to see our solution beside yours: course solution 10-a"
    assert told.told == f"next: work/12-c/lesson.ipynb, C; {solution}"
    assert told.opens == "12-c/lesson.ipynb"
    assert left_off(clone, ALL) == "12-c/lesson.ipynb"


def test_a_failed_check_is_what_to_do_next(clone):
    """The first one that failed is named, with what to type."""
    assert 'check("answers")' in record_report(clone, report("10-a", 0)).told


def test_who_begins_in_the_middle_is_not_sent_back(clone):
    """The lab opens what was changed last, and after it the next one; earlier ones stay open."""
    write(clone, "10-a/lesson.ipynb", 1_000)
    write(clone, "12-c/exercise.ipynb", 2_000)
    more = Catalogue((*MODULES, Module("13-d", "D", "Servers", (), ("12-c",), 5, ())))
    record_report(clone, report("12-c", 10))
    found = standings(clone, more)
    assert next_module(found, "12-c") == more.modules[3]
    assert left_off(clone, more) == "13-d/lesson.ipynb"
    assert "**Next:** [D](13-d/lesson.ipynb)" in start_page(found)


def test_where_none_follows_the_course_begins_again(clone):
    """The last module was passed, and an earlier one is open."""
    assert record_report(clone, report("12-c", 10)).opens == "10-a/lesson.ipynb"


def test_a_notebook_that_the_course_laid_again_is_not_the_one_changed_last(clone):
    """Its time is newer than the learner's own change."""
    write(clone, "12-c/exercise.ipynb", 2_000)
    assert (clone.work("12-c") / "lesson.ipynb").stat().st_mtime > 2_000
    assert left_off(clone, ALL) == "12-c/exercise.ipynb"


def test_after_the_last_module_the_page_is_opened(clone):
    """All passed: there is nothing left to begin."""
    told = [record_report(clone, report(m.slug, 10)) for m in MODULES]
    assert told[-1].told.startswith("That was the last module")
    assert left_off(clone, ALL) == "START.md"


def test_the_page_shows_parts_points_and_links(clone):
    """work/START.md is rewritten after each whole report."""
    record_report(clone, report("10-a", 10))
    page = (clone.root / "work" / "START.md").read_text("utf-8")
    assert page == start_page(standings(clone, ALL))
    assert page.index("## Tools") < page.index("## Servers")
    assert (
        "| ✓ | [10 · A](10-a/lesson.ipynb) | [exercise](10-a/exercise.ipynb) | 10 of 10 |" in page
    )
    assert "**Next:** [C](12-c/lesson.ipynb)" in page


def test_a_report_that_cannot_be_read_counts_as_none(clone):
    """A half-written report is no trouble."""
    record_report(clone, report("10-a", 10))
    (clone.state / "reports" / "10-a.json").write_text("{", "utf-8")
    assert states(clone)[0] == "open"


def test_the_images_are_those_of_the_module_that_is_opened():
    """A lesson needs its module's; the page of all modules needs none."""
    assert opened_images(ALL, "10-a/lesson.ipynb") == ("busybox:1.37",)
    assert opened_images(ALL, "START.md") == ()
