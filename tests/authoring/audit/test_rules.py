"""Broken on purpose: each way to break a module ends in exactly its rule, at its file."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from coursework.authoring import audit
from coursework.authoring.audit import Subject, audit_places, audit_structure
from coursework.authoring.new import new_module
from coursework.authoring.source import read_cells, reference_files
from coursework.layout import Layout
from coursework.modules.catalogue import load_catalogue
from tests.authoring.audit.test_proved import RULES_OF_RECORDS
from tests.authoring.audit.test_running import RULES_OF_RUNNING
from tests.authoring.conftest import ALPHA, BETA, build, edit

CATALOGUE = "course/catalogue.toml"
LESSON = f"course/{ALPHA}/lesson.md"
EXERCISE = f"solutions/{ALPHA}/exercise.md"
CARDS = f"course/{ALPHA}/cards.toml"
CHECKS = f"graders/{ALPHA}/checks.py"
RIGHT = f"graders/{ALPHA}/right/plain_socket"
WRONG = f"graders/{ALPHA}/wrong/greets"

MISTAKE = f"{WRONG}/greeting_typed_in.diff"
SEVENTH_CARD = """
[[card]]
question = "One more?"
answer = "No."
section = "Clean up"
"""
LINK = """A link.
diff --git a/link.py b/link.py
new file mode 120000
--- /dev/null
+++ b/link.py
@@ -0,0 +1 @@
+/etc/passwd
\\ No newline at end of file
"""
OUTSIDE = """A file elsewhere.
diff --git a/../server.py b/../server.py
new file mode 100644
--- /dev/null
+++ b/../server.py
@@ -0,0 +1 @@
+import os
"""
IMAGE = """Another image.
diff --git a/Dockerfile b/Dockerfile
--- a/Dockerfile
+++ b/Dockerfile
@@ -1,2 +1,2 @@
-FROM python:3.13-slim
+FROM python:3.13
 WORKDIR /app
