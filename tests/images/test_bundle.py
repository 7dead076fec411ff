"""A bundle carries images from one engine to another, whole or not at all."""

import json
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from coursework.images import Present, Recipe, ensure_images, known_images, making, take_inventory
from coursework.images.bundle import load_bundle, write_bundle
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine


def silent(_):
    """Take progress and show none."""


def absent():
    return {name: Present(recipe, "absent") for name, recipe in known_images().items()}


def build(engine, folder, dockerfile, *options):
    (folder / "Dockerfile").write_text(dockerfile, "utf-8")
    subprocess.run(
        ["docker", "build", "-q", *options, str(folder)],
        env=engine.environment(), check=True, capture_output=True, timeout=120,
    )  # fmt: skip


@pytest.fixture
def bundle(engine, tmp_path):
    """Return a bundle of one small image, with its file."""
    ensure_images(engine, ["busybox:1.37"])
    inventory = take_inventory(engine, known_images())
    file = tmp_path / "class.zip"
    assert write_bundle(engine, {"busybox:1.37": inventory["busybox:1.37"]}, file, silent)
    return file


def test_an_up_to_date_bundle_is_not_written_again(engine, bundle):
    """The same images in the file already: nothing is done."""
    inventory = take_inventory(engine, known_images())
    before = bundle.stat().st_mtime_ns
    again = write_bundle(engine, {"busybox:1.37": inventory["busybox:1.37"]}, bundle, silent)
    assert not again
    assert bundle.stat().st_mtime_ns == before


def test_a_bundle_gives_an_empty_engine_the_same_images(engine, bundle, private_engine):
    """An engine without network and images gets them by name, and a second load does nothing."""
    inventory = take_inventory(private_engine, known_images())
    assert load_bundle(private_engine, bundle, inventory, silent) == ["busybox:1.37"]
    here, there = (e.client.images.get("busybox:1.37").id for e in (engine, private_engine))
    assert here == there
    inventory = take_inventory(private_engine, known_images())
    assert load_bundle(private_engine, bundle, inventory, silent) == []


def test_loading_takes_no_name_from_an_image_of_somebody_else(private_engine, engine, tmp_path):
    """A bundle gives what is absent; an image under a name of its own making stays."""
    build(engine, tmp_path, "FROM scratch\nCOPY Dockerfile /\n", "--tag=course/test-small:1")
    recipe = Recipe("course/test-small:1", tmp_path, (), (), "0" * 16, "")
    inventory = {
        "busybox:1.37": take_inventory(engine, known_images())["busybox:1.37"],
        recipe.name: Present(recipe, "built"),
    }
    file = tmp_path / "class.zip"
    write_bundle(engine, inventory, file, silent)
    build(private_engine, tmp_path, "FROM scratch\nLABEL theirs=yes\n", "--tag=busybox:1.37")
    inventory = {
        "busybox:1.37": take_inventory(private_engine, known_images())["busybox:1.37"],
        recipe.name: Present(recipe, "absent"),
    }
    assert load_bundle(private_engine, file, inventory, silent) == [recipe.name]
    assert private_engine.client.images.get("busybox:1.37").labels == {"theirs": "yes"}
    tags = {t for i in private_engine.client.images.list() for t in i.tags}
    assert tags == {"busybox:1.37", recipe.name}


def test_an_official_image_travels_with_the_packages(private_engine, engine, tmp_path):
    """What was pulled gets the packages' layer in the bundle: it installs them without network."""
    recipe = known_images()["python:3.13-slim"]
    stock = replace(recipe, name="course/test-stock:1")
    making.build(engine, recipe, silent, target="built", tag=stock.name)
    file = tmp_path / "class.zip"
    write_bundle(engine, {stock.name: Present(stock, "pulled")}, file, silent)
    load_bundle(private_engine, file, {stock.name: Present(stock, "absent")}, silent)
    for lock in recipe.locks:
        (tmp_path / "requirements.txt").write_bytes(lock.read_bytes())
        install = "pip install --no-index --require-hashes -r requirements.txt"
        text = f"FROM {stock.name}\nCOPY requirements.txt .\nRUN {install}\n"
        build(private_engine, tmp_path, text, "--network=none")
    engine.client.images.remove(stock.name)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_bundle_is_refused(engine, bundle, damage):
    """A file that is cut, changed or something else gives nothing to the engine."""
    data = bytearray(bundle.read_bytes())
    middle = len(data) // 2
    changed = {
        "cut": data[:middle],
        "flipped": data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :],
        "empty": b"",
        "text": b"no bundle at all",
    }
    bundle.write_bytes(changed[damage])
    with pytest.raises(CourseError, match="no whole bundle"):
        load_bundle(engine, bundle, absent(), silent)


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"schema": 2, "architecture": "x", "images": {}}', '{"images": {"a": 1}}'],
)
def test_a_bundle_that_says_nothing_of_itself_is_refused(engine, tmp_path, manifest):
    """A zip whose manifest is missing, of another kind or of another version is no bundle."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("manifest.json", manifest)
    with pytest.raises(CourseError, match="no whole bundle"):
        load_bundle(engine, tmp_path / "x.zip", absent(), silent)


def test_a_bundle_for_other_processors_is_refused(engine, tmp_path):
    """Images for another architecture are refused before they are loaded."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        manifest = {"schema": 1, "architecture": "pdp11", "images": {}}
        file.writestr("manifest.json", json.dumps(manifest))
    with pytest.raises(CourseError, match="is for pdp11 machines"):
        load_bundle(engine, tmp_path / "x.zip", absent(), silent)


def test_a_bundle_that_is_not_there_is_said(engine, tmp_path):
    """A wrong file name is a message."""
    with pytest.raises(CourseError, match="There is no file"):
        load_bundle(engine, tmp_path / "none.zip", {}, silent)


def test_a_target_that_cannot_be_written_is_said(engine):
    """A folder that is missing or read-only is a message, and nothing is left."""
    inventory = take_inventory(engine, known_images())
    with pytest.raises(CourseError, match="cannot be written"):
        write_bundle(
            engine, {"busybox:1.37": inventory["busybox:1.37"]}, Path("/proc/no/x.zip"), silent
        )
