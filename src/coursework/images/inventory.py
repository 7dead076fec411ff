"""Which base images an engine has, and whose they are."""

from dataclasses import dataclass
from typing import Any, Literal

from docker.errors import ImageNotFound

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
    """Ask an engine which of these images it has, by name."""
    return {name: look_for(engine, recipe) for name, recipe in recipes.items()}


def look_for(engine: Engine, recipe: Recipe) -> Present:
    """Ask an engine for one image."""
    try:
        # A millisecond each; a list of all images takes fifty where a class has built hundreds.
        image: dict[str, Any] = engine.client.api.inspect_image(recipe.name)  # type: ignore[no-untyped-call]
    except ImageNotFound:
        return Present(recipe, "absent")
    label = ((image.get("Config") or {}).get("Labels") or {}).get(LABEL)
    states: dict[str | None, State] = {None: "pulled", recipe.digest: "built"}
    return Present(recipe, states.get(label, "out of date"), image["Size"], image["Id"])
