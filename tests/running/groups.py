"""What runs side by side: files do, but for those that share what there is one of."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling

# Who asks for the fixture is run by the one worker that makes it; the first one named decides.
SHARED = {
    "judging_node": "judging-cluster",
    "node": "cluster",
    "cohort": "sandboxes",
    "room": "sandboxes",
    "classroom": "nbgrader",
    "published": "lessons",
}
CLUSTERS = ("cluster", "judging-cluster")
# What is long begins first, so that no worker is left alone with it at the end.
_LONG = ("sandboxes", *CLUSTERS)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Mark each test with the group of what it shares."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        shared = [group for name, group in SHARED.items() if name in fixtures]
        if shared and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(shared[0]))
    return (yield)


class ByFile(LoadGroupScheduling):  # type: ignore[misc]
    """Hands out a whole group, or a whole file of tests that are in none.

    Fixtures of a file are then made once, and its tests need not bear each other.

    Args:
        config: of pytest.
        log: of xdist.
        clusters_wait: tells whether clusters have no image yet.
    """

    def __init__(self, config: pytest.Config, log: Any, clusters_wait: Callable[[], bool]) -> None:
        super().__init__(config, log)
        self._clusters_wait = clusters_wait

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        return scope if scope != nodeid else nodeid.partition("::")[0]

    def _assign_work_unit(self, node: Any) -> None:
        clusters_wait = self._clusters_wait()

        def rank(scope: str) -> tuple[bool, int]:
            place = _LONG.index(scope) if scope in _LONG else len(_LONG)
            return clusters_wait and scope in CLUSTERS, place

        self.workqueue.move_to_end(min(self.workqueue, key=rank), last=False)
        super()._assign_work_unit(node)
