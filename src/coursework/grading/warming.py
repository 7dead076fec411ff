"""Folders whose builds fill a sandbox's cache before anybody's answer is built there."""

from collections.abc import Mapping
from pathlib import Path

from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.modules.module_files import module_files, right_answers

# What decides which packages a build installs.
_OF_A_BUILD = (
    "Dockerfile", ".dockerignore",
    "package.json", "package-lock.json", "requirements.txt", "pyproject.toml",
)  # fmt: skip


def warming_answers(layout: Layout, module: Module) -> list[dict[str, bytes]]:
    """Return folders whose builds leave the steps of a module's right answers in a cache.

    What the answers themselves say is left out: who looks through the cache finds no solution.

    Raises:
        CourseError: the exercise's source cannot be read.
    """
    from coursework.authoring.source import read_cells, reference_files  # noqa: PLC0415 - slow

    solution = reference_files(read_cells(layout.solution(module.slug)))
    laid = module_files(layout, module.slug)
    right = [solution, *right_answers(layout, module.slug).values()]
    return [laid.around(_without_words(files)) for files in right]


def _without_words(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: data if Path(name).name in _OF_A_BUILD else b"" for name, data in files.items()}
