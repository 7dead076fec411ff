"""The log of a build, read as steps."""

import pytest

from coursework.containers.steps import read_steps

LOG = """#1 [internal] load build definition from Dockerfile
#1 DONE 0.0s
#4 [build 1/3] FROM docker.io/library/node:24-slim
#4 resolve docker.io/library/node:24-slim done
#4 ...
#4 DONE 0.0s
#6 [build 2/3] WORKDIR /app
#6 CACHED
#7 [dependencies 3/3] RUN npm ci --omit=dev
#8 [build 3/3] RUN npm ci
#8 0.412 added 68 packages
#7 1.020 added 12 packages
#8 DONE 1.1s
#7 ERROR: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1
#9 exporting to image
#9 exporting layers done
#9 DONE 0.1s
"""


def test_steps_come_in_the_order_of_their_begin():
    """Only instructions are steps; each keeps its own lines, however they are mixed."""
    from_, workdir, omit, full = read_steps(LOG.splitlines())
    assert (from_.instruction, from_.output) == ("FROM docker.io/library/node:24-slim", [])
    assert (workdir.cached, workdir.output) == (True, [])
    assert (omit.cached, omit.ended, omit.output) == (False, True, ["added 12 packages"])
    assert (full.instruction, full.output) == ("RUN npm ci", ["added 68 packages"])


@pytest.mark.parametrize(("lines", "decided"), [(9, False), (10, True), (12, True)])
def test_a_step_is_decided_by_its_first_word(lines, decided):
    """A step that has only begun may still come from the cache."""
    seen = read_steps(LOG.splitlines()[: lines + 1])
    assert seen[-1].is_decided is decided


def test_a_step_of_a_single_stage_has_no_name_before_its_number():
    """The name of the stage is no part of the instruction."""
    (step,) = read_steps(["#5 [2/4] COPY . .", "#5 CACHED"])
    assert (step.instruction, step.cached) == ("COPY . .", True)
