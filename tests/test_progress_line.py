"""Progress is told on standard error, so that standard output stays a program's."""

import pytest

from coursework.progress_line import steps


def test_steps_stand_on_lines_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """Where no terminal shows it each step is one line on standard error."""
    with steps() as tell:
        tell("first")
        tell("second")
    assert capsys.readouterr() == ("", "· first\n· second\n")
