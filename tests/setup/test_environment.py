"""The project's own environment is made once, and again when what it was made from changes."""

import subprocess
import sys
from pathlib import Path

import pytest

from coursework.layout import find_layout
from coursework.setup.environment import Environment, prepare


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return a small project that needs nothing."""
    (tmp_path / "requirements.lock").write_text("", encoding="ascii")
    (tmp_path / "pyproject.toml").write_text("[project]\nname='x'\n", encoding="ascii")
    return tmp_path


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_it_is_current_until_a_source_changes(clone: Path, changed: str) -> None:
    """A changed lock file or project file makes the environment out of date."""
    made = Environment(clone)
    assert not made.is_current()
    made.python.parent.mkdir(parents=True)
    made.python.touch()
    (made.venv / "made-from").write_text(made.fingerprint(), encoding="ascii")
    assert made.is_current()
    (clone / changed).write_text("# changed\n", encoding="ascii")
    assert not made.is_current()


def test_a_clone_that_moved_makes_its_environment_again(clone: Path, tmp_path: Path) -> None:
    """Programs in an environment carry its path: another path is another environment."""
    there = tmp_path / "elsewhere"
    there.mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        (there / name).write_bytes((clone / name).read_bytes())
    assert Environment(clone).fingerprint() != Environment(there).fingerprint()


def test_a_current_environment_costs_no_installation(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing changed no program is run at all."""
    made = Environment(clone)
    made.python.parent.mkdir(parents=True)
    made.python.touch()
    (made.venv / "made-from").write_text(made.fingerprint(), encoding="ascii")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(subprocess, "run", refuse)
    prepare(clone)


def test_what_it_installs_with_stands_outside_the_environment(clone: Path) -> None:
    """Syncing removes what the lock file does not name: uv must not stand among it."""
    assert Environment(clone).venv not in Environment(clone).own_uv.parents


def test_it_needs_no_package_before_it_has_installed_them() -> None:
    """The system's Python, isolated from every installed package, can load all of it."""
    source = str(find_layout().root / "src")
    statement = f"import sys; sys.path.insert(0, {source!r}); import coursework.setup.environment"
    subprocess.run([sys.executable, "-I", "-S", "-c", statement], check=True)
