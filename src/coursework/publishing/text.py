"""A notebook's cells as Python-Markdown reads them."""

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

from coursework.authoring.outputs import Picture, Shown, joined
from coursework.report.lines import printable

_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)])\s")
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_SHOWN_LINES = 120


def fenced(text: str, attributes: str) -> str:
    """Return a block that shows a text as it is, whatever it holds.

    Args:
        text: printed as it is, without what could steer a terminal.
        attributes: of the block, such as `.python`.
    """
    plain = printable(text).rstrip("\n")
    marks = "`" * max(3, 1 + max(map(len, re.findall("`+", plain)), default=0))
    return f"{marks} {{ {attributes} }}\n{plain}\n{marks}"


def spaced(markdown: str) -> str:
    """Put the empty line before a list that Jupyter can do without and Python-Markdown cannot."""
    lines: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        before = lines[-1] if lines else ""
        begins_list = not fence and _ITEM.match(line) and before.strip()
        if begins_list and not _ITEM.match(before) and not before.startswith((" ", "\t")):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def cell_markdown(cell: Mapping[str, Any], shown: Shown = ()) -> str:
    """Return one cell with what it showed."""
    source = joined(cell["source"])
    if cell["cell_type"] != "code":
        return spaced(source)
    return "\n\n".join([fenced(source, ".python"), *_outputs(shown)])


def _outputs(shown: Shown) -> Iterator[str]:
    for output in shown:
        if isinstance(output, Picture):
            data = base64.b64encode(output.data).decode()
            yield f"![output]({output.file or f'data:image/png;base64,{data}'})"
        elif output.strip():
            yield _output(output)


def _output(printed: str) -> str:
    lines = printed.split("\n")
    more = len(lines) - _SHOWN_LINES
    if more > 0:
        lines = [*lines[:_SHOWN_LINES], f"… {more} more lines"]
    return fenced("\n".join(lines), ".text .output")
