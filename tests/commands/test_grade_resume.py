"""course grade after a stop: the same command again, or --resume for the last one."""

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
def test_the_same_command_again_and_resume_carry_on(typed, tmp_path):
    spring, out = tmp_path / "spring", tmp_path / "out"
    words = ("--module", SLUG, "--out", out, "--gradebook", f"sqlite:///{tmp_path / 'g.db'}")
    assert typed(spring, *words) == ["ada"]
    (result,) = out.glob("results/*/ada.json")
    for again in ((spring, *words), ("--resume",), (spring, "--resume")):
        result.unlink()
        assert typed(*again) == ["ada"]
        assert result.is_file()
    # A source that cannot be graded is not remembered.
    with pytest.raises(CourseError, match="holds no submission"):
        typed(tmp_path / "nowhere", "--module", SLUG)
    assert typed("--resume") == ["ada"]
    assert typed(tmp_path / "autumn", "--module", SLUG) == ["bob"]
    assert (tmp_path / "clone" / "classroom" / "grades" / "results" / SLUG / "bob.json").is_file()
    with pytest.raises(CourseError, match="graded something else"):
        typed(spring, "--resume")
