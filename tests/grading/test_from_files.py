"""An answer without a Dockerfile hears so at once, where an engine would be started for it."""

from dataclasses import replace

import pytest

from coursework.checks.home import Home
from coursework.checks.verdict import CheckResult
from coursework.grading.from_files import told_by_files
from coursework.grading.grade import list_checks
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from tests.clone import TINY, tiny_clone

HOME = Home("course check 90-tiny")
CELL = """
```{code-cell} python
%%writefile Dockerfile
# BEGIN SOLUTION
FROM x
# END SOLUTION
```
"""


@pytest.fixture
def layout(tmp_path):
    """Return a clone in which the learner writes the Dockerfile."""
    layout = tiny_clone(tmp_path / "clone", "90-tiny")
    (layout.starter("90-tiny") / "Dockerfile").unlink()
    exercise = layout.solution("90-tiny")
    exercise.write_text(exercise.read_text("utf-8") + CELL, "utf-8")
    return layout


def wants_an_engine(layout):
    return replace(load_catalogue(layout).find("90-tiny"), sandbox=True)


def test_the_first_check_fails_and_the_others_meet_the_same(layout):
    """All are told, as by any grading."""
    told: list[CheckResult] = []
    module = wants_an_engine(layout)
    report = told_by_files(layout, module, {"server.py": b""}, HOME, on_result=told.append)
    assert report is not None
    assert tuple(told) == report.checks
    assert [c.verdict for c in report.checks] == ["failed", *["skipped"] * 4]
    first = report.checks[0]
    assert (first.saw, first.command) == (
        "there is no Dockerfile", "course check 90-tiny --only greets",
    )  # fmt: skip
    assert "%%writefile Dockerfile" in first.hint
    assert (report.max_points, report.exit_code) == (10, 1)


def test_one_check_is_told_alone(layout):
    """A name that no check has is answered by whoever grades."""
    module = wants_an_engine(layout)
    report = told_by_files(layout, module, {}, HOME, only=("echoes",))
    assert report is not None
    assert [c.name for c in report.checks] == ["echoes"]
    assert told_by_files(layout, module, {}, HOME, only=("nope",)) is None


def test_elsewhere_an_engine_tells(layout):
    """A Dockerfile is there, or no engine is started, or a check builds nothing."""
    module = wants_an_engine(layout)
    assert told_by_files(layout, module, {"Dockerfile": b"FROM x"}, HOME) is None
    assert told_by_files(layout, replace(module, sandbox=False), {}, HOME) is None
    checks = layout.grader("90-tiny") / "checks.py"
    text = checks.read_text("utf-8") + '\n\n@points(0)\ndef check_more() -> None:\n    """More"""\n'
    checks.write_text(text, "utf-8")
    assert told_by_files(layout, module, {}, HOME) is None


def test_where_right_answers_build_none_an_engine_tells(layout):
    """Their image may be built from a folder below."""
    exercise = layout.solution("90-tiny")
    exercise.write_text(exercise.read_text("utf-8").replace(CELL, ""), "utf-8")
    assert told_by_files(layout, wants_an_engine(layout), {}, HOME) is None


def test_checks_say_whether_they_need_the_image():
    """Through the fixtures of the check API too."""
    assert all(check.needs_image for check in list_checks(Layout(TINY), "90-tiny"))
