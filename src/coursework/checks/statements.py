"""The statements that an answer sent to its database, read from the server's own log."""

import re

# About sessions and transactions: they come from drivers and pools, and cost no search.
_BESIDE = re.compile(
    r"\s*(?:begin|start|commit|end|rollback|abort|savepoint|release|set|reset|show|discard"
    r"|deallocate|close|listen|unlisten)\b[^;]*;?\s*",
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

    A statement is its first line. What only begins, ends or sets something is left out.

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
    sent = (match for line in within.splitlines() if (match := _SENT.search(line)))
    return [
        m["text"] for m in sent if m["database"] == database and not _BESIDE.fullmatch(m["text"])
    ]
