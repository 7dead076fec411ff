"""What a person points `course check` at is understood, or asked back."""

import json
import os
import shutil

import pytest

from coursework.layout import Layout
from coursework.submissions.target import find_target
from coursework.trouble import CourseError
from tests.grading.test_grade import TINY


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Return a clone with one module that has been begun."""
    shutil.copytree(TINY.root, tmp_path / "clone")
    layout = Layout(tmp_path / "clone")
    work = layout.work("90-tiny")
    work.mkdir(parents=True)
    cell = {"cell_type": "code", "source": "%%writefile server.py\nserve()", "metadata": {}}
    content = {"nbformat": 4, "cells": [cell], "metadata": {"coursework": {"module": "90-tiny"}}}
    (work / "exercise.ipynb").write_text(json.dumps(content), "utf-8")
    monkeypatch.chdir(layout.root)
    return layout


@pytest.mark.parametrize("text", ["90-tiny", "90", "work/90-tiny", "work/90-tiny/exercise.ipynb"])
def test_a_notebook_is_found_by_all_its_names(clone, text):
    """Module, folder and file lead to the same notebook."""
    target = find_target(clone, text)
    assert target.path.resolve() == clone.work("90-tiny") / "exercise.ipynb"
    assert target.module.slug == "90-tiny"
    assert target.read().files == {"server.py": b"serve()\n"}


@pytest.mark.parametrize("text", ["90-tiny", "work/90-tiny"])
def test_a_renamed_notebook_is_found(clone, text):
    """By what it says it is, also from inside its folder."""
    work = clone.work("90-tiny")
    (work / "exercise.ipynb").rename(work / "mine.ipynb")
    assert find_target(clone, text).path == work / "mine.ipynb"


def test_a_folder_of_files_stays_one_where_a_notebook_lies_in_it(clone, tmp_path):
    """Outside of work/ only exercise.ipynb makes a folder a notebook."""
    folder = tmp_path / "answer"
    folder.mkdir()
    (folder / "server.py").write_text("x", "utf-8")
    shutil.copy(clone.work("90-tiny") / "exercise.ipynb", folder / "old.ipynb")
    assert not find_target(clone, str(folder), "90").is_notebook


def test_without_a_name_the_current_folder_is_meant(clone, monkeypatch):
    """In a module's work folder no name is needed."""
    monkeypatch.chdir(clone.work("90-tiny"))
    assert find_target(clone, None).is_notebook


def test_a_moved_notebook_names_its_module_itself(clone, tmp_path):
    """A copy anywhere is understood by its metadata."""
    shutil.copy(clone.work("90-tiny") / "exercise.ipynb", tmp_path / "mine.ipynb")
    assert find_target(clone, str(tmp_path / "mine.ipynb")).module.slug == "90-tiny"


def test_a_folder_of_files_is_an_answer(clone, tmp_path):
    """A plain folder is read as it is; --module says what it answers."""
    folder = tmp_path / "answer"
    folder.mkdir()
    (folder / "server.py").write_text("x", "utf-8")
    with pytest.raises(CourseError, match="does not tell which module") as error:
        find_target(clone, str(folder))
    assert "--module" in error.value.fix
    assert find_target(clone, str(folder), "90").read().files == {"server.py": b"x"}


def test_a_module_that_is_not_begun_says_how_to_begin(clone):
    """The message names the command."""
    shutil.rmtree(clone.work("90-tiny"))
    with pytest.raises(CourseError, match="not begun") as error:
        find_target(clone, "90-tiny")
    assert error.value.fix == "course start 90-tiny"


def test_files_that_differ_from_their_cells_are_named(clone):
    """A file changed in an editor is not what is graded: the warning says so."""
    target = find_target(clone, "90")
    file = clone.work("90-tiny") / "server.py"
    assert target.differences(target.read()) == ()
    file.write_text("serve()\n", "utf-8")
    assert target.differences(target.read()) == ()
    file.write_text("other()\n", "utf-8")
    assert "server.py on disk differs" in target.differences(target.read())[0]


def test_a_difference_says_which_is_newer(clone):
    """The file, or the saved cell; the cell is what was checked."""
    target = find_target(clone, "90")
    file = clone.work("90-tiny") / "server.py"
    file.write_text("other()\n", "utf-8")
    saved_at = target.path.stat().st_mtime_ns
    os.utime(file, ns=(saved_at + 1, saved_at + 1))
    (newer,) = target.differences(target.read())
    assert "the file is newer. Save the notebook" in newer
    os.utime(file, ns=(saved_at - 1, saved_at - 1))
    (older,) = target.differences(target.read())
    assert "Run it to write the file" in older
