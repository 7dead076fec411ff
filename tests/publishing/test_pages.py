"""Pages of the course's own modules: an exercise's page holds the task and nothing of an answer."""

from pathlib import Path

import pytest

from coursework.authoring.solutions import solution_lines
from coursework.authoring.source import read_cells
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.modules.module_files import module_files
from coursework.publishing.pages import exercise_page, lesson_page
from coursework.trouble import CourseError
from tests.authoring.conftest import tree

LAYOUT = Layout(Path(__file__).parents[2])
CATALOGUE = load_catalogue(LAYOUT)


@pytest.mark.parametrize("module", CATALOGUE.modules, ids=lambda m: m.slug)
def test_no_line_of_a_solution_is_handed_out(module):
    source = read_cells(LAYOUT.solution(module.slug))
    # A server to repair shares lines with the repaired one: they are the learner's from the start.
    starter = module_files(LAYOUT, module.slug).starter
    begun = {name: {line.strip() for line in text.decode(errors="replace").split("\n")}
             for name, text in starter.items()}  # fmt: skip
    lines = [
        line
        for cell in source
        for line in solution_lines(cell)
        if cell.file != "package.json" and line not in begun.get(cell.file or "", ())
    ]
    assert lines
    files = tree(LAYOUT.exercise(module.slug).parent)
    texts = {n: d.decode(errors="replace").split("\n") for n, d in files.items()}
    texts["the page"] = exercise_page(LAYOUT, module).split("\n")
    for name, text in texts.items():
        stripped = {line.strip().rstrip(",").strip('"').removesuffix("\\n") for line in text}
        assert [line for line in lines if line in stripped] == [], name


@pytest.mark.parametrize("module", CATALOGUE.modules, ids=lambda m: m.slug)
def test_an_exercise_s_page_is_its_task(module):
    page = exercise_page(LAYOUT, module)
    assert page.startswith("# ")
    assert "make lab" in page
    assert "YOUR CODE HERE" not in page


def test_a_lesson_that_never_ran_is_no_page(tmp_path):
    import shutil

    layout = Layout(tmp_path / "clone")
    ignored = shutil.ignore_patterns("outputs.json")
    shutil.copytree(LAYOUT.root / "course", layout.root / "course", ignore=ignored)
    with pytest.raises(CourseError) as error:
        lesson_page(layout, CATALOGUE, CATALOGUE.modules[0])
    assert error.value.fix == f"course audit {CATALOGUE.modules[0].slug} --record"
