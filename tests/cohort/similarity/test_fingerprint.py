"""What stays the same when a copy is disguised, and what doesn't."""

import signal
import time

import pytest

from coursework.cohort.similarity.fingerprint import (
    LENGTH,
    WINDOW,
    Sign,
    grams_of,
    language_of,
    prints_of,
    signs_of,
)

ORIGINAL = """\
const shows = readShows(process.env.SHOWS_FILE);
app.get("/api/shows", (req, res) => {
  res.json({ shows: shows.filter((show) => show.price < 20) });
});
"""
DISGUISED = """\
// my own work
const pieces = loadPieces(process.env.SHOWS_FILE)
server.get('/api/shows', (question, answer) => {
    answer.json({ shows: pieces.filter((one) =>
        one.price < 30) })   /* cheap */
})
"""


def kinds(text, language):
    return [sign.kind for sign in signs_of(text, language)]


def test_a_disguised_copy_has_the_same_signs():
    assert kinds(ORIGINAL, "JavaScript") == kinds(DISGUISED, "JavaScript")
    python = 'def answer(self, body):\n    """Send."""\n    return self.send(b"a" + body, 1)\n'
    other = "def reply(self, data):\n    return self.post(b'bcd' + data, 2)  # hm\n"
    assert kinds(python, "Python") == kinds(other, "Python")


def test_other_code_has_other_signs():
    assert kinds("if (a) { b(); }", "JavaScript") != kinds("while (a) { b(); }", "JavaScript")
    assert kinds("replicas: 2", "YAML") != kinds("paused: 2", "YAML")


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("server.mjs", "", "JavaScript"),
        ("k8s/web.yml", "", "YAML"),
        ("api/Dockerfile", "", "Docker"),
        ("migrate", "#!/usr/bin/env node\n", "JavaScript"),
        ("run", "#!/bin/sh -e\n", "Bash"),
        ("run", "#!/usr/bin/python3.13\n", "Python"),
        ("notes.md", "", "text"),
        ("NOTES", "some words", "text"),
    ],
)
def test_a_language_is_told_by_name_or_first_line(name, text, language):
    assert language_of(name, text) == language


def test_signs_say_where_they_are():
    text = "\n\n# one\nclass A:\n    x = 'a' 'b'\n"
    for kind, start, end in signs_of(text, "Python"):
        assert text[start:end].strip()
        assert kind in ("N", "S", text[start:end])


def test_any_match_that_is_long_enough_is_found():
    shared = [Sign(f"s{n}", n, n) for n in range(LENGTH + WINDOW - 1)]
    for before in range(WINDOW * 2):
        left = [Sign(f"l{n}", n, n) for n in range(before)] + shared
        right = [*shared, *(Sign(f"r{n}", n, n) for n in range(before * 3))]
        assert prints_of(grams_of(left)) & prints_of(grams_of(right))
    assert prints_of(grams_of(shared[: LENGTH - 1])) == frozenset()


def test_what_no_lexer_reads_is_compared_as_words(monkeypatch):
    def broken(*_):
        raise RecursionError

    monkeypatch.setattr("coursework.cohort.similarity.fingerprint._signs", broken)
    assert kinds("Let x = 1;", "JavaScript") == ["let", "x", "=", "1", ";"]


def test_a_text_that_keeps_a_lexer_busy_is_compared_as_words(monkeypatch):
    monkeypatch.setattr("coursework.cohort.similarity.fingerprint._MOST_S", 0.2)
    before = signal.getsignal(signal.SIGVTALRM)
    start = time.process_time()
    assert len(signs_of("a" * 50_000, "Terraform")) == 1
    assert time.process_time() - start < 5
    assert signal.getsignal(signal.SIGVTALRM) == before
