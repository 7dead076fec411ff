"""What runs beside this process for a run: started in the background, owned, and closed."""

import secrets
import threading
from collections.abc import Callable, Collection
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from coursework.checks.failure import StartFailure
from coursework.checks.finished import Finished
from coursework.containers.cleaning import remove_containers
from coursework.containers.container import NO_ACCOUNT, Container, Settings
from coursework.containers.runs import Run
from coursework.engine import Engine
from coursework.trouble import CourseError
from coursework.words import shortened

Result = TypeVar("Result")

_STARTS_AT_ONCE = 4
_PROGRAM_ENDS_WITHIN_S = 30.0


class Services:
    """The containers of one run: the answer's, and ours beside it.

    Args:
        engine: where they run.
        run: labels them.
    """

    def __init__(self, engine: Engine, run: Run) -> None:
        self.engine = engine
        self.run = run
        self._pool = ThreadPoolExecutor(_STARTS_AT_ONCE, thread_name_prefix="start")
        self._lock = threading.Lock()
        self._number = 0
        self._made: list[Container] = []
        self.ours: set[str] = set()
        self._starting: set[Future[Any]] = set()

    def begin(self, function: Callable[[], Result]) -> "Future[Result]":
        """Begin something in the background, such as a build."""
        return self._pool.submit(function)

    def start_container(self, settings: Settings) -> "Future[Container]":
        """Begin to create and start a container of the submission.

        The future raises StartFailure where the image names a program or account it lacks.
        """
        with self._lock:
            self._number += 1
            name = self._name(str(self._number))
        return self._begin_start(name, settings)

    def start_service(self, name: str, settings: Settings) -> "Future[Container]":
        """Begin to start a container of ours; it is labelled, and removed with the run."""
        self.ours.add(self._name(name))
        return self._begin_start(self._name(name), settings)

    def run_program(
        self, name: str, settings: Settings, *, within_s: float = _PROGRAM_ENDS_WITHIN_S
    ) -> Finished:
        """Run a program of ours to its end.

        Args:
            name: of the program.
            settings: of its container.
            within_s: seconds that it has.

        Raises:
            CourseError: it does not end.
        """
        unique = self._name(f"{name}-{secrets.token_hex(2)}")
        container = self._begin_start(unique, settings).result()
        code = container.wait(within_s)
        if code is None:
            raise CourseError(f"{name} does not end.", why=container.log()[-300:])
        return Finished(code, container.log(stderr=False).encode(), container.log(stdout=False))

    def wait_until_calm(self) -> None:
        """Wait until no container is being started any more."""
        futures.wait(list(self._starting))

    def _name(self, suffix: str) -> str:
        return f"{self.run.module}-{self.run.run_id}-{suffix}"

    def _begin_start(self, name: str, settings: Settings) -> "Future[Container]":
        future = self.begin(lambda: self._start(name, settings))
        self._starting.add(future)
        future.add_done_callback(self._starting.discard)
        return future

    def _start(self, name: str, settings: Settings) -> Container:
        container = Container(self.engine, self.run, name, settings)
        self._made.append(container)
        reason = container.start()
        if reason:
            raise StartFailure(
                "a container that starts",
                shortened(reason, 300),
                command=f"docker start -a {name}",
                hint="USER in the Dockerfile names an account that the image lacks"
                if any(sign in reason for sign in NO_ACCOUNT)
                else "CMD or ENTRYPOINT in the Dockerfile names a program that is not there",
            )
        return container

    def close(self, keep: Collection[str] = (), *, wait: bool = True) -> None:
        """Remove the run's containers.

        Args:
            keep: names of those that a learner may look at.
            wait: until they are gone; else they go while others work.
        """
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self.engine.is_sandbox:
            # It is thrown away with all that is in it.
            return
        done = [c.removable for c in self._made if c.name not in keep]
        remove_containers(done, wait=wait)
