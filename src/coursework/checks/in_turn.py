"""A program that is to end by itself, run many times in one container."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event

from coursework.checks.failure import StartFailure
from coursework.checks.finished import Finished
from coursework.checks.services import Services
from coursework.containers.archive import Link
from coursework.containers.container import Settings
from coursework.containers.execution import STDOUT, Execution
from coursework.trouble import CourseError

# What keeps a container there, if its image has it.
_WAITING = ("sleep", "3600")
_LIMIT_BYTES = 64 * 1024
# A start leaves one of two processors idle.
_AT_ONCE = 2


@dataclass(frozen=True)
class Start:
    """One of several starts of a program.

    Args:
        env: environment variables.
        files: content or `Link` by absolute path; no two starts share one.
    """

    env: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str | bytes | Link] = field(default_factory=dict)


def execute_each(
    services: Services, image_id: str, starts: Sequence[Start], within_s: float
) -> list[Finished | None]:
    """Run an image's program once for each start, in one container, two at a time.

    Returns:
        How each ended; None where it did not, or where the container was gone by then.
    """
    engine = services.engine
    if not engine.docker_host.startswith("unix://"):
        return [None] * len(starts)
    config = engine.client.images.get(image_id).attrs["Config"]
    command = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
    files = {path: content for start in starts for path, content in start.files.items()}
    waiting = Settings(image_id, files=files, entrypoint=_WAITING)
    try:
        container = services.start_container(waiting).result()
    except StartFailure:
        return [None] * len(starts)
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
