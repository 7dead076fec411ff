"""Which workers a scheduler has, and how many gradings they take."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

from coursework.cohort.remote.bench import join
from coursework.cohort.remote.order import Order
from coursework.cohort.remote.travel import told_there
from coursework.trouble import CourseError

# Machines don't start at the same moment: beside one that doesn't fit another may come.
_HOPES_FOR_S = 10.0

Tell = Callable[[str], None]


def in_background(act: Callable[..., object], *words: object) -> threading.Thread:
    """Do something in a thread that keeps no process from ending: a worker may never answer."""
    thread = threading.Thread(target=act, args=words, daemon=True)
    thread.start()
    return thread


class Roll:
    """The workers of a run; each is asked once whether it fits, as soon as it is there.

    Args:
        client: of the scheduler.
        order: of the run.
        answered: is called, in another thread, with a worker and why it doesn't fit.
        tell: is told what becomes of workers.
    """

    def __init__(
        self, client: Any, order: Order, answered: Callable[[str, str], None], tell: Tell
    ) -> None:
        self._client, self._order, self._answered, self._tell = client, order, answered, tell
        self._slots: dict[str, int] = {}
        self._unfit: dict[str, str] = {}
        self._had_one = False
        self._hopes_since = time.monotonic()

    @property
    def slots(self) -> int:
        """Gradings at a time, on all workers together."""
        return sum(self._slots.values())

    @property
    def has_any(self) -> bool:
        """Whether a worker is there that grades, or may do so soon."""
        return len(self._unfit) < len(self._slots)

    def ask(self, worker: str) -> None:
        """Ask a worker to join."""
        if worker not in self._slots:
            self._slots[worker] = 0
            in_background(self._ask, worker)

    def _ask(self, worker: str) -> None:
        try:
            said = self._client.run(join, self._order.to_json(), workers=[worker])[worker]
            unfit = told_there(json.loads(said)["unfit"])
        # A worker that can't load the function raises what that raised there.
        except Exception as error:  # noqa: BLE001
            unfit = f"it cannot be asked: {told_there(repr(error))}"
        self._answered(worker, unfit)

    def is_ready(self, worker: str, slots: int) -> None:
        """Note that a worker has prepared all it needs."""
        if worker in self._slots:
            self._slots[worker] = slots
            self._had_one = True
            self._tell(f"{worker} is ready for {slots} at a time")

    def is_unfit(self, worker: str, why: str) -> None:
        """Note that a worker gets no gradings; Dask's own resources keep them from it."""
        if worker in self._slots:
            self._slots[worker] = 0
            self._unfit[worker] = why
            self._tell(f"! {worker} is not used: {why}")

    def is_gone(self, worker: str) -> None:
        """Note that a worker isn't connected any more."""
        if self._slots.pop(worker, 0):
            self._tell(f"! {worker} was lost; what it graded goes to another worker")
        self._unfit.pop(worker, None)

    def require_hope(self) -> None:
        """Stop where every worker was refused for a while; where there is none, one may come.

        Raises:
            CourseError: all were.
        """
        if self._had_one or not self._slots or self.has_any:
            self._hopes_since = time.monotonic()
        if time.monotonic() - self._hopes_since < _HOPES_FOR_S:
            return
        worker, why = next(iter(self._unfit.items()))
        raise CourseError(
            "No worker can grade for this clone.",
            why=f"{worker}: {why}" + (f" (and {n} more)" if (n := len(self._unfit) - 1) else ""),
            fix="bring the workers' clones to the same commit (git checkout), restart the workers,"
            " then type the command again",
        )
