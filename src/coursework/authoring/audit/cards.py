"""Rules about a module's cards."""

from collections.abc import Iterator

from coursework.authoring.audit.document import Document
from coursework.authoring.audit.finding import Finding
from coursework.authoring.audit.subject import Subject, one_line
from coursework.modules.cards import NAME, load_cards
from coursework.trouble import CourseError

_CARDS_OF_A_MODULE = 6


def cards_are_six(subject: Subject) -> Iterator[Finding]:
    """Find cards that cannot be read, are more or fewer than six, or come from no section."""
    path = subject.layout.lesson(subject.slug).with_name(NAME)
    if not path.exists():
        return
    try:
        cards = load_cards(path)
    except CourseError as error:
        yield subject.finding(path, "malformed-cards", one_line(error))
        return
    if len(cards) != _CARDS_OF_A_MODULE:
        what = f"it has {len(cards)} cards, not {_CARDS_OF_A_MODULE}"
        yield subject.finding(path, "malformed-cards", what)
    headings = Document(subject.lesson).headings()
    for card in cards:
        if card.section not in headings:
            what = f"{card.question!r}: the lesson has no heading {card.section!r}"
            command = f"grep '^#' course/{subject.slug}/lesson.md"
            yield subject.finding(path, "unknown-heading", what, command)
