"""All rules that need no engine."""

from collections.abc import Iterator

from coursework.authoring.audit import checks, entry, places, portable, texts
from coursework.authoring.audit.proved import RULES_OF_RECORDS
from coursework.authoring.audit.subject import Finding, Rule, Subject, one_line, unreadable
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

RULES: tuple[Rule, ...] = (
    entry.entry_is_in_order,
    entry.images_exist,
    entry.dockerfiles_use_listed_images,
    places.unknown_files,
    places.answers_out_of_place,
    texts.derivations_are_current,
    texts.check_links_are_headings,
    texts.links_resolve,
    texts.pictures_are_drawn,
    texts.cards_are_six,
    portable.shell_is_portable,
    checks.points_sum_to_ten,
    checks.checks_speak,
    checks.needs_come_before,
    checks.cells_are_the_checks,
    checks.checks_have_wrong_answers,
    checks.mistakes_apply,
    checks.has_right_answer,
    checks.answers_differ_from_solution,
)


REFUSED = "refused-source"


def audit_places(layout: Layout) -> list[Finding]:
    """Find what belongs to no module."""
    return list(places.folders_without_entry(layout, load_catalogue(layout)))


def audit_structure(subject: Subject, *, recorded: bool = False) -> tuple[list[Finding], bool]:
    """Apply all rules that need no engine to one module.

    Args:
        subject: the module.
        recorded: also those about what was recorded, unless the module is about to be proved.

    Returns:
        The findings, and whether its files can be read at all: else nothing of it can run.
    """
    if found := list(unreadable(subject)):
        return found, False
    for rule in (*RULES, *(RULES_OF_RECORDS if recorded else ())):
        found += [f for f in _applied(rule, subject) if not _is_told(f, found)]
    return found, True


def _applied(rule: Rule, subject: Subject) -> Iterator[Finding]:
    try:
        yield from rule(subject)
    except CourseError as error:
        yield subject.finding(subject.layout.solution(subject.slug), REFUSED, one_line(error))


def _is_told(finding: Finding, found: list[Finding]) -> bool:
    """Tell whether another rule has met the same fault of a source."""
    return finding.rule == REFUSED and finding.what in {other.what for other in found}
