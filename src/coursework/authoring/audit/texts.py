"""Rules about what a learner reads: derived files are current, and links lead somewhere."""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from coursework.authoring.audit.subject import Document, Finding, Subject, one_line
from coursework.authoring.derive import NOTEBOOK, compare
from coursework.authoring.source import SourceError, read_cells
from coursework.files import folder_files
from coursework.modules.cards import NAME, load_cards
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

LESSON = "lesson.ipynb"
_CARDS_OF_A_MODULE = 6
_DIRECTIVE = "```{mermaid}"


def derivations_are_current(subject: Subject) -> Iterator[Finding]:
    """Find files of exercises/ that are not what their source gives."""
    for found in compare(subject.layout, subject.slug):
        what = f"it is {found.state} against solutions/{subject.slug}"
        yield subject.finding(found.path, "stale-derivation", what, f"course build {subject.slug}")


def check_links_are_headings(subject: Subject) -> Iterator[Finding]:
    """Find checks that point to a section which the lesson has not."""
    headings = Document(subject.lesson).headings()
    for check in subject.checks:
        if check.link and check.link not in headings:
            what = f"check_{check.name}: the lesson has no heading {check.link!r}"
            lesson = f"grep '^#' course/{subject.slug}/lesson.md"
            yield subject.finding(subject.checks_file, "unknown-heading", what, lesson)


def links_resolve(subject: Subject) -> Iterator[Finding]:
    """Find links that lead nowhere from where a learner reads: work/NN-slug."""
    layout, slug = subject.layout, subject.slug
    texts = {layout.lesson(slug): subject.lesson, layout.solution(slug): subject.exercise}
    for path, cells in texts.items():
        for link in Document(cells).links():
            rule, what = _fault(subject, Document(cells), link)
            if rule:
                yield subject.finding(path, rule, what)


def _fault(subject: Subject, here: Document, link: str) -> tuple[str, str]:
    try:
        parts = urlsplit(link)
        host = parts.hostname or ""
    except ValueError:
        return "malformed-url", f"{link!r} is no address"
    if parts.scheme or link.startswith("//"):
        return _web_fault(link, parts.scheme, host)
    target = _target(subject, here, parts.path)
    if target is None:
        return "broken-link", f"{link!r}: there is no such file beside the learner's notebook"
    if parts.fragment and (
        not isinstance(target, Document) or parts.fragment not in target.anchors()
    ):
        return "broken-anchor", f"{link!r}: no heading is called so; write #Its-exact-words"
    return "", ""


def _web_fault(link: str, scheme: str, host: str) -> tuple[str, str]:
    is_good = scheme in ("http", "https") and ("." in host or host == "localhost")
    if is_good and not any(c.isspace() for c in link):
        return "", ""
    return "malformed-url", f"{link!r} is no http or https address"


def _target(subject: Subject, here: Document, path: str) -> Document | Path | None:
    """Return what a relative path leads to in work/: a notebook's text, a file, or nothing."""
    if not path:
        return here
    slug, _, name = posixpath.normpath(f"{subject.slug}/{path}").partition("/")
    if slug not in [module.slug for module in load_catalogue(subject.layout).modules]:
        return None
    sources = {LESSON: subject.layout.lesson(slug), NOTEBOOK: subject.layout.solution(slug)}
    if name in sources:
        try:
            return Document(read_cells(sources[name]))
        except SourceError:
            return None
    folder = subject.layout.exercise(slug).parent
    return folder / name if name in folder_files(folder) else None


def pictures_are_drawn(subject: Subject) -> Iterator[Finding]:
    """Find diagrams that neither JupyterLab nor the site draws: they know the fence of Markdown."""
    layout, slug = subject.layout, subject.slug
    texts = {layout.lesson(slug): subject.lesson, layout.solution(slug): subject.exercise}
    for path, cells in texts.items():
        if any(_DIRECTIVE in cell.text for cell in cells if cell.kind == "markdown"):
            what = f"{_DIRECTIVE} is shown as text; begin the diagram with ```mermaid"
            yield subject.finding(path, "undrawn-diagram", what)


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
