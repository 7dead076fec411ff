"""What tests share: the engine that containers run in."""

import pytest

from coursework.engine import Engine, start_engine


@pytest.fixture(scope="session")
def engine() -> Engine:
    """Give an engine that answers; the private one is started where there is none."""
    return start_engine()
