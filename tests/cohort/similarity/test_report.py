"""What an instructor reads: learners' code is text in it, and similarity is called no proof."""

import csv
from io import StringIO

from coursework.cohort.similarity.pairs import Document, Pairs, find_pairs
from coursework.cohort.similarity.report import (
    MOST_PAIRS,
    Similarity,
    similarity_page,
    similarity_table,
)
from tests.cohort.similarity.answers import COPIED, INDEPENDENT, RENAMED

NOTHING = frozenset[int]()


def of(learner, text, name="server.py"):
    return Document.of(learner, name, text, NOTHING)


def page_of(documents, left_out=()):
    learners = len({d.learner for d in documents})
    pairs = find_pairs(documents)
    return similarity_page(Similarity("90-tiny", learners, pairs, NOTHING, left_out))


def test_passages_are_side_by_side_with_what_to_do():
    page = page_of([of("ada", COPIED), of("bob", RENAMED), of("cy", INDEPENDENT)])
    assert "Files of 3 learners were compared. Similar by 50% or more: 1 pair." in page
    assert "no proof" in page
    assert "talk to each learner" in page
    left, right = (page.index(f"class {name}(") for name in ("Handler", "Box"))
    assert left < right
    assert "ada, server.py" in page
    assert "asyncio" not in page


def test_nothing_of_a_learners_is_drawn():
    evil = "<script>alert(1)</script>"
    documents = [
        of(f"<b>{name}", f"{text}\nx = '{evil}'\nprint(x, x)\n", f"{evil}.py")
        for name, text in (("ada", COPIED), ("bob", RENAMED))
    ]
    page = page_of(documents, [f"{evil} is damaged"])
    assert "&lt;script&gt;alert(1)" in page
    assert "<script" not in page
    assert "<b>" not in page
    assert "default-src 'none'" in page


def test_a_class_without_pairs_and_what_was_left_out_are_told():
    page = page_of([of("ada", COPIED)], ["bob: the notebook is damaged"])
    assert "No pair is that similar" in page
    assert "bob: the notebook is damaged" in page


def test_the_table_has_all_pairs_and_no_formula():
    pairs = find_pairs([of("=cmd()", COPIED), of("bob", RENAMED + INDEPENDENT)]).found
    (row,) = csv.DictReader(StringIO(similarity_table(pairs)))
    assert row["learner_a"] == "'=cmd()"
    assert (row["file_a"], row["learner_b"]) == ("server.py", "bob")
    assert row["similarity"] == row["percent_of_a"]
    assert int(row["percent_of_b"]) < int(row["percent_of_a"])


def test_a_page_ends_where_nobody_looks_any_more():
    found = find_pairs([of(f"learner-{n}", COPIED) for n in range(9)])
    many = Pairs(found.found * 3, NOTHING)
    page = similarity_page(Similarity("90-tiny", 9, many, NOTHING, ()))
    assert page.count("<details") == MOST_PAIRS
    assert f"Here are the first {MOST_PAIRS}" in page
