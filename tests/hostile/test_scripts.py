"""Hostile scripts that hold an engine: none has more than it earned, none reaches out of it."""

import pytest

from coursework.authoring.audit.subject import Subject
from coursework.authoring.source import reference_files
from coursework.cohort.class_report import write_pages
from coursework.grading.warming import warming_answers
from coursework.images import ensure_images
from coursework.sandbox import open_fleet
from tests.clone import clone_with_tiny
from tests.hostile.canaries import Machine, NeighbourSandbox
from tests.hostile.kinds import batches as batches_of
from tests.hostile.kinds import chosen
from tests.hostile.scripts import BACKUP, IMAGE, KINDS, SCRIPTS, UP_AND_DOWN
from tests.learners import SMALL, Class, left_behind

# The first that asks for a batch waits for all of it.
pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]
SLUG = "07-docker-basics"
HONEST = "honest"
BATCHES = batches_of(KINDS, 3)
EACH = chosen(KINDS, sorted(SCRIPTS))
ONE_A_BATCH = chosen(KINDS, [batch[0] for batch in BATCHES])
TELLING = chosen(KINDS, [name for name in sorted(SCRIPTS) if SCRIPTS[name].seen])


@pytest.fixture(scope="session")
def room(engine, tmp_path_factory):
    """Return a class of the module, without submissions."""
    made = Class(clone_with_tiny(tmp_path_factory.mktemp("basics") / "clone"), engine, SLUG)
    ensure_images(engine, [*made.module.images, *made.module.check_images])
    return made


@pytest.fixture(scope="module")
def neighbour(room):
    """Return a sandbox that stands beside all others."""
    answers = warming_answers(room.layout, room.module)
    with open_fleet(
        room.engine, room.module, answers, lambda _: None, ahead=1, wanted=1, limits=SMALL
    ) as fleet:
        yield NeighbourSandbox(room.engine, *fleet.take())


@pytest.fixture(scope="module")
def batches(room, neighbour, tmp_path_factory):
    """Return what grades the batch of a submission, once, and gives its folder and results."""
    done = {}

    def graded(name):
        batch = next(batch for batch in BATCHES if name in batch)
        if batch[0] not in done:
            folder = tmp_path_factory.mktemp("scripts")
            done[batch[0]] = (folder, *grade_batch(room, neighbour, folder, batch))
        return done[batch[0]]

    return graded


def grade_batch(room, neighbour, folder, names):
    """Grade some of them, an honest one among them; give the results, and the word for traces."""
    solution = reference_files(Subject(room.layout, room.module).exercise)
    honest = {"Dockerfile": solution["Dockerfile"].decode(), "ops_sh": solution["ops.sh"].decode()}
    machine = Machine(room.engine, [*room.module.images, "busybox:1.37"], folder)
    with machine.untouched() as port:
        found = {
            "@word@": machine.word, "@file@": str(machine.file), "@disk@": machine.disk,
            "@listener@": f"127.0.0.1:{port}", "@neighbour@": neighbour.address,
            "@subnet@": neighbour.subnet,
        }  # fmt: skip
        room.hand_in(folder / "in", HONEST, room.notebook(**honest))
        for name in names:
            files = {n: with_what_is_found(t, found) for n, t in SCRIPTS[name].files.items()}
            room.hand_in(folder / "in", name, room.notebook(**{**honest, **files}))
        results, _ = room.grade(folder / "in", folder / "out", within_s=120.0)
    neighbour.require_untouched()
    assert left_behind(room.engine, SLUG) == []
    write_pages(folder / "pages", SLUG, list(results.values()))
    return results, machine.word


def with_what_is_found(text, found):
    """Put in what an attacker would have to find out."""
    for sign, value in found.items():
        text = text.replace(sign, value)
    return text


def verdicts(result):
    """Return a result's checks by name."""
    return {check.name: check for check in result.report.checks}


def test_each_is_of_one_kind():
    assert sorted(name for names in KINDS.values() for name in names) == sorted(SCRIPTS)


@pytest.mark.parametrize("name", EACH)
def test_it_has_no_point_that_it_did_not_earn(batches, name):
    _, results, _ = batches(name)
    report = results[name].report
    assert report.points <= SCRIPTS[name].earned
    assert all(0 <= c.points <= c.max_points for c in report.checks)
    assert sum(c.max_points for c in report.checks) == IMAGE + UP_AND_DOWN + BACKUP


@pytest.mark.parametrize("name", EACH)
def test_it_has_feedback_that_harms_nobody(batches, name):
    folder, results, _ = batches(name)
    page = (folder / "pages" / "feedback" / SLUG / f"{name}.html").read_text("utf-8")
    assert "<script" not in page
    assert "\x1b" not in page
    assert len(page) < 200_000
    assert "\\u001b" not in (folder / "out" / f"{name}.json").read_text("utf-8")
    assert verdicts(results[name])["runs_by_script"].saw


@pytest.mark.parametrize("name", TELLING)
def test_its_attack_was_made_and_has_found_nothing(batches, name):
    _, results, word = batches(name)
    wanted = SCRIPTS[name].seen.replace("@word@", word)
    assert verdicts(results[name])["runs_by_script"].saw == f"1: seen: {wanted}"


@pytest.mark.parametrize("name", ONE_A_BATCH)
def test_the_honest_one_among_them_has_all_its_points(batches, name):
    report = batches(name)[1][HONEST].report
    assert report.points == report.max_points


def test_who_takes_its_engines_place_is_left_to_a_person(batches):
    name = "takes_its_engines_place"
    result = batches(name)[1][name]
    assert not result.is_final
    assert result.trouble
