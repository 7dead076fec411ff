"""What an instructor reads: nothing in it is a learner's own code or formula."""

import csv
from dataclasses import replace

from coursework.cohort.class_report import summarise, write_final_pages, write_pages
from coursework.cohort.forms import Origin
from coursework.cohort.late import finals
from tests.cohort.test_late import deadline
from tests.cohort.test_results import CHECK, REPORT, RESULT

PASSED = replace(CHECK, verdict="passed", points=3, saw="")


def of(learner, check):
    return replace(RESULT, learner=learner, report=replace(REPORT, checks=(check,)))


def test_a_class_is_counted_and_the_commonest_sight_comes_first():
    results = [of("a", PASSED), of("b", CHECK), of("c", CHECK), of("d", replace(CHECK, saw="z"))]
    (summary,) = summarise(results)
    assert summary.counts == {"passed": 1, "failed": 3, "skipped": 0, "error": 0}
    assert summary.seen[0] == ("x", 2)


def test_feedback_draws_nothing_of_a_learners(tmp_path):
    evil = replace(CHECK, saw="<script>saw()</script>", log="<img src=x onerror=log()>")
    write_pages(tmp_path, "90-tiny", [of("ada", evil)])
    pages = [*tmp_path.rglob("*.html")]
    assert len(pages) == 2
    for page in pages:
        text = page.read_text("utf-8")
        assert "<script" not in text
        assert "<img" not in text
        assert "default-src 'none'" in text


def test_the_table_holds_no_formula_and_no_points_that_were_not_judged(tmp_path):
    unjudged = replace(CHECK, verdict="error")
    write_pages(tmp_path, "90-tiny", [of("=cmd()", PASSED), of("bob", unjudged)])
    with (tmp_path / "90-tiny.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["learner"] == "'=cmd()"
    assert rows[0]["greets"] == "3"
    assert (rows[1]["greets"], rows[1]["to_look_at"]) == ("", "yes")


def test_lowered_points_are_shown_beside_the_checks(tmp_path):
    def came(learner, when):
        return replace(of(learner, PASSED), origin=Origin("Blackboard", learner, when=when))

    class_ = [
        came("ada", "2026-03-04T02:00:00"),
        came("bob", "2026-03-01T10:00:00"),
        came("cy", ""),
    ]
    write_final_pages(tmp_path, "90-tiny", finals(class_, deadline()))
    with (tmp_path / "90-tiny.csv").open(newline="", encoding="utf-8") as file:
        ada, bob, cy = csv.DictReader(file)
    assert (ada["points"], ada["late"], ada["lowered_by"], ada["final_points"]) == (
        "3", "1 day 2 h", "0.6", "2.4"
    )  # fmt: skip
    assert (bob["late"], bob["lowered_by"], bob["final_points"]) == ("", "0", "3")
    assert (cy["handed_in"], cy["final_points"], cy["to_look_at"]) == ("", "", "yes")
    told = "1 day 2 h late: 3 - 0.6 = 2.4 of 3"
    assert told in (tmp_path / "feedback" / "90-tiny" / "ada.html").read_text("utf-8")
    page = (tmp_path / "90-tiny.html").read_text("utf-8")
    assert told in page
    assert "when it came is not known" in page
