"""Official images come from a registry where one answers; a real one runs beside these tests."""

import os
import socket
import subprocess
import tarfile
import time

import pytest
import requests

from coursework.images import ensure_images, known_images, pulling, take_inventory

pytestmark = pytest.mark.engine

_REGISTRY = """\
FROM debian:trixie-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends docker-registry >/dev/null
RUN printf 'version: 0.1\\nstorage: {inmemory: {}}\\nhttp: {addr: ":5000"}\\n' >/registry.yml
CMD ["docker-registry", "serve", "/registry.yml"]
"""


def docker(engine, *command, text=None):
    done = subprocess.run(
        ["docker", *command],
        env=engine.environment(), input=text, capture_output=True, text=True,
        check=True, timeout=180,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch):
    """Forget which registries answered before."""
    monkeypatch.setattr(pulling, "_answers", {})


@pytest.fixture(scope="module")
def registry(engine):
    """Return the address of an empty registry that the engine reaches as localhost."""
    ensure_images(engine, ["debian:trixie-slim"])
    image = docker(engine, "build", "-q", "-", text=_REGISTRY)
    container = docker(engine, "run", "-d", "--rm", "-p", "127.0.0.1::5000", image)
    address = docker(engine, "port", container, "5000").splitlines()[0]
    deadline = time.monotonic() + 20
    while not answers(address):
        assert time.monotonic() < deadline, docker(engine, "logs", container)
        time.sleep(0.05)
    yield f"localhost:{address.rpartition(':')[2]}"
    docker(engine, "rm", "-f", container)


def answers(address):
    try:
        return requests.get(f"http://{address}/v2/", timeout=2).ok
    except requests.RequestException:
        return False


@pytest.fixture
def clone(engine, registry, tmp_path, monkeypatch):
    """Return a function that makes a recipe in a clone of its own, and removes its image."""
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "catalogue.toml").touch()
    monkeypatch.chdir(tmp_path)
    made = []

    def add(name):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        image = f"{registry}/{name}:1"
        (folder / "Dockerfile").write_text(f"# image: {image}\nFROM scratch\nCOPY . /\n", "utf-8")
        made.append(image)
        return image, folder

    yield add
    for image in made:
        docker(engine, "image", "rm", "-f", image)


@pytest.mark.nightly
def test_an_image_that_a_registry_has_is_pulled(engine, clone, tmp_path):
    """It is not built, and stays as it is from then on."""
    name, folder = clone("known")
    (folder / "payload").write_bytes(os.urandom(2_000_000))
    with tarfile.open(tmp_path / "image.tar", "w") as tar:
        tar.add(folder, ".")
    # A built layer would stay in the builder's cache, and nothing would be left to pull.
    docker(engine, "import", str(tmp_path / "image.tar"), name)
    docker(engine, "push", name)
    docker(engine, "image", "rm", name)
    told: list[str] = []
    assert ensure_images(engine, [name], told.append) == [name]
    assert take_inventory(engine, known_images())[name].state == "pulled"
    assert any("pulling, 1 of 1 layers" in line for line in told)
    assert ensure_images(engine, [name]) == []


@pytest.mark.nightly
def test_an_image_that_the_registry_refuses_is_built(engine, clone, monkeypatch):
    """A registry that answers and then lacks an image, or limits pulls, is no end."""
    name, _ = clone("unknown")
    monkeypatch.setitem(pulling._answers, engine.docker_host, (time.monotonic(), True))
    told: list[str] = []
    assert ensure_images(engine, [name], told.append) == [name]
    assert take_inventory(engine, known_images())[name].state == "built"
    assert any("building it instead" in line for line in told)


def test_a_silent_registry_is_not_waited_for(engine):
    """One that takes the connection and never answers counts as none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        name = f"localhost:{server.getsockname()[1]}/any:1"
        assert not pulling.registry_answers(engine, name)


def test_no_registry_is_asked_once(engine):
    """The answer is remembered: the next image does not wait again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not pulling.registry_answers(engine, f"localhost:{port}/any:1")
    asked, answered = pulling._answers[engine.docker_host]
    assert not pulling.registry_answers(engine, f"localhost:{port}/other:1")
    assert pulling._answers[engine.docker_host] == (asked, answered)
