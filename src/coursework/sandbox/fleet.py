"""Sandboxes started ahead of those who wait for them."""

import itertools
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from coursework.containers.runs import Run
from coursework.engine import Engine
from coursework.sandbox.sandbox import Proxy, Sandbox, SandboxLimits
from coursework.trouble import engine_trouble


@dataclass(eq=False)
class Fleet:
    """Ready sandboxes of one template: some wait for their users, others are thrown away.

    Args:
        outer: the engine that they run in.
        run: labels them.
        template: the volume that they begin with.
        proxy: for their builds.
        ahead: how many wait ready.
        wanted: how many will be taken in all.
        limits: of each.

    Example:
        >>> with Fleet(engine, run, template, proxy, ahead=1, wanted=32) as fleet:
        ...     sandbox, engine = fleet.take()
        ...     fleet.throw_away(sandbox)

    """

    outer: Engine
    run: Run
    template: str
    proxy: Proxy
    ahead: int
    wanted: int
    limits: SandboxLimits

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._made: set[Sandbox] = set()
        self.kept: set[str] = set()
        self._ready: queue.SimpleQueue[tuple[Sandbox, Engine] | BaseException] = queue.SimpleQueue()
        self._starts = ThreadPoolExecutor(self.ahead, thread_name_prefix="sandbox")
        self._ends = ThreadPoolExecutor(2, thread_name_prefix="sandbox-end")
        self.waits_s: list[float] = []
        for _ in range(self.ahead):
            self._start_next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
            self.wanted += 1
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
            if self.wanted <= 0:
                return
            self.wanted -= 1
        self._starts.submit(self._start)

    def _start(self) -> None:
        try:
            with engine_trouble("A sandbox does not come up."):
                sandbox = Sandbox(
                    self.outer, self.run, next(self._numbers), proxy=self.proxy,
                    template=self.template, limits=self.limits,
                )  # fmt: skip
                self._made.add(sandbox)
                self._ready.put((sandbox, sandbox.wait_until_ready()))
        except BaseException as error:  # noqa: BLE001 - raised where it is taken
            self._ready.put(error)
