"""Hostile submissions: none has more points than it earned, and none reaches out of its sandbox."""

import pytest

from coursework.cohort.class_report import write_pages
from tests.hostile.canaries import neighbour_container
from tests.hostile.kinds import batches as batches_of
from tests.hostile.kinds import chosen
from tests.hostile.submissions import ALL, KINDS, SUBMISSIONS
from tests.learners import POINTS, RIGHT, SLUG, left_behind

# The first that asks for a batch waits for all of it.
pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
HONEST = "honest"
BATCHES = batches_of(KINDS, 4)
EACH = chosen(KINDS, sorted(SUBMISSIONS))
ONE_A_BATCH = chosen(KINDS, [batch[0] for batch in BATCHES])


@pytest.fixture(scope="session")
def batches(cohort, tmp_path_factory):
    """Return what grades the batch of a submission, once, and gives its folder and results."""
    done = {}

    def graded(name):
        batch = next(batch for batch in BATCHES if name in batch)
        if batch[0] not in done:
            folder = tmp_path_factory.mktemp("hostile")
            done[batch[0]] = (folder, grade_batch(cohort, folder, batch))
        return done[batch[0]]

    return graded


def grade_batch(cohort, folder, names):
    """Grade some of them, an honest one among them, beside a neighbour that must not notice."""
    for name in names:
        submission = SUBMISSIONS[name]
        notebook = submission.change(cohort.notebook(**submission.files))
        cohort.hand_in(folder / "in", name, notebook)
    cohort.hand_in(folder / "in", HONEST, cohort.notebook(server_py=RIGHT))
    (folder / "in" / "link.ipynb").symlink_to(folder / "in" / f"{HONEST}.ipynb")
    with neighbour_container(cohort.engine, folder):
        results, _ = cohort.grade(folder / "in", folder / "out", within_s=120.0)
    assert left_behind(cohort.engine) == []
    write_pages(folder / "pages", SLUG, list(results.values()))
    return results


def test_each_is_of_one_kind():
    assert sorted(name for names in KINDS.values() for name in names) == sorted(SUBMISSIONS)


@pytest.mark.parametrize("name", EACH)
def test_it_has_no_point_that_it_did_not_earn(batches, name):
    result = batches(name)[1][name]
    assert result.report.points <= SUBMISSIONS[name].earned
    assert [c.name for c in result.report.checks] == list(POINTS)
    assert all(0 <= c.points <= c.max_points for c in result.report.checks)


@pytest.mark.parametrize("name", EACH)
def test_it_has_feedback_that_harms_nobody(batches, name):
    folder, results = batches(name)
    page = (folder / "pages" / "feedback" / SLUG / f"{name}.html").read_text("utf-8")
    assert "<script" not in page
    assert "\x1b" not in page
    assert len(page) < 200_000
    stored = (folder / "out" / f"{name}.json").read_text("utf-8")
    assert "\\u001b" not in stored
    assert results[name].report.checks[0].saw or results[name].report.points


@pytest.mark.parametrize("name", ONE_A_BATCH)
def test_the_honest_one_among_them_has_all_its_points(batches, name):
    assert batches(name)[1][HONEST].report.points == ALL


@pytest.mark.parametrize("name", ONE_A_BATCH)
def test_a_link_to_anothers_answer_is_no_answer(batches, name):
    result = batches(name)[1]["link"]
    assert result.report.points == 0
    assert "it is a link" in result.report.checks[0].saw


@pytest.mark.parametrize("name", chosen(KINDS, ["looks_around", "breaks_out"]))
def test_it_found_nothing(batches, name):
    greets = batches(name)[1][name].report.checks[0]
    assert "[]" in greets.saw
