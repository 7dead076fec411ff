"""Programs of ours that run beside the checks."""

import pytest

from coursework.containers.container import Settings
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine


def test_a_program_has_as_long_as_it_is_told(run_of):
    """If it hasn't ended by then, the trouble is ours and not the answer's."""
    settings = Settings("busybox:1.37", entrypoint=("sleep", "600"))
    with pytest.raises(CourseError, match="sleeper does not end"):
        run_of({}).services.run_program("sleeper", settings, within_s=0.2)
