"""course review in a real terminal, and what it says where there is none."""

import os
import subprocess
from datetime import date, timedelta

import pexpect
import pytest

from coursework.checks.verdict import CheckResult, Report
from coursework.report.record import save_report
from tests.clone import tiny_clone
from tests.commands.conftest import COURSE, SLUG

CARD = '[[card]]\nquestion = "Q{0}?"\nanswer = "A{0}."\nsection = "S{0}"\n'


@pytest.fixture
def clone(tmp_path):
    """Return a clone whose tiny module has two cards and was passed the day before yesterday."""
    layout = tiny_clone(tmp_path / "clone", SLUG)
    cards = layout.lesson(SLUG).with_name("cards.toml")
    cards.parent.mkdir(parents=True, exist_ok=True)
    cards.write_text(CARD.format(1) + CARD.format(2), "utf-8")
    check = CheckResult("greets", "it greets", "passed", 10, 10)
    save_report(layout, Report(SLUG, "00000000", 7, (check,)))
    kept = layout.state / "reports" / f"{SLUG}.json"
    before = date.today() - timedelta(days=2)  # noqa: DTZ011
    text = kept.read_text("utf-8")
    kept.write_text(text.replace(date.today().isoformat(), before.isoformat()), "utf-8")  # noqa: DTZ011
    return layout


@pytest.fixture
def terminal(clone):
    """Return what types the command in a real terminal."""
    opened = []

    def start():
        child = pexpect.spawn(
            str(COURSE), ["review"], cwd=str(clone.root), encoding="utf-8", timeout=60
        )
        opened.append(child)
        return child

    yield start
    for child in opened:
        child.close(force=True)


def run(layout, *words):
    """Run the command line without a terminal: exit code, output, errors."""
    done = subprocess.run(
        [COURSE, *words], cwd=layout.root, env=dict(os.environ), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_it_asks_shows_and_keeps(clone, terminal):
    child = terminal()
    child.expect_exact("Q1?")
    child.expect_exact("Enter shows the answer")
    assert "A1." not in child.before
    child.sendline("")
    child.expect_exact("A1.")
    child.expect_exact("Did you know it?")
    child.sendline("y")
    child.expect_exact("Q2?")
    child.sendline("")
    child.expect_exact("Did you know it?")
    child.sendline("n")
    child.expect_exact("2 of 2 reviewed")
    child.expect_exact("1 card is due tomorrow")
    child.expect(pexpect.EOF)
    assert run(clone, "review")[:2] == (0, "No card is due today; 1 card is due tomorrow.\n")


def test_ctrl_c_keeps_what_was_rated(clone, terminal):
    child = terminal()
    child.expect_exact("Enter shows the answer")
    child.sendline("")
    child.expect_exact("Did you know it?")
    child.sendline("y")
    child.expect_exact("Q2?")
    child.sendintr()
    child.expect_exact("Nothing is lost")
    child.expect(pexpect.EOF)
    assert "1 card is due today" in run(clone, "list")[1]


def test_without_a_terminal_it_says_where_to_type(clone):
    code, out, errors = run(clone, "review")
    assert (code, out) == (2, "")
    assert "2 cards are due" in errors
    assert "review() in a notebook" in errors


def test_the_list_of_modules_says_what_is_due(clone):
    assert "2 cards are due today: course review" in run(clone, "list")[1]


def test_a_damaged_state_is_told_once(clone):
    (clone.state / "review.json").write_text("{", "utf-8")
    code, out, errors = run(clone, "list")
    assert code == 2
    assert SLUG in out
    assert "review.json is damaged" in errors
    assert run(clone, "list")[0] == 0


def test_anki_gets_the_cards_of_passed_modules(clone):
    code, out, _ = run(clone, "review", "--anki", "cards.apkg")
    assert code == 0
    assert "cards.apkg holds 2 cards" in out
    assert (clone.root / "cards.apkg").read_bytes().startswith(b"PK")
