"""Passages lie beside their counterparts, in whole lines."""

from coursework.cohort.similarity.pairs import given_grams
from coursework.cohort.similarity.passages import passages
from tests.cohort.similarity.answers import COPIED, INDEPENDENT, RENAMED

NOTHING = frozenset[int]()


def test_a_passage_lies_beside_its_copy():
    before = "# a first line\n" * 3
    ((left, right),) = passages(before + COPIED, INDEPENDENT + RENAMED, "Python", NOTHING)
    assert left.text.splitlines() == COPIED.splitlines()
    assert left.first == 4
    assert left.last == 3 + len(COPIED.splitlines())
    assert "class Box(BaseHTTPRequestHandler):" in right.text
    assert "asyncio" not in right.text


def test_a_changed_line_parts_two_passages():
    changed = COPIED.replace("self.end_headers()", "self.end_headers(); x = [1, 2, 3]")
    found = passages(COPIED, changed, "Python", NOTHING)
    assert len(found) == 2
    assert found[0][0].last <= found[1][0].first


def test_given_code_is_in_no_passage():
    given = given_grams([("server.py", COPIED)])
    assert passages(COPIED, RENAMED, "Python", given) == []


def test_given_code_within_a_passage_does_not_part_it():
    given = given_grams([("server.py", "".join(COPIED.splitlines(keepends=True)[9:16]))])
    assert given
    assert len(passages(COPIED, RENAMED, "Python", given)) == 1


def test_code_that_repeats_itself_is_shown_once():
    found = passages("print(1)\n" * 400, "print(2)\n" * 300, "Python", NOTHING)
    assert len(found) < 5
