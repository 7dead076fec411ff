"""Fingerprints of a file, which stay the same when names, texts, comments or spaces are changed.

Winnowing, by Schleimer, Wilkerson and Aiken (SIGMOD 2003), as MOSS does it: a file is a row of
signs, any LENGTH of them in a row are a gram, and the smallest hash of any WINDOW neighbouring
grams is a fingerprint. So each match of LENGTH + WINDOW - 1 signs is found, wherever it is.

Why not copydetect, the library for it: its last release, 0.5.0 of March 2024, keeps the names of
JavaScript, where Pygments calls them Name.Other, so a copy with other names was 55 % similar to
its original; and it marks the wrong lines where a Python file has a class.
"""

import hashlib
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import NamedTuple

from pygments import lexers, token

# About three lines: less is what a language makes everybody write.
LENGTH = 20
WINDOW = 8
TEXT = "text"
# An honest file takes a tenth of a second; some texts take a lexer hours.
_MOST_S = 5.0
# Programs without an ending name their language in the first line.
_PROGRAM = re.compile(r"#!\s*\S*?(?:env\s+)?(?P<name>[a-z]+)[0-9.]*(?:\s|$)")
_BY_PROGRAM = {"node": "JavaScript", "python": "Python", "sh": "Bash", "bash": "Bash"}
_PROSE = {"Text only", "Markdown", "reStructuredText"}
_WORD = re.compile(r"\w+|[^\w\s]")
# Who copies changes these first; all others, such as a YAML file's keys, are the code.
_CHOSEN = {
    token.Name, token.Name.Other, token.Name.Variable, token.Name.Function, token.Name.Class,
    token.Name.Attribute, token.Name.Label, token.Name.Namespace, token.Name.Constant,
    token.Name.Property,
}  # fmt: skip


class Sign(NamedTuple):
    """What one piece of code is compared by, and where it is in the text."""

    kind: str
    start: int
    end: int


def language_of(name: str, text: str) -> str:
    """Return the language of a file by its name, or by the first line where it has no ending."""
    found = lexers.find_lexer_class_for_filename(PurePosixPath(name).name)
    language = found.name if found else TEXT
    if found is None and (program := _PROGRAM.match(text.partition("\n")[0])):
        language = _BY_PROGRAM.get(program["name"], TEXT)
    return TEXT if language in _PROSE else language


def signs_of(text: str, language: str) -> list[Sign]:
    """Return a file as signs; names, texts and numbers are each the same, comments are none."""
    if language == TEXT:
        return _words(text)
    try:
        with _within(_MOST_S):
            return list(_signs(text, language))
    # A learner may write what a lexer can't read, or not before evening.
    except Exception:  # noqa: BLE001
        return _words(text)


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after so much processor time, also within a regular expression."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _words(text: str) -> list[Sign]:
    return [Sign(m[0].lower(), m.start(), m.end()) for m in _WORD.finditer(text)]


def _signs(text: str, language: str) -> Iterator[Sign]:
    lexer = lexers.find_lexer_class(language)()
    quoted: Sign | None = None
    for at, kind, value in lexer.get_tokens_unprocessed(text):
        if kind in token.String and kind not in token.String.Doc:
            # A text with its marks, or one with values in it, comes in pieces.
            quoted = Sign("S", quoted.start if quoted else at, at + len(value))
            continue
        if quoted:
            yield quoted
            quoted = None
        yield from _of_token(at, kind, value)
    if quoted:
        yield quoted


def _of_token(at: int, kind: token._TokenType, value: str) -> Iterator[Sign]:
    if kind in token.Comment or kind in token.String.Doc or not value.strip():
        return
    if kind in token.Number:
        yield Sign("0", at, at + len(value))
    elif kind in _CHOSEN:
        yield Sign("N", at, at + len(value))
    elif kind in token.Punctuation or kind in token.Operator:
        # Some lexers give `});` at once; and in JavaScript a semicolon may be left out.
        for place, sign in enumerate(value, at):
            if sign != ";" and not sign.isspace():
                yield Sign(sign, place, place + 1)
    else:
        begin = at + len(value) - len(value.lstrip())
        yield Sign(value.strip(), begin, begin + len(value.strip()))


def grams_of(signs: Sequence[Sign]) -> list[int]:
    """Return the hash of the gram that begins at each sign."""
    kinds = [sign.kind for sign in signs]
    return [_hash(kinds[n : n + LENGTH]) for n in range(len(kinds) - LENGTH + 1)]


def _hash(kinds: Sequence[str]) -> int:
    # Python's own hash is another one in each process.
    data = "\0".join(kinds).encode(errors="replace")
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest())


def prints_of(grams: Sequence[int]) -> frozenset[int]:
    """Return the fingerprints among a file's grams."""
    places = range(max(1, len(grams) - WINDOW + 1))
    return frozenset(min(window) for n in places if (window := grams[n : n + WINDOW]))
