"""A real kernel of this environment: the course's words are known, a taken port is told."""

import os
import socket

import pytest
from jupyter_client.manager import start_new_kernel

from coursework.lab.server import free_port


@pytest.fixture(scope="module")
def cell():
    """Return what runs a cell in a fresh kernel and returns all that it printed."""
    # No engine answers there: what holds a port is looked up among processes.
    manager, client = start_new_kernel(env={**os.environ, "DOCKER_HOST": "unix:///nowhere.sock"})

    def run(source):
        printed: list[str] = []
        client.execute_interactive(
            source, output_hook=lambda m: printed.append(str(m["content"])), timeout=60
        )
        return "".join(printed)

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


@pytest.fixture
def taken():
    """Return a port that this process holds."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_the_words_are_known_without_an_import(cell):
    assert "3 functions" in cell("print(sum(map(callable, (check, hint, review))), 'functions')")
    assert "check" not in cell("%who")


@pytest.mark.parametrize(
    "text",
    ["--publish {0}:80", "--publish=127.0.0.1:{0}:80", "-p {0}:80", "-p{0}:80",
     "-p 0.0.0.0:{0}:80/tcp"],
)  # fmt: skip
def test_a_cell_of_docker_that_fails_names_who_holds_its_port(cell, taken, text):
    printed = cell(f"%%bash\n# docker run {text.format(taken)} nginx:1.26\nfalse")
    assert f"port {taken} is taken" in printed
    assert f"process {os.getpid()}" in printed


def test_a_server_of_the_cell_itself_names_it_too(cell, taken):
    printed = cell(f"import socket\nsocket.create_server(('127.0.0.1', {taken}))")
    assert f"process {os.getpid()}, listens on it" in printed


def test_nothing_is_said_of_other_cells(cell, taken):
    """Of those that succeed, fail of something else, or want another port."""
    free = free_port(9640)
    for source in (
        f"%%bash\n# docker run -p {taken}:80 nginx:1.26\ntrue",
        f"%%bash\necho {taken}\nfalse",
        f"{taken} / 0",
        f"%%bash\n# docker run -p {free}:80 nginx:1.26\nfalse",
    ):
        assert "is taken" not in cell(source)