"""


@dataclass(frozen=True)
class Break:
    """One way to break a module.

    Args:
        name: of the case.
        how: does it.
        findings: rule and file of all that must be found.
        module: whose rules are applied.
        derived: whether exercises/ is brought up to date afterwards.
    """

    name: str
    how: Callable[[Layout], object]
    findings: tuple[tuple[str, str], ...]
    module: str = ALPHA
    derived: bool = True


def replaced(name: str, old: str, new: str) -> Callable[[Layout], object]:
    return lambda layout: edit(layout, name, old, new)


def written(name: str, text: str) -> Callable[[Layout], object]:
    def write(layout: Layout) -> None:
        path = layout.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    return write


def removed(name: str) -> Callable[[Layout], object]:
    def remove(layout: Layout) -> None:
        path = layout.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return remove


def swap_entries(layout: Layout) -> None:
    head, first, second = layout.catalogue.read_text("utf-8").split("[[module]]")
    entries = "\n".join(f"[[module]]{entry}" for entry in (second, first))
    layout.catalogue.write_text(head + entries, "utf-8")


def part_between(layout: Layout) -> None:
    new_module(layout, "15-between")
    head, other, last = layout.catalogue.read_text("utf-8").rsplit("[[module]]", 2)
    other = other.replace('part = "', 'part = "Another, not ')
    layout.catalogue.write_text(f"{head}[[module]]{other}[[module]]{last}", "utf-8")


def link_answer(layout: Layout) -> None:
    (layout.root / RIGHT / "link.py").symlink_to("server.py")


def copy_solution(layout: Layout) -> None:
    files = reference_files(read_cells(layout.solution(ALPHA)))
    (layout.root / RIGHT / "server.py").write_bytes(files["server.py"])


def told(text: str) -> Callable[[Layout], object]:
    return replaced(LESSON, "Say what was seen", f"{text}\n\nSay what was seen")


def one(name: str, rule: str, file: str, how: Callable[[Layout], object], **more: object) -> Break:
    return Break(name, how, ((rule, file),), **more)  # type: ignore[arg-type]


BREAKS = (
    one("derived file edited", "stale-derivation", f"exercises/{ALPHA}/exercise.ipynb",
        replaced(f"exercises/{ALPHA}/exercise.ipynb", "First steps", "Steps"), derived=False),
    one("derived file too many", "stale-derivation", f"exercises/{ALPHA}/old.txt",
        written(f"exercises/{ALPHA}/old.txt", "old"), derived=False),
    one("mark without partner", "refused-source", EXERCISE,
        replaced(EXERCISE, "# END SOLUTION\n", ""), derived=False),
    one("link among the files", "refused-source", EXERCISE, link_answer),
    one("base image not listed", "unlisted-image", f"{RIGHT}/Dockerfile",
        written(f"{RIGHT}/Dockerfile", "FROM scratch AS empty\nFROM node:24-slim\n")),
    one("image without a folder", "unknown-image", CATALOGUE,
        replaced(CATALOGUE, '["python:3.13-slim"]', '["python:3.13-slim", "cobol:1"]')),
    one("requires nobody", "unknown-requirement", CATALOGUE,
        replaced(CATALOGUE, "requires = []", 'requires = ["05-none"]')),
    one("requires what comes later", "later-requirement", CATALOGUE,
        replaced(CATALOGUE, "requires = []", f'requires = ["{BETA}"]')),
    one("entries in no order", "catalogue-order", CATALOGUE, swap_entries),
    one("part taken up again", "scattered-part", CATALOGUE, part_between),
    one("diagram that nobody draws", "undrawn-diagram", LESSON,
        told("```{mermaid}\nflowchart LR\n    reader --> page\n```")),
    one("command that macOS reads in another way", "unportable-command", LESSON,
        told("```{code-cell} python\n!sed -i 's/80/81/' config.ini\n```")),
    one("folder without an entry", "unknown-folder", "graders/30-gone",
        written("graders/30-gone/checks.py", "")),
    one("file beside the modules", "unknown-file", "course/notes.txt",
        written("course/notes.txt", "")),
    one("file that nothing reads", "unknown-file", f"course/{ALPHA}/notes.txt",
        written(f"course/{ALPHA}/notes.txt", "")),
    one("wrong answer of no check", "unknown-folder", f"graders/{ALPHA}/wrong/gone",
        written(f"graders/{ALPHA}/wrong/gone/late/server.py", "")),
    one("answer that is a file", "unknown-file", f"graders/{ALPHA}/right/server.py",
        written(f"graders/{ALPHA}/right/server.py", "")),
    one("answer without files", "unknown-folder", f"{WRONG}/empty",
        written(f"{WRONG}/empty/README.md", "")),
    one("answer that is neither a diff nor a folder", "unknown-file", f"{WRONG}/server.py",
        written(f"{WRONG}/server.py", "")),
    one("diff and folder of one name", "unknown-folder", f"{WRONG}/greeting_typed_in",
        written(f"{WRONG}/greeting_typed_in/server.py", "")),
    one("mistake without a sentence", "mistake-without-sentence", MISTAKE,
        replaced(MISTAKE, "The greeting is hard-coded.\n", "")),
    one("mistake of an older solution", "stale-mistake", MISTAKE,
        replaced(EXERCISE, "self.send_response(200)", "self.send_response_only(200)")),
    one("mistake that changes nothing", "stale-mistake", MISTAKE,
        replaced(MISTAKE, '{"message": "hello"}', '{"message": os.environ["GREETING"]}')),
    one("mistake that is a link", "stale-mistake", MISTAKE, written(MISTAKE, LINK)),
    one("mistake outside of the folder", "stale-mistake", MISTAKE, written(MISTAKE, OUTSIDE)),
    one("mistake on an image not listed", "unlisted-image", MISTAKE, written(MISTAKE, IMAGE)),
    one("no lesson", "missing-file", LESSON, removed(LESSON)),
    one("lesson that is not UTF-8", "unreadable-text", LESSON,
        lambda layout: (layout.root / LESSON).write_bytes(b"\xff\xfe")),
    one("checks that are no Python", "unloadable-checks", CHECKS, written(CHECKS, "def check_(:"),
        derived=False),
    one("link to no heading", "unknown-heading", CHECKS,
        replaced(CHECKS, 'link="A value', 'link="No value')),
    one("link to no file", "broken-link", LESSON, told("See [this](nothing.txt).")),
    one("link to no section", "broken-anchor", LESSON, told("See [this](#Nothing).")),
    one("link to no section of another module", "broken-anchor", LESSON,
        told(f"See [this](../{BETA}/lesson.ipynb#Nothing).")),
    one("address without a host", "malformed-url", LESSON, told("See [this](https://nowhere).")),
    one("cards that are no TOML", "malformed-cards", CARDS, written(CARDS, "[[card")),
    one("card without an answer", "malformed-cards", CARDS,
        replaced(CARDS, 'answer = "When it starts.', 'reply = "When it starts.')),
    one("seven cards", "malformed-cards", CARDS, lambda layout: (layout.root / CARDS).write_text(
        (layout.root / CARDS).read_text("utf-8") + SEVENTH_CARD, "utf-8")),
    one("card of no section", "unknown-heading", CARDS,
        replaced(CARDS, 'section = "Clean up"', 'section = "Nothing"')),
    one("nine points", "points-sum", CHECKS, replaced(CHECKS, "    10,", "    9,")),
    one("check without a title", "check-without-docstring", CHECKS,
        replaced(CHECKS, '    """GET /hello answers the text of GREETING as JSON"""\n', "")),
    one("check without a hint", "check-without-hint", CHECKS,
        replaced(CHECKS, "Read the text when the server runs: os.environ['GREETING'].", "")),
    Break("check without points", replaced(CHECKS, "    10,", "    0,"),
          (("check-without-points", CHECKS), ("points-sum", CHECKS))),
    one("check that nothing proves", "check-without-wrong-answer", WRONG, removed(WRONG)),
    one("need of no check", "unknown-need", CHECKS,
        replaced(CHECKS, "    10,", '    10,\n    needs=("nothing",),')),
    one("check without a cell", "check-cells", EXERCISE, replaced(
        EXERCISE, '```{code-cell} python\ncheck("greets")\n```', "")),
    one("no cell that imports", "import-cell", EXERCISE,
        replaced(EXERCISE, "from coursework.notebook import check, hint", "import this")),
    one("no closing cell", "closing-cell", EXERCISE,
        replaced(EXERCISE, "```{code-cell} python\ncheck()\n```", "")),
    one("one right answer only", "no-right-answer", f"graders/{ALPHA}/right",
        removed(f"graders/{ALPHA}/right")),
    one("right answer that is the solution", "same-as-solution", RIGHT, copy_solution),
    Break("nothing", lambda _: None, ()),
    Break("no cards yet", removed(CARDS), ()),
    Break("what is recorded", lambda layout: [written(name, "{}")(layout) for name in (
        f"course/{ALPHA}/outputs.json", f"graders/{ALPHA}/proof.json")], ()),
    Break("nothing, in the second module", lambda _: None, (), module=BETA),
    Break("a line of RUN that begins with from", written(f"{RIGHT}/Dockerfile",
        'FROM python:3.13-slim\nRUN python -c "\\\nfrom os import path"\n'), ()),
    Break("links that lead somewhere", told(
        "See [a](#Clean-up), [b](exercise.ipynb#The-contract), [c](Dockerfile), "
        f"[d](../{BETA}/lesson.ipynb), [e](https://docs.docker.com/)."), ()),
)  # fmt: skip


def found_in(layout: Layout, slug: str) -> list[tuple[str, str]]:
    subject = Subject(layout, load_catalogue(layout).find(slug))
    findings, _ = audit_structure(subject)
    return sorted((f.rule, f.file) for f in [*audit_places(layout), *findings])


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.name)
def test_each_break_is_told_by_its_rule_at_its_file(clone, case):
    """Nothing else is found: one mistake makes one finding."""
    case.how(clone)
    if case.derived:
        build(clone)
    assert found_in(clone, case.module) == sorted(case.findings)


def test_every_rule_has_a_break():
    """A rule that is added without a way to break it is noticed."""
    sources = Path(audit.__file__).parent.glob("*.py")
    text = "\n".join(path.read_text("utf-8") for path in sources)
    named = set(re.findall(r'"([a-z]+(?:-[a-z]+)+)"', text)) - {"raises-exception"}
    covered = (
        RULES_OF_RUNNING | RULES_OF_RECORDS | {rule for case in BREAKS for rule, _ in case.findings}
    )
    # Names of one word cannot be told from other texts.
    assert named == {rule for rule in covered if "-" in rule}


def test_a_finding_names_file_rule_and_command(clone):
    """What an author reads: where, which rule, what was seen, what to type."""
    edit(clone, CHECKS, "    10,", "    9,")
    build(clone)
    subject = Subject(clone, load_catalogue(clone).find(ALPHA))
    (finding,), can_run = audit_structure(subject)
    assert can_run
    assert str(finding).splitlines() == [
        f"✗ {CHECKS}  points-sum",
        "    the points sum to 9, not 10: greets 9",
        f"    → course audit {ALPHA} --quick",
    ]
