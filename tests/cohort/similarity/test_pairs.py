"""A copy is found, whatever its names are; what everybody was given or has to write is none."""

from coursework.cohort.similarity.pairs import COMMON_FROM, Document, find_pairs, given_grams
from tests.cohort.similarity.answers import COPIED, INDEPENDENT, RENAMED

NOTHING = frozenset[int]()


def of(learner, text, left_out=NOTHING, name="server.py"):
    return Document.of(learner, name, text, left_out)


def names(pairs):
    return [(p.left.learner, p.right.learner) for p in pairs.found]


def test_a_copy_with_other_names_is_found_and_an_independent_answer_is_not():
    found = find_pairs([of("ada", COPIED), of("bob", RENAMED), of("cy", INDEPENDENT)])
    assert names(found) == [("ada", "bob")]
    assert found.found[0].share > 0.9


def test_a_copy_inside_of_a_longer_file_is_found():
    (pair,) = find_pairs([of("ada", COPIED), of("bob", INDEPENDENT + RENAMED)]).found
    assert pair.share == pair.left_share > 0.9 > pair.right_share


def test_what_the_course_gave_makes_no_pair():
    given = given_grams([("server.py", COPIED)])
    assert find_pairs([of("ada", COPIED, given), of("bob", RENAMED, given)]).found == []
    more = "\n\n" + INDEPENDENT
    both = [of("ada", COPIED + more, given), of("bob", RENAMED + more, given)]
    assert names(find_pairs(both)) == [("ada", "bob")]


def test_files_of_one_learner_and_of_other_languages_are_no_pair():
    assert find_pairs([of("ada", COPIED), of("ada", COPIED, name="old.py")]).found == []
    assert find_pairs([of("ada", COPIED), of("bob", COPIED, name="server.rb")]).found == []


def test_what_most_of_a_class_has_is_no_pair_and_a_copy_among_them_is():
    learners = [f"learner-{n}" for n in range(COMMON_FROM - 2)]
    class_ = [of(learner, COPIED) for learner in learners]
    assert find_pairs(class_).found
    assert not find_pairs(class_).common
    class_ += [of("ada", COPIED + INDEPENDENT), of("bob", RENAMED + INDEPENDENT)]
    found = find_pairs(class_)
    assert names(found) == [("ada", "bob")]
    assert found.common


def test_the_most_similar_come_first():
    half = COPIED[: len(COPIED) * 3 // 4] + INDEPENDENT
    found = find_pairs([of("ada", half), of("bob", COPIED), of("cy", RENAMED)])
    shares = [p.share for p in found.found]
    assert shares == sorted(shares, reverse=True)
    assert names(found)[0] == ("bob", "cy")
