"""What runs beside the checks for a run."""

import pytest

from coursework.containers.container import Settings
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine


def test_a_program_has_as_long_as_it_is_told(run_of):
    """One that does not end by then is trouble of ours."""
    settings = Settings("busybox:1.37", entrypoint=("sleep", "600"))
    with pytest.raises(CourseError, match="sleeper does not end"):
        run_of({}).services.run_program("sleeper", settings, within_s=0.2)
