"""What runs side by side: files do, but for those that share what there is one of."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

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


def group_of(item: pytest.Item) -> str:
    """Return the name of what a test shares; empty where it is nothing but its file."""
    if mark := item.get_closest_marker("xdist_group"):
        return str(mark.args[0])
    fixtures = getattr(item, "fixturenames", ())
    return next((group for name, group in SHARED.items() if name in fixtures), "")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Tell the controller the groups before it hears of the tests: it collects none itself."""
    if told := getattr(session.config, "workerinput", {}).get("groups"):
        groups = {item.nodeid: group for item in session.items if (group := group_of(item))}
        Path(told).write_text(json.dumps(groups), "utf-8")


class Groups:
    """The groups of all tests, as workers have told them."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="course-tests-")
        self._of: dict[str, str] = {}

    def pytest_configure_node(self, node: Any) -> None:
        """Say where to tell."""
        node.workerinput["groups"] = str(self._file(node))

    @pytest.hookimpl(tryfirst=True)
    def pytest_xdist_node_collection_finished(self, node: Any) -> None:
        """Hear them."""
        self._of |= json.loads(self._file(node).read_text("utf-8"))

    def pytest_sessionfinish(self) -> None:
        """Forget the files."""
        self._folder.cleanup()

    def _file(self, node: Any) -> Path:
        return Path(self._folder.name, str(node.gateway.id))

    def of(self, test: str) -> str:
        """Return a test's group, which is its file where it has no other."""
        return self._of.get(test) or test.partition("::")[0]


class ByGroup(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out whole groups.

    Fixtures of a file are then made once, and its tests need not bear each other.

    Args:
        config: of pytest.
        log: of xdist.
        groups: of the tests.
        clusters_wait: tells whether clusters have no image yet.
    """

    def __init__(
        self, config: pytest.Config, log: Any, groups: Groups, clusters_wait: Callable[[], bool]
    ) -> None:
        super().__init__(config, log)
        self._groups, self._clusters_wait = groups, clusters_wait

    def _split_scope(self, nodeid: str) -> str:
        return self._groups.of(nodeid)

    def _assign_work_unit(self, node: Any) -> None:
        clusters_wait = self._clusters_wait()

        def rank(scope: str) -> tuple[bool, int]:
            place = _LONG.index(scope) if scope in _LONG else len(_LONG)
            return clusters_wait and scope in CLUSTERS, place

        self.workqueue.move_to_end(min(self.workqueue, key=rank), last=False)
        super()._assign_work_unit(node)

    def remove_node(self, node: Any) -> str | None:
        """Return up the test that a lost worker was running; what it had left is run by others."""
        work = self.assigned_work.get(node, {})
        for scope in [scope for scope, unit in work.items() if all(unit.values())]:
            del work[scope]
        lost = next((test for unit in work.values() for test in unit if not unit[test]), None)
        for unit in work.values():
            unit.update({test: True for test in unit if test == lost})
        super().remove_node(node)
        return lost

    def _reschedule(self, node: Any) -> None:
        # One that replaces a lost worker is asked before it knows its tests.
        if node in self.registered_collections:
            super()._reschedule(node)
