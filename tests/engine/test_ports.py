"""Who holds a port: a container by its name, another program by its process."""

import os
import socket

import pytest

from coursework.containers.runs import open_run
from coursework.engine.ports import holder_of
from coursework.images import ensure_images
from coursework.lab.server import free_port


def test_a_program_is_named_with_its_process():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        holder = holder_of(port, None)
        assert holder is not None
        assert f"process {os.getpid()}" in holder.told
        assert f"port {port} is taken" in holder.told
        assert holder.name == ""


def test_a_free_port_has_no_holder():
    assert holder_of(free_port(9600), None) is None


@pytest.mark.engine
def test_a_container_is_named_with_what_frees_the_port(engine):
    ensure_images(engine, ["busybox:1.37"])
    port = free_port(9620)
    with open_run("97-ports") as run:
        container = engine.client.containers.run(
            "busybox:1.37",
            ["sleep", "60"],
            ports={"80/tcp": ("127.0.0.1", port)},
            labels=run.labels,
            detach=True,
        )
        try:
            holder = holder_of(port, engine)
        finally:
            container.remove(force=True)
    assert holder is not None
    assert holder.name == container.name
    assert f"docker rm --force {container.name} frees it" in holder.told
