"""A module whose checks run commands against an engine is graded in one of its own."""

from dataclasses import replace

import pytest

from coursework.engine import Engine
from coursework.grading.engine_choice import place_for
from coursework.grading.grade import grade
from coursework.trouble import CourseError
from tests.grading.test_grade import MODULE, TINY, answer

WANTS_ONE = replace(MODULE, sandbox=True)


def names_in(engine):
    """Name all containers; others come and go meanwhile."""
    return [c.name for c in engine.client.containers.list(all=True, ignore_removed=True)]


def nobody(_):
    """Be told and say nothing."""


def test_others_are_graded_where_they_are():
    """Neither a plain module nor one that has a sandbox already gets another one."""
    outer, inner = Engine("host", "unix:///nowhere"), Engine("sandbox", "unix:///nowhere")
    for module, engine in ((MODULE, outer), (WANTS_ONE, inner)):
        with place_for(TINY, module, engine, nobody) as given:
            assert given.engine is engine


def test_where_no_sandbox_can_run_the_module_is_named():
    """The way out is not the one of those who grade a class."""
    with (
        pytest.raises(CourseError, match="checks of 90-tiny need an engine") as error,
        place_for(TINY, WANTS_ONE, Engine("host", "tcp://elsewhere:1"), nobody),
    ):
        pass
    assert "--trusted" not in str(error.value)


@pytest.mark.engine
def test_an_answer_is_graded_in_an_engine_that_is_gone_afterwards(engine):
    """The verdicts are those of any engine; nothing is left in the outer one."""
    with place_for(TINY, WANTS_ONE, engine, nobody) as place:
        inner = place.engine
        report = grade(WANTS_ONE, answer("right"), layout=TINY, engine=inner)
        names = names_in(engine)
        assert inner.container in names
        assert not any(report.run in name for name in names)
    assert report.points == report.max_points
    assert inner.container not in names_in(engine)
