"""Submissions are found in three forms; names of learners never become paths."""

import json
import os
import stat
import zipfile

import pytest

from coursework.cohort.source import answered_module, find_submissions, identifier
from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import LIMIT_NOTEBOOK_BYTES
from coursework.trouble import CourseError

SLUG = "02-first-server"


def names(found):
    return [s.learner for s in found]


def test_nbgraders_tree_gives_each_learner_of_the_module(tmp_path):
    for learner, slug in (("ada", SLUG), ("bob", SLUG), ("cy", "01-http")):
        (tmp_path / learner / slug).mkdir(parents=True)
        (tmp_path / learner / slug / "exercise.ipynb").write_text(learner)
    found = find_submissions(tmp_path, SLUG)
    assert names(found) == ["ada", "bob"]
    assert found[1].read() == b"bob"


def test_who_handed_in_under_another_name_is_told_and_not_lost(tmp_path):
    (tmp_path / "ada" / SLUG).mkdir(parents=True)
    (tmp_path / "ada" / SLUG / "homework.ipynb").write_text("{}")
    (submission,) = find_submissions(tmp_path, SLUG)
    with pytest.raises(SubmissionError, match=r"exercise\.ipynb cannot be read"):
        submission.read()


def test_a_folder_gives_each_notebook(tmp_path):
    for learner in ("ada", "bob"):
        (tmp_path / f"{learner}.ipynb").write_text(learner)
    assert names(find_submissions(tmp_path, SLUG)) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("member", "learner"),
    [
        ("doejane_4711_88123_exercise.ipynb", "doejane_4711"),
        ("doejane_LATE_4711_88123_exercise-2.ipynb", "doejane_4711"),
        ("Jane Doe_4711_assignsubmission_file/exercise.ipynb", "Jane-Doe_4711-"),
        ("2027/Jane_4711_assignsubmission_file_/exercise.ipynb", "Jane_4711"),
        ("../../x_4711_assignsubmission_file/exercise.ipynb", "x_4711"),
    ],
)
def test_a_zip_of_an_lms_gives_each_learner(tmp_path, member, learner):
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("readme.txt", "not a submission")
        archive.writestr(member, "{}")
    (submission,) = find_submissions(source, SLUG)
    assert submission.learner.startswith(learner)
    assert submission.read() == b"{}"


def test_a_bomb_in_a_zip_is_read_to_the_limit_only(tmp_path):
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ada_1_2_exercise.ipynb", b"\0" * (LIMIT_NOTEBOOK_BYTES + 10**7))
    (submission,) = find_submissions(source, SLUG)
    assert len(submission.read()) == LIMIT_NOTEBOOK_BYTES + 1


def test_a_link_in_a_zip_is_none_of_ours(tmp_path):
    source = tmp_path / "all.zip"
    member = zipfile.ZipInfo("ada_1_2_exercise.ipynb")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    (submission,) = find_submissions(source, SLUG)
    with pytest.raises(SubmissionError):
        submission.read()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_read(tmp_path, kind):
    path = tmp_path / "ada.ipynb"
    made = {
        "link": lambda: path.symlink_to("/etc/passwd"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }
    made[kind]()
    (submission,) = find_submissions(tmp_path, SLUG)
    with pytest.raises(SubmissionError, match="cannot be read"):
        submission.read()


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x", "a b", "ä", "\x1b[2J", "-rf", "a" * 300, ""]
)
def test_a_name_becomes_an_identifier_that_is_no_path(name):
    made = identifier(name)
    assert "/" not in made
    assert made.isascii()
    assert made.isprintable()
    assert not made.startswith((".", "-"))
    assert len(made) <= 80
    assert made != identifier(f"{name}x")


def test_a_source_without_submissions_names_the_three_forms(tmp_path):
    with pytest.raises(CourseError, match="Canvas"):
        find_submissions(tmp_path, SLUG)


def test_a_damaged_zip_is_told(tmp_path):
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("ada_1_2_exercise.ipynb", "{}")
    source.write_bytes(source.read_bytes()[:-30])
    with pytest.raises(CourseError):
        find_submissions(source, SLUG)


def test_two_notebooks_of_one_learner_are_told(tmp_path):
    source = tmp_path / "all.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for number in (1, 2):
            archive.writestr(f"ada_1_{number}_exercise.ipynb", "{}")
    with pytest.raises(CourseError, match="ada_1 has handed in twice"):
        find_submissions(source, SLUG)


def notebook(module):
    metadata = {"coursework": {"module": module}} if module else {}
    cell = {"cell_type": "code", "source": "%%writefile server.py\n", "metadata": {}}
    return json.dumps({"nbformat": 4, "cells": [cell], "metadata": metadata})


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        ([SLUG, SLUG], SLUG),
        ([SLUG, None], SLUG),
        ([SLUG, "../.."], SLUG),
        ([None], ""),
        ([], ""),
    ],
)
def test_submissions_say_which_module_they_answer(tmp_path, modules, found):
    (tmp_path / "damaged.ipynb").write_text("{")
    with zipfile.ZipFile(tmp_path / "lms.zip", "w") as archive:
        archive.writestr("readme.txt", "")
        for number, module in enumerate(modules):
            (tmp_path / f"l{number}.ipynb").write_text(notebook(module))
            archive.writestr(f"doe_{number}_1_exercise.ipynb", notebook(module))
    for source in (tmp_path, tmp_path / "lms.zip"):
        assert answered_module(source, ["01-http", SLUG]) == found
    assert answered_module(tmp_path / "nowhere", [SLUG]) == ""


def test_a_tree_says_it_by_its_folders(tmp_path):
    (tmp_path / "ada" / SLUG).mkdir(parents=True)
    (tmp_path / "other.ipynb").write_text(notebook("01-http"))
    assert answered_module(tmp_path, ["01-http", SLUG]) == SLUG
    (tmp_path / "bob" / "01-http").mkdir(parents=True)
    with pytest.raises(CourseError, match="several modules") as refused:
        answered_module(tmp_path, ["01-http", SLUG])
    assert refused.value.fix == f"course grade {tmp_path} --module 01-http"


def test_a_folder_of_several_modules_is_asked_about(tmp_path):
    for module in ("01-http", SLUG):
        (tmp_path / f"{module}.ipynb").write_text(notebook(module))
    with pytest.raises(CourseError, match="several modules"):
        answered_module(tmp_path, ["01-http", SLUG])
