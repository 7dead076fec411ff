"""course grade after a stop: the same command again."""

import json

import pytest
from click.testing import CliRunner

from coursework.commands import grade
from coursework.trouble import CourseError
from tests.clone import clone_with_tiny
from tests.learners import SLUG


@pytest.fixture
def typed(engine, tmp_path, monkeypatch):
    """Return what types the command in a clone of its own, and gives whom it graded."""
    assert engine
    layout = clone_with_tiny(tmp_path / "clone", SLUG)
    monkeypatch.chdir(layout.root)
    for name, learner in (("spring", "ada"), ("autumn", "bob")):
        (tmp_path / name).mkdir()
        # It is damaged: graded without any container.
        (tmp_path / name / f"{learner}.ipynb").write_text("{", "utf-8")

    def type_(*words):
        done = CliRunner().invoke(grade.command, [*map(str, words), "--trusted", "--json"])
        if done.exception:
            raise done.exception
        assert done.exit_code == 0, done.stderr
        return [r["learner"] for r in json.loads(done.stdout)]

    return type_


@pytest.mark.engine
def test_the_same_command_again_carries_on(typed, tmp_path):
    spring, out = tmp_path / "spring", tmp_path / "out"
    words = ("--module", SLUG, "--out", out, "--gradebook", f"sqlite:///{tmp_path / 'g.db'}")
    assert typed(spring, *words) == ["ada"]
    (result,) = out.glob("results/*/ada.json")
    result.unlink()
    assert typed(spring, *words) == ["ada"]
    assert result.is_file()
    with pytest.raises(CourseError, match="holds no submission"):
        typed(tmp_path / "nowhere", "--module", SLUG)


@pytest.mark.engine
def test_places_are_the_classroom_s_where_none_were_said(typed, tmp_path):
    assert typed(tmp_path / "autumn", "--module", SLUG) == ["bob"]
    room = tmp_path / "clone" / "classroom"
    assert (room / "grades" / "results" / SLUG / "bob.json").is_file()
    assert (room / "gradebook.db").is_file()
