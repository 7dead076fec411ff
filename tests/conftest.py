"""What tests share: the engine that containers run in, and a cluster for those that want one."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from coursework.checks.cluster import Cluster
from coursework.cluster import Node, rootless
from coursework.cluster.images import load_images
from coursework.cluster.namespace import remove_ended_namespaces
from coursework.containers.cleaning import clean
from coursework.containers.runs import open_run
from coursework.engine import Engine, start_engine
from coursework.images import ensure_images
from coursework.modules.catalogue import Module
from tests.clone import OWN, ROOT, clone_with_tiny
from tests.learners import SLUG, Class

pytest_plugins = [
    f"tests.running.{name}" for name in ("signals", "groups", "nightly", "kubernetes", "plugin")
]

CLUSTER_MODULE = Module("97-cluster", "T", "P", ("o",), (), 5, (), cluster_images=("busybox:1.37",))
# One of this clone's tests: that of the person who runs them is left alone.
CLUSTER_NAME = f"course-cluster-test-{hashlib.sha256(bytes(ROOT)).hexdigest()[:6]}"


class Notes:
    """What a run would remember."""

    def __init__(self):
        self.command = ""

    def note_command(self, command):
        self.command = command


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return an engine that answers; the private one is started where there is none."""
    started = start_engine()
    yield started
    for slug in OWN:
        clean(started.client, slug, everywhere=True)


@pytest.fixture(scope="session")
def node(engine):
    """Return a cluster that is ready, the same for all tests."""
    with _ready(engine, Node(engine, CLUSTER_NAME)) as made:
        yield made


@pytest.fixture(scope="session")
def judging_node(engine):
    """Return the cluster in which submissions are judged: without root, where that can be had."""
    name = f"{CLUSTER_NAME}-judging"
    with _ready(
        engine, Node(engine, name, rootless=not rootless.unsupported_reason(engine))
    ) as made:
        yield made


@contextmanager
def _ready(engine, made):
    made.delete()
    try:
        made.start(lambda _: None, memory="3g")
        ensure_images(engine, CLUSTER_MODULE.cluster_images)
        load_images(engine, made, CLUSTER_MODULE.cluster_images)
        yield made
    finally:
        made.delete()


@pytest.fixture
def notes():
    """Return what a run would remember."""
    return Notes()


@pytest.fixture
def cluster(node, notes):
    """Return the cluster as a check holds it; its namespaces are removed afterwards."""
    with cluster_of(node, notes) as made:
        yield made


@contextmanager
def cluster_of(node, notes):
    """Hold a cluster as a check does, and remove its namespaces at the end."""
    with open_run(CLUSTER_MODULE.slug) as run:
        made = Cluster(
            node, notes, prefix=f"check-{run.run_id}", labels=run.labels, files={"k8s/a": b""}
        )
        yield made
        made.close(keep=False)
    remove_ended_namespaces(node.api(), CLUSTER_MODULE.slug)


@pytest.fixture
def namespace(cluster):
    """Return an empty namespace."""
    return cluster.create_namespace()


@pytest.fixture(scope="session")
def cohort(engine, tmp_path_factory):
    """Return a class of the tiny module, without submissions."""
    ensure_images(engine, ["python:3.13-slim"])
    return Class(clone_with_tiny(tmp_path_factory.mktemp("cohort") / "clone", SLUG), engine)
