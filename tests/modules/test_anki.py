"""The file for Anki: a real package, whose notes are found again when it is imported once more."""

import sqlite3
import zipfile
from datetime import date

import pytest

from coursework.modules.anki import write_anki
from coursework.modules.cards import Card
from coursework.modules.catalogue import Module
from coursework.modules.review import Scheduled
from coursework.trouble import CourseError

MODULE = Module("10-a", "A", "Tools", (), (), 5, ())


def scheduled(question="Is 1 < 2?", section="Ports", module=MODULE):
    key = f"{module.slug}/{section}"
    return Scheduled(key, module, Card(question, "Yes, & always.", section), 0, date(2026, 11, 2))


def notes(path, folder):
    """Return guid, fields and tags of each note of a package."""
    with zipfile.ZipFile(path) as package:
        database = package.extract("collection.anki2", folder)
    connection = sqlite3.connect(database)
    try:
        return connection.execute("select guid, flds, tags from notes order by id").fetchall()
    finally:
        connection.close()


def test_each_card_is_a_note_with_escaped_texts(tmp_path):
    path = tmp_path / "cards.apkg"
    write_anki(path, [scheduled(), scheduled(section="Addresses")])
    found = notes(path, tmp_path)
    assert len(found) == 2
    question, answer, place = found[0][1].split("\x1f")
    assert (question, answer) == ("Is 1 &lt; 2?", "Yes, &amp; always.")
    assert place == "10-a, “Ports”"
    assert found[0][2].split() == ["10-a"]
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_a_reworded_card_is_the_same_note(tmp_path):
    """The guid stays, and so does the kind of note: an import updates what is there."""
    first, second = tmp_path / "one.apkg", tmp_path / "two.apkg"
    write_anki(first, [scheduled()])
    write_anki(second, [scheduled("Is 1 really < 2?"), scheduled(section="Addresses")])
    before, after = notes(first, tmp_path), notes(second, tmp_path)
    assert before[0][0] == after[0][0] != after[1][0]
    assert before[0][1] != after[0][1]


def test_a_file_that_is_there_is_replaced(tmp_path):
    path = tmp_path / "cards.apkg"
    path.write_text("old", "utf-8")
    write_anki(path, [scheduled()])
    assert len(notes(path, tmp_path)) == 1


def test_a_name_that_anki_does_not_open_is_refused(tmp_path):
    """Nothing is overwritten by a slip."""
    path = tmp_path / "exercise.ipynb"
    path.write_text("mine", "utf-8")
    with pytest.raises(CourseError) as error:
        write_anki(path, [scheduled()])
    assert "exercise.apkg" in error.value.fix
    assert path.read_text("utf-8") == "mine"


def test_without_cards_or_folder_it_says_why(tmp_path):
    with pytest.raises(CourseError, match="no cards"):
        write_anki(tmp_path / "cards.apkg", [])
    with pytest.raises(CourseError, match="cannot be written"):
        write_anki(tmp_path / "nowhere" / "cards.apkg", [scheduled()])
