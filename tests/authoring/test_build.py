"""exercises/ is brought up to date, file by file."""

from coursework.authoring.derive import compare
from tests.authoring.conftest import ALPHA, build, edit, tree


def test_what_was_just_built_differs_in_nothing(clone):
    """A second build has nothing to do."""
    build(clone)
    assert compare(clone, ALPHA) == []


def test_missing_outdated_and_surplus_files_are_told_and_mended(clone):
    """Each state is named; after the build the folder is what it was."""
    folder = clone.exercise(ALPHA).parent
    before = tree(folder)
    (folder / "Dockerfile").unlink()
    edit(clone, f"exercises/{ALPHA}/exercise.ipynb", "check", "chuck")
    (folder / "old").mkdir()
    (folder / "old" / "file.txt").write_text("old", "utf-8")
    states = {d.path.relative_to(folder).as_posix(): d.state for d in compare(clone, ALPHA)}
    assert states == {
        "Dockerfile": "missing",
        "exercise.ipynb": "outdated",
        "old/file.txt": "surplus",
    }
    build(clone)
    assert tree(folder) == before
    assert not (folder / "old").exists()


def test_a_script_can_be_run(clone):
    """A file that names its interpreter is derived as a program."""
    (clone.starter(ALPHA) / "start.sh").write_text("#!/bin/sh\n", "utf-8")
    build(clone)
    assert (clone.exercise(ALPHA).parent / "start.sh").stat().st_mode & 0o777 == 0o755
