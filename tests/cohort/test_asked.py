"""What --resume leaves out is as in the last run, and what is typed counts."""

from dataclasses import replace
from pathlib import Path

import pytest

from coursework.cohort.asked import Asked, from_options, remember, resumed, with_defaults
from coursework.layout import Layout
from coursework.trouble import CourseError

SPRING = Asked("/in/spring", "02-first-server", "/out/spring", "sqlite:////spring.db")
AUTUMN = Asked("/in/autumn", "06-databases", "/out/autumn", "sqlite:////autumn.db")


@pytest.fixture
def layout(tmp_path):
    """Return a clone in which two sources were graded, autumn's last."""
    made = Layout(tmp_path)
    remember(made, SPRING)
    remember(made, AUTUMN)
    return made


@pytest.mark.parametrize(
    ("asked", "run"),
    [
        (Asked(), AUTUMN),
        (Asked("/in/autumn", "06-databases"), AUTUMN),
        (Asked("/in/autumn", out="/else"), replace(AUTUMN, out="/else")),
        (Asked(gradebook="sqlite:////new.db"), replace(AUTUMN, gradebook="sqlite:////new.db")),
    ],
)
def test_what_is_left_out_is_the_last_run_s(layout, asked, run):
    assert resumed(layout, asked) == run


@pytest.mark.parametrize("asked", [Asked("/in/spring"), Asked(module="02-first-server"),
                                   Asked("/in/autumn", "02-first-server")])  # fmt: skip
def test_nothing_of_another_run_gets_into_it(layout, asked):
    with pytest.raises(CourseError, match="graded something else") as refused:
        resumed(layout, asked)
    assert "06-databases in /in/autumn" in refused.value.why
    assert "leave --resume out" in refused.value.fix


@pytest.mark.parametrize("text", [None, "", "{", "[1]", '["a", "02", "b", "c"]', '[{"source": 1}]'])
def test_without_a_run_it_says_what_to_type(tmp_path, text):
    layout = Layout(tmp_path)
    if text is not None:
        layout.state.mkdir()
        (layout.state / "grade.json").write_text(text)
    with pytest.raises(CourseError, match="no last run") as refused:
        resumed(layout, Asked())
    assert refused.value.fix == "course grade classroom/submitted --module 02"


def test_only_who_graded_can_read_a_gradebook_s_password(layout):
    assert (layout.state / "grade.json").stat().st_mode & 0o077 == 0


def test_what_is_typed_means_the_same_from_every_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = from_options(Path("in"), "02-first-server", Path("out"), "sqlite:///g.db")
    assert asked == Asked(
        f"{tmp_path}/in", "02-first-server", f"{tmp_path}/out", f"sqlite:///{tmp_path}/g.db"
    )


def test_places_are_the_classroom_s_where_none_were_said(tmp_path):
    asked = with_defaults(Layout(tmp_path), Asked("/in", "02-first-server"))
    assert asked.out == f"{tmp_path}/classroom/grades"
    assert asked.gradebook.startswith(f"sqlite:///{tmp_path}/classroom/gradebook.db")
    assert (tmp_path / "classroom").is_dir()


@pytest.mark.parametrize("asked", [Asked(), Asked("/in"), Asked(module="02-first-server")])
def test_without_a_source_and_a_module_nothing_is_graded(tmp_path, asked):
    with pytest.raises(CourseError, match="nothing to grade"):
        with_defaults(Layout(tmp_path), asked)
