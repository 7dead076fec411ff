"""The fixtures that checks ask for by name; a module's own `server` takes the place of ours."""

from collections.abc import Iterator

import pytest

from coursework.checks.builder import Builder
from coursework.checks.cluster import Cluster
from coursework.checks.failure import Blocked
from coursework.checks.meanwhile import Meanwhile
from coursework.checks.postgres import Postgres
from coursework.checks.randomness import Random
from coursework.checks.sandbox import Sandbox
from coursework.checks.server import Image, Server
from coursework.checks.session import Session
from coursework.checks.store import Store
from coursework.submissions.files import Submission

SESSION = pytest.StashKey[Session]()


@pytest.fixture(scope="session")
def submission(request: pytest.FixtureRequest) -> Submission:
    """Return the files that are checked."""
    return request.config.stash[SESSION].task.submission


@pytest.fixture(scope="session")
def random(request: pytest.FixtureRequest) -> Random:
    """Return random values of this run."""
    return request.config.stash[SESSION].random


@pytest.fixture(scope="session")
def builder(request: pytest.FixtureRequest) -> Builder:
    """Return a builder of the submission with other files, secrets and arguments."""
    return request.config.stash[SESSION].builder


@pytest.fixture(scope="session")
def meanwhile(request: pytest.FixtureRequest) -> Meanwhile:
    """Return a function that starts a long story beside the checks."""
    return request.config.stash[SESSION].meanwhile


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Postgres:
    """Return a PostgreSQL server beside the submission."""
    return request.config.stash[SESSION].postgres


@pytest.fixture(scope="session")
def store(request: pytest.FixtureRequest) -> Store:
    """Return a Redis beside the submission."""
    return request.config.stash[SESSION].store


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Return a Kubernetes beside the submission."""
    return request.config.stash[SESSION].cluster


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    """Return the answer's own engine, where the catalogue says `sandbox = true`."""
    return request.config.stash[SESSION].sandbox


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> Image:
    """Return the submission's image, built once."""
    return request.config.stash[SESSION].built_image()


@pytest.fixture(scope="module")
def server(image: Image) -> Server:
    """Return a server of the submission, with nothing set."""
    return image.start()


@pytest.fixture(scope="module", autouse=True)
def _started_side_by_side(request: pytest.FixtureRequest) -> None:
    """Ask for every module's fixture now, so that their containers start side by side."""
    for name in _module_fixtures(request):
        try:
            request.getfixturevalue(name)
        except (AssertionError, Blocked):
            # pytest raises it again in each check that asks for this fixture.
            continue


def _module_fixtures(request: pytest.FixtureRequest) -> Iterator[str]:
    asked: dict[str, None] = {}
    for item in request.session.items:
        definitions = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
        for name in item.fixturenames:  # type: ignore[attr-defined]
            if name in definitions and definitions[name][-1].scope == "module":
                asked[name] = None
    asked.pop(_started_side_by_side.__name__, None)
    yield from asked
