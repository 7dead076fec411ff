"""The pages of a module: its lesson with real outputs, and what its exercise asks."""

import json
from pathlib import Path

from coursework.authoring.derive import derive_exercise, derive_lesson
from coursework.authoring.outputs import OUTPUTS, cells_digest, output_files, read_outputs
from coursework.authoring.source import read_cells
from coursework.layout import Layout
from coursework.modules.catalogue import Catalogue, Module
from coursework.publishing.text import cell_markdown
from coursework.trouble import CourseError


def module_pages(layout: Layout, catalogue: Catalogue) -> dict[str, str]:
    """Return the Markdown of each module's pages, by path below the site's pages.

    Raises:
        CourseError: a lesson has changed since it was run, or a source cannot be read.
    """
    pages = {}
    for module in catalogue.modules:
        pages[lesson_path(module)] = lesson_page(layout, catalogue, module)
        pages[exercise_path(module)] = exercise_page(layout, module)
    return pages


def lesson_pictures(layout: Layout, catalogue: Catalogue) -> dict[str, Path]:
    """Return the pictures that lessons' pages show, by path below the site's pages."""
    return {
        f"{module.slug}/{name}": layout.lesson(module.slug).with_name(name)
        for module in catalogue.modules
        for name in output_files(layout, module.slug) - {OUTPUTS}
    }


def lesson_path(module: Module) -> str:
    """Return the path of a lesson's page."""
    return f"{module.slug}/index.md"


def exercise_path(module: Module) -> str:
    """Return the path of an exercise's page."""
    return f"{module.slug}/exercise.md"


def lesson_page(layout: Layout, catalogue: Catalogue, module: Module) -> str:
    """Return the page of a lesson: what it leads to, its text, and what its cells printed.

    Raises:
        CourseError: the lesson's code has changed since its outputs were kept.
    """
    outputs = read_outputs(layout, module.slug)
    if outputs is None or outputs.code != cells_digest(read_cells(layout.lesson(module.slug))):
        raise CourseError(
            f"The lesson of {module.slug} has no outputs to publish.",
            why="none were recorded" if outputs is None else "they are older than its code",
            fix=f"course audit {module.slug} --record",
        )
    shown = iter(outputs.cells)
    cells = json.loads(derive_lesson(layout, module.slug))["cells"]
    first, *rest = [
        cell_markdown(cell, next(shown) if cell["cell_type"] == "code" else ()) for cell in cells
    ]
    heading, _, opening = first.partition("\n")
    texts = [heading, _facts(catalogue, module), opening, *rest]
    ending = (
        "## Now you\n\nThe exercise of this module is checked on your own machine:"
        " [read what it asks](exercise.md), then `make lab`"
        f" and open `{module.slug}/exercise.ipynb`."
    )
    return "\n\n".join([*texts, ending])


def _facts(catalogue: Catalogue, module: Module) -> str:
    before = [catalogue.find(slug) for slug in module.requires]
    links = ", ".join(f"[{m.label}](../{lesson_path(m)})" for m in before) or "nothing"
    goals = "\n".join(f"    - {text}" for text in module.objectives)
    return (
        f'!!! abstract "After this module you can"\n\n{goals}\n\n'
        f"    **Time** {module.minutes} minutes, exercise included · **Before it** {links}"
    )


def exercise_page(layout: Layout, module: Module) -> str:
    """Return the page that says what an exercise asks; nothing of an answer is on it.

    Raises:
        CourseError: the exercise cannot be derived.
    """
    notebook = json.loads(derive_exercise(layout, module.slug)["exercise.ipynb"])
    # Stubs and check cells are for notebooks.
    statement = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    first, *rest = map(cell_markdown, statement)
    heading, _, opening = first.partition("\n")
    how = (
        '!!! tip "Where you solve it"\n\n'
        f"    In your clone: `make lab`, then open `{module.slug}/exercise.ipynb`."
        f" The lesson is [here](index.md)."
    )
    return "\n\n".join([heading, how, opening, *rest])
