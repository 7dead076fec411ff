"""How `make test` runs: on two workers, told all the time, and ended whole by Ctrl-C."""

import pytest

from tests.running.ending import Ending
from tests.running.groups import Groups
from tests.running.kubernetes import Beside
from tests.running.progress import Progress


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Watch over workers, where there are some."""
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if not config.getoption("numprocesses", None) or hasattr(config, "workerinput"):
        return
    groups = Groups()
    beside = Beside(groups)
    config.pluginmanager.register(groups, "groups-of-the-tests")
    config.pluginmanager.register(beside, "image-beside-the-tests")
    config.pluginmanager.register(Progress(terminal, beside), "progress-of-the-tests")
    config.pluginmanager.register(Ending(terminal), "ending-of-the-tests")
