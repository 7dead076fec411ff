"""What tests of cohorts share: machines with engines of their own, which may die."""

import subprocess
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from coursework.engine import Engine
from coursework.engine.private import PrivateEngine
from coursework.sandbox.place import IMAGE
from tests.engine.conftest import new_engine, own_network, silent

__all__ = ["own_network"]


@dataclass
class Machine:
    """An engine with what the sandboxes of the class are made of, and how programs find it.

    Args:
        private: the engine, which can be killed and started again.
        engine: the same, as it is used.
        variables: of the environment: the engine, and where the course keeps its own.
    """

    private: PrivateEngine
    engine: Engine
    variables: dict[str, str]


@pytest.fixture
def start_machine(engine, own_network):
    """Return what starts a machine, all of them in one network of their own."""
    del own_network
    with ExitStack() as ends:

        def start():
            private = ends.enter_context(new_engine())
            private.start(silent)
            copy_images(engine, private)
            made = Engine("private", private.docker_host)
            ends.callback(made.client.close)
            # Sockets have short paths only, and the marks of this engine's templates are its own.
            cache = ends.enter_context(tempfile.TemporaryDirectory(prefix="c-"))
            return Machine(
                private, made, {"DOCKER_HOST": made.docker_host, "XDG_CACHE_HOME": cache}
            )

        yield start


def copy_images(engine, private):
    """Give an engine what the sandboxes of the class are made of."""
    words = ["save", "python:3.13-slim", "busybox:1.37", IMAGE]
    with subprocess.Popen(
        ["docker", "-H", engine.docker_host, *words], stdout=subprocess.PIPE
    ) as saved:
        subprocess.run(
            ["docker", "-H", private.docker_host, "load", "--quiet"], stdin=saved.stdout,
            stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip
