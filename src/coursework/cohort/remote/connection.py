"""The connection to Dask's scheduler."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from coursework.trouble import CourseError

_ANSWERS_WITHIN_S = 10


def require_dask() -> None:
    """Look for Dask, which is an extra.

    Raises:
        CourseError: it isn't installed.
    """
    if find_spec("distributed") is None:
        raise CourseError(
            "Grading on several machines needs Dask, which isn't installed.",
            why="it is an extra of this package: coursework[dask]",
            fix="make environment",
        )


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Connect to a scheduler; certificates are those that Dask's configuration names.

    Args:
        address: such as tls://host:8786.

    Raises:
        CourseError: no scheduler answers.
    """
    import dask  # noqa: PLC0415 - without --scheduler nobody needs it
    import distributed  # noqa: PLC0415 - as above

    # Dask would say so as well, and once more where it cleans up.
    if address.startswith("tls://") and not dask.config.get("distributed.comm.tls.ca-file"):
        raise CourseError(
            f"No scheduler answers at {address}.",
            why="Dask's configuration names no certificates",
            fix="export DASK_CONFIG=~/dask-tls   (course certificates makes them)",
        )
    # What Dask logs here, such as a lost connection, is said by the run in its own words.
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    # Results are plain bytes, and nothing else is taken for one.
    formats = {"serializers": ["dask", "pickle"], "deserializers": ["dask", "msgpack"]}
    # A notebook may have 50 MB; that isn't worth a warning.
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "100MB"}):
        try:
            client = distributed.Client(
                address, timeout=_ANSWERS_WITHIN_S, set_as_default=False, **formats
            )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise CourseError(
                f"No scheduler answers at {address}.",
                why=str(error).splitlines()[0][:300] if str(error) else repr(error),
                fix="dask scheduler   (one with certificates is at tls://…)",
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=_ANSWERS_WITHIN_S)


def gone(address: str) -> CourseError:
    """Return what to say when the scheduler doesn't answer any more."""
    return CourseError(
        "The scheduler is gone.",
        why=f"the connection to {address} was lost; results that are written stay",
        fix="dask scheduler, and its workers, then type the command again",
    )
