"""course grade: what an instructor types, and what is refused before anything starts."""

import json

import pytest
from click.testing import CliRunner

from coursework.commands import grade
from coursework.layout import find_layout
from coursework.trouble import CourseError
from tests.learners import RIGHT, SLUG


@pytest.fixture
def typed(cohort, monkeypatch):
    """Return what types the command in a clone with the tiny module."""
    monkeypatch.chdir(cohort.layout.root)
    assert find_layout().root == cohort.layout.root
    return lambda *words: CliRunner().invoke(grade.command, words)


@pytest.mark.parametrize("words", [(), ("--module", SLUG), (".",)])
def test_without_a_source_and_a_module_the_way_is_shown(typed, tmp_path, words):
    if words == (".",):
        words = (str(tmp_path),)
        (tmp_path / "ada.ipynb").write_text("{", "utf-8")
    refused = typed(*words).exception
    assert isinstance(refused, CourseError)
    assert refused.fix == "course grade classroom/submitted --module 02"


def test_a_source_without_submissions_is_refused_before_anything_starts(typed, tmp_path):
    refused = typed(str(tmp_path), "--module", SLUG).exception
    assert isinstance(refused, CourseError)
    assert "holds no submission" in refused.what


@pytest.mark.engine
def test_trusted_answers_are_graded_without_sandboxes(typed, cohort, tmp_path):
    cohort.hand_in(tmp_path / "in", "ada", cohort.notebook(server_py=RIGHT))
    cohort.hand_in(tmp_path / "in", "bob", "{")
    done = typed(
        str(tmp_path / "in"), "--module", SLUG, "--trusted", "--json",
        "--out", str(tmp_path / "out"), "--gradebook", f"sqlite:///{tmp_path / 'gradebook.db'}",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    told = {r["learner"]: r["points"] for r in json.loads(done.stdout)}
    assert told == {"ada": 10, "bob": 0}
    assert (tmp_path / "out" / f"{SLUG}.csv").is_file()
    assert (tmp_path / "gradebook.db").is_file()
