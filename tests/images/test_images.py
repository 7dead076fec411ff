"""Base images are made once, carry their packages, and respect what somebody else made."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from coursework.files import one_at_a_time
from coursework.images import ensure_images, known_images, take_inventory
from coursework.images.inventory import LABEL
from coursework.trouble import CourseError
from tests.clone import own

pytestmark = pytest.mark.engine
IMAGES = ["busybox:1.37", "node:24-slim", "python:3.13-slim"]


@pytest.fixture
def made(engine):
    """Return an engine that has the images."""
    ensure_images(engine, IMAGES)
    return engine


def build(engine, folder, *options):
    return subprocess.run(
        ["docker", "build", "-q", *options, str(folder)],
        env=engine.environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_present_images_are_not_made_again(made):
    """A second call makes nothing."""
    assert ensure_images(made, IMAGES) == []
    assert all(take_inventory(made, known_images())[n].is_usable for n in IMAGES)


def test_an_unknown_image_is_said(made):
    """A name that images/ does not make is answered with those that it does."""
    with pytest.raises(CourseError, match="no image windows:95") as error:
        ensure_images(made, ["windows:95"])
    assert "node:24-slim" in error.value.why


def installed_offline(engine, folder, image, locks, commands):
    """Run commands on each lock file, in one build without network; all must succeed."""
    for number, lock in enumerate(locks):
        place = folder / str(number)
        place.mkdir()
        (place / lock.name).write_bytes(lock.read_bytes())
        if lock.name == "package-lock.json":
            root = json.loads(lock.read_text("utf-8"))["packages"][""]
            (place / "package.json").write_text(json.dumps(root), "utf-8")
    steps = "".join(f"RUN cd {number} && {' && '.join(commands)}\n" for number in range(len(locks)))
    (folder / "Dockerfile").write_text(f"FROM {image}\nCOPY . .\n{steps}", "utf-8")
    done = build(engine, folder, "--network=none", "--no-cache")
    assert done.returncode == 0, done.stderr


def test_npm_installs_without_network(made, tmp_path):
    """The packages of the lock files install with the network off, by npm ci and npm install."""
    locks = known_images()["node:24-slim"].locks
    commands = ("npm ci --offline", "rm -r node_modules", "npm install --prefer-offline")
    installed_offline(made, tmp_path, "node:24-slim", locks, commands)


def test_pip_installs_without_network(made, tmp_path):
    """The packages of the requirements files install with the network off, asked for or not."""
    locks = known_images()["python:3.13-slim"].locks
    pip = "pip install --require-hashes --requirement requirements.txt --target"
    commands = (f"{pip} offline --no-index", f"{pip} online")
    installed_offline(made, tmp_path, "python:3.13-slim", locks, commands)


def run(engine, *command):
    done = subprocess.run(
        ["docker", "run", "--rm", *command],
        env=engine.environment(), capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_images_are_what_their_names_say(made):
    """Versions inside are those of the tags, and commands are where official images have them."""
    assert run(made, "node:24-slim", "node", "--version").startswith("v24.")
    assert run(made, "node:24-slim", "id", "-u", "node") == "1000"
    assert run(made, "python:3.13-slim", "python", "--version").startswith("Python 3.13.")
    assert "1.37" in run(made, "busybox:1.37", "sh", "-c", "busybox | head -1")


def test_an_image_of_somebody_else_is_left_alone(private_engine):
    """An image under the same name without our label is used as it is."""
    empty = subprocess.Popen(["tar", "--create", "--files-from=/dev/null"], stdout=subprocess.PIPE)
    with empty:
        subprocess.run(
            ["docker", "import", "-", "busybox:1.37"],
            env=private_engine.environment(), stdin=empty.stdout, check=True, capture_output=True,
        )  # fmt: skip
    before = private_engine.client.images.get("busybox:1.37").id
    assert ensure_images(private_engine, ["busybox:1.37"]) == []
    assert private_engine.client.images.get("busybox:1.37").id == before
    assert take_inventory(private_engine, known_images())["busybox:1.37"].state == "pulled"


@pytest.fixture
def own_image(engine, tmp_path, monkeypatch):
    """Return the name of an image that a clone of its own makes: nobody else builds on it."""
    name = f"{own('course/test-older')}:1"
    folder = tmp_path / "clone" / "images" / "older"
    folder.mkdir(parents=True)
    (folder / "Dockerfile").write_text(f"# image: {name}\nFROM scratch\nCOPY . /\n", "utf-8")
    (tmp_path / "clone" / "course").mkdir()
    (tmp_path / "clone" / "course" / "catalogue.toml").touch()
    monkeypatch.chdir(tmp_path / "clone")
    yield name
    engine.client.images.remove(name)


def test_an_image_with_an_older_recipe_is_out_of_date(engine, own_image, tmp_path):
    """A label with another digest asks for a rebuild, and the name is given back afterwards."""
    assert ensure_images(engine, [own_image]) == [own_image]
    old = engine.client.images.get(own_image)
    (tmp_path / "Dockerfile").write_text(f"FROM {own_image}\nENV OLDER=yes\n", "utf-8")
    build(engine, tmp_path, f"--label={LABEL}=0123456789abcdef", f"--tag={own_image}")
    assert take_inventory(engine, known_images())[own_image].state == "out of date"
    assert ensure_images(engine, [own_image]) == [own_image]
    assert engine.client.images.get(own_image).labels[LABEL] == old.labels[LABEL]
    labels = [(i["Labels"] or {}).get(LABEL) for i in engine.client.api.images()]
    assert "0123456789abcdef" not in labels


def test_who_needs_one_image_does_not_wait_for_another(engine, own_image, tmp_path):
    """A lock is one image's: the smallest one is not held up while the largest is built."""
    other = f"{own('course/test-other')}:1"
    (tmp_path / "clone" / "images" / "other").mkdir()
    (tmp_path / "clone" / "images" / "other" / "Dockerfile").write_text(
        f"# image: {other}\nFROM scratch\nCOPY . /\n", "utf-8"
    )
    told, waits = [], threading.Event()

    def tell(text):
        told.append(text)
        waits.set()

    with one_at_a_time(told.append, f"image-{other.replace('/', '-').replace(':', '-')}"):
        waiting = threading.Thread(target=ensure_images, args=(engine, [other], tell))
        waiting.start()
        assert waits.wait(10)
        assert ensure_images(engine, [own_image]) == [own_image]
        assert waiting.is_alive()
    waiting.join(60)
    assert told[0] == f"another course command makes {other}: waiting for it"
    engine.client.images.remove(other)


_BUILD_THEN_WAIT = """
import sys
from pathlib import Path
from coursework.engine import Engine
from coursework.images import making
from coursework.images.recipe import Recipe
recipe = Recipe("course/test-interrupted:1", Path(sys.argv[2]), (), (), "0" * 16, "")
making.build(Engine("host", sys.argv[1]), recipe, lambda line: print(line, flush=True))
"""


def test_an_interrupted_build_leaves_no_tag(made, tmp_path):
    """Ctrl-C in the middle of a build ends it; no half-made image carries the name."""
    (tmp_path / "Dockerfile").write_text("FROM busybox:1.37\nRUN sleep 60\n", "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", _BUILD_THEN_WAIT, made.docker_host, str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        for line in process.stdout or ():
            if "RUN sleep" in line:
                break
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        process.communicate(timeout=20)
    assert time.monotonic() - started < 15
    tags = {tag for image in made.client.api.images() for tag in image["RepoTags"] or ()}
    assert "course/test-interrupted:1" not in tags
