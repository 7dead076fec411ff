"""A file that is called nearly as it must be is told, and one that is started and not there."""

import pytest

from coursework.authoring.derive import derive_exercise
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from coursework.modules.module_files import module_files
from coursework.submissions.names import missed_files
from coursework.submissions.notebook import parse_notebook
from tests.clone import ROOT

LAYOUT = Layout(ROOT)

GIVEN = {"Dockerfile": b'FROM x\nCMD ["true"]\nCMD ["node", "--flag", "server.js"]\n'}


def told(files, given):
    return list(missed_files(files, {**given, **files}))


@pytest.mark.parametrize("name", ["dockerfile", "DockerFile", "Dockerfile.txt"])
def test_a_dockerfile_under_another_name_is_told(name):
    """The given one is built in its place; without one, docker reads none."""
    files = {name: b"FROM x", "server.js": b""}
    rename = "Give it that name."
    assert told(files, GIVEN) == [f"{name} is not Dockerfile: the given one was built. {rename}"]
    assert told(files, {}) == [f"{name} is not Dockerfile: docker does not read it. {rename}"]
    assert told({**files, "Dockerfile": b"FROM y"}, GIVEN) == []


def test_a_file_that_the_given_dockerfile_starts_is_missed():
    """Of its last CMD; a Dockerfile of the learner's is theirs."""
    assert told({}, GIVEN) == ["there is no server.js, which the given Dockerfile starts."]
    assert told({"server.js": b""}, GIVEN) == []
    assert told({"Dockerfile": b'CMD ["node", "a.js"]'}, GIVEN) == []
    assert told({}, {"Dockerfile": b"CMD [node\nCMD node server.js\nCMD [1, server.js]"}) == []


@pytest.mark.parametrize("module", load_catalogue(LAYOUT).modules, ids=lambda m: m.slug)
def test_a_notebook_as_it_is_released_is_warned_of_nothing(module):
    """Neither its prose nor its cells look like a mistake."""
    laid = module_files(LAYOUT, module.slug)
    data = derive_exercise(LAYOUT, module.slug)["exercise.ipynb"]
    read = parse_notebook(data, starter=laid.starter)
    assert read.warnings == ()
    assert list(missed_files(read.files, laid.around(read.files))) == []
