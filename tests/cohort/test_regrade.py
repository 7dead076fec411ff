"""A second grading lies beside the first one until somebody agrees."""

from dataclasses import replace

from coursework.cohort.forms import Origin
from coursework.cohort.regrade import Regrade, told_all, told_change
from coursework.cohort.results import Results
from coursework.cohort.source import HandedIn
from tests.cohort.test_results import CHECK, REPORT, RESULT

ECHOES = replace(CHECK, name="echoes")


def result(learner, points, verdict="passed", check=CHECK):
    checks = (replace(check, points=points, verdict=verdict),)
    return replace(RESULT, learner=learner, report=replace(REPORT, checks=checks))


def regraded(folder, before, after):
    """Write both gradings; return them, and what would change."""
    regrade = Regrade(Results(folder / "results" / "90"), Results(folder / "again" / "90-ab"))
    for found in before:
        regrade.results.write(found)
    for found in after:
        regrade.fresh.write(found)
    names = sorted({r.learner for r in [*before, *after]})
    return regrade, regrade.changes([HandedIn(name, bytes) for name in names])


def test_who_gains_and_who_loses_is_told_before_anything_is_written(tmp_path):
    before = [result("ada", 1), result("bob", 3), result("cy", 2), result("eve", 2)]
    after = [result("ada", 3), result("bob", 0), result("cy", 2), result("dee", 2)]
    regrade, changes = regraded(tmp_path, before, after)
    assert [told_change(c) for c in changes] == [
        "+ ada  1 → 3 of 3  greets", "- bob  3 → 0 of 3  greets", "", "+ dee  2 of 3  new"
    ]  # fmt: skip
    assert told_all(changes) == "1 gain, 1 lose, 1 stay, 1 new"
    assert regrade.results.all() == before


def test_what_is_agreed_to_counts_and_nothing_stays_beside_it(tmp_path):
    origin = Origin("Canvas", "ada", "4711")
    before = [replace(result("ada", 1), origin=origin), result("eve", 2)]
    again = replace(result("ada", 3), origin=replace(origin, is_late=True))
    regrade, changes = regraded(tmp_path, before, [again])
    regrade.take(changes)
    assert regrade.results.all() == [again, before[1]]
    assert [p.name for p in tmp_path.iterdir()] == ["results"]


def test_what_could_not_be_judged_again_replaces_no_verdict(tmp_path):
    before = [result("ada", 3), result("bob", 0, "error")]
    after = [result("ada", 0, "error"), result("bob", 0, "error")]
    regrade, changes = regraded(tmp_path, before, after)
    assert told_change(changes[0]) == "! ada  could not be judged again: the points stay"
    assert told_all(changes) == "0 gain, 0 lose, 2 stay"
    regrade.take(changes)
    assert regrade.results.all()[0] == before[0]


def test_a_check_that_came_or_went_is_named(tmp_path):
    _, (change,) = regraded(
        tmp_path, [result("ada", 1)], [result("ada", 2, check=ECHOES)]
    )  # fmt: skip
    assert told_change(change) == "+ ada  1 → 2 of 3  echoes, greets"
