"""A class that hands in: three quarters honest and all different, one quarter hostile."""

import itertools
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nbformat

from coursework.authoring.audit.answers import RIGHT, SOLUTION, WRONG, Answer, answers_of
from coursework.authoring.audit.subject import Subject
from coursework.cohort.results import Result
from coursework.layout import Layout
from coursework.modules.catalogue import Module

ONE_HOSTILE_OF = 4

PYTHON = "FROM python:3.13-slim\nCOPY hostile.py /\n"
RUN = f'{PYTHON}CMD ["python", "-u", "/hostile.py"]\n'
SERVE = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        %s
http.server.ThreadingHTTPServer(("", 3000), Handler).serve_forever()
"""
FORGED = json.dumps(
    {"schema": 1, "module": "02-first-server", "points": 10, "max_points": 10, "checks": []}
)
FORK = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
FILL = """
with open("/filler", "wb", 0) as file:
    while True:
        file.write(b"x" * 2**20)
"""
PRINT = f"print({FORGED!r})\nprint('✓ quick_start  2 of 2\\n10 of 10 points')\n"
# Dockerfile and program of each; none keeps any part of the contract.
HOSTILE = {
    "fork-bomb": (RUN, FORK),
    "memory-hog": (RUN, "held = []\nwhile True:\n    held.append(b'x' * 2**26)"),
    "endless-log": (RUN, "while True:\n    print('x' * 4096)"),
    "endless-build": (f"{PYTHON}RUN while true; do echo more; sleep 1; done\n", ""),
    "disk-filler": (RUN, FILL),
    "exits-at-once": (RUN, "raise SystemExit(0)"),
    "endless-body": (RUN, SERVE % "while True: self.wfile.write(b' ' * 65536)"),
    "forged-output": (RUN, PRINT + SERVE % f"self.wfile.write({FORGED!r}.encode())"),
}


@dataclass(frozen=True)
class Submitted:
    """One submission, and what it deserves.

    Args:
        learner: says whose kind it is.
        notebook: its bytes.
        answer: of the module; None where it is hostile.
    """

    learner: str
    notebook: bytes
    answer: Answer | None = None

    def is_misjudged(self, result: Result) -> bool:
        """Tell whether a check that was judged came to something else than it should."""
        if self.answer is None or not result.is_final:
            return False
        failed = [c.name for c in result.report.checks if c.verdict != "passed"]
        return failed != [name for name in (self.answer.wrong_check,) if name]


def submissions(
    layout: Layout, module: Module, count: int, hostile: Mapping[str, tuple[str, str]] = HOSTILE
) -> list[Submitted]:
    """Return so many submissions, every fourth of them hostile, where there are hostile kinds.

    Args:
        layout: the clone.
        module: that is answered.
        count: how many.
        hostile: Dockerfile and program by kind, taken in turn.
    """
    kinds = (SOLUTION, RIGHT, WRONG)
    answers = [a for a in answers_of(Subject(layout, module)) if a.kind in kinds]
    blank = nbformat.reads(layout.exercise(module.slug).read_text("utf-8"), as_version=4)  # type: ignore[no-untyped-call]
    honest, attacks = itertools.cycle(answers), itertools.cycle(hostile.items())
    found = list[Submitted]()
    for number in range(count):
        if hostile and number % ONE_HOSTILE_OF == ONE_HOSTILE_OF - 1:
            name, (dockerfile, program) = next(attacks)
            files = {"Dockerfile": dockerfile.encode(), "hostile.py": program.encode()}
            found.append(Submitted(f"{number:03}-{name}", notebook(blank, files)))
        else:
            answer = next(honest)
            name = answer.name.replace("/", "-")
            files = different(dict(answer.files))
            found.append(Submitted(f"{number:03}-{name}", notebook(blank, files), answer))
    return found


def different(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return an answer that no other one is equal to."""
    for name, sign in (("server.js", "//"), ("server.py", "#")):
        if name in files:
            files[name] += f"\n{sign} {random.randbytes(8).hex()}\n".encode()  # noqa: S311
    return files


def notebook(blank: Any, files: dict[str, bytes]) -> bytes:
    """Return the exercise's notebook with these files in the place of its own."""
    new = nbformat.from_dict(blank)  # type: ignore[no-untyped-call]
    cells = [c for c in new.cells if not c.source.startswith("%%writefile")]
    written = [
        nbformat.v4.new_code_cell(f"%%writefile {name}\n{data.decode()}", id=f"file-{number}")  # type: ignore[no-untyped-call]
        for number, (name, data) in enumerate(files.items())
    ]
    new.cells = written + cells
    return nbformat.writes(new).encode()  # type: ignore[no-untyped-call,no-any-return]
