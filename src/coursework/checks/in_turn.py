"""A program that is to end by itself, run many times in one container."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event

from coursework.checks.finished import Finished
from coursework.checks.server import Start
from coursework.containers.container import Container
from coursework.containers.execution import STDOUT, Execution
from coursework.engine import Engine
from coursework.trouble import CourseError

# What keeps a container there, if its image has it.
WAITING = ("sleep", "3600")
_LIMIT_BYTES = 64 * 1024
# A start leaves one of two processors idle.
_AT_ONCE = 2


def execute_each(
    engine: Engine,
    container: Container,
    command: Sequence[str],
    starts: Sequence[Start],
    within_s: float,
) -> list[Finished | None]:
    """Run a command once for each start, two at a time.

    Args:
        engine: that has the container.
        container: which waits, and holds the files.
        command: words.
        starts: whose variables it gets.
        within_s: seconds that each has.

    Returns:
        How each ended; None where it did not, or where the container was gone by then.
    """
    disturbed = Event()

    def execute(start: Start) -> Finished | None:
        try:
            with Execution(engine, container.name, command, env=start.env) as execution:
                end = _finish(execution, within_s)
                return None if disturbed.is_set() else end
        except (CourseError, OSError):
            # Too late, or gone: what still runs in it would disturb the next, so all end with it.
            disturbed.set()
            with suppress(OSError):
                container.signal("SIGKILL")
            return None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(execute, starts))


def _finish(execution: Execution, within_s: float) -> Finished:
    execution.end_input()
    stdout, stderr = bytearray(), bytearray()
    for kind, piece in execution.output(within_s):
        part = stdout if kind == STDOUT else stderr
        part += piece
        del part[:-_LIMIT_BYTES]
    return Finished(execution.exit_code(), bytes(stdout), stderr.decode(errors="replace"))
