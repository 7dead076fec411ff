"""A learner's copy is laid once, brought up to date, and never overwritten."""

import os
import shutil

import pytest

from coursework.layout import Layout
from coursework.modules.workspace import changed_files, reset_module, start_modules
from coursework.trouble import CourseError
from tests.grading.test_grade import TINY

LESSON = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {name: python3, display_name: Python 3}
---

# A lesson

```{code-cell} ipython3
print("hello")
```
"""


@pytest.fixture
def clone(tmp_path):
    """Return a clone whose module has a lesson and an exercise."""
    shutil.copytree(TINY.root, tmp_path / "clone")
    layout = Layout(tmp_path / "clone")
    layout.lesson("90-tiny").parent.mkdir(parents=True, exist_ok=True)
    layout.lesson("90-tiny").write_text(LESSON, "utf-8")
    folder = layout.exercise("90-tiny").parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "exercise.ipynb").write_text('{"version": 1}', "utf-8")
    (folder / "Dockerfile").write_text("FROM a", "utf-8")
    return layout


def states(laid):
    return {x.path.name: x.state for x in laid}


def test_a_module_is_laid_out(clone):
    """Lesson, exercise and starter files are there; a second start has nothing to do."""
    laid = states(start_modules(clone))
    assert laid == {"lesson.ipynb": "new", "exercise.ipynb": "new", "Dockerfile": "new"}
    assert start_modules(clone) == []


def test_a_changed_file_is_never_overwritten(clone):
    """A newer exercise is put beside the learner's; the learner's stays byte for byte."""
    start_modules(clone)
    mine = clone.work("90-tiny") / "exercise.ipynb"
    mine.write_text("my work", "utf-8")
    (clone.exercise("90-tiny")).write_text('{"version": 2}', "utf-8")
    laid = start_modules(clone)
    beside = [x.path for x in laid if x.state == "beside"]
    assert mine.read_text("utf-8") == "my work"
    assert [p.read_text("utf-8") for p in beside] == ['{"version": 2}']
    assert beside[0].name.startswith("exercise.new-")


def test_an_untouched_file_is_brought_up_to_date(clone):
    """What the learner has not changed follows the course."""
    start_modules(clone)
    (clone.exercise("90-tiny").parent / "Dockerfile").write_text("FROM b", "utf-8")
    assert states(start_modules(clone))["Dockerfile"] == "updated"
    assert (clone.work("90-tiny") / "Dockerfile").read_text("utf-8") == "FROM b"


def test_work_without_a_newer_version_is_left_in_peace(clone):
    """Changing a file while the course stays as it is asks for no copy beside it."""
    start_modules(clone)
    (clone.work("90-tiny") / "exercise.ipynb").write_text("my work", "utf-8")
    (clone.exercise("90-tiny").parent / "Dockerfile").write_text("FROM b", "utf-8")
    assert states(start_modules(clone))["exercise.ipynb"] == "same"


def test_a_removed_file_comes_back(clone):
    """Deleting a file and starting again gives a fresh one."""
    start_modules(clone)
    (clone.work("90-tiny") / "exercise.ipynb").unlink()
    assert states(start_modules(clone))["exercise.ipynb"] == "new"


def test_a_renamed_exercise_is_not_laid_a_second_time(clone):
    """An empty one beside it would be taken for the answer; other files still come back."""
    text = '{"metadata": {"coursework": {"module": "90-tiny"}}}'
    clone.exercise("90-tiny").write_text(text, "utf-8")
    start_modules(clone)
    work = clone.work("90-tiny")
    (work / "exercise.ipynb").rename(work / "mine.ipynb")
    (work / "Dockerfile").unlink()
    assert "new" not in {x.state for x in start_modules(clone) if x.path.suffix == ".ipynb"}
    assert not (work / "exercise.ipynb").exists()
    assert (work / "Dockerfile").exists()


def test_without_its_record_everything_is_the_learners(clone):
    """A damaged record makes the start careful, not destructive."""
    start_modules(clone)
    folder = clone.work("90-tiny")
    (folder / ".laid.json").write_text("{", "utf-8")
    (folder / "Dockerfile").write_text("mine", "utf-8")
    start_modules(clone)
    assert (folder / "Dockerfile").read_text("utf-8") == "mine"


def test_a_folder_that_cannot_be_written_is_said(clone):
    """A read-only work folder is a message, and nothing is lost."""
    (clone.root / "work").mkdir()
    (clone.root / "work" / "90-tiny").write_text("in the way", "utf-8")
    with pytest.raises(CourseError, match="cannot be written") as error:
        start_modules(clone)
    assert "course start" in error.value.fix


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into read-only folders too")
def test_a_read_only_work_folder_is_said(clone):
    """The same for missing rights, which root does not know."""
    (clone.root / "work").mkdir(mode=0o500)
    with pytest.raises(CourseError, match="cannot be written"):
        start_modules(clone)


def test_a_reset_puts_the_original_back_and_keeps_the_learners(clone):
    """What the learner wrote is beside it, byte for byte; what was not changed stays."""
    start_modules(clone)
    mine = clone.work("90-tiny") / "exercise.ipynb"
    original = mine.read_bytes()
    mine.write_text("my work", "utf-8")
    (done,) = reset_module(clone, "90-tiny")
    assert mine.read_bytes() == original
    assert done.kept
    assert done.kept.read_text("utf-8") == "my work"
    assert done.kept.name.startswith("exercise.yours-")
    assert reset_module(clone, "90-tiny") == []


def test_a_reset_of_one_file_leaves_the_others(clone):
    """One name resets one file; one that is gone comes back; an unknown name is told."""
    start_modules(clone)
    folder = clone.work("90-tiny")
    (folder / "exercise.ipynb").write_text("my work", "utf-8")
    (folder / "Dockerfile").unlink()
    assert [r.path.name for r in reset_module(clone, "90-tiny", "Dockerfile")] == ["Dockerfile"]
    assert (folder / "exercise.ipynb").read_text("utf-8") == "my work"
    with pytest.raises(CourseError, match=r"no file server\.py"):
        reset_module(clone, "90-tiny", "server.py")


def test_two_resets_in_one_second_keep_both_versions(clone):
    """No version of the learner's takes the place of another."""
    start_modules(clone)
    mine = clone.work("90-tiny") / "exercise.ipynb"
    kept = []
    for text in ("first", "second", "third"):
        mine.write_text(text, "utf-8")
        kept += [r.kept for r in reset_module(clone, "90-tiny") if r.kept]
    assert [path.read_text("utf-8") for path in kept] == ["first", "second", "third"]


def test_changed_is_what_the_learner_changed(clone):
    """Laying a module out is no change; what is written afterwards is."""
    assert changed_files(clone, "90-tiny") == []
    start_modules(clone)
    assert changed_files(clone, "90-tiny") == []
    mine = [clone.work("90-tiny") / name for name in ("exercise.ipynb", "server.py")]
    for path in mine:
        path.write_text("mine", "utf-8")
    assert sorted(changed_files(clone, "90-tiny")) == mine
    # A newer exercise that is laid beside it isn't the learner's.
    clone.exercise("90-tiny").write_text('{"version": 2}', "utf-8")
    assert [laid.state for laid in start_modules(clone)].count("beside") == 1
    assert sorted(changed_files(clone, "90-tiny")) == mine
