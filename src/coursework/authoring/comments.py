"""How a line of comment is written in the language of a file."""

from dataclasses import dataclass
from pathlib import PurePosixPath


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
    ".cfg": _HASH, ".env": _HASH, ".txt": _HASH, ".rb": _HASH,
    ".sql": _DASHES, ".lua": _DASHES,
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
