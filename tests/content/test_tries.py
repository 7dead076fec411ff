"""The command of each wrong answer's failure, typed: by night, for it takes as long as an audit.

A check runs alone here, as a notebook's cell runs it: in modules with an engine of their own the
command is then typed inside, where an audit of all checks would only be told to check again.
"""

import secrets
from pathlib import Path

import pytest

from coursework.authoring.audit import Subject
from coursework.authoring.audit.answers import WRONG
from coursework.authoring.audit.running import Task, Tried, chosen_answers, grade_task
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.trouble import CourseError

LAYOUT = Layout(Path(__file__).parents[2])
MODULES = load_catalogue(LAYOUT).modules
LIMIT_S = 3600


def typed(module, answer):
    """Grade a wrong answer's check alone; return what its command does not show."""
    task = Task(LAYOUT, module, answer, secrets.randbelow(2**32), (answer.wrong_check,), types=True)
    outcome = grade_task(task)
    if isinstance(outcome, CourseError):
        return str(outcome)
    assert isinstance(outcome, Tried)
    return outcome.not_shown


@pytest.mark.engine
@pytest.mark.nightly
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize(
    "module", [m for m in MODULES if not m.cluster_images], ids=lambda m: m.slug
)
def test_each_failures_command_shows_what_was_seen(module, engine):
    assert engine
    answers = [a for a in chosen_answers(Subject(LAYOUT, module), [WRONG]) if a.wrong_check]
    missed = {answer.name: what for answer in answers if (what := typed(module, answer))}
    assert missed == {}
