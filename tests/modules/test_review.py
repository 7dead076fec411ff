"""When cards come again, how they are asked, and what is kept of it."""

import json
from datetime import date, timedelta

import pytest

from coursework.checks.verdict import CheckResult, Report
from coursework.layout import Layout
from coursework.modules import review
from coursework.modules.asking import ask_cards, standing
from coursework.modules.catalogue import Catalogue, Module
from coursework.modules.review import due_cards, rate, schedule
from coursework.report.record import save_report
from coursework.trouble import CourseError

MODULE = Module("10-a", "A", "Tools", (), (), 5, ())
ALL = Catalogue((MODULE, Module("11-b", "B", "Tools", (), (), 5, ())))
MONDAY = date(2026, 11, 2)
CARDS = """
[[card]]
question = "What is a port?"
answer = "A number."
section = "Ports"

[[card]]
question = "What is an address?"
answer = "A number, too."
section = "Addresses"
"""


@pytest.fixture
def day(monkeypatch):
    """Return a function that makes it another day, for reports and reviews alike."""

    def set_to(day):
        monkeypatch.setattr("coursework.modules.review.today", lambda: day)
        monkeypatch.setattr("coursework.modules.asking.today", lambda: day)
        monkeypatch.setattr("coursework.report.record._today", lambda: day)

    return set_to


@pytest.fixture
def clone(tmp_path, day):
    """Return a clone of two modules with two cards each; nothing was checked yet."""
    day(MONDAY)
    layout = Layout(tmp_path)
    for module in ALL.modules:
        layout.lesson(module.slug).parent.mkdir(parents=True)
        layout.lesson(module.slug).with_name("cards.toml").write_text(CARDS, "utf-8")
    return layout


def save(layout, points, slug=MODULE.slug):
    check = CheckResult("answers", "it answers", "passed" if points else "failed", points, 10)
    save_report(layout, Report(slug, "00000000", 7, (check,)))


def due(layout):
    return [card.key for card in due_cards(schedule(layout, ALL))]


def answering(*words):
    """Return what types these words in turn, and the prompts that it was shown."""
    left, prompts = list(words), []

    def ask(prompt):
        prompts.append(prompt)
        return left.pop(0)

    return ask, prompts


def test_cards_come_the_day_after_a_module_passed(clone, day):
    save(clone, 0)
    assert schedule(clone, ALL) == []
    save(clone, 10)
    assert due(clone) == []
    day(MONDAY + timedelta(days=1))
    assert due(clone) == ["10-a/Ports", "10-a/Addresses"]


def test_a_later_check_moves_nothing(clone, day):
    """Neither does it count as passing anew, nor does one that fails take the cards away."""
    save(clone, 10)
    day(MONDAY + timedelta(days=1))
    save(clone, 10)
    assert len(due(clone)) == 2
    save(clone, 0)
    assert len(due(clone)) == 2


def test_a_card_that_is_known_comes_after_3_7_21_and_60_days(clone, day):
    save(clone, 10)
    now, waits = MONDAY, []
    for _ in range(6):
        card = schedule(clone, ALL)[0]
        waits.append((card.due - now).days)
        now = card.due
        day(now)
        for each in due_cards(schedule(clone, ALL)):
            rate(clone, each, known=True)
    assert waits == [1, 3, 7, 21, 60, 60]


def test_a_card_that_is_not_known_comes_tomorrow_and_from_the_beginning(clone, day):
    save(clone, 10)
    now = MONDAY
    for known, days in ((True, 3), (True, 7), (False, 1), (True, 3)):
        now = schedule(clone, ALL)[0].due
        day(now)
        for each in due_cards(schedule(clone, ALL)):
            rate(clone, each, known=known)
        assert (schedule(clone, ALL)[0].due - now).days == days


def test_a_reworded_card_keeps_its_day(clone, day):
    save(clone, 10)
    day(MONDAY + timedelta(days=1))
    rate(clone, schedule(clone, ALL)[0], known=True)
    cards = clone.lesson(MODULE.slug).with_name("cards.toml")
    cards.write_text(CARDS.replace("What is a port?", "What does a port say?"), "utf-8")
    assert due(clone) == ["10-a/Addresses"]


def test_two_cards_of_one_section_are_two(clone, day):
    cards = clone.lesson(MODULE.slug).with_name("cards.toml")
    cards.write_text(CARDS.replace("Addresses", "Ports"), "utf-8")
    save(clone, 10)
    day(MONDAY + timedelta(days=1))
    assert due(clone) == ["10-a/Ports", "10-a/Ports 2"]


