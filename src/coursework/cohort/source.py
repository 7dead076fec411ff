"""Where an instructor has submissions: nbgrader's tree, a folder, or a platform's download.

Everything here comes from learners: names become no paths, and nothing is unpacked. Each file is
taken, or it is told why not.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

from coursework.cohort.dates import nbgraders_time
from coursework.cohort.forms import (
    NBGRADER,
    NOTEBOOK_NAME,
    Form,
    Origin,
    Piece,
    asked_form,
    fitting_form,
    piece,
    tree,
)
from coursework.cohort.members import Member, members_of
from coursework.modules.catalogue import NUMBER
from coursework.submissions.files import SubmissionError
from coursework.submissions.notebook import parse_notebook
from coursework.trouble import CourseError

NOTEBOOK = "exercise.ipynb"
# nbgrader's own commands write it beside what they collect.
_TIMESTAMP = "timestamp.txt"
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,79}")
_OTHER_MODULE = re.compile(rf"(?:.*/)?[^/]+/{NUMBER}-[a-z0-9-]+/.*", re.DOTALL)
# Of these, nbgrader would make patterns of file names.
_UNFIT = frozenset("/\\*?[]{}")
# Letters of several alphabets are joined or kept apart by them.
_JOINERS = "\u200c\u200d"
_LONGEST_NAME = 80


@dataclass(frozen=True)
class HandedIn:
    """One learner's notebook.

    Args:
        learner: as the platform or the folder names them; what a gradebook knows.
        read: gives the notebook's bytes; SubmissionError where there are none.
        origin: what the source's names say besides.
    """

    learner: str
    read: Callable[[], bytes]
    origin: Origin = field(default_factory=Origin)


@dataclass(frozen=True)
class Found:
    """What a source holds.

    Args:
        submissions: one a learner, by name.
        told: what was left, of learners who handed in several files.
        not_taken: paths of files that are nobody's.
        matches: whose each path is by the pattern that was asked for.
    """

    submissions: list[HandedIn]
    told: tuple[str, ...] = ()
    not_taken: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()


def require_source(source: Path) -> None:
    """Refuse a source that isn't there: what follows would say that it holds nothing.

    Raises:
        CourseError: there is no such file or folder.
    """
    if not source.exists():
        raise CourseError(f"There is no {source}.", fix="name the folder or the zip of submissions")


def find_submissions(source: Path, slug: str, pattern: str = "") -> Found:
    """Return the submissions to a module.

    Args:
        source: nbgrader's `submitted/`, a folder of `<learner>.ipynb`, or a platform's download,
            as a zip or unpacked.
        slug: of the module.
        pattern: a regular expression of paths with the group `learner`; the forms that are known
            are tried by default.

    Raises:
        CourseError: there are none; with what was found, and how to say whose it is.
    """
    members = members_of(source)
    form = asked_form(pattern) if pattern else fitting_form(members, slug)
    pieces, not_taken = _sorted_out(form, members)
    if not pieces:
        raise _nothing(source, slug, members)
    submissions, told, without = [], [], []
    for learner, own in sorted(pieces.items()):
        counts, others = _that_counts(form, own, slug)
        if not counts:
            without.append(learner)
        elif others:
            told.append(f"{learner}: {counts.member.path} counts, not {', '.join(others)}")
        read = counts.member.read if counts else _without(own)
        submissions.append(HandedIn(learner, read, _origin(form, own, counts)))
    if without:
        told.append(f"no notebook was handed in by {', '.join(without)}")
    beside = [p for p in chain.from_iterable(pieces.values()) if p.is_beside]
    if beside := [p for p in beside if form.name != NBGRADER or p.file != _TIMESTAMP]:
        told.append(f"{len(beside)} files that are no notebook: the notebook alone is graded")
    matches = [f"{p.member.path} → {p.learner}" for own in pieces.values() for p in own]
    return Found(submissions, tuple(told), not_taken, tuple(matches if pattern else ()))


def _sorted_out(
    form: Form, members: Sequence[Member]
) -> tuple[dict[str, list[Piece]], tuple[str, ...]]:
    pieces: dict[str, list[Piece]] = {}
    not_taken = []
    for member in members:
        if found := piece(form, member):
            pieces.setdefault(learner_name(found.learner), []).append(found)
        # Brightspace lays an index beside; in nbgrader's tree there are other modules.
        elif not (
            member.is_folder
            or member.path == "index.html"
            or (form.name == NBGRADER and _OTHER_MODULE.fullmatch(member.path))
        ):
            not_taken.append(member.path)
    return pieces, tuple(not_taken)


def _that_counts(
    form: Form, pieces: Sequence[Piece], slug: str
) -> tuple[Piece | None, tuple[str, ...]]:
    """Return the newest notebook that answers the module, and the paths of the others."""
    read = [p for p in pieces if p.is_notebook]
    if form.name == NBGRADER:
        # nbgrader itself takes no other name.
        read = [p for p in read if p.file == NOTEBOOK]
    if len(read) < 2:  # noqa: PLR2004 - one need not be compared
        return (read[0] if read else None), ()
    best = max(read, key=lambda p: (_fitness(p, slug), p.order))
    return best, tuple(p.member.path for p in read if p is not best)


def _origin(form: Form, pieces: Sequence[Piece], counts: Piece | None) -> Origin:
    """Return what is known of the notebook that counts, or of the newest file."""
    origin = (counts or max(pieces, key=lambda p: p.order)).origin
    written = next((p for p in pieces if p.file == _TIMESTAMP), None)
    if form.name != NBGRADER or written is None:
        return origin
    try:
        return replace(origin, when=nbgraders_time(written.member.read()))
    except SubmissionError:
        return origin


def _fitness(handed_in: Piece, slug: str) -> int:
    named = _module_of(handed_in)
    if named == "":
        return 2 if handed_in.file.lower().startswith("exercise") else 1
    return 3 if named == slug else 0


def _module_of(handed_in: Piece) -> str | None:
    """Return the module that a notebook names; None where it cannot be read."""
    try:
        return parse_notebook(handed_in.member.read()).module or ""
    except SubmissionError:
        return None


def _without(pieces: Sequence[Piece]) -> Callable[[], bytes]:
    names = ", ".join(p.file for p in pieces if p.file)[:300]

    def read() -> bytes:
        raise SubmissionError(
            f"No notebook was handed in: {NOTEBOOK} cannot be read.",
            why=f"there is {names or 'nothing'}",
            fix=f"hand in {NOTEBOOK}",
        )

    return read


def _nothing(source: Path, slug: str, members: Sequence[Member]) -> CourseError:
    notebooks = [m.path for m in members if NOTEBOOK_NAME.fullmatch(m.path)]
    pattern = r"(?P<learner>[^/]+)/.*[.]ipynb"
    why = (
        f"looked for <learner>/{slug}/{NOTEBOOK}, <learner>.ipynb, or a download of Canvas, Moodle,"
        " Blackboard, Brightspace or ILIAS"
    )
    if notebooks:
        why = (
            f"{len(notebooks)} notebooks, none under a name that is known, the first: "
            + notebooks[0]
        )
        if match := re.fullmatch(pattern, notebooks[0]):
            why += f" (with the pattern below it is {match['learner']}'s)"
    return CourseError(
        f"{source} holds no submission to {slug}.",
        why=why,
        fix=f"rename to <learner>.ipynb, or type it again with --name-pattern '{pattern}'",
    )


def answered_module(source: Path, slugs: Sequence[str], pattern: str = "") -> str:
    """Return the one module that a source's submissions answer; empty where they name none.

    Args:
        source: as for find_submissions.
        slugs: of all modules.
        pattern: as for find_submissions.

    Raises:
        CourseError: they answer several.
    """
    members = members_of(source)
    found = [s for s in slugs if any(tree(s).pattern.fullmatch(m.path) for m in members)]
    if pattern or not found:
        form = asked_form(pattern) if pattern else fitting_form(members, "")
        pieces = [p for own in _sorted_out(form, members)[0].values() for p in own]
        named = {_module_of(p) for p in pieces if p.is_notebook}
        found = [s for s in slugs if s in named]
    if len(found) > 1:
        raise CourseError(
            f"{source} holds submissions to several modules.",
            why=", ".join(found),
            fix=f"course grade {source} --module {found[0]}",
        )
    return found[0] if found else ""


def learner_name(text: str) -> str:
    """Return a name in Unicode's NFC; as an identifier where a gradebook could not show it."""
    name = unicodedata.normalize("NFC", text)
    shown = all(c.isprintable() or c in _JOINERS for c in name) and not _UNFIT & set(name)
    if shown and not name.startswith(".") and 0 < len(name) <= _LONGEST_NAME:
        return name
    return identifier(name)


def identifier(name: str) -> str:
    """Return a name that is safe in a file's; one that is changed gets a mark of what it was."""
    if _SAFE.fullmatch(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9._@-]+", "-", name).strip("-._@")[:60] or "learner"
    # In a class of 2,000 whose names hold no Latin letter, the mark alone tells learners apart.
    return f"{plain}-{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:16]}"
