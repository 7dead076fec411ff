"""A report for the terminal."""

from rich.console import Console
from rich.text import Text

from coursework.checks.verdict import CheckResult, Report
from coursework.report.lines import MARKS, asks_for_hints, details, heading, printable, summary

_STYLES = {"passed": "green", "failed": "red", "skipped": "yellow", "error": "magenta"}
_LABEL_WIDTH = 12


def print_result(console: Console, result: CheckResult) -> None:
    """Print one result as soon as it is known; long lines are left whole, for pasting."""
    style = _STYLES[result.verdict]
    name, title = heading(result)
    lines = [Text.assemble((f"{MARKS[result.verdict]} {name}", style), "   ", title)]
    for label, text in details(result):
        first, *rest = text.splitlines() or [""]
        shown = "bold" if label == "try" else ""
        lines.append(Text.assemble((f"  {label:<{_LABEL_WIDTH}}", "dim"), (first, shown)))
        lines += [Text(" " * (_LABEL_WIDTH + 2) + line) for line in rest]
    for line in lines:
        console.print(line, soft_wrap=True)


def print_ending(console: Console, report: Report, next_step: str = "") -> None:
    """Print what follows the results: warnings, the sum, and what to do now."""
    for warning in report.warnings:
        console.print(Text(f"⚠ {printable(warning)}", "yellow"), soft_wrap=True)
    if asks := asks_for_hints(report, "course hint {module} {name}"):
        console.print(Text(asks, "dim"), soft_wrap=True)
    style = "green" if report.exit_code == 0 else "bold"
    console.print(Text(f"\n{summary(report)}", style))
    if next_step:
        console.print(Text(next_step), soft_wrap=True)
