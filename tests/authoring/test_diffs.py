"""A diff says exactly what differs, and is laid over files without looking anywhere else."""

import pytest

from coursework.authoring.diffs import DiffError, apply_diff, apply_what_fits, diff_of
from coursework.files import lay_files

LINES = "".join(f"line {number}\n" for number in range(1, 31)).encode()
BEFORE = {
    "server.js": LINES,
    "k8s/web.yaml": b"replicas: 2\n",
    "no end": b"of line",
    "old.txt": b"old\n",
    "ignored.log": b"one\n",
    ".gitignore": b"*.log\n",
    "Ä ö.txt": "ć\n".encode(),
}


@pytest.mark.parametrize(
    "after",
    [
        {**BEFORE, "server.js": LINES.replace(b"line 7\n", b"line seven\n")},
        {**BEFORE, "server.js": b"another program\n"},
        {**BEFORE, "no end": b"of line \n", "k8s/web.yaml": b"replicas: 1\r\n"},
        {name: data for name, data in BEFORE.items() if name != "old.txt"},
        {**BEFORE, "new/new.txt": b"new", "ignored.log": b"two\n", "also.log": b"more  \n"},
        {**BEFORE, "Ä ö.txt": b"", "#!": b"#!/bin/sh\n"},
    ],
    ids=["a line", "a file", "ends of lines", "a file less", "files more", "odd names"],
)
def test_what_is_written_is_what_is_applied(after):
    """Whatever differs, the diff laid over the first files gives the second."""
    assert apply_diff(BEFORE, b"One sentence.\n" + diff_of(BEFORE, after)) == after


def test_no_difference_is_no_diff():
    """Files that are the same have nothing to say."""
    assert diff_of(BEFORE, dict(BEFORE)) == b""


def test_a_diff_says_nothing_of_the_machine_that_wrote_it(tmp_path, monkeypatch):
    """Neither the user's settings nor a repository around it are seen in it."""
    (tmp_path / ".gitconfig").write_text("[diff]\nnoprefix = true\nmnemonicPrefix = true\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    text = diff_of({"a.txt": b"one\n"}, {"a.txt": b"two\n"})
    assert text.decode().splitlines() == [
        "diff --git a/a.txt b/a.txt", "--- a/a.txt", "+++ b/a.txt", "@@ -1 +1 @@", "-one", "+two",
    ]  # fmt: skip


def test_a_diff_applies_where_the_lines_have_moved():
    """Lines that came before it do not make it stale; lines that changed in it do."""
    diff = diff_of({"a": LINES}, {"a": LINES.replace(b"line 20\n", b"wrong\n")})
    moved = b"first\n" + LINES
    assert apply_diff({"a": moved}, diff) == {"a": moved.replace(b"line 20\n", b"wrong\n")}
    with pytest.raises(DiffError, match="no longer applies"):
        apply_diff({"a": LINES.replace(b"line 20\n", b"line 20.5\n")}, diff)


@pytest.mark.parametrize("path", ["../outside.txt", "/tmp/outside.txt", ".git/config"])
def test_a_diff_writes_nothing_outside_the_folder(path):
    """A path that leads elsewhere is refused whole."""
    text = f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
    with pytest.raises(DiffError):
        apply_diff(BEFORE, f"{text}@@ -0,0 +1 @@\n+x\n".encode())


def test_files_that_are_not_text_are_refused():
    """Nobody can read what a diff of them says."""
    with pytest.raises(DiffError, match="not text"):
        diff_of({}, {"picture": b"\0\1\2"})


def test_what_still_fits_of_a_stale_diff_is_laid(tmp_path):
    """The rest lies beside its file, for a person to look at."""
    wrong = LINES.replace(b"line 3\n", b"wrong\n").replace(b"line 25\n", b"worse\n")
    diff = diff_of({"a": LINES}, {"a": wrong})
    lay_files(tmp_path, {"a": LINES.replace(b"line 25\n", b"line 25.5\n")})
    assert apply_what_fits(tmp_path, diff) == ["a.rej"]
    assert b"wrong\n" in (tmp_path / "a").read_bytes()
    assert "worse" in (tmp_path / "a.rej").read_text("utf-8")
