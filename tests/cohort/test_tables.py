"""Tables go out without formulas, and come in as spreadsheets save them."""

import csv
import re

import pytest

from coursework.cohort.tables import read_column, table
from coursework.trouble import CourseError


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\uff1d1", "\t=1", "\r=1", "\n=1"]
)
def test_no_cell_is_a_formula(text):
    ((written, number),) = csv.reader(table([[text, -1]]).splitlines(keepends=True))
    assert written.startswith("'")
    assert number == "-1"


@pytest.mark.parametrize("text", ["Doe;=1+1", 'Doe;"=A1&"', "Doe;;@SUM(A1);", "Doe\t-1"])
def test_no_cell_becomes_a_formula_where_semicolons_part_cells(text):
    (row,) = csv.reader(table([["Jane", text]]).splitlines(), delimiter=";")
    for part in re.split("[;\t]", ";".join(row)):
        assert not part.lstrip('"').startswith(("=", "+", "-", "@"))


def test_a_learner_is_known_by_what_a_table_says_of_them(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(table([["learner", "due"], ["=ada", "x"], ["-bob", "y"]]))
    names = ["=ada", "-bob", "'-bob"]
    assert read_column(path, "due", names, pytest.fail) == {"=ada": "x", "'-bob": "y"}


def test_every_cell_can_have_quotation_marks():
    assert table([["a", 1]], quoted=True) == '"a","1"\r\n'


@pytest.mark.parametrize(
    "data",
    [
        b"learner,due\nJos\xc3\xa9,x\n",
        b"\xef\xbb\xbflearner;due\r\nJos\xc3\xa9;x\r\n",
        b"Due, Learner ,note\nx, Jose\xcc\x81 ,y\n\n,,\n",
    ],
)
def test_a_column_is_read_in_each_form_of_csv(tmp_path, data):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    assert read_column(path, "due", ["José"], pytest.fail) == {"José": "x"}


@pytest.mark.parametrize(
    ("data", "what", "hint"),
    [
        (b"", "has no column learner", "learner,due"),
        (b"learner,date\n", "has no column due", "learner,due"),
        (b"learner,due\nada,x\nada,y\n", "line 3: 'ada' is there twice", "remove one"),
        (b"\xff\xfel\0", "cannot be read", "CSV in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_csv_is_told(tmp_path, data, what, hint):
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    with pytest.raises(CourseError, match=what) as refused:
        read_column(path, "due", ["ada", "bob"], pytest.fail)
    assert hint in refused.value.fix


def test_who_has_no_result_is_told_with_who_is_similar(tmp_path):
    """They may have an extension and not have handed in yet; or the name is misspelt."""
    path, told = tmp_path / "a.csv", list[str]()
    path.write_text("learner,due\ndoejane_4712,x\nbob,y\nzoe,z\n")
    found = read_column(path, "due", ["doejane_4711", "bob"], told.append)
    assert found == {"bob": "y"}
    assert told == [
        f"{path}, line 2: 'doejane_4712' has no result; similar: doejane_4711",
        f"{path}, line 4: 'zoe' has no result",
    ]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CourseError, match="cannot be read"):
        read_column(tmp_path / "none.csv", "due", [], pytest.fail)
