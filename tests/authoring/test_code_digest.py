"""The digest of checks: code changes it, words for readers do not."""

import pytest

from coursework.authoring.proof import code_digest

CHECK = '''
"""Checks of a module."""

@points(2, hints=("Look there.", "Nearly the code."), link="A heading")
def check_greets(server):
    """GET / answers hello"""
    reply = server.get("/")  # a comment
    if reply.status != 200:
        fail("200", f"{reply.status!r:>4}", hint="Is it there?")
    reply.expect(200, body="hello")
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another one"),
        ("GET / answers hello", "GET / says hello"),
        ("Checks of a module.", "What is judged."),
        ('    """GET / answers hello"""\n', ""),
        ('("Look there.", "Nearly the code.")', '("Look elsewhere.",)'),
        ('link="A heading"', 'link="Another"'),
        (', hint="Is it there?"', ""),
        ('reply = server.get("/")', "reply = server.get(\n        '/',\n    )"),
    ],
)
def test_words_for_readers_change_nothing(old, new):
    """Titles, hints, links and comments can be written better at any time."""
    assert old in CHECK
    assert code_digest(CHECK.replace(old, new)) == code_digest(CHECK)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("points(2", "points(3"),
        ('body="hello"', 'body="Hello"'),
        ('body="hello"', 'text="hello"'),
        ('    reply.expect(200, body="hello")\n', ""),
        ("!= 200", "== 200"),
        ("check_greets", "check_answers"),
        ("!r:>4", "!s:>4"),
    ],
)
def test_what_may_change_a_verdict_changes_it(old, new):
    """Each number, name and expression counts."""
    assert old in CHECK
    assert code_digest(CHECK.replace(old, new)) != code_digest(CHECK)


def test_it_is_the_same_for_every_python():
    """A proof recorded on one machine is read on another: this number is from Python 3.11."""
    assert code_digest(CHECK) == RECORDED


RECORDED = "7e022dd8367350d2a0f41a461c02ba2c162a64407e2f29f0491598154cb5e05d"
