"""course similar: what an instructor types, sees and gets."""

import csv
import json

import pytest
from click.testing import CliRunner

from coursework.commands import similar
from coursework.trouble import CourseError
from tests.clone import clone_with_tiny
from tests.cohort.similarity.answers import COPIED, INDEPENDENT, RENAMED
from tests.learners import code_cell

SLUG = "90-tiny"


@pytest.fixture
def typed(tmp_path, monkeypatch):
    """Return what types the command in a clone, for a class of notebooks by learner."""
    layout = clone_with_tiny(tmp_path / "clone", SLUG)
    monkeypatch.chdir(layout.root)
    source = tmp_path / "in"
    source.mkdir()

    def type_(*words, **class_):
        for learner, server in class_.items():
            cells = [code_cell(f"%%writefile server.py\n{server}")]
            text = json.dumps({"nbformat": 4, "metadata": {}, "cells": cells})
            (source / f"{learner}.ipynb").write_text("{" if server == "{" else text, "utf-8")
        words = (str(source), "--module", "90", *words)
        return CliRunner().invoke(similar.command, words, standalone_mode=False)

    return type_


def test_a_pair_is_told_and_written_where_grades_are(typed, tmp_path):
    done = typed(ada=COPIED, bob=RENAMED, cy=INDEPENDENT)
    assert done.return_value == 0, done.stderr
    assert "ada, server.py and bob, server.py" in done.stderr
    assert "no proof" in done.stderr
    folder = tmp_path / "clone" / "classroom" / "grades"
    assert "BaseHTTPRequestHandler" in (folder / f"{SLUG}.similar.html").read_text("utf-8")
    with (folder / f"{SLUG}.similar.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["learner_a"], row["learner_b"]) == ("ada", "bob")


def test_a_damaged_notebook_is_named_and_the_others_are_compared(typed, tmp_path):
    done = typed("--out", str(tmp_path / "out"), ada=COPIED, bob=RENAMED, mallory="{")
    assert done.return_value == 2
    assert "! not compared: 1" in done.stderr
    assert "mallory: the notebook is damaged" in done.stderr
    page = (tmp_path / "out" / f"{SLUG}.similar.html").read_text("utf-8")
    assert "mallory: the notebook is damaged" in page
    assert "2 learners" in page


def test_a_class_without_pairs_is_told(typed):
    done = typed(ada=COPIED, cy=INDEPENDENT)
    assert done.return_value == 0
    assert done.stderr.strip().endswith("2 learners, 0 pairs")


def test_whose_a_path_is_can_be_described(typed, tmp_path):
    typed(ada=COPIED, bob=RENAMED)
    for learner in ("ada", "bob"):
        folder = tmp_path / "in" / f"lab-{learner}" / "deep"
        folder.mkdir(parents=True)
        (tmp_path / "in" / f"{learner}.ipynb").rename(folder / "work.ipynb")
    done = typed("--name-pattern", "lab-(?P<learner>[^/]+)/.*[.]ipynb")
    assert done.return_value == 0, done.stderr
    assert "ada, server.py and bob, server.py" in done.stderr


def test_help_has_an_example():
    told = CliRunner().invoke(similar.command, ["--help"]).output
    assert "course similar classroom/submitted --module 02" in told


def test_a_source_that_is_misspelt_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(clone_with_tiny(tmp_path / "clone", SLUG).root)
    words = ["clasroom/submitted", "--module", SLUG]
    refused = CliRunner().invoke(similar.command, words, standalone_mode=False).exception
    assert isinstance(refused, CourseError)
    assert refused.what == "There is no clasroom/submitted."
