"""The hints of a check, for a learner who asks for more than the report shows."""

from coursework.grading.grade import list_checks
from coursework.layout import Layout
from coursework.trouble import CourseError


def hints_of(layout: Layout, slug: str, name: str) -> list[str]:
    """Return the hints of a check and the lesson's section that explains it, a line each.

    Raises:
        CourseError: the module has no such check.
    """
    checks = {check.name: check for check in list_checks(layout, slug)}
    if name not in checks:
        raise CourseError(
            f"{slug} has no check named {name[:40]!r}.", why=f"its checks: {', '.join(checks)}"
        )
    check = checks[name]
    section = f"lesson {slug}, “{check.link}”" if check.link else ""
    return [text for text in (*check.hints, section) if text]
