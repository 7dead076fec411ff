"""What is read of a class: learners' own files, and the course's to leave out."""

import json

import pytest

from coursework.cohort.similarity import handed_in
from coursework.cohort.similarity.handed_in import read_class
from coursework.cohort.similarity.pairs import find_pairs
from coursework.cohort.source import HandedIn
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.modules.module_files import module_files
from tests.clone import ROOT, clone_with_tiny
from tests.cohort.similarity.answers import COPIED, INDEPENDENT
from tests.learners import code_cell

SLUG = "90-tiny"
LESSON = f"# A lesson\n\n```{{code-cell}} python\n%%writefile server.py\n{COPIED}```\n"


@pytest.fixture
def layout(tmp_path):
    """Return a clone with the tiny module, whose starter has code of its own."""
    made = clone_with_tiny(tmp_path / "clone", SLUG)
    (made.starter(SLUG) / "start.py").write_text(INDEPENDENT, "utf-8")
    return made


def submission(learner, **files):
    cells = [code_cell(f"%%writefile {name.replace('_', '.')}\n{text}")
             for name, text in files.items()]  # fmt: skip
    data = json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode()
    return HandedIn(learner, lambda: data)


def test_starter_code_alone_makes_no_pair(layout):
    class_ = [submission(name, server_py=INDEPENDENT) for name in ("ada", "bob")]
    read, _ = read_class(layout, SLUG, class_)
    assert len(read.documents) == 2
    assert find_pairs(read.documents).found == []


def test_the_lessons_code_makes_no_pair(layout):
    class_ = [submission(name, server_py=COPIED) for name in ("ada", "bob")]
    assert find_pairs(read_class(layout, SLUG, class_)[0].documents).found
    layout.lesson(SLUG).parent.mkdir(parents=True)
    layout.lesson(SLUG).write_text(LESSON, "utf-8")
    assert find_pairs(read_class(layout, SLUG, class_)[0].documents).found == []


def test_given_files_are_not_compared(layout):
    (given,) = module_files(layout, SLUG).given
    assert given == "greeting.txt"
    read, _ = read_class(layout, SLUG, [submission("ada", greeting_txt="hi", server_py="x = 1")])
    assert [d.name for d in read.documents] == ["server.py"]


def test_what_cannot_be_compared_is_named(layout, monkeypatch):
    monkeypatch.setattr(handed_in, "_LONGEST", 50)
    read_so_far = []
    class_ = [
        HandedIn("ada", lambda: b"{"),
        submission("bob", data_js="x" * 51, server_js="let x = 1;\r\n"),
    ]
    read, _ = read_class(layout, SLUG, class_, lambda: read_so_far.append(1))
    assert len(read_so_far) == 2
    damaged, long = read.left_out
    assert damaged.startswith("ada: the notebook is damaged")
    assert long.startswith("bob: data.js has 52 characters")
    assert [d.text for d in read.documents] == ["let x = 1;\n"]


@pytest.mark.nightly
def test_every_modules_own_code_can_be_left_out():
    layout = Layout(ROOT)
    given = {m.slug: read_class(layout, m.slug, [])[1] for m in load_catalogue(layout).modules}
    assert given["02-first-server"]
    assert given["31-kubernetes-basics"]
