"""The hints of a check, for a learner who asks for more than the report shows."""

from coursework.grading.grade import list_checks
from coursework.layout import Layout
from coursework.report.record import last_report
from coursework.trouble import CourseError


def hints_of(layout: Layout, slug: str, name: str | None) -> list[str]:
    """Return the hints of a check and the lesson's section that explains it, a line each.

    Raises:
        CourseError: no check is named, or the module has no such one.
    """
    checks = {check.name: check for check in list_checks(layout, slug)}
    if name is None:
        raise _unnamed(layout, slug, list(checks))
    if name not in checks:
        raise CourseError(
            f"{slug} has no check named {name[:40]!r}.", why=f"its checks: {', '.join(checks)}"
        )
    check = checks[name]
    section = f"lesson {slug}, “{check.link}”" if check.link else ""
    return [text for text in (*check.hints, section) if text]


def _unnamed(layout: Layout, slug: str, names: list[str]) -> CourseError:
    """Return what to type instead; the checks that failed last come first."""
    results = (last_report(layout, slug) or {}).get("checks", [])
    failed = [r["name"] for r in results if r["verdict"] == "failed" and r["name"] in names]
    return CourseError(
        "A hint is about one check.",
        why=f"failed last: {', '.join(failed)}" if failed else f"its checks: {', '.join(names)}",
        fix=f'hint("{(failed or names)[0]}")',
    )
