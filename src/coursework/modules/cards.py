"""The cards of a module: questions worth remembering in a year, read from its cards.toml."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from coursework.trouble import CourseError

NAME = "cards.toml"
_KEYS = ("question", "answer", "section")


@dataclass(frozen=True)
class Card:
    """One question with its answer.

    Args:
        question: what is asked.
        answer: one to three sentences.
        section: the heading of the lesson that it comes from.
    """

    question: str
    answer: str
    section: str


def load_cards(path: Path) -> tuple[Card, ...]:
    """Return the cards of a file in order; none where there is no such file.

    Raises:
        CourseError: it is not TOML, or a card has other keys than question, answer and section.
    """
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CourseError(f"{path} cannot be read.", why=str(error)) from error
    entries = content.pop("card", [])
    if content or not isinstance(entries, list):
        raise CourseError(f"{path} holds something else than [[card]] entries.")
    return tuple(_card(path, number, entry) for number, entry in enumerate(entries, start=1))


def _card(path: Path, number: int, entry: object) -> Card:
    values = entry if isinstance(entry, dict) else {}
    texts = {key: text.strip() for key, text in values.items() if isinstance(text, str)}
    if sorted(values) != sorted(_KEYS) or not all(texts.get(key) for key in _KEYS):
        raise CourseError(
            f"Card {number} of {path} is not a question with answer and section.",
            why=f"it has {', '.join(sorted(values)) or 'nothing'}",
        )
    return Card(**texts)
