"""Private engines for tests: in a folder of their own, in a network of their own."""

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coursework.engine import network, packages
from coursework.engine.private import PrivateEngine

_NEW_NETWORK = 0x40000000


def silent(_: str) -> None:
    """Take progress and show nothing."""


@pytest.fixture
def own_network() -> Iterator[None]:
    """Move this thread to an empty network: a dockerd there changes nothing of the machine's."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a network of its own")
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    if libc.unshare(_NEW_NETWORK):
        os.close(home)
        pytest.skip(f"no network of its own here: {os.strerror(ctypes.get_errno())}")
    network.open_loopback()
    yield
    libc.setns(home, _NEW_NETWORK)
    os.close(home)


@pytest.fixture
def private(own_network: None) -> Iterator[PrivateEngine]:
    """Return a private engine that does not run yet; it is stopped afterwards."""
    del own_network
    with new_engine() as engine:
        yield engine


@contextmanager
def new_engine() -> Iterator[PrivateEngine]:
    """Have a private engine that does not run yet, and stop it."""
    if missing := [name for name in ("dockerd", "iptables") if not packages.find_program(name)]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        engine = PrivateEngine(Path(folder))
        yield engine
        engine.stop(silent)
