"""What a lesson leaves in the engine: objects that carry its name."""

from collections.abc import Iterator
from dataclasses import dataclass

from docker.errors import APIError, NotFound

from coursework.engine import Engine

# Lessons name what they make so; what others make in the same engine is no business of theirs.
PREFIX = "lantern"
# HTTP's Conflict; for a network that containers are still joined to, the engine says Forbidden.
_IN_USE = (403, 409)
_REMOVAL: dict[str, dict[str, bool]] = {
    "container": {"v": True, "force": True},
    "image": {"force": True},
    "network": {},
    "volume": {"force": True},
}


@dataclass(frozen=True, order=True)
class Leftover:
    """One object of a lesson.

    Args:
        kind: container, image, network or volume; removed in this order.
        name: as `docker ps` and the like show it.
        object_id: by which the engine removes it: of an image, its name alone goes.
    """

    kind: str
    name: str
    object_id: str


def lesson_objects(engine: Engine) -> set[Leftover]:
    """Return all objects that carry a lesson's name."""
    return {found for found in _all(engine) if _is_of_lesson(found.name)}


def remove(engine: Engine, found: Leftover) -> None:
    """Remove one of them; it may be gone already."""
    try:
        getattr(engine.client.api, f"remove_{found.kind}")(found.object_id, **_REMOVAL[found.kind])
    except NotFound:
        return
    except APIError as error:
        # Another lesson uses it, or the engine removes it at this moment.
        if error.status_code not in _IN_USE:
            raise


def _all(engine: Engine) -> Iterator[Leftover]:
    api = engine.client.api
    for container in api.containers(all=True):
        names = [name.lstrip("/") for name in container["Names"] or ()]
        # `docker run lantern` gives a name of the engine's choice.
        named = [n for n in (*names, str(container["Image"])) if _is_of_lesson(n)]
        if named:
            yield Leftover("container", named[0], container["Id"])
    for image in api.images():
        for tag in image["RepoTags"] or ():
            yield Leftover("image", tag, tag)
    for network in api.networks():
        yield Leftover("network", network["Name"], network["Id"])
    for volume in api.volumes()["Volumes"] or ():
        yield Leftover("volume", volume["Name"], volume["Name"])


def _is_of_lesson(name: str) -> bool:
    rest = name.removeprefix(PREFIX)
    return rest != name and (not rest or rest[0] in "-_:/.")
