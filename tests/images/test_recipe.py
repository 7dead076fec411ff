"""Recipes are read from images/, and their digests change with what goes in."""

import shutil

import pytest

from coursework.images.recipe import load_recipes
from coursework.layout import Layout, find_layout
from coursework.trouble import CourseError


@pytest.fixture
def clone(tmp_path):
    """Return a copy of the parts that recipes are read from."""
    root = find_layout().root
    for name in ("images", "solutions", "graders"):
        shutil.copytree(root / name, tmp_path / "a" / name)
    return tmp_path / "a"


def digests(root):
    load_recipes.cache_clear()
    return {name: recipe.digest for name, recipe in load_recipes(Layout(root)).items()}


def test_an_image_comes_after_those_that_it_needs():
    """The order of recipes is an order to build in."""
    recipes = load_recipes(find_layout())
    done: set[str] = set()
    for name, recipe in recipes.items():
        assert set(recipe.needs) <= done
        done.add(name)
    assert {"python:3.13-slim", "node:24-slim", "nginx:1.26", "busybox:1.37"} <= done


def test_the_digest_is_the_same_everywhere(clone):
    """The folder that a clone lies in does not count."""
    shutil.copytree(clone, clone.parent / "b")
    assert digests(clone) == digests(clone.parent / "b")


def test_a_changed_lock_changes_its_image_alone(clone):
    """A new package-lock.json rebuilds Node's image and leaves Python's as it is."""
    before = digests(clone)
    lock = next(clone.glob("solutions/*/starter/package-lock.json"))
    lock.write_text(lock.read_text("utf-8") + "\n", "utf-8")
    after = digests(clone)
    assert {n for n in before if before[n] != after[n]} == {"node:24-slim"}


def test_packages_of_an_image_change_nothing_built_on_it(clone):
    """New requirements rebuild Python's image; Node's, which is unpacked with it, stays."""
    before = digests(clone)
    lock = next(clone.glob("graders/*/right/*/requirements.txt"))
    lock.write_text(lock.read_text("utf-8") + "\n", "utf-8")
    after = digests(clone)
    assert {n for n in before if before[n] != after[n]} == {"python:3.13-slim"}


def test_the_courses_own_names_are_asked_of_no_registry():
    """Somebody else could own that name there."""
    official = {r.name for r in load_recipes(find_layout()).values() if r.is_official}
    assert "node:24-slim" in official
    assert "course/tools:1" not in official


def test_a_changed_base_changes_what_stands_on_it(clone):
    """A change of the Debian base rebuilds everything."""
    before = digests(clone)
    file = clone / "images" / "debian" / "Dockerfile"
    file.write_text(file.read_text("utf-8") + "# more\n", "utf-8")
    after = digests(clone)
    assert all(before[n] != after[n] for n in before)


def test_a_dockerfile_without_a_name_is_said(clone):
    """A recipe that does not say which image it makes is refused with the line to write."""
    (clone / "images" / "busybox" / "Dockerfile").write_text("FROM scratch\n", "utf-8")
    with pytest.raises(CourseError, match="images/busybox/Dockerfile does not say") as error:
        digests(clone)
    assert "# image:" in error.value.fix


def test_a_need_that_nothing_makes_is_said(clone):
    """A FROM line that no folder answers names both images."""
    (clone / "images" / "busybox" / "Dockerfile").write_text(
        "# image: busybox:1.37\nFROM alpine:3\n", "utf-8"
    )
    with pytest.raises(CourseError, match="makes alpine:3") as error:
        digests(clone)
    assert "busybox:1.37" in error.value.why


def test_the_sandboxes_compose_is_the_learners():
    """What a check runs in a sandbox is what the locked environment brings."""
    root = find_layout().root
    pinned = (root / "images/sandbox/compose.txt").read_text("utf-8")
    lock = (root / "requirements.lock").read_text("utf-8")
    assert pinned.strip() in lock
