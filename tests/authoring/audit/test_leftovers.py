"""What a lesson left is removed, unless another one still uses it."""

import os

import pytest

from coursework.authoring.audit.leftovers import Leftover, lesson_objects, remove
from coursework.images import ensure_images

pytestmark = pytest.mark.engine
NAME = f"lantern-used-{os.getpid()}"


def test_a_network_that_somebody_uses_stays_until_it_is_free(engine):
    """A lesson that runs beside this one is no trouble of ours."""
    ensure_images(engine, ["busybox:1.37"])
    network = engine.client.networks.create(NAME)
    guest = engine.client.containers.run(
        "busybox:1.37", ["sleep", "60"], network=NAME, detach=True, init=True
    )
    left = Leftover("network", NAME, network.id)
    try:
        remove(engine, left)
        assert left in lesson_objects(engine)
    finally:
        guest.remove(force=True)
        remove(engine, left)
    assert left not in lesson_objects(engine)
    remove(engine, left)
