"""The statements that an answer sent to its database, read from the server's own log."""

import re
from collections.abc import Iterator

# What drivers and pools say to see whether, and which, server answers.
_HELLO = r"select (?:1|(?:pg_catalog\.)?version\(\)|current_schema\(\))|-- ?ping"
# Which types there are: some drivers ask on each new connection, asyncpg by `typeinfo_tree`. A
# statement that also reads another table isn't one of these.
_OTHER_TABLE = r"\b(?:from|join)\s+\"?(?!(?:pg_catalog\.)?pg_|lateral\b|unnest\b|generate_)\w"
_TYPES = (
    r"select\b(?:(?!\bfrom\s+[\w\"]).)*\bfrom\s+(?:pg_catalog\.)?pg_type\b"
    rf"(?:(?!{_OTHER_TABLE}).)*"
    r"|with recursive typeinfo_tree\b.*"
)
# About sessions and transactions: they come from drivers and pools, and cost no search.
_BESIDE = re.compile(
    r"(?:begin|start|commit|end|rollback|abort|savepoint|release|set|reset|show|discard"
    r"|deallocate|close|listen|unlisten)\b.*"
    r"|select (?:pg_advisory_unlock_all\(\)"
    r"|(?:pg_catalog\.)?(?:set_config|current_setting)\((?:(?!\bfrom\b).)*)"
    rf"|(?:{_HELLO})?|{_TYPES}",
    re.IGNORECASE,
)
# What only asks whether the server answers; an empty statement does too.
_PING = re.compile(_HELLO, re.IGNORECASE)
_SENT = re.compile(r"app@(?P<database>\S+) LOG:  (?:statement|execute [^:]*): (?P<text>.*)")


class Recording:
    """What an answer sent while it was recorded.

    Args:
        command: what to type to see the statements again, after a request.

    `statements` are those that count; `pings` are those that only ask whether the server answers.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.statements: list[str] = []
        self.pings: list[str] = []

    def __len__(self) -> int:
        return len(self.statements)


def statements_between(log: str, first: str, last: str, database: str) -> list[str] | None:
    """Return the statements of the answer between two marks in a log, or None without the marks.

    A statement is what was sent at once, on one line. What only begins, ends, resets or sets
    something is left out, and so are pings, see `pings_between`, and what asks for types.

    Args:
        log: as PostgreSQL wrote it, with `log_statement = all`.
        first: a mark that nothing else has.
        last: another one.
        database: the name of the database it used.
    """
    sent = _sent_between(log, first, last, database)
    return None if sent is None else [text for text in sent if not _is_beside(text)]


def pings_between(log: str, first: str, last: str, database: str) -> list[str] | None:
    """Return the statements between two marks that only ask whether the server answers.

    Args:
        log: as for `statements_between`, and so are the others.
        first: a mark that nothing else has.
        last: another one.
        database: the name of the database it used.
    """
    sent = _sent_between(log, first, last, database)
    return None if sent is None else [text for text in sent if _is_ping(text)]


def _sent_between(log: str, first: str, last: str, database: str) -> list[str] | None:
    _, found, behind = log.partition(first)
    within, closed, _ = behind.partition(last)
    if not found or not closed:
        return None
    sent = (match for line in _unfolded(within) if (match := _SENT.search(line)))
    return [match["text"].strip() for match in sent if match["database"] == database]


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


def _is_ping(text: str) -> bool:
    parts = [part.strip() for part in text.split(";")]
    asks = not any(parts) or any(_PING.fullmatch(part) for part in parts)
    return asks and _is_beside(text)
