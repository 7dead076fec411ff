"""The cards of passed modules as a file for Anki; importing a later one updates the notes."""

import hashlib
import tempfile
from html import escape
from pathlib import Path
from typing import Any

from coursework.modules.review import Scheduled
from coursework.trouble import CourseError

ENDING = ".apkg"
_COURSE = "HTTP to Kubernetes"
# Anki knows a kind of note by this number: it stays as long as the fields do.
_MODEL_ID = 1_604_331_207
_STYLE = ".card { font: 20px sans-serif; text-align: left } .from { opacity: 0.6; font-size: 75% }"
_BACK = '{{FrontSide}}<hr id="answer">{{Answer}}<p class="from">{{From}}</p>'


def write_anki(path: Path, cards: list[Scheduled]) -> None:
    """Write a package for Anki, whole or not at all; a file that is there is replaced.

    Raises:
        CourseError: the name does not end in .apkg, there are no cards, or it cannot be written.
    """
    if path.suffix != ENDING:
        raise CourseError(
            f"{path} is no name that Anki opens.",
            why=f"its files end in {ENDING}",
            fix=f"course review --anki {path.with_suffix(ENDING)}",
        )
    if not cards:
        raise CourseError(
            "There are no cards to write.",
            why="cards are those of modules whose checks have all passed",
            fix="course list",
        )
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".anki-") as folder:
            part = Path(folder) / path.name
            _package(cards).write_to_file(str(part))
            part.replace(path)
    except OSError as error:
        raise CourseError(f"{path} cannot be written.", why=str(error.strerror)) from error


def _package(cards: list[Scheduled]) -> Any:
    import genanki  # noqa: PLC0415 - only this needs it

    model = genanki.Model(
        _MODEL_ID,
        _COURSE,
        fields=[{"name": name} for name in ("Question", "Answer", "From")],
        templates=[{"name": "Card 1", "qfmt": "{{Question}}", "afmt": _BACK}],
        css=_STYLE,
    )
    decks: dict[str, Any] = {}
    for card in cards:
        slug = card.module.slug
        if slug not in decks:
            decks[slug] = genanki.Deck(_deck_id(slug), f"{_COURSE}::{slug}")
        texts = (card.card.question, card.card.answer, f"{slug}, “{card.card.section}”")
        # By the guid Anki finds the note again, also when its texts have changed.
        guid = genanki.guid_for(_COURSE, card.key)
        note = genanki.Note(model=model, fields=[escape(t) for t in texts], guid=guid, tags=[slug])
        decks[slug].add_note(note)
    return genanki.Package(list(decks.values()))


def _deck_id(slug: str) -> int:
    digest = hashlib.sha256(f"{_COURSE} {slug}".encode()).digest()
    return (1 << 30) + int.from_bytes(digest[:4], "big") % (1 << 30)
