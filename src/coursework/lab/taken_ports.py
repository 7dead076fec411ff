"""Below a cell that failed since a port is taken: one sentence that says who holds it."""

import errno
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from coursework.trouble import CourseError

_PUBLISHED = re.compile(r"(?:--publish|-p)[ =]?(?:[\d.]+:|\[[\d:a-f]*\]:)?(\d{1,5}):\d+")
_NUMBER = re.compile(r"(?<![\w.])(\d{2,5})(?![\w.])")
_LAST = 65535


def tell_taken_ports(result: Any) -> None:
    """Print who holds the ports that a cell wanted, if it failed.

    Args:
        result: of the cell, as IPython hands it to what is called after each.
    """
    cell = str(result.info.raw_cell or "")
    ports = sorted(_wanted(cell, result.error_in_exec))
    if not ports:
        return
    from coursework.engine import find_engine  # noqa: PLC0415 - only after a failure
    from coursework.engine.ports import holder_of  # noqa: PLC0415 - as above

    engine = None
    with suppress(CourseError):
        engine = find_engine()
    for port in ports:
        holder = holder_of(port, engine)
        # A container that this very cell has started is not in its way.
        if holder and not (holder.name and holder.name in cell):
            print(holder.told)  # noqa: T201 - below the cell


def _wanted(cell: str, error: object) -> set[int]:
    if error is None:
        return set()
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return set(_numbers(f"{error}")) or set(_numbers(cell))
    return {int(port) for port in _PUBLISHED.findall(cell)} if "docker" in cell else set()


def _numbers(text: str) -> Iterator[int]:
    numbers = (int(number) for number in _NUMBER.findall(text))
    # The system's own number of the error is no port.
    return (n for n in numbers if n <= _LAST and n != errno.EADDRINUSE)
