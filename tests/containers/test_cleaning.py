"""One cleaner finds all that ended runs left, and nothing else."""

import pytest

from coursework.containers.cleaning import Cleaned, clean, remove_ended_containers
from coursework.containers.runs import LABEL_CLONE, open_run
from coursework.images import ensure_images
from tests.clone import own

pytestmark = pytest.mark.engine
MODULE, OTHER = own("97-cleaning"), own("96-other")


@pytest.fixture
def client(engine):
    """Return the SDK's client of an engine that has the smallest image."""
    ensure_images(engine, ["busybox:1.37"])
    return engine.client


def leave(client, run):
    """Make one object of each kind, as a killed check would leave them."""
    name = f"{run.module}-{run.run_id}"
    container = client.containers.run(
        "busybox:1.37", ["sleep", "60"], name=name, labels=run.labels, detach=True
    )
    network = client.networks.create(name, labels=run.labels)
    volume = client.volumes.create(name, labels=run.labels)
    return container, network, volume


def names(client):
    containers = client.containers.list(all=True, ignore_removed=True)
    return {x.name for x in [*containers, *client.networks.list(), *client.volumes.list()]}


def test_what_an_ended_run_left_is_removed(client):
    """Containers, networks and volumes go; the count says how many."""
    with open_run(MODULE) as run:
        container, network, volume = leave(client, run)
    assert clean(client, MODULE) == Cleaned(1, 1, 1, 0)
    assert names(client).isdisjoint({container.name, network.name, volume.name})


def test_what_a_living_run_uses_stays(client):
    """A check under way in another process keeps what it has made."""
    with open_run(MODULE) as run:
        container, network, volume = leave(client, run)
        assert clean(client, MODULE) == Cleaned()
        remove_ended_containers(client, MODULE, set)
        assert {container.name, network.name, volume.name} <= names(client)
    clean(client, MODULE)


def test_objects_of_others_are_not_touched(client):
    """Without our label nothing is removed, nor what belongs to another module."""
    other = client.volumes.create("somebody-elses-volume")
    with open_run(OTHER) as run:
        volume = client.volumes.create(f"{OTHER}-{run.run_id}", labels=run.labels)
    clean(client, MODULE)
    assert {other.name, volume.name} <= names(client)
    other.remove()
    clean(client, OTHER)


def test_the_count_reads_as_a_sentence():
    """What was removed is said in words."""
    assert str(Cleaned()) == "nothing"
    assert str(Cleaned(containers=1, images=2)) == "1 container, 2 images"


def test_what_another_clone_left_goes_only_where_all_is_asked_for(client):
    """Two clones on one engine do not clean up after each other, unless somebody says so."""
    with open_run(MODULE) as run:
        labels = {**run.labels, LABEL_CLONE: "0" * 12}
        volume = client.volumes.create(f"{MODULE}-{run.run_id}", labels=labels)
    assert clean(client, MODULE) == Cleaned()
    assert volume.name in names(client)
    assert clean(client, MODULE, everywhere=True) == Cleaned(volumes=1)


def test_what_is_kept_to_be_looked_at_stays(client):
    """The names are asked for after it was seen which runs have ended."""
    with open_run(MODULE) as run:
        kept, _, _ = leave(client, run)
    with open_run(MODULE) as run:
        other, _, _ = leave(client, run)
    remove_ended_containers(client, MODULE, lambda: {kept.name})
    found = {container.name for container in client.containers.list(ignore_removed=True)}
    assert kept.name in found
    assert other.name not in found
    clean(client, MODULE)
