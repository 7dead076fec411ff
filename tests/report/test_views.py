"""Views word what the results say; what a learner's program printed cannot steer them."""

import io
import re

import pytest
from rich.console import Console

from coursework.checks.verdict import CheckResult, Report
from coursework.layout import Layout
from coursework.report.lines import details, printable, summary
from coursework.report.next_step import NextStep
from coursework.report.notebook import report_html, trouble_html
from coursework.report.record import last_report, save_report
from coursework.report.terminal import print_ending, print_result
from coursework.trouble import CourseError

EVIL = "\x1b]0;owned\x07\x1b[2J<img src=x onerror=alert(1)>[bold]\x00\x9b31m"


def result(verdict, **more):
    return CheckResult("quick_start", "it answers", verdict, 0, 2, **more)


def report(*results, **more):
    return Report("90-tiny", "00000000", 7, results, **more)


def terminal(results):
    written = io.StringIO()
    console = Console(file=written, width=60, color_system=None)
    for each in results.checks:
        print_result(console, each)
    print_ending(console, results)
    return written.getvalue()


def test_a_failure_has_its_five_lines():
    """Looked for, saw, try, log, hint: in this order, empty ones left out."""
    failed = result("failed", looked_for="200", saw="404", command="curl x", log="a\nb", hint="c",
                    link="Answering")  # fmt: skip
    assert [label for label, _ in details(failed)] == ["looked for", "saw", "try", "log", "hint"]
    assert [label for label, _ in details(result("failed", saw="404"))] == ["saw"]


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        ("the port is a variable", "the port is a variable: lesson, “Ports”"),
        ("Where do you store it?", "Where do you store it? See the lesson, “Ports”."),
        ("Compare the path first.", "Compare the path first. See the lesson, “Ports”."),
        ("", "lesson, “Ports”"),
    ],
)
def test_a_hint_leads_to_the_lesson_in_one_sentence_or_two(hint, shown):
    """No colon follows what ends a sentence."""
    assert details(result("failed", hint=hint, link="Ports")) == [("hint", shown)]


def test_a_next_hint_is_asked_for_by_the_words_of_the_place():
    """A notebook calls a function, a terminal types a command; passed checks have none."""
    failed = report(result("failed", hint="c", next_hint="d"), result("passed", next_hint="d"))
    assert terminal(failed).count("next hint: course hint 90-tiny quick_start") == 1
    assert "next hint: hint(&quot;quick_start&quot;)" in report_html(failed)
    assert "next hint" not in terminal(report(result("failed", hint="c")))


def test_the_next_notebook_is_a_link_in_a_notebook():
    """It begins at the notebook's folder; the lab shows no work/ in front."""
    html = report_html(report(result("passed")), NextStep("A & B", opens="12-c/lesson.ipynb"))
    assert 'next: <a href="../12-c/lesson.ipynb">12-c/lesson.ipynb</a>, A &amp; B' in html
    assert "work/" not in html


def test_our_own_trouble_is_not_in_the_colour_of_success():
    """JupyterLab's accent colour is the green of what passed."""
    html = trouble_html(CourseError("no check named nonsense"))
    assert not any(colour in html for colour in ("accent", "success"))


def test_a_command_is_never_folded():
    """A long command stays on one line, for pasting."""
    command = "curl " + "x" * 300
    assert f"  try         {command}\n" in terminal(report(result("failed", command=command)))


def test_a_terminal_breaks_no_word_in_two():
    """Whatever its width: every word of a report is found whole, also one longer than a line."""
    sentence = "the connection was closed after 12,345 bytes: application/octet-stream"
    long = "sha256:" + "0123456789abcdef" * 6
    failed = result("failed", looked_for=sentence, saw=f"{sentence} {long}", log=sentence,
                    hint=sentence, command=f"echo {sentence}", next_hint="x")  # fmt: skip
    told = report(failed, warnings=(sentence,), timings={"total_s": 5.0})
    for width in (24, 40, 61, 80, 132):
        written = io.StringIO()
        console = Console(file=written, width=width, color_system=None, force_terminal=True)
        print_result(console, failed)
        print_ending(console, told, sentence)
        words = written.getvalue().split()
        assert words.count("application/octet-stream") == 7
        assert long in words
        assert f"echo {sentence}\n" in written.getvalue()
        folded = [line for line in written.getvalue().splitlines() if long not in line]
        # In one that is narrower than a label and a word, the word sticks out.
        assert all(len(line) <= max(width, 60) or "echo" in line for line in folded), folded


