"""What one run builds and starts, and what the running check looked at last."""

import secrets
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from coursework.checks.builder import Builder, Plan
from coursework.checks.cluster import Cluster
from coursework.checks.failure import Failure, StartFailure
from coursework.checks.finished import Finished
from coursework.checks.in_turn import WAITING, execute_each
from coursework.checks.meanwhile import Attention, Meanwhile, own_attention
from coursework.checks.postgres import Postgres
from coursework.checks.randomness import Random
from coursework.checks.sandbox import Sandbox
from coursework.checks.server import Image, Server, Start
from coursework.checks.store import Store
from coursework.checks.verdict import CheckResult
from coursework.cluster import Node, rootless
from coursework.cluster.images import load_images
from coursework.cluster.namespace import remove_ended_namespaces
from coursework.containers.building import Limits
from coursework.containers.cleaning import remove_containers
from coursework.containers.container import Container, Settings
from coursework.containers.runs import Run
from coursework.containers.saved import SavedImage, TooLarge, take_apart
from coursework.engine import Engine
from coursework.images import ensure_images
from coursework.modules.catalogue import Module
from coursework.submissions.files import Submission
from coursework.trouble import CourseError

_STARTS_AT_ONCE = 4
_LOG_LINES = 6
_SERVICE_ENDS_WITHIN_S = 30.0
_HELPER_IMAGE = "busybox:1.37"
# From inside the process namespace. What the engine runs there, such as a probe of HEALTHCHECK,
# descends from nobody: the engine waits ten seconds for a probe that is stopped.
_STOP_DESCENDANTS = """
for folder in /proc/[0-9]*; do
  number=${folder#/proc/} parent=${folder#/proc/}
  while [ "${parent:-0}" -gt 1 ]; do
    parent=$(sed -n 's/^PPid:\t//p' "/proc/$parent/status" 2>/dev/null)
  done
  [ "$parent" != 1 ] || kill -STOP "$number"
done
"""


@dataclass(frozen=True)
class Task:
    """What one run checks.

    Args:
        module: of the catalogue.
        submission: the files that are checked.
        folder: where the learner works on the module.
        seed: of the run's random values.
        limits: of a build.
        on_line: is called with each line of a build's log.
        on_result: is called with each verdict.
        rootless: the cluster has no root on this machine, where that can be had.
    """

    module: Module
    submission: Submission
    folder: Path
    seed: int
    limits: Limits
    on_line: Callable[[str], None]
    on_result: Callable[[CheckResult], None]
    rootless: bool = False


