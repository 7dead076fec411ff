"""The last report of each module, for the list of modules and for a page that shows progress."""

import json
from typing import Any

from coursework.checks.verdict import Report
from coursework.layout import Layout


def save_report(layout: Layout, report: Report) -> None:
    """Keep a module's last whole report; a state folder that cannot be written is no trouble."""
    path = layout.state / "reports" / f"{report.module}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report.to_json(), indent=1), "utf-8")
    except OSError:
        return


def last_report(layout: Layout, slug: str) -> dict[str, Any] | None:
    """Return a module's last whole report as JSON values, if there is one."""
    path = layout.state / "reports" / f"{slug}.json"
    try:
        report: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return report
