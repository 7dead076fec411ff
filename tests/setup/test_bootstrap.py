"""An old Python is told what to do; it can read the file that tells it."""

import ast
from pathlib import Path

import pytest

from coursework.setup import bootstrap


@pytest.mark.parametrize("version", [(3, 8, 10), (3, 10, 0)])
def test_an_old_python_is_refused_with_a_fix(version: tuple[int, int, int]) -> None:
    """The message names the version that is needed, the one that ran, and a command."""
    refusal = bootstrap.refuse_old(version)
    assert "3.11 or newer" in refusal
    assert ".".join(map(str, version)) in refusal
    assert "make PYTHON=" in refusal


def test_the_oldest_python_that_works_is_accepted() -> None:
    """Python 3.11.0 is new enough."""
    assert bootstrap.refuse_old((3, 11, 0)) == ""


def test_an_old_python_can_read_the_file() -> None:
    """The file holds no syntax that Python 3.8 lacks."""
    ast.parse(Path(bootstrap.__file__).read_text("utf-8"), feature_version=(3, 8))
