"""`review` in a real kernel, which asks through the notebook."""

from datetime import date, timedelta

import pytest
from jupyter_client.manager import start_new_kernel

from coursework.checks.verdict import CheckResult, Report
from coursework.report.record import save_report
from tests.clone import own, tiny_clone

SLUG = own("90-review")
CARD = '[[card]]\nquestion = "Q{0}?"\nanswer = "A{0}."\nsection = "S{0}"\n'
REVIEW = "from coursework.notebook import review\nreview()"


@pytest.fixture
def folder(tmp_path):
    """Return a module's work folder; its checks passed long ago."""
    layout = tiny_clone(tmp_path / "clone", SLUG)
    layout.work(SLUG).mkdir(parents=True)
    cards = layout.lesson(SLUG).with_name("cards.toml")
    cards.parent.mkdir(parents=True, exist_ok=True)
    cards.write_text(CARD.format(1) + CARD.format(2), "utf-8")
    check = CheckResult("greets", "it greets", "passed", 10, 10)
    save_report(layout, Report(SLUG, "00000000", 7, (check,)))
    kept = layout.state / "reports" / f"{SLUG}.json"
    today = date.today()  # noqa: DTZ011
    before = today - timedelta(days=40)
    text = kept.read_text("utf-8")
    kept.write_text(text.replace(today.isoformat(), before.isoformat()), "utf-8")
    return layout.work(SLUG)


def run(folder, source, *typed, allow_stdin=True):
    """Run a cell in a fresh kernel, typing into what asks; return what it printed."""
    manager, client = start_new_kernel(cwd=str(folder))
    left, printed = list(typed), []
    try:
        client.execute_interactive(
            source,
            allow_stdin=allow_stdin,
            stdin_hook=lambda _: client.input(left.pop(0)),
            output_hook=lambda message: printed.append(str(message["content"])),
            timeout=60,
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert not left
    return "".join(printed)


def test_it_asks_below_the_cell(folder):
    printed = run(folder, REVIEW, "", "y", "", "n")
    assert printed.index("Q1?") < printed.index("A1.") < printed.index("Q2?")
    assert "1 card is due tomorrow" in printed


def test_it_can_be_ended(folder):
    assert "1 card is due today" in run(folder, REVIEW, "", "y", "q")


def test_where_nobody_can_type_it_says_so(folder):
    """As when a whole notebook is run by a program."""
    printed = run(folder, REVIEW, allow_stdin=False)
    assert "2 cards are due. Run this cell by hand" in printed
    assert "Traceback" not in printed
