"""An answer that is a folder is read file by file; links and caches are not."""

from pathlib import Path

import pytest

from coursework.submissions.files import SubmissionError, read_folder


def test_a_folder_is_read_without_links_and_caches(tmp_path):
    """A folder of files is an answer too; links are refused, Python's caches are left out."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_bytes(b"x")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"\0")
    assert read_folder(tmp_path).files == {"lib/a.py": b"x"}
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(SubmissionError, match="it is a link"):
        read_folder(tmp_path)


def test_a_folder_that_is_none_is_said():
    """Pointing at nothing is a message."""
    with pytest.raises(SubmissionError, match="no folder"):
        read_folder(Path("/nonexistent"))
