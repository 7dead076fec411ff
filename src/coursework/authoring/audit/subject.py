"""What the rules look at: one module, read once."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from coursework.authoring.mistakes import Mistake, Solution, find_mistakes
from coursework.authoring.source import Cell, SourceError, read_cells
from coursework.checks.points import Check
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.trouble import CourseError

_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Document:
    """The text cells of one notebook.

    Args:
        cells: all of its cells.
    """

    cells: list[Cell]

    def headings(self) -> list[str]:
        """Return the plain text of each heading."""
        return [_plain(inline) for before, inline in self._inlines() if before == "heading_open"]

    def anchors(self) -> set[str]:
        """Return what may follow # in a link, as JupyterLab names headings."""
        return {heading.replace(" ", "-") for heading in self.headings()}

    def links(self) -> list[str]:
        """Return the target of each link and image."""
        children = [child for _, inline in self._inlines() for child in inline.children or ()]
        targets = [child.attrGet("href") or child.attrGet("src") for child in children]
        return [unquote(str(target)) for target in targets if target is not None]

    def _inlines(self) -> Iterator[tuple[str, Token]]:
        for cell in self.cells:
            if cell.kind == "markdown":
                yield from _inlines_of(cell.text)


@lru_cache(maxsize=4096)
def _inlines_of(text: str) -> tuple[tuple[str, Token], ...]:
    pairs = itertools.pairwise(_MARKDOWN.parse(text))
    return tuple((before.type, token) for before, token in pairs if token.type == "inline")


def _plain(inline: Token) -> str:
    return "".join(c.content for c in inline.children or () if c.type in ("text", "code_inline"))


@dataclass(frozen=True)
class Finding:
    """One thing that does not hold.

    Args:
        module: slug; empty where no module is concerned.
        file: where to look, relative to the clone.
        rule: short name of what was expected.
        what: what was seen, in one sentence.
        command: what shows or repairs it.
    """

    module: str
    file: str
    rule: str
    what: str
    command: str

    def __str__(self) -> str:
        return f"✗ {self.file}  {self.rule}\n    {self.what}\n    → {self.command}"


@dataclass(frozen=True)
class Subject:
    """One module of a clone.

    Args:
        layout: the clone.
        module: its entry in the catalogue.
    """

    layout: Layout
    module: Module

    @property
    def slug(self) -> str:
        """The module's slug."""
        return self.module.slug

    @cached_property
    def lesson(self) -> list[Cell]:
        """The lesson's cells; SourceError where it cannot be read."""
        return read_cells(self.layout.lesson(self.slug))

    @cached_property
    def exercise(self) -> list[Cell]:
        """The cells of the exercise's source; SourceError where it cannot be read."""
        return read_cells(self.layout.solution(self.slug))

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """The checks in order; CourseError where they cannot be loaded."""
        from coursework.grading.grade import list_checks  # noqa: PLC0415 - loads the engine's client

        return list_checks(self.layout, self.slug)

    @cached_property
    def solution(self) -> Solution:
        """The reference solution, as an answer holds it."""
        return Solution(self.layout, self.slug)

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """The wrong answers that are diffs, each applied once."""
        return find_mistakes(self.solution)

    @property
    def checks_file(self) -> Path:
        """The file of the checks."""
        return self.layout.grader(self.slug) / "checks.py"

    def finding(self, file: Path, rule: str, what: str, command: str = "") -> Finding:
        """Return a finding about one of the module's files."""
        name = file.relative_to(self.layout.root).as_posix()
        return Finding(self.slug, name, rule, what, command or f"course audit {self.slug} --quick")


Rule = Callable[[Subject], Iterator[Finding]]


def unreadable(subject: Subject) -> Iterator[Finding]:
    """Find source files that are missing or cannot be read; the other rules need them all."""
    paths = (subject.layout.lesson(subject.slug), subject.layout.solution(subject.slug))
    missing = [p for p in (*paths, subject.checks_file) if not p.is_file()]
    for path in missing:
        yield subject.finding(
            path, "missing-file", "the catalogue lists the module", "git status, or: course new"
        )
    if missing:
        return
    for path in paths:
        try:
            read_cells(path)
        except SourceError as error:
            yield subject.finding(path, "unreadable-text", one_line(error))
    try:
        _ = subject.checks
    except CourseError as error:
        yield subject.finding(subject.checks_file, "unloadable-checks", one_line(error))


def one_line(error: CourseError) -> str:
    """Return an error's message as one line."""
    return " · ".join(filter(None, [error.what, " ".join(error.why.split())[-300:]]))
