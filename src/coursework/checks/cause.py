"""The lines of a log that name the cause: errors and places first, without a runtime's frames."""

import re
from collections.abc import Iterable, Mapping

from coursework.submissions.names import started_files

_LINES = 6
_FIRST = 4
_WIDTH = 300
# Older lines belong to what was asked before.
_LOOKED_AT = 60
# What runtimes and package managers add to every failure.
_NOISE = re.compile(
    r"""\s*at\ .*\b(node:|node_modules/) | Node\.js\ v\d | \s*[\^~]+\s*$ | \s*triggerUncaught
    | \s*Traceback\ \(most\ recent | \s*throw\ (err|new\ ERR_)| node:internal/
    | npm\ (error|ERR!)\s*($ | A\ complete\ log | Run\ "npm | aliases: | Options: | Usage:
      | npm\ ci$ | Clean\ install | \[ | 404\s*$ | 404\ +Note\ that | 404\ tarball )
    | \s*(requireStack|code|cause):\ .*,?$ | \s*[}\]],?$""",
    re.VERBOSE,
)
_FOREIGN_FRAME = re.compile(r'\s*File "(/usr/|<frozen|.*site-packages)')
_TELLING = re.compile(
    r"""\w*(Error|Exception)\b | \berror\b | \b[Cc]annot\ | \b[Nn]o\ such\b
    | \bnot\ (found|in\ sync)\b | \bMissing: | \brefused\b | \bdenied\b | \bE[A-Z]{4,}\b
    | [\w./-]+\.(js|mjs|cjs|ts|py|go|sh|sql|json)(:|",\ line\ )\d+ | \s404\s.*\bfound""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"\s*(#|//|--|/?\*)")
_NO_SUCH_FILE = re.compile(r"no such file or directory", re.IGNORECASE)


def cause_of(log: str) -> str:
    """Return up to six lines of a log: first those that name an error or a place, then the last."""
    lines = _without_noise(line.rstrip()[:_WIDTH] for line in log.splitlines())[-_LOOKED_AT:]
    if len(lines) <= _LINES:
        return "\n".join(lines)
    telling = [n for n, line in enumerate(lines) if _TELLING.search(line)][:_FIRST]
    last = range(len(lines) - (_LINES - len(telling)), len(lines))
    return "\n".join(lines[n] for n in sorted({*telling, *last}))


def _without_noise(lines: Iterable[str]) -> list[str]:
    kept: list[str] = []
    foreign = False
    for line in lines:
        # The line below a frame of Python is its source.
        after_foreign, foreign = foreign, bool(_FOREIGN_FRAME.match(line))
        source = after_foreign and line.startswith("    ")
        if line.strip() and not (foreign or source or _NOISE.match(line)) and line not in kept[-1:]:
            kept.append(line)
    return kept


def line_ending_hint(reason: str, files: Mapping[str, bytes]) -> str:
    """Return a hint where a program "is not there" because of the line ending after its `#!`.

    Args:
        reason: of a start that failed, as the engine or the log says it.
        files: of the answer, by path.
    """
    if not _NO_SUCH_FILE.search(reason):
        return ""
    for path, data in files.items():
        first = data.partition(b"\n")[0]
        if first.startswith(b"#!") and first.endswith(b"\r"):
            return (
                f"{path} ends its lines as Windows does: its first line names a program"
                " whose name ends in a carriage return. Save it with LF line endings."
            )
    return ""


def silent_end_hint(files: Mapping[str, bytes]) -> str:
    """Return a hint for a server that ended by itself and printed nothing.

    Args:
        files: of the answer, by path.
    """
    for path in started_files(files.get("Dockerfile", b"").decode(errors="replace")):
        lines = files.get(path, b"-").decode(errors="replace").splitlines()
        if not any(line.strip() for line in lines):
            return f"{path} is empty: write your answer into it"
        if all(_COMMENT.match(line) for line in lines if line.strip()):
            return f"{path} holds only comments so far: write your answer into it"
    return "it printed nothing, and came to its last line: a server keeps running"
