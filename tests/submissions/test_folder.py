"""An answer that is a folder is read as docker build reads it."""

import os
from pathlib import Path

import pytest

from coursework.submissions.files import LIMIT_FILE_BYTES, LIMIT_FILES, SubmissionError
from coursework.submissions.folder import read_folder


def write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


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


@pytest.mark.parametrize(
    "name",
    ["node_modules/a/index.js", ".venv/bin/python", ".git/config", "server.js~", ".server.js.swp",
     "#server.js#", "lib/.#a.js", ".terraform/modules/modules.json", "terraform.tfstate",
     "terraform.tfstate.backup"],
)  # fmt: skip
def test_what_tools_left_is_named_and_not_taken(tmp_path, name):
    """Also where it is more than an answer may hold, and where it holds links."""
    write(tmp_path, **{"server.js": "x", name: "left"})
    if name.startswith("node_modules"):
        (tmp_path / "node_modules" / "big").write_bytes(b"x" * (LIMIT_FILE_BYTES + 1))
        (tmp_path / "node_modules" / "link").symlink_to("a")
        write(tmp_path, **{f"node_modules/{i}": "x" for i in range(LIMIT_FILES)})
    read = read_folder(tmp_path)
    assert read.files == {"server.js": b"x"}
    folder = name.split("/")[0]
    left = name if folder == "lib" else folder
    assert read.warnings == (f"left out, since no answer is made of it: {left}",)


def test_dockerignore_comes_before_the_limits(tmp_path):
    """What docker would not send is no reason to refuse an answer."""
    write(tmp_path, **{"server.js": "x", ".dockerignore": "# big\ndata\n*.log\n!keep.log\n"})
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "all.csv").write_bytes(b"x" * (LIMIT_FILE_BYTES + 1))
    (tmp_path / "now.log").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "keep.log").write_bytes(b"k")
    assert sorted(read_folder(tmp_path).files) == [".dockerignore", "keep.log", "server.js"]
    (tmp_path / "keep.log").write_bytes(b"x" * (LIMIT_FILE_BYTES + 1))
    with pytest.raises(SubmissionError, match=r"keep\.log is refused: over"):
        read_folder(tmp_path)


def test_a_script_that_no_image_gets_is_still_handed_in(tmp_path):
    """A check may run it beside the image; the Dockerfile itself is always read."""
    write(tmp_path, **{"Dockerfile": "FROM x", "ops.sh": "up", ".dockerignore": "*\n"})
    assert read_folder(tmp_path).files["ops.sh"] == b"up"
    assert read_folder(tmp_path).files["Dockerfile"] == b"FROM x"


def test_the_starters_dockerignore_holds_where_there_is_none(tmp_path):
    """It is laid around the answer, and so docker reads it."""
    (tmp_path / "exercise.ipynb").write_bytes(b"x" * (LIMIT_FILE_BYTES + 1))
    write(tmp_path, **{"server.js": "x"})
    assert read_folder(tmp_path, {".dockerignore": b"*.ipynb\n"}).files == {"server.js": b"x"}
    with pytest.raises(SubmissionError, match=r"exercise\.ipynb is refused"):
        read_folder(tmp_path)


def test_a_dockerignore_that_docker_cannot_read_is_said(tmp_path):
    """A range that runs backwards is a message, not a traceback."""
    write(tmp_path, **{".dockerignore": "[z-a]\n"})
    with pytest.raises(SubmissionError, match="cannot read a pattern"):
        read_folder(tmp_path)
