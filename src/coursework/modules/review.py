"""When each card of a passed module is asked again, kept in .course/review.json."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from coursework.files import locked, write_whole
from coursework.layout import Layout
from coursework.modules.cards import NAME, Card, load_cards
from coursework.modules.catalogue import Catalogue, Module
from coursework.report.record import passed_on
from coursework.trouble import CourseError

# Days until a card comes again: the first after its module passed, the next each time it is known.
INTERVALS_DAYS = (1, 3, 7, 21, 60)
_STATE = "review.json"


@dataclass(frozen=True)
class Scheduled:
    """A card with the day on which it is asked.

    Args:
        key: its name in the state, and in other programs: module and section of the lesson.
        module: of the catalogue.
        card: question and answer.
        step: how many times in a row it was known.
        due: the day.
    """

    key: str
    module: Module
    card: Card
    step: int
    due: date


def today() -> date:
    """Return the learner's day."""
    return date.today()  # noqa: DTZ011 - by the learner's own clock


def keyed_cards(layout: Layout, slug: str) -> Iterator[tuple[str, Card]]:
    """Yield the cards of a module with their keys, which stay when a text is reworded.

    Raises:
        CourseError: its cards cannot be read.
    """
    seen: Counter[str] = Counter()
    for card in load_cards(layout.lesson(slug).with_name(NAME)):
        seen[card.section] += 1
        number = seen[card.section]
        yield f"{slug}/{card.section}{f' {number}' if number > 1 else ''}", card


def schedule(layout: Layout, catalogue: Catalogue) -> list[Scheduled]:
    """Return the cards of all passed modules, the earliest first.

    Raises:
        CourseError: the state is damaged; it was put aside, and the next call begins anew.
        CourseError: cards cannot be read.
    """
    state = _load(layout)
    found = []
    for module in catalogue.modules:
        passed = passed_on(layout, module.slug)
        if passed is None:
            continue
        first = passed + timedelta(days=INTERVALS_DAYS[0])
        for key, card in keyed_cards(layout, module.slug):
            step, due = state.get(key, (0, first))
            found.append(Scheduled(key, module, card, step, due))
    return sorted(found, key=lambda scheduled: scheduled.due)


def due_cards(scheduled: list[Scheduled]) -> list[Scheduled]:
    """Return those that are to be asked by today."""
    return [card for card in scheduled if card.due <= today()]


def rate(layout: Layout, card: Scheduled, *, known: bool) -> None:
    """Note that a card was known, or not; it is on the disk afterwards.

    Raises:
        CourseError: the state cannot be written, or was damaged meanwhile.
    """
    step = card.step + 1 if known else 0
    days = INTERVALS_DAYS[min(step, len(INTERVALS_DAYS) - 1)]
    try:
        # A notebook and a terminal may ask at the same time.
        with locked(layout.state / "review.lock"):
            state = _load(layout) | {card.key: (step, today() + timedelta(days=days))}
            _save(layout, state)
    except OSError as error:
        raise CourseError(
            "The review cannot be kept.",
            why=f"{error.strerror}: {error.filename}",
            fix="free some disk and make .course writable, then: course review",
        ) from error


def _save(layout: Layout, state: dict[str, tuple[int, date]]) -> None:
    cards = {key: {"step": step, "due": due.isoformat()} for key, (step, due) in state.items()}
    text = json.dumps({"cards": cards}, indent=1, sort_keys=True, ensure_ascii=False)
    write_whole(layout.state / _STATE, f"{text}\n".encode(), durable=True)


def _load(layout: Layout) -> dict[str, tuple[int, date]]:
    path = layout.state / _STATE
    try:
        cards = json.loads(path.read_bytes())["cards"]
        return {key: _entry(value) for key, value in cards.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        kept = _put_aside(path)
        raise CourseError(
            f"What you have reviewed cannot be read: {path.name} is damaged.",
            why=f"{type(error).__name__}: {error}; nothing was deleted, it is now {kept.name}",
            fix=f"mend {kept} and rename it to {path.name}, or begin anew: course review",
        ) from error


def _entry(value: Any) -> tuple[int, date]:
    step = value["step"]
    if not isinstance(step, int) or step < 0:
        raise ValueError(f"{step!r} is no step")
    return step, date.fromisoformat(value["due"])


def _put_aside(path: Path) -> Path:
    stamp = f"{datetime.now():%Y-%m-%d-%H%M%S-%f}"  # noqa: DTZ005 - the learner's own clock
    return path.rename(path.with_name(f"{path.stem}.damaged-{stamp}{path.suffix}"))
