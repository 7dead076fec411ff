"""Files for platforms: the columns that their imports look for, and nobody by a guess."""

import csv
from dataclasses import replace

import pytest

from coursework.cohort.export import export
from coursework.cohort.forms import Origin
from coursework.cohort.late import finals
from coursework.cohort.results import Results
from coursework.cohort.source import find_submissions
from tests.cohort.test_late import deadline
from tests.cohort.test_results import CHECK, REPORT, RESULT
from tests.cohort.test_source import SLUG, laid_out, notebook

PASSED = replace(CHECK, verdict="passed", points=3)
FILE = "assignsubmission_file"


def exported(platform, *origins, column="Exercise 2", check=PASSED):
    report = replace(REPORT, checks=(check,))
    class_ = [
        replace(RESULT, learner=f"l{n}", report=report, origin=origin)
        for n, origin in enumerate(origins)
    ]
    made = export(platform, column, finals(class_, None))
    return list(csv.reader(made.text.splitlines())), made


def test_canvas_finds_learners_by_its_number_or_their_login():
    """row[0] has "Student", row[1] "ID", and the column before the assignments "Section"."""
    rows, made = exported(
        "canvas", Origin("Canvas", "doejane", "4711"), Origin("nbgrader", "ada"),
        column="Exercise 2 (88123)",
    )  # fmt: skip
    assert rows == [
        ["Student", "ID", "SIS Login ID", "Section", "Exercise 2 (88123)"],
        ["    Points Possible", "", "", "", "3"],
        ["doejane", "4711", "", "", "3"],
        ["ada", "", "ada", "", "3"],
    ]
    assert made.left_out == {}


def test_moodle_finds_learners_by_their_identifier():
    rows, _ = exported("moodle", Origin("Moodle", "Jane Doe", "7301"))
    assert rows == [
        ["Identifier", "Full name", "Grade", "Last modified (grade)"],
        ["Participant 7301", "Jane Doe", "3", ""],
    ]


def test_blackboard_finds_learners_by_their_username_in_quotation_marks():
    column = "Exercise 2 [Total Pts: 10 Score] |9917"
    _, made = exported("blackboard", Origin("Blackboard", "jdoe"), column=column)
    assert made.text == f'"Username","{column}"\r\n"jdoe","3"\r\n'


@pytest.mark.parametrize(
    ("platform", "origin", "why"),
    [
        ("canvas", Origin("Canvas", "anon_kQ7xZ"), "names by Canvas hold nothing that Canvas"),
        ("canvas", Origin("Moodle", "Jane Doe", "7301"), "names by Moodle hold nothing"),
        ("moodle", Origin("Canvas", "doejane", "4711"), "names by Canvas hold nothing"),
        ("moodle", Origin("Moodle", "Default group"), "names by Moodle hold nothing"),
        ("moodle", Origin("nbgrader", "ada"), "names by nbgrader hold nothing"),
        ("blackboard", Origin("Brightspace", "Jane Doe", "31337"), "names by Brightspace"),
        ("blackboard", Origin("ILIAS", "Doe_Jane_jdoe_4711"), "names by ILIAS hold nothing"),
        ("blackboard", Origin(), "type course grade again"),
    ],
)
def test_who_a_platform_would_not_know_is_left_out_and_told(platform, origin, why):
    rows, made = exported(platform, origin)
    assert why in made.left_out["l0"]
    assert "l0" not in str(rows)


def test_two_results_of_one_learner_are_left_out_and_told():
    """Canvas gives Jane's number again after she has married, and takes the last row of two."""
    married = Origin("Canvas", "smithjane", "4711")
    rows, made = exported(
        "canvas", Origin("Canvas", "doejane", "4711"), Origin("Canvas", "ada", "12"), married
    )  # fmt: skip
    assert [row[0] for row in rows[2:]] == ["ada"]
    assert set(made.left_out) == {"l0", "l2"}
    assert "two results as one learner's" in made.left_out["l0"]


def test_points_that_are_undecided_are_in_no_file():
    rows, made = exported(
        "moodle", Origin("Moodle", "Jane", "7301"), check=replace(CHECK, verdict="error")
    )
    assert len(rows) == 1
    assert made.left_out == {"l0": "the points are undecided"}


def test_lowered_points_are_exported():
    late = replace(
        RESULT, report=replace(REPORT, checks=(PASSED,)),
        origin=Origin("Blackboard", "jdoe", when="2026-03-03T10:00:00"),
    )  # fmt: skip
    made = export("blackboard", SLUG, finals([late], deadline()))
    assert '"jdoe","2.7"' in made.text


def test_a_name_is_no_formula_in_any_file():
    evil = "=HYPERLINK(1)"
    for platform, origin in (
        ("canvas", Origin("Canvas", evil, "1")),
        ("moodle", Origin("Moodle", evil, "1")),
        ("blackboard", Origin("Blackboard", evil)),
    ):
        rows, _ = exported(platform, origin, column=evil)
        assert f"'{evil}" in rows[-1]
        assert not any(c.startswith(("=", "+", "-", "@")) for row in rows for c in row)


@pytest.mark.parametrize(
    ("member", "platform", "row"),
    [
        ("doejane_LATE_4711_88123_exercise.ipynb", "canvas", ["doejane", "4711", "", "", "3"]),
        ("team_blue_5102_90312_exercise.ipynb", "canvas", ["team_blue", "5102", "", "", "3"]),
        (f"Mira Nordling_7301_{FILE}_exercise.ipynb", "moodle",
         ["Participant 7301", "Mira Nordling", "3", ""]),
        ("Exercise 2_jdoe_attempt_2026-03-02-10-11-12_exercise.ipynb", "blackboard", ["jdoe", "3"]),
        ("ada.ipynb", "blackboard", ["ada", "3"]),
        (f"submitted/ada/{SLUG}/exercise.ipynb", "canvas", ["ada", "", "ada", "", "3"]),
    ],
)  # fmt: skip
def test_names_of_a_download_come_back_in_the_platforms_file(tmp_path, member, platform, row):
    """From the zip to the table, by way of the stored result."""
    (submission,) = find_submissions(
        laid_out(tmp_path, {member: notebook(SLUG)}, packed=True), SLUG
    ).submissions
    results = Results(tmp_path / "results")
    report = replace(REPORT, checks=(PASSED,))
    results.write(replace(RESULT, learner=submission.learner, report=report))
    results.noted(submission, RESULT.key)
    made = export(platform, SLUG, finals(results.all(), None))
    assert list(csv.reader(made.text.splitlines()))[-1] == row
