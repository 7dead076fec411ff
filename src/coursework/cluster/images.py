"""Images of the engine that the node must have: what is built here is never pulled by a cluster."""

from collections.abc import Iterable, Mapping

from docker.errors import ImageNotFound

from coursework.cluster.node import Node
from coursework.engine import Engine
from coursework.images.transfer import load_blocks, saved_blocks
from coursework.trouble import CourseError

_LABEL = "course.id"
_CTR = ("ctr", "--namespace", "k8s.io", "images")


def load_images(engine: Engine, node: Node, names: Iterable[str]) -> list[str]:
    """Copy images into the node; those that it has already, as they are, cost nothing.

    Args:
        engine: that has them.
        node: which runs.
        names: as manifests write them.

    Returns:
        The names of those copied.

    Raises:
        CourseError: an image is not there, or cannot be copied.
    """
    ids = {name: _id(engine, name) for name in dict.fromkeys(names)}
    present = _present(node)
    absent = [name for name, image_id in ids.items() if present.get(_full(name)) != image_id]
    if absent:
        _copy(engine, node, absent)
        _label(node, {name: ids[name] for name in absent})
    return absent


def _id(engine: Engine, name: str) -> str:
    try:
        return str(engine.client.images.get(name).id)
    except ImageNotFound as error:
        raise CourseError(
            f"The engine has no image {name}.", fix=f"docker build --tag {name} ."
        ) from error


def _present(node: Node) -> dict[str, str]:
    """Return the id that each image of the node had in the engine."""
    found = {}
    for line in node.run_inside(*_CTR, "list").splitlines()[1:]:
        name, labels = line.split()[0], line.split()[-1]
        pairs = dict(pair.split("=", 1) for pair in labels.split(",") if "=" in pair)
        found[name] = pairs.get(_LABEL, "")
    return found


def _copy(engine: Engine, node: Node, names: list[str]) -> None:
    """Copy images at once: a layer that several have goes through once."""
    ctr = (*node.inside("0"), *_CTR, "import", "--all-platforms", "-")
    into = ("docker", "exec", "--interactive", node.name, *ctr)
    refusal = f"{', '.join(names)} cannot be copied into the cluster."
    load_blocks(engine, saved_blocks(engine, names), into, refusal)


def _label(node: Node, ids: Mapping[str, str]) -> None:
    """Write down which id each image had in the engine."""
    words = [word for name, found in ids.items() for word in (_full(name), f"{_LABEL}={found}")]
    # One command for all: each that is run in a container takes a quarter of a second.
    label = f'while [ $# -gt 0 ]; do {" ".join(_CTR)} label "$1" "$2" || exit; shift 2; done'
    node.run_inside("sh", "-c", label, "sh", *words)


def _full(name: str) -> str:
    """Write a name as containerd does: with the registry that a short one stands for."""
    first = name.split("/", maxsplit=1)[0]
    if ":" not in name.rsplit("/", maxsplit=1)[-1]:
        name = f"{name}:latest"
    if "/" not in name:
        return f"docker.io/library/{name}"
    return name if "." in first or ":" in first or first == "localhost" else f"docker.io/{name}"
