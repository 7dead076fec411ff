"""course export: final points from stored results, with no engine and nothing graded again."""

import csv
from dataclasses import replace

import pytest
from click.testing import CliRunner
from nbgrader.api import Gradebook

from coursework.checks.verdict import CheckResult, Report
from coursework.cohort.forms import Origin
from coursework.cohort.gradebook import COURSE_ID
from coursework.cohort.results import Result, Results
from coursework.commands import export
from coursework.trouble import CourseError
from tests.clone import clone_with_tiny
from tests.learners import SLUG

CHECK = CheckResult("greets", "GET / answers hello", "passed", 8, 10)
ADA = Result("ada_1", SLUG, "key", Report(SLUG, "ab", 7, (CHECK,)))
CAME = {"ada_1": ("2026-03-04 02:00 UTC", False), "bob_2": ("2026-03-01 10:00 UTC", False),
        "cy_3": ("", True), "dee_4": ("noon", False)}  # fmt: skip
LATE = ("--due", "2026-03-02 23:59 UTC", "--late", "10 % a day, at most 50 %")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Return the folder of a clone whose class was graded."""
    root = tmp_path_factory.mktemp("graded") / "clone"
    results = Results(clone_with_tiny(root, SLUG).root / "classroom/grades/results" / SLUG)
    for learner, (when, is_late) in CAME.items():
        name, number = learner.split("_")
        results.write(
            replace(ADA, learner=learner, origin=Origin("Canvas", name, number, when, is_late))
        )
    return root


@pytest.fixture
def typed(graded, tmp_path, monkeypatch):
    """Return what types the command there, with a gradebook of the test's own."""
    monkeypatch.chdir(graded)
    # Its own lock of the gradebook: another process may hold the shared one for long.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    book = ("--gradebook", f"sqlite:///{tmp_path / 'gradebook.db'}")

    def type_(*words):
        return CliRunner().invoke(
            export.command, [SLUG, *book, *map(str, words)], standalone_mode=False
        )

    return type_


def rows(path):
    """Return a table's rows."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_points_are_lowered_in_the_table_and_the_gradebook_and_undecided_ones_named(
    typed, graded, tmp_path
):
    done = typed(*LATE, "--for", "canvas", "--column", "Exercise 2 (88)")
    assert done.return_value == 2, done.stderr
    told = done.stderr.splitlines()
    assert told[0] == "due 2026-03-02 23:59 UTC; times that name no zone are read in that zone"
    assert "ada_1  8 → 6 of 10  1 day 2 h late" in told
    assert "! no time, so undecided, for 2; --times FILE says it:" in told
    assert "    cy_3 (its name says LATE), dee_4 ('noon' is not understood)" in told
    assert "! left out, since the points are undecided:" in told
    assert rows(graded / "classroom/grades" / f"{SLUG}.canvas.csv")[2:] == [
        ["ada", "1", "", "", "6"], ["bob", "2", "", "", "8"]
    ]  # fmt: skip
    with Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}", COURSE_ID) as book:
        found = {s["student"]: book.find_submission(SLUG, s["student"])
                 for s in book.submission_dicts(SLUG)}  # fmt: skip
        penalties = {n: (s.score, s.late_submission_penalty) for n, s in found.items()}
    assert penalties == {"ada_1": (8, 2), "bob_2": (8, 0), "cy_3": (8, 0), "dee_4": (8, 0)}


def test_another_rule_or_extension_is_worked_out_anew(typed, graded, tmp_path):
    times = tmp_path / "times.csv"
    times.write_text("learner,handed_in\ncy_3,2026-03-09 12:00\ndee_4,2026-03-02 12:00\n")
    assert typed(*LATE, "--times", times).return_value == 0
    before = (graded / "classroom/grades" / "results" / SLUG / "ada_1.json").read_bytes()
    longer = tmp_path / "longer.csv"
    longer.write_text("learner,due\nada_1,2026-03-04 12:00\neve_5,2026-03-09 12:00\n")
    rule = ("--late", "1 % an hour")
    done = typed(*LATE, *rule, "--times", times, "--extensions", longer)
    assert done.return_value == 2
    assert "longer.csv, line 3: 'eve_5' has no result" in done.stderr
    head, *body = rows(graded / "classroom/grades" / f"{SLUG}.csv")
    finals = {row[0]: row[head.index("final_points")] for row in body}
    assert finals == {"ada_1": "8", "bob_2": "8", "cy_3": "0", "dee_4": "8"}
    assert (graded / "classroom/grades" / "results" / SLUG / "ada_1.json").read_bytes() == before


def test_without_a_deadline_an_lms_gets_the_points_as_graded(typed, graded):
    done = typed("--for", "canvas")
    assert done.return_value == 0
    assert "4 learners, points as graded: no deadline was named" in done.stderr
    assert rows(graded / "classroom/grades" / f"{SLUG}.canvas.csv")[0][-1] == SLUG


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "nothing to export"),
        (("--due", "2026-03-02 23:59"), "needs --due and --late"),
        (("--extensions", "x.csv"), "needs --due and --late"),
        ((*LATE, "--due", "2026-03-02"), "--due is not understood"),
        ((*LATE, "--late", "some"), "--late is not understood"),
        ((*LATE, "--extensions", "none.csv"), "none.csv cannot be read"),
        ((*LATE, "--gradebook", "x://y"), "address is not understood"),
        (("--for", "canvas", "--out", "elsewhere"), "There are no results"),
    ],
)
def test_what_is_wrong_is_told_with_the_way(typed, words, what):
    refused = typed(*words).exception
    assert isinstance(refused, CourseError)
    assert what in refused.what
    assert refused.fix