class Session:
    """The state of one run that checks share.

    Args:
        engine: where containers run.
        run: labels what is made.
        task: what is checked.
    """

    def __init__(self, engine: Engine, run: Run, task: Task) -> None:
        self.task = task
        self.random = Random(task.seed)
        self.builder = Builder(
            self,
            Plan(engine, task.submission, run.module, task.folder, task.limits, task.on_line),
        )
        self._engine = engine
        self._run = run
        self._pool = ThreadPoolExecutor(_STARTS_AT_ONCE, thread_name_prefix="start")
        self._first_build: Future[Image] | None = None
        self._lock = threading.Lock()
        self._number = 0
        self._made: list[Container] = []
        self._services: set[str] = set()
        self._kept: set[str] = set()
        self._some_failed = False
        self._starting: set[Future[Container]] = set()
        self._looked_at = Attention()
        self.meanwhile = Meanwhile(self)

    # --- what checks build and start ----------------------------------------------------------

    def start_build(self) -> None:
        """Begin to build the submission as it is, before anybody asks."""
        self._first_build = self._pool.submit(self.builder.build)

    def built_image(self) -> Image:
        """Return the image of the submission as it is.

        Raises:
            Failure: the submission does not build.
        """
        if self._first_build is None:
            self.start_build()
        assert self._first_build is not None  # noqa: S101 - just begun
        return self._first_build.result()

    @cached_property
    def postgres(self) -> Postgres:
        """The run's PostgreSQL; it starts when it is first asked for."""
        return Postgres(self)

    @cached_property
    def store(self) -> Store:
        """The run's Redis; it starts when it is first asked for."""
        return Store(self)

    @cached_property
    def cluster(self) -> Cluster:
        """The Kubernetes beside the answer, with the images that its manifests may name.

        Raises:
            CourseError: it does not come up.
        """
        task = self.task
        node = Node(
            self._engine, rootless=task.rootless and not rootless.unsupported_reason(self._engine)
        )
        ensure_images(self._engine, task.module.cluster_images, task.on_line)
        with node.starting(task.on_line):
            # What its system waits for, the processors need not.
            load_images(self._engine, node, task.module.cluster_images)
        remove_ended_namespaces(node.api(), self._run.module)
        return Cluster(
            node, self, prefix=f"check-{self._run.run_id}", labels=self._run.labels,
            files=task.submission.files,
        )  # fmt: skip

    @cached_property
    def sandbox(self) -> Sandbox:
        """The engine that is the answer's own.

        Raises:
            CourseError: the run's engine is not thrown away with the answer.
        """
        return Sandbox(self._engine, self, self.task.submission.files, self._run.run_id)

    def start_container(self, settings: Settings) -> "Future[Container]":
        """Begin to create and start a container of the submission."""
        with self._lock:
            self._number += 1
            name = self._name(str(self._number))
        return self._begin(name, settings)

    def execute_each(
        self, image_id: str, starts: Sequence[Start], within_s: float
    ) -> list[Finished | None]:
        """Run an image's program once for each start, in one container; None where it cannot."""
        if not self._engine.docker_host.startswith("unix://"):
            return [None] * len(starts)
        config = self._engine.client.images.get(image_id).attrs["Config"]
        command = [*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ())]
        files = {path: content for start in starts for path, content in start.files.items()}
        waiting = Settings(image_id, files=files, entrypoint=WAITING)
        try:
            container = self.start_container(waiting).result()
        except StartFailure:
            return [None] * len(starts)
        return execute_each(self._engine, container, command, starts, within_s)

    def start_service(self, name: str, settings: Settings) -> "Future[Container]":
        """Begin to start a container of ours; it is labelled, and removed with the run."""
        self._services.add(self._name(name))
        return self._begin(self._name(name), settings)

    def run_service(self, name: str, settings: Settings) -> Finished:
        """Run a program of ours to its end.

        Raises:
            CourseError: it does not end.
        """
        unique = self._name(f"{name}-{secrets.token_hex(2)}")
        container = self._begin(unique, settings).result()
        code = container.wait(_SERVICE_ENDS_WITHIN_S)
        if code is None:
            raise CourseError(f"{name} does not end.", why=container.log()[-300:])
        return Finished(code, container.log(stderr=False).encode(), container.log(stdout=False))

    def _name(self, suffix: str) -> str:
        return f"{self._run.module}-{self._run.run_id}-{suffix}"

    def _begin(self, name: str, settings: Settings) -> "Future[Container]":
        future = self._pool.submit(self._start, name, settings)
        self._starting.add(future)
        future.add_done_callback(self._starting.discard)
        return future

    def _start(self, name: str, settings: Settings) -> Container:
        container = Container(self._engine, self._run, name, settings)
        self._made.append(container)
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

    def freeze(self, container: Container) -> None:
        """Send SIGSTOP to process 1 of a container and to all that descend from it."""
        container.signal("SIGSTOP")
        if container.process_count() > 1:
            command = ("sh", "-c", _STOP_DESCENDANTS)
            self.run_service(
                "freezer", Settings(_HELPER_IMAGE, args=command, processes_of=container.name)
            )

    def take_apart(self, image_id: str, texts: Sequence[str]) -> SavedImage:
        """Look through the layers that an image adds to the module's base images.

        Raises:
            Failure: the image is larger than 2 GiB.
        """
        try:
            return take_apart(self._engine, image_id, texts, self.task.module.images)
        except TooLarge as error:
            raise Failure(
                "an image of at most 2 GiB",
                "a larger one",
                command=f"docker history {image_id}",
                hint="the history tells the size of each layer",
            ) from error

    # --- what the running check looked at -----------------------------------------------------

    def note_use(self, user: "Server | Finished", command: str) -> None:
        """Remember a server or a finished container that the running check looked at."""
        attention = own_attention() or self._looked_at
        if user not in attention.used:
            attention.used.append(user)
        attention.command = command or attention.command

    def note_command(self, command: str) -> None:
        """Remember the command that shows what the running check looked at last."""
        (own_attention() or self._looked_at).command = command

    def take_over(self, attention: Attention) -> None:
        """Count what a story looked at as the running check's."""
        for user in attention.used:
            self.note_use(user, "")
        self.note_command(attention.command)

    def command(self, failure: Failure | None) -> str:
        """Return the command that shows a failure again."""
        return (failure.command if failure else "") or self._looked_at.command

    def log(self, failure: Failure | None) -> str:
        """Return the last lines of the build, or of what the check looked at last."""
        notes: list[str] = getattr(failure, "__notes__", [])
        text = notes[0] if notes else self._last_log()
        lines = [line.rstrip()[:300] for line in text.splitlines() if line.strip()]
        return "\n".join(lines[-_LOG_LINES:])

    def _last_log(self) -> str:
        if not self._looked_at.used:
            return ""
        last = self._looked_at.used[-1]
        if isinstance(last, Finished):
            return last.log()
        return "" if last.never_started else last.logs()

    def end_check(self, *, passed: bool) -> None:
        """After a check: what a failed one used is kept for looking, and replaced for the next."""
        used = self._looked_at.used
        servers = [u for u in used if isinstance(u, Server)]
        self._some_failed |= not passed
        if not passed:
            self._kept |= {s.container.name for s in servers if not s.never_started}
            self._kept |= {u.name for u in used if isinstance(u, Finished)}
        for server in servers:
            if not passed or server.has_ended():
                server.renew()
        self._looked_at = Attention()

    # --- the end ------------------------------------------------------------------------------

    def close(self, *, keep_failed: bool) -> None:
        """Remove the run's containers; those of failed checks may stay for the learner."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        if "postgres" in self.__dict__:
            self.postgres.close_all()
        if "store" in self.__dict__:
            self.store.close()
        if "cluster" in self.__dict__:
            self.cluster.close(keep=keep_failed and self._some_failed)
        if self._engine.is_sandbox:
            # It is thrown away with all that is in it.
            return
        if self._kept:
            # What a kept server talks to stays with it.
            self._kept |= self._services
        done = [c.removable for c in self._made if not (keep_failed and c.name in self._kept)]
        # A learner waits for the verdict, not for the engine to put things away.
        remove_containers(done, wait=not keep_failed)
