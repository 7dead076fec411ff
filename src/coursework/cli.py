"""The `course` command: each subcommand is a file in coursework.commands, loaded when typed."""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

import click

from coursework import commands
from coursework.trouble import CourseError

TROUBLE = 2
INTERRUPTED = 130


class _CommandsByFile(click.Group):
    """A group whose subcommands are the modules of coursework.commands, imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(m.name for m in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"coursework.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List each command by what its file says of itself, without loading it."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, _words(name)) for name in self.list_commands(ctx)])


def _words(name: str) -> str:
    file = Path(commands.__file__).with_name(f"{name}.py")
    return (ast.get_docstring(ast.parse(file.read_bytes())) or "").partition(": ")[2]


@click.group(cls=_CommandsByFile, context_settings={"help_option_names": ["-h", "--help"]})
def course() -> None:
    """HTTP to Kubernetes: lessons to run and exercises to check, on your own machine.

    \b
    Example:
      course start 02-first-server
      course check 02-first-server
    """


def main() -> None:
    """Run the command line; exit 0 all well, 1 some checks failed, 2 our own trouble."""
    try:
        status = course.main(standalone_mode=False)
    except CourseError as error:
        click.echo(f"✗ {error}", err=True)
        sys.exit(TROUBLE)
    except click.Abort:
        click.echo("Stopped. Nothing is lost; `course clean` removes what is left.", err=True)
        sys.exit(INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(TROUBLE)
    sys.exit(status if isinstance(status, int) else 0)
