"""What an instructor reads: a page for each learner, a table, and the class as a whole."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from coursework.cohort.results import Result, write_whole
from coursework.cohort.source import identifier
from coursework.report.lines import printable
from coursework.report.notebook import report_html

_COMMON = 3
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>:root {{ color-scheme: light dark }} body {{ font-family: sans-serif; margin: 2em auto;
max-width: 60em; padding: 0 1em }} td, th {{ text-align: left; padding: 0.2em 1em 0.2em 0;
vertical-align: top }}</style>
<h1>{title}</h1>
{body}
</html>
"""


@dataclass(frozen=True)
class CheckSummary:
    """How a class did at one check.

    Args:
        name: of the check.
        title: what it asks.
        counts: how many passed, failed, were skipped, could not be judged (error).
        seen: what was seen most often where it failed, with how often.
    """

    name: str
    title: str
    counts: dict[str, int]
    seen: tuple[tuple[str, int], ...]


def summarise(results: Sequence[Result]) -> list[CheckSummary]:
    """Return a summary of each check, in the checks' order."""
    names = {c.name: c.title for r in results for c in r.report.checks}
    return [_summary(name, title, results) for name, title in names.items()]


def _summary(name: str, title: str, results: Sequence[Result]) -> CheckSummary:
    checks = [c for r in results for c in r.report.checks if c.name == name]
    counts = Counter[str](c.verdict for c in checks)
    seen = Counter(printable(c.saw).splitlines()[0][:160] for c in checks
                   if c.verdict == "failed" and c.saw.strip())  # fmt: skip
    verdicts = ("passed", "failed", "skipped", "error")
    return CheckSummary(
        name, title, {v: counts[v] for v in verdicts}, tuple(seen.most_common(_COMMON))
    )


def write_pages(folder: Path, slug: str, results: Sequence[Result]) -> None:
    """Write feedback/<module>/<learner>.html, <module>.csv and <module>.html into a folder.

    Raises:
        CourseError: the disk is full, or the folder cannot be written.
    """
    for result in results:
        title = f"{slug} · {result.learner}"
        text = _page(title, report_html(result.report))
        write_whole(folder / "feedback" / slug / f"{identifier(result.learner)}.html", text)
    write_whole(folder / f"{slug}.csv", _table(results))
    write_whole(folder / f"{slug}.html", _page(f"{slug} · the class", _class_html(results)))


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=escape(title), body=body)


def _table(results: Sequence[Result]) -> str:
    names = list(dict.fromkeys(c.name for r in results for c in r.report.checks))
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["learner", "module", "points", "max_points", "to_look_at", *names])
    for result in results:
        report = result.report
        points = {c.name: "" if c.verdict == "error" else c.points for c in report.checks}
        look = "yes" if not result.is_final else ""
        row = [_cell(result.learner), result.module, report.points, report.max_points, look]
        writer.writerow([*row, *(points.get(name, "") for name in names)])
    return text.getvalue()


def _cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _class_html(results: Sequence[Result]) -> str:
    rows = "".join(
        f"<tr><th>{escape(s.name)}</th><td>{s.counts['passed']}</td><td>{s.counts['failed']}</td>"
        f"<td>{s.counts['skipped']}</td><td>{s.counts['error']}</td><td>{_seen_html(s)}</td></tr>"
        for s in summarise(results)
    )
    learners = "".join(
        f"<tr><td>{escape(r.learner)}</td><td>{r.report.points} of {r.report.max_points}</td>"
        f"<td>{escape(printable(r.trouble))}</td></tr>"
        for r in results
    )
    return (
        "<table><tr><th>check</th><th>passed</th><th>failed</th><th>skipped</th>"
        f"<th>not judged</th><th>seen most often</th></tr>{rows}</table>"
        f"<h2>Learners</h2><table>{learners}</table>"
    )


def _seen_html(summary: CheckSummary) -> str:
    return "<br>".join(f"{count} times: {escape(text)}" for text, count in summary.seen)
