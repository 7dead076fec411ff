"""What one run builds and starts, and what the running check looked at last."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from coursework.checks.failure import Failure, StartFailure
from coursework.checks.randomness import Random
from coursework.checks.retype import build_command
from coursework.checks.server import Finished, Image, Server
from coursework.checks.verdict import CheckResult
from coursework.containers.building import BuildFailed
from coursework.containers.cleaning import remove_containers
from coursework.containers.container import Container, Settings
from coursework.containers.runs import Run
from coursework.engine import Engine
from coursework.submission import Submission

_STARTS_AT_ONCE = 4
_LOG_LINES = 6


class Session:
    """The state of one run that checks share.

    Args:
        engine: where containers run.
        run: labels what is made.
        submission: the files that are checked.
        building: gives the image's id, or raises BuildFailed.
        folder: where the learner works on the module.
        seed: of the run's random values.
        on_result: is called with each verdict.
    """

    def __init__(
        self,
        engine: Engine,
        run: Run,
        submission: Submission,
        building: "Future[str]",
        folder: Path,
        seed: int,
        on_result: Callable[[CheckResult], None],
    ) -> None:
        self.submission = submission
        self.random = Random(seed)
        self.on_result = on_result
        self._engine = engine
        self._run = run
        self._building = building
        self._folder = folder
        self._pool = ThreadPoolExecutor(_STARTS_AT_ONCE, thread_name_prefix="start")
        self._lock = threading.Lock()
        self._made: list[Container] = []
        self._kept: set[str] = set()
        self._starting: set[Future[Container]] = set()
        self._used: list[Server | Finished] = []
        self._command = ""

    # --- what checks start --------------------------------------------------------------------

    def built_image(self) -> Image:
        """Wait for the build.

        Raises:
            Failure: the submission does not build.
        """
        try:
            self._building.result()
        except BuildFailed as failed:
            failure = StartFailure(
                "an image that builds",
                failed.saw,
                command=build_command(self._folder),
                hint=failed.hint or "the log shows the step of the Dockerfile that failed",
            )
            failure.add_note(failed.log)
            raise failure from failed
        return Image(self)

    def start_container(self, settings: Settings) -> "Future[Container]":
        """Begin to create and start a container."""
        future = self._pool.submit(self._start, settings)
        self._starting.add(future)
        future.add_done_callback(self._starting.discard)
        return future

    def _start(self, settings: Settings) -> Container:
        with self._lock:
            number = len(self._made) + 1
            # The place is taken before the engine is asked, so that names stay different.
            self._made.append(None)  # type: ignore[arg-type]
        name = f"{self._run.module}-{self._run.run_id}-{number}"
        container = Container(self._engine, self._run, self._building.result(), name, settings)
        self._made[number - 1] = container
        reason = container.start()
        if reason:
            raise StartFailure(
                "a container that starts",
                reason[:300],
                command=f"docker start -a {name}",
                hint="CMD or ENTRYPOINT in the Dockerfile names a program that is not there",
            )
        return container

    def wait_until_calm(self) -> None:
        """Wait until no container is being started any more."""
        wait(list(self._starting))

    # --- what the running check looked at -----------------------------------------------------

    def note_use(self, user: "Server | Finished", command: str) -> None:
        """Remember a server or a finished container that the running check looked at."""
        if user not in self._used:
            self._used.append(user)
        self._command = command or self._command

    def command(self, failure: Failure | None) -> str:
        """Give the command that shows a failure again."""
        return (failure.command if failure else "") or self._command

    def log(self, failure: Failure | None) -> str:
        """Give the last lines of the build, or of what the check looked at last."""
        notes: list[str] = getattr(failure, "__notes__", [])
        text = notes[0] if notes else self._last_log()
        lines = [line.rstrip()[:300] for line in text.splitlines() if line.strip()]
        return "\n".join(lines[-_LOG_LINES:])

    def _last_log(self) -> str:
        if not self._used:
            return ""
        last = self._used[-1]
        if isinstance(last, Finished):
            return last.log()
        return "" if last.never_started else last.logs()

    def end_check(self, *, passed: bool) -> None:
        """After a check: what a failed one used is kept for looking, and replaced for the next."""
        servers = [u for u in self._used if isinstance(u, Server)]
        if not passed:
            self._kept |= {s.container.name for s in servers if not s.never_started}
            self._kept |= {u.name for u in self._used if isinstance(u, Finished)}
        for server in servers:
            if not passed or server.has_ended():
                server.renew()
        self._used.clear()
        self._command = ""

    # --- the end ------------------------------------------------------------------------------

    def close(self, *, keep_failed: bool) -> None:
        """Remove the run's containers; those of failed checks may stay for the learner."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        made: list[Any] = [c for c in self._made if c is not None]
        done = [c.removable for c in made if not (keep_failed and c.name in self._kept)]
        # A learner waits for the verdict, not for the engine to put things away.
        remove_containers(done, wait=not keep_failed)
