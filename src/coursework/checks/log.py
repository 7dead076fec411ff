"""A server's log as a machine reads it: each line that is a JSON object is a record."""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

Record = dict[str, Any]


def records_in(log: str) -> list[Record]:
    r"""Return the JSON objects among the lines of a log, in their order; other lines are left out.

    Example:
        >>> records_in('listening\n{"status": 200}\n')
        [{'status': 200}]

    """
    # Not splitlines: a JSON text may hold U+2028 as it is, and that ends no line of a log.
    values = (_parsed(line) for line in log.split("\n") if line.lstrip().startswith("{"))
    return [value for value in values if isinstance(value, dict)]


def having(records: list[Record], fields: Mapping[str, object]) -> list[Record]:
    """Return the records in which each of these fields has this value."""
    return [
        record
        for record in records
        if all(name in record and record[name] == value for name, value in fields.items())
    ]


def _parsed(line: str) -> object:
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> NoReturn:
    # Python reads NaN and Infinity; JSON has neither.
    raise ValueError(constant)
