"""What must have happened to a file that differs from its saved cell."""

import os

import pytest

from coursework.submissions.on_disk import (
    GONE,
    NEWER,
    NOT_RUN,
    NOT_SAVED,
    OLDER,
    OUTSIDE,
    read_beside,
    written_by_cells,
)

NAME = "server.py"
DISK, OTHER = b"one\n", b"other\n"
SAVED_AT = 1_000_000_000


@pytest.mark.parametrize(
    ("ran", "written", "saved", "kind"),
    [
        # It ran, and is saved as it is now: then it was changed afterwards.
        ({NAME: DISK}, "before", OTHER, NOT_RUN),
        ({NAME: DISK}, "after", OTHER, NOT_SAVED),
        ({NAME: OTHER}, "before", OTHER, OUTSIDE),
        ({NAME: OTHER}, "after", OTHER, OUTSIDE),
        ({NAME: DISK}, "before", None, GONE),
        ({NAME: DISK}, "after", None, NOT_SAVED),
        # Another kernel, or none, wrote it.
        ({}, "before", OTHER, OLDER),
        ({}, "after", OTHER, NEWER),
    ],
)
def test_what_happened_is_told_by_times_and_by_what_ran(tmp_path, ran, written, saved, kind):
    file = tmp_path / NAME
    file.write_bytes(DISK)
    at = SAVED_AT + (1 if written == "after" else -1)
    os.utime(file, ns=(at, at))
    cells = {} if saved is None else {NAME: saved}
    assert read_beside(tmp_path, [NAME]).differing(cells, SAVED_AT, ran) == {kind: [NAME]}


def test_the_same_is_no_difference(tmp_path):
    (tmp_path / NAME).write_bytes(DISK)
    beside = read_beside(tmp_path, [NAME, NAME, "missing.txt"])
    assert dict(beside.files) == {NAME: DISK}
    assert beside.differing({NAME: DISK}, SAVED_AT, {}) == {}


def test_cells_write_in_order_append_to_starter_files_and_may_be_refused():
    cells = [
        "%%writefile a.txt\none",
        "%%writefile ../out.txt\nnever",
        "%%writefile -a a.txt\ntwo",
        "%%writefile -a given.txt\nmore",
        "print(1)",
    ]
    written = written_by_cells(cells, {"given.txt": b"some\n"})
    assert written == {"a.txt": b"one\ntwo\n", "given.txt": b"some\nmore\n"}
