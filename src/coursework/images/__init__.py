"""Base images: present, pulled, built, bundled and loaded.

An image that somebody else made under the same name is used as it is and never replaced.
"""

import re
from collections.abc import Callable, Iterable

from coursework.engine import Engine
from coursework.files import one_at_a_time
from coursework.images.inventory import Present, look_for, take_inventory
from coursework.images.making import build, forget
from coursework.images.pulling import pull, registry_answers
from coursework.images.recipe import Recipe, load_recipes
from coursework.layout import find_layout
from coursework.trouble import CourseError

__all__ = ["Present", "Recipe", "ensure_images", "known_images", "take_inventory"]

Progress = Callable[[str], None]


def known_images() -> dict[str, Recipe]:
    """Return the recipes of this clone by image name, each after those that it needs."""
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
        The names of those made, with those that they needed.

    Raises:
        CourseError: a name is unknown, or an image can be neither pulled nor built.
    """
    tell: Progress = progress or (lambda _: None)
    recipes = known_images()
    made: list[str] = []

    def ensure(name: str) -> None:
        if look_for(engine, recipes[name]).is_usable:
            return
        # One lock an image: a small one need not wait until a large one is made.
        with one_at_a_time(tell, f"image-{re.sub('[^a-z0-9.]', '-', name)}", f"makes {name}"):
            present = look_for(engine, recipes[name])
            if present.is_usable:
                return
            if not (
                present.state == "absent" and may_pull and _pulled(engine, recipes[name], tell)
            ):
                for need in recipes[name].needs:
                    ensure(need)
                build(engine, recipes[name], tell)
                forget(engine, present.image_id)
            size = look_for(engine, recipes[name]).size_bytes
            tell(f"{name}: done, {size / 1e6:.0f} MB")
            made.append(name)

    wanted = list(dict.fromkeys(names))
    if unknown := [n for n in wanted if n not in recipes]:
        raise CourseError(
            f"The course has no image {unknown[0]}.",
            why=f"images/ makes {', '.join(recipes)}",
            fix="course images list",
        )
    for name in wanted:
        ensure(name)
    return made


def _pulled(engine: Engine, recipe: Recipe, tell: Progress) -> bool:
    """Pull an official image; where the registry refuses, it is left to be built."""
    if not (recipe.is_official and registry_answers(engine, recipe.name)):
        return False
    try:
        pull(engine, recipe.name, tell)
    except CourseError as refused:
        tell(f"{recipe.name}: {refused.why or refused.what}; building it instead")
        return False
    return True
