"""A build that misses a file names it, in the words of each engine."""

import pytest

from coursework.containers.missing_file import missing_file

OLDER = """#6 [2/2] COPY server.py .
#6 ERROR: "/server.py" not found: not found
failed to compute cache key: "/server.py" not found: not found"""
NEWER = """#6 [build 2/2] ADD server.py ./
#6 ERROR: failed to calculate checksum of ref a1b2::c3d4: "/server.py": not found"""
FROM_A_STAGE = """#6 [stage-1 2/2] COPY --from=build /dist /dist
#6 ERROR: failed to calculate checksum of ref a1b2::c3d4: "/dist": not found"""


@pytest.mark.parametrize("log", [OLDER, NEWER])
def test_the_file_is_named_and_not_the_cache(tmp_path, log):
    """The log is the step that copies it."""
    told = missing_file(log.splitlines(), tmp_path)
    assert told is not None
    saw, step, hint = told
    assert saw == "there is no server.py"
    assert "server.py ." in step
    assert "%%writefile server.py" in hint


def test_a_file_that_is_ignored_is_there(tmp_path):
    """Writing it once more would not help."""
    (tmp_path / "server.py").write_text("")
    told = missing_file(OLDER.splitlines(), tmp_path)
    assert told is not None
    assert told[0] == ".dockerignore leaves server.py out"


@pytest.mark.parametrize("log", [FROM_A_STAGE, "#6 [2/2] RUN false\n#6 ERROR: exit code: 1", ""])
def test_what_no_copy_of_the_folder_missed_is_not_told_here(tmp_path, log):
    """A stage makes its own files."""
    assert missing_file(log.splitlines(), tmp_path) is None
