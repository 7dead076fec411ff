"""What tests of images share: an engine that has them, and a second, empty one."""

import pytest

from coursework.engine import Engine
from tests.engine.conftest import own_network, private, silent

__all__ = ["own_network", "private", "private_engine"]


@pytest.fixture
def private_engine(private):
    """Return a second engine that runs and has no image yet."""
    private.start(silent)
    return Engine("private", private.docker_host)
