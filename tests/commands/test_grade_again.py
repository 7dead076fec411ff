"""course grade after a stop: the same command again."""

import json
import subprocess

import pytest
from click.testing import CliRunner

from coursework.checks.verdict import CheckResult, Report
from coursework.cohort.results import Result, Results
from coursework.commands import grade
from coursework.engine import Engine
from coursework.trouble import CourseError
from tests.clone import clone_with_tiny, tiny_clone
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
    with pytest.raises(CourseError, match="There is no"):
        typed(tmp_path / "nowhere", "--module", SLUG)


@pytest.mark.engine
def test_places_are_the_classroom_s_where_none_were_said(typed, tmp_path):
    assert typed(tmp_path / "autumn", "--module", SLUG) == ["bob"]
    room = tmp_path / "clone" / "classroom"
    assert (room / "grades" / "results" / SLUG / "bob.json").is_file()
    assert (room / "gradebook.db").is_file()


def test_points_that_new_checks_change_are_written_only_when_agreed_to(tmp_path, monkeypatch):
    # What is damaged asks no engine.
    monkeypatch.setattr(grade, "start_engine", lambda _: Engine("none", "unix:///nowhere"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    layout = tiny_clone(tmp_path / "clone", SLUG)
    monkeypatch.chdir(layout.root)
    for words in ("init", "add --all", "-c user.name=a -c user.email=a@b commit -m then"):
        subprocess.run(["git", *words.split()], check=True, capture_output=True)
    (tmp_path / "in").mkdir()
    # It is damaged: graded without any container, and no points are left.
    (tmp_path / "in" / "ada.ipynb").write_text("{", "utf-8")
    results = Results(layout.root / "classroom/grades/results" / SLUG)
    check = CheckResult("greets", "GET / answers hello", "passed", 3, 3)
    results.write(Result("ada", SLUG, "key", Report(SLUG, "ab", 7, (check,))))

    def typed(*words, **options):
        all_ = [str(tmp_path / "in"), "--module", SLUG, "--trusted", "--changed-since", *words]
        return CliRunner().invoke(grade.command, all_, standalone_mode=False, **options)

    assert "changed since HEAD: nothing that grades it" in typed("HEAD").stderr
    checks = layout.grader(SLUG) / "checks.py"
    checks.write_text(checks.read_text("utf-8").replace("ready_within_s=4.0", "ready_within_s=5.0"))
    done = typed("HEAD", input="n\n")
    assert "changed since HEAD: checks.py" in done.stderr
    assert "- ada  3 → 0 of 10  greets" in done.stderr
    assert "0 gain, 1 lose, 0 stay; nothing is written yet" in done.stderr
    assert results.all()[0].report.points == 3
    assert f"{SLUG}: 1 submissions, 0 to grade" in typed("HEAD", input="n\n").stderr
    assert typed("HEAD", "--yes").return_value == 0
    assert results.all()[0].report.points == 0
    assert not (layout.root / "classroom/grades/again").exists()
    alone = [str(tmp_path / "in"), "--module", SLUG, "--yes"]
    refused = CliRunner().invoke(grade.command, alone, standalone_mode=False).exception
    assert isinstance(refused, CourseError)
    assert "--changed-since" in refused.what


def test_a_source_that_is_misspelt_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny_clone(tmp_path / "clone", SLUG).root)
    for words in (["clasroom/submitted"], ["clasroom/submitted", "--module", SLUG]):
        refused = CliRunner().invoke(grade.command, words, standalone_mode=False).exception
        assert isinstance(refused, CourseError)
        assert refused.what == "There is no clasroom/submitted."
