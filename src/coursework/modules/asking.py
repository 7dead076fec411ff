"""Asking due cards one by one, in a terminal or in a notebook; the learner rates each answer."""

from collections.abc import Callable

from coursework.layout import Layout
from coursework.modules.review import Scheduled, due_cards, rate, today

_KNOWN = {"y": True, "yes": True, "n": False, "no": False}
_END = ("q", "quit")


def ask_cards(
    layout: Layout, due: list[Scheduled], say: Callable[[str], None], ask: Callable[[str], str]
) -> int:
    """Ask cards until all are rated or the learner ends; each rating is kept at once.

    Args:
        layout: the clone.
        due: the cards.
        say: shows a text.
        ask: shows a prompt and returns what was typed.

    Returns:
        How many were rated.

    Raises:
        CourseError: a rating cannot be kept.
    """
    for number, card in enumerate(due):
        say(f"\n{number + 1} of {len(due)} · {card.module.slug}\n\n{card.card.question}\n")
        if _typed(ask("Enter shows the answer, q ends: ")) in _END:
            return number
        say(f"\n{card.card.answer}\n(lesson {card.module.slug}, “{card.card.section}”)\n")
        known = None
        while known is None:
            typed = _typed(ask("Did you know it? y, n, or q to end: "))
            if typed in _END:
                return number
            known = _KNOWN.get(typed)
        rate(layout, card, known=known)
    return len(due)


def _typed(text: str) -> str:
    return text.strip().lower()


def standing(scheduled: list[Scheduled]) -> str:
    """Return one line: how many cards are due, or when the next one is."""
    if not scheduled:
        return "There are no cards yet: a module's come the day after all its checks passed."
    if due := due_cards(scheduled):
        return f"{_cards(due)} due today: course review, or review() in a notebook"
    first = scheduled[0].due
    days = (first - today()).days
    when = "tomorrow" if days == 1 else f"in {days} days, on {first:%A, %d %B}"
    return f"No card is due today; {_cards([c for c in scheduled if c.due == first])} due {when}."


def _cards(cards: list[Scheduled]) -> str:
    return "1 card is" if len(cards) == 1 else f"{len(cards)} cards are"
