"""An image taken apart shows what its Dockerfile left in it."""

import secrets

import pytest

from coursework.containers import saved as saved_module
from coursework.containers.building import build_image
from coursework.containers.cleaning import clean
from coursework.containers.saved import TooLarge, take_apart
from coursework.images import ensure_images
from tests.clone import own

pytestmark = pytest.mark.engine
MODULE = own("98-saved")
BASES = ("busybox:1.37", "an-image:that-is-not-here")


@pytest.fixture
def image_of(engine):
    """Return a function that builds files; its images are removed afterwards."""
    ensure_images(engine, ["busybox:1.37"])
    yield lambda files: build_image(
        engine, {name: text.encode() for name, text in files.items()}, module=MODULE
    )
    clean(engine.client, MODULE)


@pytest.fixture
def word():
    return f"canary-{secrets.token_hex(12)}"


def test_a_deleted_file_is_found_in_its_layer(engine, image_of, word):
    """Deleting in a later step takes nothing away; the finding names the step that brought it."""
    dockerfile = "FROM busybox:1.37\nCOPY .env /app/.env\nRUN rm /app/.env\n"
    saved = take_apart(engine, image_of({"Dockerfile": dockerfile, ".env": word}), [word], BASES)
    (found,) = saved.findings[word]
    assert found.startswith("app/.env, of the step COPY .env /app/.env")
    assert [layer.made_by.split()[0] for layer in saved.layers] == ["COPY", "RUN"]


def test_names_history_and_settings_are_searched(engine, image_of, word):
    """A text may hide in the name of a file, in a step, or in a variable."""
    dockerfile = f"FROM busybox:1.37\nRUN touch /tmp/{word}\nENV TOKEN={word}\n"
    saved = take_apart(engine, image_of({"Dockerfile": dockerfile}), [word], BASES)
    places = saved.findings[word]
    assert any(place.startswith(f"tmp/{word}") for place in places)
    assert {"its history", "its settings"} <= set(places)
    assert f"TOKEN={word}" in saved.config["Env"]
    assert any(step.startswith("ENV TOKEN=") for step in saved.history)


def test_layers_of_the_base_image_are_left_out(engine, image_of):
    """What the course's own images carry is no learner's doing."""
    saved = take_apart(
        engine, image_of({"Dockerfile": "FROM busybox:1.37\nRUN touch /own\n"}), [], BASES
    )
    assert [path for layer in saved.layers for path in layer.paths if "bin" in path] == []
    assert "own" in [path for layer in saved.layers for path in layer.paths]


def test_a_text_across_two_chunks_is_found(engine, image_of, word, monkeypatch):
    """Files are read in pieces, and the place where they are cut hides nothing."""
    monkeypatch.setattr(saved_module, "_CHUNK_BYTES", 1024)
    files = {
        "Dockerfile": "FROM busybox:1.37\nCOPY file /\n",
        "file": "x" * 1010 + word + "y" * 4096,
    }
    saved = take_apart(engine, image_of(files), [word, "none-such"], BASES)
    assert len(saved.findings[word]) == 1
    assert saved.findings["none-such"] == ()


def test_an_image_of_many_bytes_is_not_looked_through(engine, image_of, monkeypatch):
    """The limit holds while it is saved: nothing fills the disk."""
    monkeypatch.setattr(saved_module, "LIMIT_BYTES", 1_000_000)
    with pytest.raises(TooLarge):
        take_apart(engine, image_of({"Dockerfile": "FROM busybox:1.37\nRUN touch /x\n"}), [], BASES)
