"""Headings and links of an author's text, as Markdown has them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
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
                tokens = _MARKDOWN.parse(cell.text)
                for before, token in itertools.pairwise(tokens):
                    if token.type == "inline":
                        yield before.type, token


def _plain(inline: Token) -> str:
    return "".join(c.content for c in inline.children or () if c.type in ("text", "code_inline"))
