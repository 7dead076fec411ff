"""One cleaner for all that ended runs have left in an engine."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from docker import DockerClient
from docker.errors import APIError, NotFound

from coursework.containers.runs import LABEL_RUN, is_alive, label_filters


@dataclass(frozen=True)
class Cleaned:
    """How many objects of each kind were removed."""

    containers: int = 0
    networks: int = 0
    volumes: int = 0
    images: int = 0

    def __str__(self) -> str:
        kinds = [(self.containers, "container"), (self.networks, "network"),
                 (self.volumes, "volume"), (self.images, "image")]  # fmt: skip
        parts = [f"{n} {name}{'' if n == 1 else 's'}" for n, name in kinds if n]
        return ", ".join(parts) or "nothing"


def remove_containers(containers: list[Any], *, wait: bool = True) -> None:
    """Remove containers with their anonymous volumes, side by side; one that is gone is fine.

    Args:
        containers: of the engine's client.
        wait: until they are gone. Else they go while others work, at the latest when this
            process ends; what cannot be removed is found by the next check or `course clean`.
    """
    pool = ThreadPoolExecutor(max_workers=8)
    removals = [pool.submit(_remove, container) for container in containers]
    pool.shutdown(wait=wait)
    if wait:
        for removal in removals:
            removal.result()


def _remove(container: Any) -> None:
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        # Somebody else removes it at this moment.
        if "already in progress" not in str(error):
            raise


def _ended(items: list[Any]) -> list[Any]:
    def run_of(item: Any) -> str:
        return str((item.attrs.get("Labels") or {}).get(LABEL_RUN, ""))

    alive = {run: is_alive(run) for run in {run_of(i) for i in items}}
    return [i for i in items if not alive[run_of(i)]]


def _containers(client: DockerClient, labels: list[str]) -> list[Any]:
    found = client.containers.list(all=True, sparse=True, filters={"label": labels})
    return _ended(found)


def _name(container: Any) -> str:
    """Return the name of a container of a sparse list."""
    return str((container.attrs.get("Names") or [""])[0]).lstrip("/")


def remove_ended_containers(
    client: DockerClient, module: str, kept: Callable[[], Collection[str]]
) -> None:
    """Remove containers that ended runs of a module, in this clone, left behind.

    Args:
        client: of the engine.
        module: whose runs.
        kept: gives the names of those that a learner may still look at.
    """
    found = _containers(client, label_filters(module))
    # Asked after it was seen which runs have ended: each notes what it keeps before it ends.
    names = kept()
    remove_containers([container for container in found if _name(container) not in names])


def remove_named(client: DockerClient, names: Collection[str]) -> None:
    """Remove containers of runs by name, while others work; one that is gone is fine."""
    if names:
        found = client.containers.list(all=True, sparse=True, filters={"label": LABEL_RUN})
        remove_containers([c for c in found if _name(c) in names], wait=False)


def clean(client: DockerClient, module: str | None = None, *, everywhere: bool = False) -> Cleaned:
    """Remove what ended runs left: containers, networks, volumes and images.

    Args:
        client: of the engine to clean.
        module: only what this module's runs made; of all modules by default.
        everywhere: also what other clones of the course have left.
    """
    left = remove_ended(client, module, everywhere=everywhere)
    labels = label_filters(module, everywhere=everywhere)
    return replace(left, images=_remove_images(client, labels))


def remove_ended(
    client: DockerClient,
    module: str | None = None,
    *,
    everywhere: bool = False,
    but: Collection[str] = (),
) -> Cleaned:
    """Remove what ended runs left, but for images: a run that is alive may just have built one.

    Args:
        client: of the engine.
        module: only what this module's runs made; of all modules by default.
        everywhere: also what other clones of the course have left.
        but: names of containers and networks that stay.
    """
    labels = label_filters(module, everywhere=everywhere)
    containers = [c for c in _containers(client, labels) if _name(c) not in but]
    remove_containers(containers)
    networks = _ended(client.networks.list(filters={"label": labels}))
    networks = [network for network in networks if network.name not in but]
    volumes = _ended(client.volumes.list(filters={"label": labels}))
    for item in [*networks, *volumes]:
        item.remove()
    return Cleaned(len(containers), len(networks), len(volumes))


def _remove_images(client: DockerClient, labels: list[str]) -> int:
    removed = 0
    for image in client.images.list(all=False, filters={"label": labels}):
        try:
            client.images.remove(str(image.id), force=len(image.tags) > 1)
            removed += 1
        except APIError as error:
            # A run that is alive still uses it.
            if error.status_code != 409:  # noqa: PLR2004 - HTTP's Conflict
                raise
    return removed
