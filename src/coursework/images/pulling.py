"""Pulling official images from whatever registry the engine reaches."""

import threading
import time
from collections.abc import Callable
from typing import Any

from docker.errors import DockerException

from coursework.engine import Engine
from coursework.trouble import CourseError

REGISTRY_ANSWERS_WITHIN_S = 2.0
_REMEMBERED_S = 300.0
# By the engine's address: when it was asked, and whether a registry answered.
_answers: dict[str, tuple[float, bool]] = {}


def registry_answers(engine: Engine, name: str) -> bool:
    """Tell whether the engine reaches a registry that knows an image; remembered for minutes.

    Args:
        engine: that would pull; which registry it asks is its own configuration.
        name: an image to ask for.
    """
    asked, answered = _answers.get(engine.docker_host, (-_REMEMBERED_S, False))
    if time.monotonic() - asked >= _REMEMBERED_S:
        answered = _ask(engine, name)
        _answers[engine.docker_host] = (time.monotonic(), answered)
    return answered


def _ask(engine: Engine, name: str) -> bool:
    found = threading.Event()

    def ask() -> None:
        try:
            engine.client.images.get_registry_data(name)
        except (DockerException, OSError):
            return
        found.set()

    # The engine itself waits much longer for a registry that is silent.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(REGISTRY_ANSWERS_WITHIN_S)
    return found.is_set()


def pull(engine: Engine, name: str, progress: Callable[[str], None]) -> None:
    """Pull an image; layers that are there already are not fetched again.

    Args:
        engine: that pulls.
        name: of the image, with its tag.
        progress: is told each further twentieth.

    Raises:
        CourseError: the registry refused, the disk is full or the network failed on the way.
    """
    layers: dict[str, tuple[int, int]] = {}
    told = ""
    try:
        for event in engine.client.api.pull(name, stream=True, decode=True):
            if "error" in event:
                raise _cannot(name, event["error"])
            _note_layer(layers, event)
            if (text := _said(name, layers)) and text != told:
                told = text
                progress(text)
    except (DockerException, OSError) as error:
        raise _cannot(name, str(getattr(error, "explanation", None) or error)) from error


def _cannot(name: str, why: str) -> CourseError:
    return CourseError(f"{name} cannot be pulled.", why=why, fix=f"course images build {name}")


def _note_layer(layers: dict[str, tuple[int, int]], event: dict[str, Any]) -> None:
    detail = event.get("progressDetail") or {}
    layer = str(event.get("id", ""))
    if event.get("status") == "Pulling fs layer":
        layers[layer] = (0, 0)
    elif event.get("status") == "Downloading" and detail.get("total"):
        layers[layer] = (int(detail["current"]), int(detail["total"]))
    elif event.get("status") in ("Download complete", "Pull complete") and layer in layers:
        layers[layer] = (layers[layer][1], layers[layer][1])


def _said(name: str, layers: dict[str, tuple[int, int]]) -> str:
    had, size = (sum(v[i] for v in layers.values()) for i in (0, 1))
    whole = sum(a == b > 0 for a, b in layers.values())
    if not size:
        return ""
    rounded = had * 20 // size * size / 20
    return (
        f"{name}: pulling, {whole} of {len(layers)} layers,"
        f" {rounded / 1e6:.0f} of {size / 1e6:.0f} MB"
    )
