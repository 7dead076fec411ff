"""However the tests were started, Ctrl-C means the same to what they start."""

import os
import signal

import pytest

_INHERITED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT)


def pytest_configure(config: pytest.Config) -> None:
    """Hear signals that a background job was started deaf to: children inherit the deafness."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        # Whoever ends the run from elsewhere, such as a CI, wants it tidied up, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in _INHERITED:
        if signal.getsignal(name) is signal.SIG_IGN:
            signal.signal(name, signal.SIG_DFL)
    if hasattr(config, "workerinput"):
        # Its whole group is interrupted once, by the controller, and then has time to tidy up.
        os.setpgid(0, 0)
