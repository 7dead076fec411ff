"""course images lists, makes, bundles and loads, for people and for programs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coursework.images import ensure_images, known_images

pytestmark = pytest.mark.engine
_COURSE = Path(sys.executable).with_name("course")


@pytest.fixture
def images(engine):
    """Return a function that runs `course images`: exit code, output, errors."""

    def run(*arguments):
        done = subprocess.run(
            [_COURSE, "images", *arguments],
            env={**os.environ, "DOCKER_HOST": engine.docker_host},
            capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr

    return run


def test_without_a_word_more_they_are_listed(engine, images):
    """A line each: mark, name, state, size, modules."""
    ensure_images(engine, ["busybox:1.37"])
    code, out, _ = images()
    assert code == 0
    assert all(name in out for name in known_images())
    line = next(line for line in out.splitlines() if "busybox:1.37" in line)
    assert line.split()[:2] == ["✓", "busybox:1.37"]
    assert "01-http" in line


@pytest.mark.parametrize("arguments", [("--json",), ("list", "--json")])
def test_programs_get_json(images, arguments):
    """Every image is in it, with its size in bytes."""
    code, out, errors = images(*arguments)
    assert (code, errors) == (0, "")
    rows = json.loads(out)
    assert [row["name"] for row in rows] == list(known_images())
    assert all(row.keys() == {"name", "state", "size_bytes", "modules"} for row in rows)


def test_what_is_there_is_not_made_again(engine, images):
    """The command says so and succeeds."""
    ensure_images(engine, ["busybox:1.37"])
    assert images("build", "busybox:1.37") == (
        0,
        "✓ nothing to do: the images are there and up to date\n",
        "",
    )


def test_what_is_left_out_is_not_made(images):
    """Who leaves out all of them makes nothing, whatever is absent."""
    words = [word for name in known_images() for word in ("--except", name)]
    assert images("make", *words)[:2] == (
        0,
        "✓ nothing to do: the images are there and up to date\n",
    )


def test_an_unknown_image_is_our_trouble(images):
    """Exit 2, with the names that there are."""
    code, _, errors = images("build", "windows:95")
    assert code == 2
    assert "node:24-slim" in errors


def test_a_missing_bundle_is_our_trouble(images, tmp_path):
    """Exit 2, with the file's name."""
    code, _, errors = images("load", str(tmp_path / "none.zip"))
    assert code == 2
    assert "There is no file" in errors
