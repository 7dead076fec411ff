"""What an instructor reads: a page for each learner, a table, and the class as a whole."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from coursework.cohort.dates import how_long, shown
from coursework.cohort.late import Final, finals
from coursework.cohort.page import page
from coursework.cohort.results import Result, write_whole
from coursework.cohort.source import identifier
from coursework.cohort.tables import table
from coursework.report.lines import printable
from coursework.report.notebook import report_html

_COMMON = 3


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
    write_final_pages(folder, slug, finals(results, None))


def write_final_pages(folder: Path, slug: str, of_class: Sequence[Final]) -> None:
    """Write the same, with what being late costs where a deadline counts.

    Raises:
        CourseError: as above.
    """
    for final in of_class:
        result = final.result
        told = f"<p>{escape(final.told)}</p>" if final.told else ""
        text = page(f"{slug} · {result.learner}", told + report_html(result.report))
        write_whole(folder / "feedback" / slug / f"{identifier(result.learner)}.html", text)
    write_whole(folder / f"{slug}.csv", _table(of_class))
    write_whole(folder / f"{slug}.html", page(f"{slug} · the class", _class_html(of_class)))


def _table(of_class: Sequence[Final]) -> str:
    names = list(dict.fromkeys(c.name for f in of_class for c in f.result.report.checks))
    has_due = any(f.due for f in of_class)
    late = ["due", "handed_in", "late", "lowered_by", "final_points"] if has_due else []
    rows: list[list[object]] = [
        ["learner", "module", "points", "max_points", *late, "to_look_at", *names]
    ]
    for final in of_class:
        result, report = final.result, final.result.report
        points = {c.name: "" if c.verdict == "error" else c.points for c in report.checks}
        look = "" if result.is_final and final.has_time else "yes"
        row = [result.learner, result.module, report.points, report.max_points]
        row += _late_cells(final) if has_due else []
        rows.append([*row, look, *(points.get(name, "") for name in names)])
    return table(rows)


def _late_cells(final: Final) -> list[object]:
    due, handed_in = (shown(t) if t else "" for t in (final.due, final.handed_in))
    late = how_long(final.late) if final.late else ""
    points = "" if final.points is None else f"{final.points:g}"
    return [due, handed_in, late, f"{final.lowered_by:g}", points]


def _class_html(of_class: Sequence[Final]) -> str:
    rows = "".join(
        f"<tr><th>{escape(s.name)}</th><td>{s.counts['passed']}</td><td>{s.counts['failed']}</td>"
        f"<td>{s.counts['skipped']}</td><td>{s.counts['error']}</td><td>{_seen_html(s)}</td></tr>"
        for s in summarise([f.result for f in of_class])
    )
    learners = "".join(
        f"<tr><td>{escape(f.result.learner)}</td>"
        f"<td>{f.result.report.points} of {f.result.report.max_points}</td>"
        f"<td>{escape(f.told or ('' if f.has_time else 'when it came is not known'))}</td>"
        f"<td>{escape(printable(f.result.trouble))}</td></tr>"
        for f in of_class
    )
    return (
        "<table><tr><th>check</th><th>passed</th><th>failed</th><th>skipped</th>"
        f"<th>not judged</th><th>seen most often</th></tr>{rows}</table>"
        f"<h2>Learners</h2><table>{learners}</table>"
    )


def _seen_html(summary: CheckSummary) -> str:
    return "<br>".join(f"{count} times: {escape(text)}" for text, count in summary.seen)
