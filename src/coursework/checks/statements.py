"""The statements that an answer sent to its database, read from the server's own log."""

import re
from collections.abc import Iterator

# About sessions and transactions: they come from drivers and pools, and cost no search.
_BESIDE = re.compile(
    r"(?:begin|start|commit|end|rollback|abort|savepoint|release|set|reset|show|discard"
    r"|deallocate|close|listen|unlisten)\b.*"
    r"|select (?:1|pg_advisory_unlock_all\(\)|(?:pg_catalog\.)?set_config\(.*)"
    r"|(?:-- ?ping)?",
    re.IGNORECASE,
)
_SENT = re.compile(r"app@(?P<database>\S+) LOG:  (?:statement|execute [^:]*): (?P<text>.*)")


class Recording:
    """What an answer sent while it was recorded.

    Args:
        command: what to type to see the statements again, after a request.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.statements: list[str] = []

    def __len__(self) -> int:
        return len(self.statements)


def statements_between(log: str, first: str, last: str, database: str) -> list[str] | None:
    """Return the statements of the answer between two marks in a log, or None without the marks.

    A statement is what was sent at once, on one line. What only begins, ends, resets or sets
    something is left out.

    Args:
        log: as PostgreSQL wrote it, with `log_statement = all`.
        first: a mark that nothing else has.
        last: another one.
        database: the name of the database it used.
    """
    _, found, behind = log.partition(first)
    within, closed, _ = behind.partition(last)
    if not found or not closed:
        return None
    sent = (match for line in _unfolded(within) if (match := _SENT.search(line)))
    texts = (match["text"].strip() for match in sent if match["database"] == database)
    return [text for text in texts if not _is_beside(text)]


def _unfolded(log: str) -> Iterator[str]:
    """Yield each entry of a log on one line: PostgreSQL begins further lines with a tab."""
    entry: list[str] = []
    for line in log.splitlines():
        if entry and not line.startswith("\t"):
            yield " ".join(entry)
            entry = []
        entry.append(line.strip() if entry else line)
    if entry:
        yield " ".join(entry)


def _is_beside(text: str) -> bool:
    return all(_BESIDE.fullmatch(part.strip()) for part in text.split(";"))
