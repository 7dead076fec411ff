"""Base images: present, pulled, built, bundled and loaded.

An image that somebody else made under the same name is used as it is and never replaced.
"""

import fcntl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from coursework.engine import Engine
from coursework.images.inventory import Present, take_inventory
from coursework.images.making import build, pull, registry_answers
from coursework.images.recipe import Recipe, load_recipes
from coursework.layout import find_layout, user_cache
from coursework.trouble import CourseError

__all__ = ["Present", "Recipe", "ensure_images", "known_images", "take_inventory"]

Progress = Callable[[str], None]


def known_images() -> dict[str, Recipe]:
    """Give the recipes of this clone by image name, each after those that it needs."""
    return load_recipes(find_layout())


def ensure_images(
    engine: Engine, names: Iterable[str], progress: Progress | None = None, *, may_pull: bool = True
) -> list[str]:
    """Make those of the images that are absent or out of date; the others cost one question.

    Args:
        engine: where they are wanted.
        names: as in FROM lines and in the catalogue.
        progress: is told each step.
        may_pull: whether a registry is asked before an image is built.

    Returns:
        The names of those made.

    Raises:
        CourseError: a name is unknown, or an image can be neither pulled nor built.
    """
    tell: Progress = progress or (lambda _: None)
    recipes = known_images()
    wanted = list(dict.fromkeys(names))
    if unknown := [n for n in wanted if n not in recipes]:
        raise CourseError(
            f"The course has no image {unknown[0]}.",
            why=f"images/ makes {', '.join(recipes)}",
            fix="course images list",
        )
    if all(p.is_usable for p in _of(take_inventory(engine, recipes), wanted)):
        return []
    with _one_at_a_time(tell):
        made: list[str] = []
        for name in wanted:
            _ensure(engine, recipes, name, tell, made, may_pull=may_pull)
        return made


def _of(inventory: dict[str, Present], names: Iterable[str]) -> list[Present]:
    return [inventory[n] for n in names]


def _ensure(
    engine: Engine,
    recipes: dict[str, Recipe],
    name: str,
    tell: Progress,
    made: list[str],
    *,
    may_pull: bool,
) -> None:
    present = take_inventory(engine, recipes)[name]
    if present.is_usable:
        return
    recipe = recipes[name]
    if present.state == "absent" and may_pull and registry_answers(engine, name):
        pull(engine, recipe, tell)
    else:
        for need in recipe.needs:
            _ensure(engine, recipes, need, tell, made, may_pull=may_pull)
        build(engine, recipe, tell)
    made.append(name)


@contextmanager
def _one_at_a_time(tell: Progress) -> Iterator[None]:
    """Let one process make images; another waits and then finds them."""
    path = user_cache() / "images.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another course command prepares images: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
