"""A Jupyter server with Formgrader, as an instructor starts it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests

from coursework.lab.server import free_port
from tests.nbgrading.conftest import Classroom

_TOKEN = "formgrader"  # noqa: S105 - of a server that ends with the test


@contextmanager
def formgrader(room: Classroom) -> Iterator[Callable[[str], str]]:
    """Start a server in a clone, and give a function that fetches a page of it."""
    port = free_port()
    options = [f"--port={port}", f"--IdentityProvider.token={_TOKEN}", "--allow-root"]
    variables = {**os.environ, "JUPYTER_CONFIG_DIR": str(room.root / "jupyter")}
    server = subprocess.Popen(
        [sys.executable, "-m", "jupyterlab", "--no-browser", *options],
        cwd=room.root, env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def get(path: str) -> str:
        address = f"http://127.0.0.1:{port}{path}"
        reply = requests.get(address, headers={"Authorization": f"token {_TOKEN}"}, timeout=30)
        reply.raise_for_status()
        return reply.text

    try:
        _wait_until_it_answers(get, server)
        yield get
    finally:
        server.terminate()
        server.wait(15)


def _wait_until_it_answers(get: Callable[[str], str], server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            get("/api")
        except requests.ConnectionError:
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)
        else:
            return
