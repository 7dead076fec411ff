"""The one way out of sandboxes: builds reach the package registries through it, nobody else."""

from contextlib import suppress
from typing import Any

from coursework.containers.runs import Run
from coursework.engine import Engine
from coursework.sandbox.place import IMAGE

_PORT = 3128
_COMMAND = ("-d", "-c", "/etc/course/proxy.conf")
_NAMES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")


class Proxy:
    """A forward proxy that many sandboxes share; none of them reaches another through it.

    Args:
        engine: where it runs.
        run: labels it.
    """

    def __init__(self, engine: Engine, run: Run) -> None:
        self._container: Any = engine.client.containers.run(
            IMAGE, list(_COMMAND), entrypoint="tinyproxy", name=f"course-proxy-{run.run_id}",
            labels=run.labels, detach=True, mem_limit="128m", pids_limit=128, init=True,
            security_opt=["no-new-privileges"],
        )  # fmt: skip

    def join(self, network: Any) -> tuple[tuple[str, str], ...]:
        """Let a network's containers reach it; return the arguments that tell a build of it."""
        network.connect(self._container)
        self._container.reload()
        address = self._container.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
        return tuple((name, f"http://{address}:{_PORT}") for name in _NAMES)

    def leave(self, network: Any) -> None:
        """Undo `join`."""
        network.disconnect(self._container, force=True)

    def remove(self) -> None:
        """End it; where the engine is gone, the next run does."""
        with suppress(OSError):
            self._container.remove(force=True)
