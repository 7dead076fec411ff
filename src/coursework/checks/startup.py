"""A server that starts: its time to be ready, and why it was not."""

import time
from concurrent.futures import Future

from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure, StartFailure
from coursework.checks.retype import ended_command, listening_command, running_command
from coursework.checks.services import Services
from coursework.checks.wire import Address, Connection
from coursework.containers.container import Container, Settings
from coursework.engine import Engine

HELPER_IMAGE = "busybox:1.37"
_ENDED = "it ended with exit code {}"
ENDED_WELL = _ENDED.format(0)
_POLL_S = 0.01
_MOMENT_S = 0.5
_KILLED = 128 + 9


class Startup:
    """The start of one server's container, begun in the background.

    Its time to be ready begins when the container runs, not when somebody first looks.

    Args:
        services: of the run.
        settings: of the container.
        within_s: seconds until it must accept connections.
    """

    def __init__(self, services: Services, settings: Settings, within_s: float) -> None:
        self._services, self._settings, self._within_s = services, settings, within_s
        self._inside_is_reachable = True
        self._limit: Deadline | None = None
        self._starting = services.start_container(settings)
        self._starting.add_done_callback(self._note_start)

    @property
    def container(self) -> Container:
        """The container, once the engine has started it."""
        return self._starting.result()

    @property
    def has_not_come(self) -> bool:
        """Whether the engine could not even start its container, or has not yet."""
        return not self._starting.done() or self._starting.exception() is not None

    def _note_start(self, starting: "Future[Container]") -> None:
        if not starting.cancelled() and starting.exception() is None:
            self._begin_limit(starting.result())

    def _begin_limit(self, container: Container) -> Deadline:
        self._limit = Deadline(self._within_s, container.processor_seconds)
        return self._limit

    def wait(self) -> Address:
        """Wait until it accepts connections, and return where.

        Raises:
            Failure: the image names no program that can run, or it is not ready in time.
        """
        container = self.container
        deadline = self._limit or self._begin_limit(container)
        # What was late before anybody looked may be so by a hair: it is looked at for a moment.
        moment = Deadline(_MOMENT_S)
        next_look = time.monotonic()
        while True:
            address = self._accepting_address(container)
            if address is not None:
                return address
            if time.monotonic() >= next_look:
                code = container.exit_code()
                if code is not None:
                    command = ended_command(container.name)
                    raise self._start_failure(ending(container, code), "the log says why", command)
                next_look = time.monotonic() + 0.1
            # What listens elsewhere is up: a busy machine is no excuse.
            is_late = deadline.has_passed() or (
                deadline.is_reached() and container.listens_elsewhere()
            )
            if is_late and moment.has_passed():
                command = looking_command(self._services.engine, container.name)
                raise self._start_failure(*self._why_not_reached(container), command)
            time.sleep(_POLL_S)

    def _accepting_address(self, container: Container) -> Address | None:
        published = container.published_address()
        if published is None:
            return None
        inside = container.inside_address() if self._inside_is_reachable else None
        if inside is not None:
            try:
                Connection(Address(*inside, published[1]), timeout_s=0.5).close()
            except Failure as failure:
                if "refused" in failure.saw:
                    return None
                self._inside_is_reachable = False
            else:
                return Address(*inside, published[1])
        if container.nothing_listens():
            return None
        try:
            with Connection(Address(*published, published[1]), timeout_s=0.5) as connection:
                # A port forwarder accepts for a server that is not there yet, then hangs up.
                accepted = connection.stays_open(0.05)
        except Failure:
            return None
        return Address(*published, published[1]) if accepted else None

    def _start_failure(self, saw: str, hint: str, command: str) -> StartFailure:
        port = self._settings.port
        return StartFailure(
            f"a server that listens on port {port} within {self._within_s:g} s",
            saw,
            command=command,
            hint=hint,
        )

    def _why_not_reached(self, container: Container) -> tuple[str, str]:
        listening = container.listening_addresses()
        port = self._settings.port
        if not {f"127.0.0.1:{port}", f"::1:{port}"}.isdisjoint(listening):
            return (
                f"it listens on 127.0.0.1:{port} only, where nobody outside its container gets",
                "listen on 0.0.0.0, which means every address of the container",
            )
        if any(address.endswith(f":{port}") for address in listening):
            return (
                f"it listens on port {port}, but no connection from here gets there",
                "does this run in another network than the engine, such as in a container?",
            )
        if listening:
            hint = f"make your server listen on port {port}"
            if "PORT" in self._settings.env:
                hint = "the port is a variable: read it from the environment"
            return f"it listens on {', '.join(listening)}, not on port {port}", hint
        return "it runs, but listens nowhere", "the log says how far it came"


def looking_command(engine: Engine, name: str) -> str:
    """Return the command that shows where a container listens.

    Where no image to look with is here, it shows only that the container runs.
    """
    try:
        engine.client.images.get(HELPER_IMAGE)
    except OSError:
        return running_command(name)
    return listening_command(name, HELPER_IMAGE)


def ending(container: Container, code: int) -> str:
    """Say how a container ended."""
    # The engine may note an end by lack of memory late, or not at all: the number tells as well.
    if code == _KILLED or container.was_out_of_memory():
        return "it was killed, most likely since it used more memory than it may"
    return _ENDED.format(code)
