"""What IPython would write when it ran a cell, told from the cell's text: nothing is run."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from coursework.submissions.files import SubmissionError

# As writefile itself takes quotes off, on one side only where they differ.
_QUOTED = re.compile(r"^(\'.*\')|(\".*\")$")
_LOOKS_LIKE_IT = re.compile(
    r"^[ \t]*%{1,2}[ \t]*(?:write_?file|file)[ \t]+(?P<name>[^\s]{1,60})",
    re.IGNORECASE | re.MULTILINE,
)
_SHELL = re.compile(r"\s*(?:%%(?:bash|sh|script\s|!)|!)", re.IGNORECASE)
_REDIRECTED = re.compile(
    r"(?:\bcat\b[^\n>]*>{1,2}|\btee\b(?:[ \t]+-a)?)[ \t]*(?P<name>[\w./'\"-]{1,60})"
)


@dataclass(frozen=True)
class Written:
    """What one cell does to a file: `text` takes the place of what it holds, or is appended."""

    path: str
    text: str
    append: bool


def written_by(source: str) -> Written | None:
    """Return what a code cell writes; None where IPython would write no file.

    Raises:
        SubmissionError: IPython would refuse the cell's arguments.
    """
    magic, line, body = _cell_magic(source)
    # IPython refuses a cell magic without a body.
    if magic not in ("writefile", "file") or not body:
        return None
    from IPython.core.error import UsageError  # noqa: PLC0415 - as in _cell_magic
    from IPython.core.magics.osm import OSMagics  # noqa: PLC0415

    parser: Any = OSMagics.writefile.parser
    try:
        arguments = parser.parse_argstring(line)
    except (UsageError, ValueError) as error:
        raise SubmissionError(
            f"The cell %%{magic} {line[:80]} is refused.",
            why=str(error)[:120],
            fix="%%writefile server.js",
        ) from error
    name = str(arguments.filename)
    return Written(name[1:-1] if _QUOTED.match(name) else name, body, arguments.append)


def _cell_magic(source: str) -> tuple[str, str, str]:
    """Return name, line and body of a cell's magic as IPython takes them; empty where none is."""
    if "%%" not in source:
        return "", "", ""
    # Half a second, which a cell without a magic need not pay.
    from IPython.core.inputtransformer2 import TransformerManager, cell_magic  # noqa: PLC0415

    lines = (source if source.endswith("\n") else f"{source}\n").splitlines(keepends=True)
    cleaning: Any = TransformerManager().cleanup_transforms  # type: ignore[no-untyped-call]
    for clean in cleaning:
        lines = clean(lines)
    call = cell_magic(lines)  # type: ignore[no-untyped-call]
    if call is lines:
        return "", "", ""
    name, line, body = ast.literal_eval(call[0].removeprefix("get_ipython().run_cell_magic"))
    return name, line, body


def unread(kind: str, source: str, number: int) -> Iterator[str]:
    """Say what looks like a file in a cell, and is none.

    Args:
        kind: `code`, `markdown` or another.
        source: the cell's text.
        number: of the cell, from 1.
    """
    found = list(_LOOKS_LIKE_IT.finditer(source))
    if found and kind == "code" and _cell_magic(source)[0] in ("writefile", "file"):
        first = found.pop(0)
        if written_by(source) is None:
            yield f"cell {number} writes no {first['name']}: IPython refuses an empty cell."
    for match in found:
        name, line = match["name"], source.count("\n", 0, match.start()) + 1
        if kind != "code":
            yield (
                f"cell {number} has %%writefile {name}, and is no code cell: change its kind"
                " to Code, and let the cell begin with that line."
            )
        elif source[: match.start()].strip():
            yield (
                f"cell {number} has %%writefile {name} in line {line}, where it is not read:"
                " make it the first line of a cell."
            )
        else:
            yield (
                f"cell {number} begins with {match[0].strip()}, which IPython does not know:"
                f" write %%writefile {name}."
            )
    if kind == "code" and _SHELL.match(source):
        for match in _REDIRECTED.finditer(source):
            yield (
                f"cell {number} writes {match['name']} by a shell, and no shell is run when it is"
                f" graded: begin the cell with %%writefile {match['name']}."
            )