def test_a_notebook_breaks_no_word_in_two():
    """JupyterLab breaks a <pre> anywhere: only what is longer than a line may be broken."""
    html = report_html(report(result("failed", saw="a" * 300, command="curl x")))
    assert "break-all" not in html
    boxes = [*re.findall("<pre [^>]*>", html), html.partition(">")[0]]
    assert len(boxes) == 3
    for box in boxes:
        assert "word-break: normal; overflow-wrap: break-word" in box


def test_a_notebook_breaks_no_word_behind_its_hyphen():
    """An option is read in one piece; what may be longer than a line is left to the browser."""
    failed = result("failed", saw="-" * 90, command="curl -i --head 'x-y' <b-c>")
    html = report_html(report(failed))
    whole = re.findall(r'<span style="white-space: nowrap">(.*?)</span>', html)
    assert whole == ["--head", "&#x27;x-y&#x27;", "&lt;b-c&gt;"]
    assert "curl -i <span" in html


def test_the_sum_counts_the_start_of_an_engine():
    """Where one was made for the answer; where one was there it is not worth a word."""
    told = summary(report(timings={"total_s": 31.2, "build_s": 9.04, "engine_s": 6.3}))
    assert told == "0 of 0 points · 31.2 s, 9.0 s of it the build and 6.3 s its engine"
    assert "engine" not in summary(report(timings={"total_s": 3.0, "engine_s": 0.02}))


@pytest.mark.parametrize("field", ["saw", "looked_for", "log", "command", "hint"])
def test_control_characters_are_taken_out(field):
    """Escape sequences reach no terminal, markup reaches no page, brackets mean nothing."""
    failed = report(result("failed", **{field: EVIL}))
    shown = terminal(failed)
    assert "\x1b" not in shown
    assert "\x00" not in shown
    assert "[bold]" in shown
    html = report_html(failed)
    assert "<img" not in html
    assert "&lt;img" in html


def test_our_own_trouble_is_escaped_too():
    """The reason of an error may hold anything that a program printed."""
    html = trouble_html(CourseError(EVIL, why=EVIL, fix="course doctor"))
    assert "<img" not in html
    assert "course doctor" in html


def test_plain_text_stays_as_it_is():
    """Newlines, tabs, letters and emoji are left in peace."""
    assert printable("žluťoučký\t🎭\nnext") == "žluťoučký\t🎭\nnext"


def test_the_verdicts_decide_the_exit_code():
    """0 all passed, 1 some failed or skipped, 2 an error of ours or nothing at all."""
    codes = {
        ("passed",): 0, ("passed", "failed"): 1, ("skipped",): 1, ("failed", "error"): 2, (): 2,
    }  # fmt: skip
    for verdicts, code in codes.items():
        assert report(*map(result, verdicts)).exit_code == code


def test_an_error_is_said_to_be_ours():
    """An error shows what went wrong, and the sum says that it is not the learner's."""
    broken = report(result("error", saw="NameError('x')"), timings={"total_s": 1.0})
    assert "our trouble" in terminal(broken)
    assert "an error is ours" in summary(broken)


def test_reports_are_kept_and_given_back(tmp_path):
    """The last report of a module can be read again; without one there is none."""
    layout = Layout(tmp_path)
    assert last_report(layout, "90-tiny") is None
    save_report(layout, report(result("passed")))
    kept = last_report(layout, "90-tiny")
    assert kept is not None
    assert kept["checks"][0]["verdict"] == "passed"
