"""The five lines of a failure, as every view shows them."""

import re

from coursework.checks.verdict import CheckResult, Report

# An engine that was there already takes less.
_SHOWN_S = 1.0
MARKS = {"passed": "✓", "failed": "✗", "skipped": "○", "error": "!"}

# Terminal escape sequences (ECMA-48), and every other control character but tab and newline.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Take out of a text what could steer a terminal; learners' programs print what they like."""
    return _ESCAPES.sub("", text)


def heading(result: CheckResult) -> tuple[str, str]:
    """Return a result's name with its points, and its title."""
    had = "skipped" if result.verdict == "skipped" else f"{result.points} of {result.max_points}"
    return f"{result.name}  {had}", result.title


def details(result: CheckResult) -> list[tuple[str, str]]:
    """Return label and text of each line that explains a result; none where it passed."""
    if result.verdict == "passed":
        return []
    if result.verdict == "skipped":
        return [("because", printable(result.reason))]
    if result.verdict == "error":
        seen = [("our trouble", printable(result.saw)), ("log", printable(result.log))]
        return [(label, text) for label, text in seen if text]
    lines = [
        ("looked for", printable(result.looked_for)),
        ("saw", printable(result.saw)),
        ("try", printable(result.command)),
        ("log", printable(result.log)),
        ("hint", _hint(result)),
    ]
    return [(label, text) for label, text in lines if text]


def _hint(result: CheckResult) -> str:
    hint, link = printable(result.hint).rstrip(), printable(result.link)
    if not (hint and link):
        return hint or (f"lesson, “{link}”" if link else "")
    if hint.endswith(("?", ".", "!")):
        return f"{hint} See the lesson, “{link}”."
    return f"{hint.rstrip(' :')}: lesson, “{link}”"


def asks_for_hints(report: Report, form: str) -> str:
    """Return a line that says how to ask for the next hint of each failed check; may be empty.

    Args:
        report: of one run.
        form: what to type, with `{module}` and `{name}` in it.
    """
    asks = [
        form.format(module=report.module, name=check.name)
        for check in report.checks
        if check.verdict == "failed" and check.next_hint
    ]
    return f"next hint: {'  or  '.join(asks)}" if asks else ""


def summary(report: Report) -> str:
    """Return the closing line: points, and where the time went."""
    timings = report.timings
    parts = [f"{report.points} of {report.max_points} points"]
    if "total_s" in timings:
        engine_s = timings.get("engine_s", 0.0)
        engine = f" and {engine_s:.1f} s its engine" if engine_s >= _SHOWN_S else ""
        build = f"{timings.get('build_s', 0):.1f} s of it the build"
        parts.append(f"{timings['total_s']:.1f} s, {build}{engine}")
    if any(c.verdict == "error" for c in report.checks):
        parts.append("an error is ours and costs no points: please report it")
    return " · ".join(parts)
