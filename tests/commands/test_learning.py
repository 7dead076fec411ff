"""course list, reset, shell and hint, as a learner types them."""

import pytest

from tests.commands.conftest import SLUG

pytestmark = pytest.mark.engine


def test_list_marks_what_was_begun(finished):
    """The module that the learner has answered is marked; a whole check adds its points."""
    assert finished("list")[1].startswith(f"○ {SLUG}")
    assert finished("check", "90")[0] == 0
    assert finished("list")[1].startswith(f"✓ {SLUG}")
    assert "10/10" in finished("list")[1]


def test_shell_runs_a_command_in_the_modules_folder(finished, clone):
    """The container engine answers there, and the exit code is the command's."""
    code, out, _ = finished("shell", "90", "-c", "pwd; docker version >/dev/null && echo engine")
    assert (code, out.splitlines()) == (0, [str(clone.work(SLUG)), "engine"])
    assert finished("shell", "90", "-c", "exit 7")[0] == 7


def test_shell_of_a_module_that_was_not_begun(finished, clone):
    """It says what to type."""
    (clone.work(SLUG) / "exercise.ipynb").unlink()
    clone.work(SLUG).rmdir()
    code, _, errors = finished("shell", "90", "-c", "pwd")
    assert code == 2
    assert f"course start {SLUG}" in errors


def test_hint_shows_both(finished):
    """Where to look, nearly the code, and the lesson's section."""
    code, out, _ = finished("hint", "90", "greets")
    assert code == 0
    assert len(out.splitlines()) == 3
