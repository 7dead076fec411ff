"""What an instructor reads: nothing in it is a learner's own code or formula."""

import csv
from dataclasses import replace

from coursework.cohort.class_report import summarise, write_pages
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