def test_asking_shows_the_question_then_the_answer_and_keeps_each_rating(clone, day):
    save(clone, 10)
    day(MONDAY + timedelta(days=1))
    ask, prompts = answering("", "y", "", "what?", "N")
    shown: list[str] = []
    assert ask_cards(clone, due_cards(schedule(clone, ALL)), shown.append, ask) == 2
    assert "What is a port?" in shown[0]
    assert "A number." not in shown[0]
    assert "A number." in shown[1]
    assert "“Ports”" in shown[1]
    # Neither y nor n is asked again.
    assert len(prompts) == 5
    assert [c.step for c in schedule(clone, ALL)] == [0, 1]


@pytest.mark.parametrize("words", [("", "y", "q"), ("", "y", "", "q")])
def test_what_was_rated_before_the_end_is_kept(clone, day, words):
    save(clone, 10)
    day(MONDAY + timedelta(days=1))
    ask, _ = answering(*words)
    assert ask_cards(clone, due_cards(schedule(clone, ALL)), lambda _: None, ask) == 1
    assert due(clone) == ["10-a/Addresses"]


def test_an_interrupt_loses_nothing_that_was_rated(clone, day):
    save(clone, 10)
    day(MONDAY + timedelta(days=1))
    words = iter(["", "y"])

    def ask(_):
        try:
            return next(words)
        except StopIteration:
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt):
        ask_cards(clone, due_cards(schedule(clone, ALL)), lambda _: None, ask)
    assert due(clone) == ["10-a/Addresses"]


@pytest.mark.parametrize(
    "damage",
    ["", "{", "[]", '{"cards": 1}', '{"cards": {"10-a/Ports": {"step": "x", "due": "2026-11-03"}}}',
     '{"cards": {"10-a/Ports": {"step": 1, "due": "soon"}}}', "\0"],
)  # fmt: skip
def test_a_damaged_state_is_told_and_kept_aside(clone, damage):
    """The next call begins anew; what was in the file is still there."""
    save(clone, 10)
    clone.state.mkdir(exist_ok=True)
    (clone.state / "review.json").write_text(damage, "utf-8")
    with pytest.raises(CourseError, match=r"review\.json is damaged") as error:
        schedule(clone, ALL)
    (kept,) = clone.state.glob("review.damaged-*.json")
    assert kept.read_text("utf-8") == damage
    assert kept.name in error.value.why
    assert len(schedule(clone, ALL)) == 2


def test_entries_of_modules_that_are_not_here_stay(clone):
    """A branch without a module forgets nothing of it."""
    save(clone, 10)
    clone.state.mkdir(exist_ok=True)
    other = {"99-later/Last": {"step": 4, "due": "2027-01-01"}}
    (clone.state / "review.json").write_text(json.dumps({"cards": other}), "utf-8")
    rate(clone, schedule(clone, ALL)[0], known=True)
    kept = json.loads((clone.state / "review.json").read_text("utf-8"))["cards"]
    assert kept["99-later/Last"] == other["99-later/Last"]
    assert set(kept) == {"99-later/Last", "10-a/Ports"}


def test_two_places_that_ask_at_once_keep_both_ratings(clone):
    """A notebook and a terminal hold the same list; neither overwrites the other."""
    save(clone, 10)
    first, second = schedule(clone, ALL)
    rate(clone, first, known=True)
    rate(clone, second, known=True)
    assert {card.step for card in schedule(clone, ALL)} == {1}


def test_what_is_due_is_one_line(clone, day):
    assert "There are no cards yet" in standing(schedule(clone, ALL))
    save(clone, 10)
    assert standing(schedule(clone, ALL)) == "No card is due today; 2 cards are due tomorrow."
    day(MONDAY + timedelta(days=1))
    assert standing(schedule(clone, ALL)).startswith("2 cards are due today: course review")
    rate(clone, schedule(clone, ALL)[0], known=True)
    assert standing(schedule(clone, ALL)).startswith("1 card is due today")
    rate(clone, schedule(clone, ALL)[0], known=True)
    assert "in 3 days, on Friday, 06 November" in standing(schedule(clone, ALL))


def test_the_day_is_the_learners():
    assert review.today() == date.today()  # noqa: DTZ011
