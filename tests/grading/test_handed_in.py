"""What a learner who handed in reads can be typed on their own machine."""

import pytest

from coursework.containers.building import Limits
from coursework.grading.handed_in import grade_handed_in
from tests.grading.test_grade import MODULE, TINY, answer

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("case", ["other_body", "exits_at_once", "failing_step"])
def test_a_failure_is_checked_again_there(engine, case):
    """No container or folder of the machine that graded it is named."""
    report = grade_handed_in(TINY, MODULE, answer(case), engine, Limits())
    failed = [check for check in report.checks if check.verdict == "failed"]
    assert failed
    assert {c.command for c in failed} == {f"course check 90-tiny --only {c.name}" for c in failed}
    assert report.run not in "".join(c.command for c in report.checks)
