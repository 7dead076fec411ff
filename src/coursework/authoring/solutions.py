"""Taking the reference solution out of the cells that a learner gets."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from types import MappingProxyType

from coursework.authoring.source import Cell, SourceError, begins, is_mark

_STUB = "YOUR CODE HERE"
# Shorter lines, such as `app = FastAPI()`, are in many programs and give nothing away.
_TELLING_CHARACTERS = 20
_NONE: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True)
class Comment:
    """A language's comment that fills a line.

    Args:
        before: what opens it.
        after: what closes it; empty where the end of the line does.
    """

    before: str
    after: str = ""

    def line(self, text: str) -> str:
        """Return a line of comment with this text."""
        return " ".join(part for part in (self.before, text, self.after) if part)


_SLASHES, _HASH, _DASHES = Comment("//"), Comment("#"), Comment("--")
_BY_ENDING = {
    ".js": _SLASHES, ".mjs": _SLASHES, ".cjs": _SLASHES, ".ts": _SLASHES, ".go": _SLASHES,
    ".java": _SLASHES, ".rs": _SLASHES, ".c": _SLASHES, ".proto": _SLASHES,
    ".py": _HASH, ".sh": _HASH, ".yaml": _HASH, ".yml": _HASH, ".toml": _HASH, ".conf": _HASH,
    ".graphql": _HASH, ".cfg": _HASH, ".env": _HASH, ".txt": _HASH, ".rb": _HASH,
    ".ini": Comment(";"), ".sql": _DASHES, ".lua": _DASHES,
    ".html": Comment("<!--", "-->"), ".css": Comment("/*", "*/"),
}  # fmt: skip
_BY_NAME = {"Dockerfile": _HASH, "Makefile": _HASH, ".dockerignore": _HASH, ".env": _HASH}
_BY_INTERPRETER = {"node": _SLASHES, "deno": _SLASHES, "bun": _SLASHES}


def comment_of(file: str, first_line: str = "") -> Comment | None:
    """Return the comment of a file's language; None for one that has none, such as JSON.

    Args:
        file: its path.
        first_line: of its text: a program without ending names its interpreter there.
    """
    path = PurePosixPath(file)
    if path.name in _BY_NAME or path.name.startswith("Dockerfile."):
        return _BY_NAME.get(path.name, _HASH)
    if not path.suffix and first_line.startswith("#!"):
        interpreter = PurePosixPath(first_line.rsplit(maxsplit=1)[-1]).name
        return _BY_INTERPRETER.get(interpreter, _HASH)
    return _BY_ENDING.get(path.suffix)


def without_solution(cell: Cell, starter: Mapping[str, bytes] = _NONE) -> Cell:
    """Return the cell as the learner gets it.

    Args:
        cell: of the source.
        starter: files by path; one that the solution replaces whole is what a learner begins with.

    Raises:
        SourceError: the marks do not pair, or are where they would take the file's name away.
    """
    if not cell.has_solution:
        return cell
    file = cell.file
    if file is None:
        raise SourceError(
            "A solution is in a cell that writes no file.",
            why=f"the cell begins: {cell.lines[0][:60]!r}",
            fix="begin the cell with %%writefile server.py; BEGIN SOLUTION comes below that line",
        )
    magic, *body = cell.lines
    left = _blanked(file) if "solution" in cell.tags else _stubbed(file, body)
    if file in starter and left == _blanked(file):
        left = starter[file].decode().rstrip("\n").split("\n")
    tags = tuple(tag for tag in cell.tags if tag != "solution")
    return replace(cell, text="\n".join([magic, *left]), tags=tags)


def _blanked(file: str) -> list[str]:
    comment = comment_of(file)
    if comment:
        return [comment.line(_STUB)]
    return ["{}"] if PurePosixPath(file).suffix == ".json" else []


def _stubbed(file: str, body: list[str]) -> list[str]:
    comment = comment_of(file, body[0] if body else "")
    if comment is None:
        raise SourceError(
            f"{file}: a file of this kind has no comments to mark a solution with.",
            fix="remove the marks and tag its cell: :tags: [solution]",
        )
    kept: list[str] = []
    inside = False
    for number, line in enumerate(body, start=1):
        if not is_mark(line):
            if not inside:
                kept.append(line)
            continue
        if begins(line) == inside:
            raise SourceError(
                f"{file}, line {number}: {line.strip()!r} has no partner.",
                why="BEGIN SOLUTION and END SOLUTION come in pairs, one pair after another",
            )
        if not inside:
            indentation = line[: len(line) - len(line.lstrip())]
            kept.append(indentation + comment.line(_STUB))
        inside = not inside
    if inside:
        raise SourceError(f"{file}: BEGIN SOLUTION without END SOLUTION.")
    return kept


def solution_lines(cell: Cell) -> Iterator[str]:
    """Return the lines of the solution that would give it away anywhere else."""
    inside = "solution" in cell.tags
    for line in cell.lines[1:]:
        if is_mark(line):
            inside = begins(line)
        elif inside and len("".join(line.split())) >= _TELLING_CHARACTERS:
            yield line.strip()


def refuse_leaks(cells: Iterable[Cell], derived: Iterable[Cell], files: dict[str, bytes]) -> None:
    """Refuse to hand out a line of the solution that is also outside it.

    Args:
        cells: of the source.
        derived: the same as the learner gets them.
        files: further files that the learner gets.

    Raises:
        SourceError: naming the line and where it is.
    """
    places = {f"the cell that begins {c.lines[0][:40]!r}": c.text for c in derived}
    for cell in cells:
        # Lock files repeat what a file without comments says; only the notebook may not.
        is_data = comment_of(cell.file or "", *cell.lines[1:2]) is None
        laid = {} if is_data else {n: d.decode(errors="replace") for n, d in files.items()}
        # A server to repair shares most of its lines with the repaired one.
        begun = set(map(str.strip, laid.get(cell.file or "", "").split("\n")))
        for line in solution_lines(cell):
            for place, text in {**places, **laid}.items():
                if line not in begun and line in map(str.strip, text.split("\n")):
                    raise SourceError(
                        f"A line of the solution of {cell.file} is also outside it.",
                        why=f"{json.dumps(line, ensure_ascii=False)} in {place}",
                        fix="move it out of the solution, or change it where it is seen",
                    )
