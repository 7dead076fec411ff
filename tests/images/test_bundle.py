"""A bundle carries images from one engine to another, whole or not at all."""

from pathlib import Path

import pytest

from coursework.images import ensure_images, known_images, take_inventory
from coursework.images.bundle import load_bundle, write_bundle
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine


def silent(_):
    """Take progress and show none."""


@pytest.fixture
def bundle(engine, tmp_path):
    """Give a bundle of one small image, with its file."""
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
        load_bundle(engine, bundle, take_inventory(engine, known_images()), silent)


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
