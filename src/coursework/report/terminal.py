"""A report for the terminal."""

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from coursework.checks.verdict import CheckResult, Report
from coursework.report.lines import MARKS, details, heading, printable, summary

_STYLES = {"passed": "green", "failed": "red", "skipped": "yellow", "error": "magenta"}


class ResultLines:
    """One check's result, drawn by rich."""

    def __init__(self, result: CheckResult) -> None:
        self._result = result

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        del console, options
        result = self._result
        style = _STYLES[result.verdict]
        name, title = heading(result)
        yield Text.assemble((f"{MARKS[result.verdict]} {name}", style), "   ", title)
        rows = details(result)
        if not rows:
            return
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=10, no_wrap=True)
        table.add_column(overflow="fold")
        for label, text in rows:
            # A command is for pasting: it is never folded.
            no_wrap = label == "try"
            table.add_row(
                Text(f"  {label}", "dim"),
                Text(text, "bold" if no_wrap else "", no_wrap=no_wrap, overflow="ignore"),
            )
        yield table


def print_result(console: Console, result: CheckResult) -> None:
    """Print one result as soon as it is known."""
    console.print(ResultLines(result), soft_wrap=True)


def print_ending(console: Console, report: Report) -> None:
    """Print what follows the results: warnings and the sum."""
    for warning in report.warnings:
        console.print(Text(f"⚠ {printable(warning)}", "yellow"), soft_wrap=True)
    style = "green" if report.exit_code == 0 else "bold"
    console.print(Text(f"\n{summary(report)}", style))
