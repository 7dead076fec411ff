"""A report for the notebook: plain HTML without script, in the colours of the reader's theme."""

import re
from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from coursework.checks.verdict import CheckResult, Report
from coursework.report.lines import MARKS, asks_for_hints, details, heading, printable, summary
from coursework.report.next_step import NextStep
from coursework.trouble import CourseError

# JupyterLab's own variables follow its theme; the fallbacks are readable on light and dark.
_COLOURS = {
    "passed": "var(--jp-success-color1, #2e9e4f)",
    "failed": "var(--jp-error-color1, #e0453a)",
    "skipped": "var(--jp-warn-color1, #c98a00)",
    # None of the theme's: its accent is the green of what passed.
    "error": "#a64dd6",
}
_BOX = (
    "font-family: var(--jp-code-font-family, monospace); font-size: 0.95em; line-height: 1.45;"
    " color: inherit; overflow-x: auto; word-break: normal; overflow-wrap: break-word"
)
_CELL = "border: none; text-align: left; vertical-align: top; padding: 0 1em 0 0; background: none"
_PRE = (
    "margin: 0; padding: 0; border: none; white-space: pre-wrap; color: inherit; background: none;"
    # JupyterLab breaks a <pre> anywhere; here only a word that is longer than a line is broken.
    " word-break: normal; overflow-wrap: break-word"
)
# A longer one may have to be broken; a short option, such as `-i`, never is.
_HYPHENATED = re.compile(r"(?<!\S)\S{0,30}-\S{2,30}(?!\S)")
_TABLE = "margin: 0 0 0.6em 1.4em; border: none; table-layout: fixed; width: calc(100% - 1.4em)"
_LABEL = "opacity: 0.7; white-space: nowrap; width: 6.5em"


def result_html(result: CheckResult) -> str:
    """Return one result as HTML; every text in it is escaped."""
    name, title = (escape(printable(t)) for t in heading(result))
    rows = "".join(
        f'<tr style="background: none"><td style="{_CELL}; {_LABEL}">'
        f'{label}</td><td style="{_CELL}"><pre style="{_PRE}">{_words(text)}</pre></td></tr>'
        for label, text in details(result)
    )
    table = f'<table style="{_TABLE}">{rows}</table>' if rows else ""
    return (
        f'<div><b style="color: {_COLOURS[result.verdict]}">{MARKS[result.verdict]} {name}</b>'
        f"&ensp;{title}</div>{table}"
    )


def _words(text: str) -> str:
    """Return a text as HTML whose words a browser doesn't break behind a hyphen."""
    return _HYPHENATED.sub(r'<span style="white-space: nowrap">\g<0></span>', escape(text))


def report_html(report: Report, next_step: NextStep | None = None) -> str:
    """Return a whole report as HTML, with what to do now; every text in it is escaped."""
    results = "".join(map(result_html, report.checks))
    warnings = "".join(
        f'<div style="color: {_COLOURS["skipped"]}">⚠ {escape(printable(w))}</div>'
        for w in report.warnings
    )
    asks = asks_for_hints(report, 'hint("{name}")')
    if asks:
        warnings += f'<div style="opacity: 0.7">{escape(asks)}</div>'
    colour = _COLOURS["passed"] if report.exit_code == 0 else "inherit"
    ending = (
        f'<div style="margin-top: 0.6em; color: {colour}"><b>{escape(summary(report))}</b></div>'
    )
    if next_step:
        ending += f"<div>{_next_html(next_step)}</div>"
    return f'<div style="{_BOX}">{results}{warnings}{ending}</div>'


def _next_html(step: NextStep) -> str:
    """Return the line as HTML; JupyterLab opens the link, which begins at the notebook's folder."""
    if not step.opens:
        return escape(step.said)
    link = f'<a href="../{quote(step.opens)}">{escape(step.opens)}</a>'
    return f"next: {link}, {escape(step.said)}"


def hints_html(hints: Sequence[str]) -> str:
    """Return the hints of one check as a list; every text in it is escaped."""
    items = "".join(f"<li>{escape(printable(text))}</li>" for text in hints)
    return f'<ul style="{_BOX}">{items}</ul>'


def step_html(text: str) -> str:
    """Return one line, as HTML, that says what is happening."""
    return f'<div style="{_BOX}; opacity: 0.7">… {escape(printable(text))[:200]}</div>'


def trouble_html(error: CourseError) -> str:
    """Return our own trouble as HTML: what happened, why, what to type."""
    rows = [("why", error.why), ("fix", error.fix)]
    lines = "".join(
        f'<div>&ensp;<span style="opacity: 0.7">{label}</span>&ensp;{escape(printable(text))}</div>'
        for label, text in rows
        if text
    )
    what = escape(printable(error.what))
    return f'<div style="{_BOX}"><b style="color: {_COLOURS["error"]}">! {what}</b>{lines}</div>'
