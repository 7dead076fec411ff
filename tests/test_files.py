"""Files are written whole or not at all, read without what tools leave, and locked by one."""

import multiprocessing
import os
import subprocess
from pathlib import Path

import pytest

from coursework.files import files_digest, folder_files, lay_files, locked, write_whole
from coursework.trouble import CourseError


def test_a_folder_is_read_without_what_tools_leave(tmp_path: Path) -> None:
    """Names are relative and sorted; caches are left out, and no folder has no files."""
    for name in ("b/c.txt", "a.txt", "__pycache__/a.pyc"):
        write_whole(tmp_path / name, name.encode())
    assert folder_files(tmp_path) == {"a.txt": b"a.txt", "b/c.txt": b"b/c.txt"}
    assert folder_files(tmp_path / "nowhere") == {}


def test_a_link_is_refused(tmp_path: Path) -> None:
    """It would lead somewhere else on another machine."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(CourseError, match="is a link"):
        folder_files(tmp_path)


def test_a_write_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither half a file nor a part beside it is left."""
    write_whole(tmp_path / "file", b"before", mode=0o600)

    def full(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):  # noqa: PT011 - any
        write_whole(tmp_path / "file", b"after", durable=True)
    assert folder_files(tmp_path) == {"file": b"before"}
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_a_digest_tells_names_and_contents_apart() -> None:
    """The order of files does not count."""
    one = files_digest({"a": b"1", "b": b"2"})
    assert one == files_digest({"b": b"2", "a": b"1"})
    assert one not in (files_digest({"a": b"12", "b": b""}), files_digest({"a": b"2", "b": b"1"}))


def test_a_lock_makes_another_process_wait(tmp_path: Path) -> None:
    """The one that waits is told so, and goes on when the first has ended."""
    context = multiprocessing.get_context("spawn")
    waits, done = context.Event(), context.Event()
    other = context.Process(target=_take, args=(tmp_path / "lock", waits, done))
    with locked(tmp_path / "lock"):
        other.start()
        assert waits.wait(60)
        assert not done.is_set()
    other.join(60)
    assert done.is_set()


def _take(path: Path, waits: object, done: object) -> None:
    with locked(path, waits.set):  # type: ignore[attr-defined]
        done.set()  # type: ignore[attr-defined]


def test_scripts_become_executable(tmp_path: Path) -> None:
    """A file that begins with #! can be run in the image; others are plain."""
    lay_files(tmp_path, {"a/migrate": b"#!/bin/sh\n", "b.txt": b"x"})
    assert os.access(tmp_path / "a" / "migrate", os.X_OK)
    assert (tmp_path / "b.txt").stat().st_mode & 0o777 == 0o644


def test_a_program_can_be_run_where_it_is_laid(tmp_path: Path) -> None:
    """Its first line names the interpreter; no mode is kept anywhere."""
    lay_files(tmp_path, {"bin/hello": b"#!/bin/sh\necho hello\n"})
    assert subprocess.check_output([tmp_path / "bin/hello"]) == b"hello\n"
