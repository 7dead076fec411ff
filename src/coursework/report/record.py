"""The last report of each module, for the list of modules and for a page that shows progress."""

import json
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any

from coursework.checks.verdict import Report
from coursework.files import write_whole
from coursework.layout import Layout

_PASSED_ON = "passed_on"


def save_report(layout: Layout, report: Report) -> None:
    """Keep a module's last whole report; a state folder that cannot be written is no trouble."""
    first = passed_on(layout, report.module)
    if first is None and 0 < report.points == report.max_points:
        first = _today()
    kept = {**report.to_json(), _PASSED_ON: first.isoformat() if first else None}
    try:
        write_whole(_path(layout, report.module), json.dumps(kept, indent=1).encode())
    except OSError:
        return


def passed_on(layout: Layout, slug: str) -> date | None:
    """Return the day on which all checks of a module first passed; None where they never did."""
    report = last_report(layout, slug) or {}
    with suppress(KeyError, ValueError, TypeError):
        return date.fromisoformat(report[_PASSED_ON])
    # A report of before the day was kept.
    if report.get("max_points") and report.get("points") == report["max_points"]:
        seconds = _path(layout, slug).stat().st_mtime
        return datetime.fromtimestamp(seconds).date()  # noqa: DTZ006 - a day is the learner's own
    return None


def _today() -> date:
    return date.today()  # noqa: DTZ011 - as above


def _path(layout: Layout, slug: str) -> Path:
    return layout.state / "reports" / f"{slug}.json"


def last_report(layout: Layout, slug: str) -> dict[str, Any] | None:
    """Return a module's last whole report as JSON values, if there is one."""
    try:
        report = json.loads(_path(layout, slug).read_bytes())
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) else None
