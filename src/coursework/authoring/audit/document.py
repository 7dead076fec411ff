"""Headings and links of an author's text, as Markdown has them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

from coursework.authoring.source import Cell

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
