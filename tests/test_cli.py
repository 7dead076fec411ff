"""Every command explains itself, with an example."""

import subprocess

import click
import pytest
from click.testing import CliRunner

from coursework import commands
from coursework.cli import course
from tests.commands.conftest import COURSE

NAMES = sorted(course.list_commands(click.Context(course)))


@pytest.mark.parametrize("name", NAMES)
def test_help_has_an_example(name):
    """--help of each command shows one to copy."""
    done = CliRunner().invoke(course, [name, "--help"])
    assert done.exit_code == 0
    assert f"course {name}" in done.output.partition("Example:")[2]


def test_commands_are_found_by_their_files():
    """Each file of coursework.commands is a command of its name."""
    assert "check" in NAMES
    assert commands.__doc__


def test_an_unknown_command_ends_with_2():
    """A typing mistake is our trouble, not a failed check."""
    done = subprocess.run([COURSE, "chekc"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "chekc" in done.stderr


def test_list_shows_the_modules():
    """Course list names modules in order."""
    done = CliRunner().invoke(course, ["list"])
    assert done.output.index("01-http") < done.output.index("02-first-server")
