"""Which base images an engine has, and whose they are."""

from dataclasses import dataclass
from typing import Literal

from coursework.engine import Engine
from coursework.images.recipe import Recipe

LABEL = "course.image"
State = Literal["built", "pulled", "absent", "out of date"]


@dataclass(frozen=True)
class Present:
    """One base image as an engine has it.

    Args:
        recipe: how the course makes it.
        state: `built` by the course, `pulled` or made by somebody else and left as it is,
            `out of date` where its recipe has changed since, or `absent`.
        size_bytes: on the engine's disk; 0 where absent.
        image_id: of the engine; empty where absent.
    """

    recipe: Recipe
    state: State
    size_bytes: int = 0
    image_id: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether it can be built on as it is."""
        return self.state in ("built", "pulled")


def take_inventory(engine: Engine, recipes: dict[str, Recipe]) -> dict[str, Present]:
    """Ask an engine once which of these images it has, by name."""
    found = {}
    for image in engine.client.api.images():
        for tag in image.get("RepoTags") or ():
            found[tag] = image
    return {name: _present(recipe, found.get(name)) for name, recipe in recipes.items()}


def _present(recipe: Recipe, image: dict[str, object] | None) -> Present:
    if image is None:
        return Present(recipe, "absent")
    labels = image.get("Labels")
    label = labels.get(LABEL) if isinstance(labels, dict) else None
    states: dict[object, State] = {None: "pulled", recipe.digest: "built"}
    return Present(
        recipe, states.get(label, "out of date"), int(str(image["Size"])), str(image["Id"])
    )
