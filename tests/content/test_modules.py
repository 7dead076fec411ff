"""Each module of the course, on the engine as it is: an engine that breaks one is noticed here.

Wrong answers and lessons are proved by `course audit NN --record`.
"""

import secrets
from pathlib import Path

import pytest

from coursework.authoring.audit import Subject, audit_places, audit_structure
from coursework.authoring.audit.answers import BLANK, SOLUTION
from coursework.authoring.audit.running import Graded, Task, chosen_answers, grade_task
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from tests.conftest import CLUSTER_NAME

LAYOUT = Layout(Path(__file__).parents[2])
MODULES = load_catalogue(LAYOUT).modules
# Images of a fresh machine are built within the first grading.
LIMIT_S = 900


def gradings(*, with_cluster):
    """Return solutions and blanks of the modules that want a cluster, or of the others.

    Each is to be run by any worker. One blank of each kind of place is graded by day.
    """
    by_day, chosen = set(), []
    for module in MODULES:
        place = (bool(module.cluster_images), module.sandbox)
        if place[0] != with_cluster:
            continue
        group = pytest.mark.xdist_group("cluster" if with_cluster else module.slug)
        blank = [group] if place not in by_day else [group, pytest.mark.nightly]
        by_day.add(place)
        for name, marks in ((SOLUTION, [group]), (BLANK, blank)):
            chosen.append(pytest.param(module, name, id=f"{module.slug}-{name}", marks=marks))
    return chosen


def findings(module, name):
    """Grade one of a module's own answers; return what does not hold."""
    subject = Subject(LAYOUT, module)
    (answer,) = chosen_answers(subject, [name])
    outcome = grade_task(Task(LAYOUT, module, answer, secrets.randbelow(2**32)))
    return told(Graded(subject, answer, (outcome,)).findings())


def told(findings):
    """Return what an author reads; nothing where nothing is found."""
    return "\n".join(map(str, findings))


def test_nothing_stands_beside_the_modules():
    """Each folder and file belongs to a module of the catalogue."""
    assert told(audit_places(LAYOUT)) == ""


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.slug)
def test_a_module_is_sound_and_its_proof_is_as_new_as_what_it_proves(module):
    """A stale diff, a lesson newer than its outputs or an edited proof is named."""
    findings, can_run = audit_structure(Subject(LAYOUT, module), recorded=True)
    assert told(findings) == ""
    assert can_run


@pytest.mark.engine
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize(("module", "name"), gradings(with_cluster=False))
def test_the_solution_passes_and_the_blank_passes_nothing(module, name, engine):
    assert engine
    assert findings(module, name) == ""


@pytest.mark.engine
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize(("module", "name"), gradings(with_cluster=True))
def test_so_they_do_in_a_cluster(module, name, node, monkeypatch):
    """The one of the tests: that of the person who runs them is left alone."""
    monkeypatch.setattr("coursework.cluster.node.NAME", CLUSTER_NAME)
    assert node.name == CLUSTER_NAME
    assert findings(module, name) == ""
