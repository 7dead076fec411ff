"""Two answers side by side: a unified diff of what differs, as plain lines."""

import difflib
from collections.abc import Iterator, Mapping

from coursework.report.lines import printable


def comparison(yours: Mapping[str, bytes], theirs: Mapping[str, bytes], name: str) -> Iterator[str]:
    """Return the lines of a unified diff that leads from one answer to the other.

    Files that only `yours` has are named, and not shown as taken away.

    Args:
        yours: files by relative path.
        theirs: files by relative path.
        name: how the other answer is called in the headings.
    """
    for path in sorted({*yours, *theirs}):
        if path not in theirs:
            yield f"only yours: {path}"
        elif yours.get(path) != theirs[path]:
            before = f"yours/{path}" if path in yours else "/dev/null"
            old, new = _lines(yours.get(path, b"")), _lines(theirs[path])
            yield from difflib.unified_diff(old, new, before, f"{name}/{path}", lineterm="")


def _lines(data: bytes) -> list[str]:
    text = data.decode(errors="replace")
    lines = [printable(line) for line in text.splitlines()]
    if lines and not text.endswith("\n"):
        lines[-1] += "  (no newline at the end)"
    return lines
