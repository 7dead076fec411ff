"""The exercise's notebook is found by its name, else by what it says it is."""

import json
import os

import pytest

from coursework.modules.exercise_notebook import find_exercise


@pytest.fixture
def lay(tmp_path):
    """Return what writes a notebook that names a module, or another text, at a time."""

    def write(name, text=None, at=1_000):
        named = {"metadata": {"coursework": {"module": "02-first-server"}}, "cells": []}
        (tmp_path / name).write_text(json.dumps(named) if text is None else text, "utf-8")
        os.utime(tmp_path / name, (at, at))
        return tmp_path / name

    return write


def test_its_own_name_comes_first(lay, tmp_path):
    exercise = lay("exercise.ipynb", "{")
    lay("newer.ipynb", at=2_000)
    assert find_exercise(tmp_path) == exercise


def test_a_renamed_one_is_found_and_of_two_the_one_saved_last(lay, tmp_path):
    renamed = lay("my answer.ipynb")
    assert find_exercise(tmp_path) == renamed
    lay("older.ipynb", at=500)
    assert find_exercise(tmp_path) == renamed
    newer = lay("newer.ipynb", at=2_000)
    assert find_exercise(tmp_path) == newer


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lesson.ipynb", None),
        ("exercise.yours-2026-11-28-130000.ipynb", None),
        ("exercise.new-01234567.ipynb", None),
        ("of_no_module.ipynb", '{"metadata": {}}'),
        ("damaged.ipynb", '{"metadata"'),
        ("list.ipynb", "[]"),
        ("number.ipynb", '{"metadata": {"coursework": {"module": 7}}}'),
    ],
)
def test_others_are_none(lay, tmp_path, name, text):
    lay(name, text)
    assert find_exercise(tmp_path) is None


def test_no_folder_has_none(tmp_path):
    assert find_exercise(tmp_path / "nowhere") is None
