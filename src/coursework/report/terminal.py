"""A report for the terminal."""

from textwrap import TextWrapper

from rich.console import Console
from rich.text import Text

from coursework.checks.verdict import CheckResult, Report
from coursework.report.lines import MARKS, asks_for_hints, details, heading, printable, summary

_STYLES = {"passed": "green", "failed": "red", "skipped": "yellow", "error": "magenta"}
_LABEL_WIDTH = 12
_INDENT = _LABEL_WIDTH + 2
_LEAST_WIDTH = 20


def print_result(console: Console, result: CheckResult) -> None:
    """Print one result as soon as it is known.

    On a terminal, lines are folded between words; a command is left whole, for pasting.
    """
    style = _STYLES[result.verdict]
    name, title = heading(result)
    mark = f"{MARKS[result.verdict]} {name}   "
    first, *rest = _folded(console, title, len(mark), 4)
    lines = [Text.assemble((mark.rstrip(), style), "   ", first)]
    lines += [Text(" " * 4 + line) for line in rest]
    for label, text in details(result):
        is_command = label == "try"
        whole = text.splitlines() if is_command else _folded(console, text, _INDENT, _INDENT)
        first, *rest = whole or [""]
        shown = "bold" if is_command else ""
        lines.append(Text.assemble((f"  {label:<{_LABEL_WIDTH}}", "dim"), (first, shown)))
        lines += [Text(" " * _INDENT + line) for line in rest]
    for line in lines:
        console.print(line, soft_wrap=True)


def _folded(console: Console, text: str, begins_at: int, indent: int) -> list[str]:
    """Fold a text between words where a terminal would break it anywhere.

    Args:
        console: a terminal, or a file, in which lines are as long as they like.
        text: of one or more lines.
        begins_at: column of the first line's text.
        indent: columns before each other line.
    """
    if not console.is_terminal:
        return text.splitlines() or [""]
    # The first line may be shorter than the others: a mark takes the place of what is before it.
    before = "-" * max(begins_at - indent, 0)
    fold = TextWrapper(
        max(console.width - indent, _LEAST_WIDTH),
        expand_tabs=False, replace_whitespace=False,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    first, *rest = [fold.wrap(line) or [""] for line in f"{before}{text}".splitlines()] or [[""]]
    folded = [*first, *(line for lines in rest for line in lines)]
    return [folded[0].removeprefix(before), *folded[1:]]


def print_ending(console: Console, report: Report, next_step: str = "") -> None:
    """Print what follows the results: warnings, the sum, and what to do now."""
    told = [(f"⚠ {printable(warning)}", "yellow") for warning in report.warnings]
    if asks := asks_for_hints(report, "course hint {module} {name}"):
        told.append((asks, "dim"))
    told.append((f"\n{summary(report)}", "green" if report.exit_code == 0 else "bold"))
    if next_step:
        told.append((next_step, ""))
    for text, style in told:
        for line in _folded(console, text, 0, 0):
            console.print(Text(line, style), soft_wrap=True)
