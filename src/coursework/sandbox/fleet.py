"""Sandboxes started ahead of those who wait for them."""

import itertools
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from coursework.containers.runs import Run
from coursework.engine import Engine
from coursework.sandbox.proxy import Proxy
from coursework.sandbox.sandbox import Sandbox, SandboxLimits
from coursework.sandbox.template import Template
from coursework.trouble import CourseError


class Fleet:
    """Ready sandboxes of one template: a number of them stand ready, others are thrown away.

    Args:
        outer: the engine that they run in.
        run: labels them.
        template: what they begin with.
        proxy: for their builds.
        ahead: how many stand ready.
        wanted: how many will be taken in all.

    Example:
        >>> with Fleet(engine, run, template, proxy, ahead=1, wanted=32) as fleet:
        ...     sandbox, engine = fleet.take()
        ...     fleet.throw_away(sandbox)

    """

    def __init__(
        self,
        outer: Engine,
        run: Run,
        template: Template,
        proxy: Proxy,
        *,
        ahead: int,
        wanted: int,
        limits: SandboxLimits = SandboxLimits(),  # noqa: B008 - frozen
    ) -> None:
        self._outer, self._run, self._template = outer, run, template
        self._proxy, self._limits = proxy, limits
        self._numbers = itertools.count(1)
        self._left = wanted
        self._lock = threading.Lock()
        self._made: set[Sandbox] = set()
        self.kept: set[str] = set()
        self._ready: queue.SimpleQueue[tuple[Sandbox, Engine] | BaseException] = queue.SimpleQueue()
        self._starts = ThreadPoolExecutor(ahead, thread_name_prefix="sandbox")
        self._ends = ThreadPoolExecutor(2, thread_name_prefix="sandbox-end")
        self.waits_s: list[float] = []
        for _ in range(ahead):
            self._start_next()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def take(self) -> tuple[Sandbox, Engine]:
        """Return a sandbox that is ready, with its engine; the next one starts meanwhile.

        Raises:
            CourseError: no sandbox comes up.
        """
        start = time.monotonic()
        found = self._ready.get()
        self.waits_s.append(time.monotonic() - start)
        self._start_next()
        if isinstance(found, BaseException):
            raise found
        return found

    def want_another(self) -> None:
        """Say that one more than expected will be taken."""
        with self._lock:
            self._left += 1
        if self._ready.empty():
            self._start_next()

    def throw_away(self, sandbox: Sandbox) -> None:
        """Remove a sandbox while others work."""
        self._made.discard(sandbox)
        self._ends.submit(sandbox.remove)

    def keep(self, sandbox: Sandbox) -> None:
        """Leave a sandbox running after the end; the next fleet of its module removes it."""
        self._made.discard(sandbox)
        self.kept.add(sandbox.name)

    def close(self) -> None:
        """Remove all that is left."""
        self._starts.shutdown(wait=True, cancel_futures=True)
        for sandbox in list(self._made):
            self.throw_away(sandbox)
        self._ends.shutdown(wait=True)

    def _start_next(self) -> None:
        with self._lock:
            if self._left <= 0:
                return
            self._left -= 1
        self._starts.submit(self._start)

    def _start(self) -> None:
        try:
            sandbox = Sandbox(
                self._outer, self._run, next(self._numbers), proxy=self._proxy,
                template=self._template.volume, limits=self._limits,
            )  # fmt: skip
            self._made.add(sandbox)
            self._ready.put((sandbox, sandbox.wait_until_ready()))
        except OSError as error:
            self._ready.put(CourseError("A sandbox does not come up.", why=str(error)[:300]))
        except BaseException as error:  # noqa: BLE001 - told to whoever takes it
            self._ready.put(error)
