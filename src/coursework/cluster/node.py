"""The container in which a whole Kubernetes node runs."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Literal

from docker.errors import NotFound

from coursework.cluster import rootless
from coursework.cluster.api import Api, ApiError, is_true
from coursework.cluster.kubeconfig import Access
from coursework.containers.archive import pack, read_file
from coursework.containers.container import address_of, published_port
from coursework.engine import Engine
from coursework.files import one_at_a_time
from coursework.images import ensure_images
from coursework.modules.catalogue import CLUSTER_IMAGE
from coursework.sandbox.place import IMAGE as SANDBOX_IMAGE
from coursework.trouble import CourseError, engine_trouble

NAME = "course-cluster"
ROOTLESS_NAME = "course-cluster-rootless"
API_PORT = 6443
DOOR_PORT = 32767
INGRESS_PORT = 32080

State = Literal["running", "stopped", "absent"]

_ADMIN = "/etc/kubernetes/admin.conf"
_READY_WITHIN_S = 120.0
_ENDS_WITHIN_S = 5
_POLL_S = 0.1
_ITS_API = "its API"
_ROOT = "0"
_LABEL = "course.cluster"
# What a container may not do without these: mount, make networks and cgroups. Only what the host
# itself lacks, or what no node needs, is left out.
_PRIVILEGES = {
    "CapAdd": ["ALL"],
    "CapDrop": ["SYS_RESOURCE"],
    "CgroupnsMode": "private",
    "DeviceCgroupRules": ["a *:* rwm"],
    "MaskedPaths": [],
    "ReadonlyPaths": [],
    "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
}

Tell = Callable[[str], None]


class Node:
    """One cluster of one node; it keeps what is in it until it is deleted.

    Args:
        engine: where its container runs.
        name: of the container; another one is another cluster.
        rootless: its root is an ordinary user of this machine, for manifests of people whom you
            do not know. NodePorts answer inside alone.

    Example:
        >>> node = Node(start_engine())
        >>> node.start(print)
        >>> node.api().list("nodes")[0]["metadata"]["name"]
        'node'

    """

    def __init__(self, engine: Engine, name: str = "", *, rootless: bool = False) -> None:
        self._engine = engine
        self._api: Api | None = None
        self._is_rootless = rootless
        self.name = name or (ROOTLESS_NAME if rootless else NAME)

    @property
    def state(self) -> State:
        """Whether it runs."""
        container = self._find()
        if container is None:
            return "absent"
        return "running" if container.status == "running" else "stopped"

    def start(self, tell: Tell, *, memory: str = "4g") -> None:
        """Make it run and wait until its system is ready; what it held before is there again.

        Args:
            tell: is told each step.
            memory: the limit of all that runs in it, in Docker's notation; of a new one.

        Raises:
            CourseError: it does not come up; with what it said last.
        """
        with self.starting(tell, memory=memory):
            pass

    @contextmanager
    def starting(self, tell: Tell, *, memory: str = "4g") -> Iterator[None]:
        """Make it run; the block begins once its API answers, and its system comes up beside it.

        See `start`.
        """
        if self.state == "absent":
            needed = [CLUSTER_IMAGE, *([SANDBOX_IMAGE] if self._is_rootless else [])]
            ensure_images(self._engine, needed, tell)
        with one_at_a_time(tell, self.name, "starts Kubernetes"):
            self.launch(memory=memory)
        missing = self._wait(tell, lambda missing: missing != _ITS_API)
        yield
        if missing:
            self._wait(tell, lambda missing: not missing)

    def _wait(self, tell: Tell, is_enough: Callable[[str], bool]) -> str:
        """Wait until little enough is missing; return what is."""
        deadline = time.monotonic() + _READY_WITHIN_S
        last = ""
        while not is_enough(missing := self.missing()):
            if time.monotonic() > deadline or self.state != "running":
                raise self._trouble(missing)
            if missing != last:
                tell(f"Kubernetes starts: waiting for {missing}")
            last = missing
            time.sleep(_POLL_S)
        return missing

    def launch(self, *, memory: str = "4g") -> None:
        """Make it run, and wait for nothing; its image must be there.

        Raises:
            CourseError: the engine cannot start it.
        """
        self._api = None
        container = self._find() or self._create(memory)
        if container.status == "running":
            return
        with engine_trouble("The engine cannot start a Kubernetes node."):
            container.start()

    def stop(self) -> bool:
        """End it; what it holds stays. False where it did not run."""
        container = self._find()
        if container is None or container.status != "running":
            return False
        container.stop(timeout=_ENDS_WITHIN_S)
        return True

    def delete(self) -> bool:
        """End it and forget what it holds. False where there is none."""
        container = self._find()
        if container is None:
            return False
        container.remove(force=True, v=True)
        return True

    def access(self) -> Access:
        """Return how its owner reaches it from this machine.

        Raises:
            CourseError: it does not run, or has no certificates yet.
        """
        text = self.read(_ADMIN)
        port = self.published_port(API_PORT)
        if not text or not port:
            raise CourseError("No Kubernetes runs.", fix="course cluster start")
        return replace(Access.read(text.decode()), server=f"https://127.0.0.1:{port}")

    def api(self) -> Api:
        """Return its API, as its owner.

        Raises:
            CourseError: it does not run, or has no certificates yet.
        """
        self._api = self._api or Api(self.access())
        return self._api

    @property
    def address(self) -> str:
        """Its address among the engine's containers, at which NodePorts answer."""
        return address_of(self._required())

    @property
    def ingress(self) -> str:
        """Where Ingresses answer on this machine; empty for a cluster without that port."""
        port = self.published_port(INGRESS_PORT)
        return f"http://localhost:{port}" if port else ""

    def published_port(self, inside: int) -> int | None:
        """Return the port of this machine's loopback address that leads to one of the node's."""
        container = self._find()
        return published_port(container, inside) if container else None

    def memory_bytes(self) -> int:
        """Return the memory that all of it uses, without the kernel's file cache."""
        usage = self._required().stats(stream=False)["memory_stats"]
        cache = usage["stats"].get("total_inactive_file", usage["stats"].get("inactive_file", 0))
        return int(usage["usage"]) - int(cache)

    def read(self, path: str) -> bytes:
        """Return a file of the node; empty where there is none yet."""
        container = self._find()
        if container is None:
            return b""
        try:
            return read_file(container, path)
        except NotFound:
            return b""

    def log(self, lines: int = 50) -> str:
        """Return what the node itself said last: its marks, with the seconds since 1970."""
        return bytes(self._required().logs(tail=lines)).decode(errors="replace").strip()

    def run_inside(self, *command: str) -> str:
        """Run a command in the node, as its owner, and return what it printed.

        Raises:
            CourseError: it failed.
        """
        code, text = self.run_as(_ROOT, command)
        if code:
            raise CourseError(f"{self.name} does not obey: {command[0]}", why=text[-300:])
        return text

    def run_as(self, user: str, command: Sequence[str]) -> tuple[int, str]:
        """Run a command in the node as a user, by number; return exit code and output."""
        code, output = self._required().exec_run([*self.inside(user), *command])
        return int(code), bytes(output).decode(errors="replace")

    @staticmethod
    def inside(user: str) -> tuple[str, ...]:
        """Return the words before a command that the container gets but the node is to run.

        Args:
            user: number of a user of the node.
        """
        return ("inside", user)

    def write(self, folder: str, files: Mapping[str, bytes], owner: str) -> None:
        """Lay files into a folder of the node.

        Args:
            folder: an absolute path; made where there is none.
            files: content by relative path.
            owner: the number of the user who alone may read them.
        """
        self.run_inside("install", "--directory", f"--owner={owner}", "--mode=700", folder)
        number = rootless.owner(int(owner)) if self._is_rootless else int(owner)
        self._required().put_archive(folder, pack(files, mode=0o600, owner=number))

    def remove(self, folder: str) -> None:
        """Remove a folder of the node, with all that is in it."""
        # By the container's root, not the node's: a folder on the way to a file is the engine's.
        self._required().exec_run(["rm", "-r", folder])

    # --- the container ------------------------------------------------------------------------

    def _find(self) -> Any | None:
        try:
            return self._engine.client.containers.get(self.name)
        except NotFound:
            return None

    def _required(self) -> Any:
        container = self._find()
        if container is None:
            raise CourseError("There is no Kubernetes yet.", fix="course cluster start")
        return container

    def _create(self, memory: str) -> Any:
        api: Any = self._engine.client.api
        loopback = dict.fromkeys((API_PORT, DOOR_PORT, INGRESS_PORT), ("127.0.0.1", None))
        host = api.create_host_config(
            port_bindings=loopback, mem_limit=memory, memswap_limit=memory,
            log_config={"type": "json-file", "config": {"max-size": "5m"}},
        )  # fmt: skip
        host.update(rootless.privileges(self._engine) if self._is_rootless else _PRIVILEGES)
        command = list(rootless.COMMAND) if self._is_rootless else None
        made = api.create_container(
            CLUSTER_IMAGE, command, name=self.name, hostname="node", labels={_LABEL: self.name},
            ports=list(loopback), host_config=host,
        )  # fmt: skip
        return self._engine.client.containers.get(made["Id"])

    # --- ready --------------------------------------------------------------------------------

    def missing(self) -> str:
        """Tell what of it is not ready yet; empty where all is."""
        try:
            api = self.api()
            api.text("readyz")
            ready = any(is_true(n, "Ready") for n in api.list("nodes"))
            deployments = api.list("deployments", namespace="kube-system")
            pods = api.list("pods", namespace="kube-system")
            served = api.call("GET", "apis/apiregistration.k8s.io/v1/apiservices")["items"]
        except (CourseError, ApiError):
            return _ITS_API
        if not ready:
            return "its node"
        absent = [d["metadata"]["name"] for d in deployments if not is_true(d, "Available")]
        absent += [s["metadata"]["name"] for s in served if not is_true(s, "Available")]
        # What a node that was stopped kept says for a while that all is as it was.
        absent += self._from_before(pods)
        return ", ".join(absent) if absent or deployments else "its system"

    def _from_before(self, pods: Iterable[Any]) -> list[str]:
        """Return the names of pods with a container that is said to run since before the node."""
        started = _second(self._required().attrs["State"]["StartedAt"])
        return [
            pod["metadata"]["name"]
            for pod in pods
            for container in pod["status"].get("containerStatuses", ())
            if (running := container["state"].get("running"))
            and _second(running["startedAt"]) < started
        ]

    def _trouble(self, missing: str) -> CourseError:
        said = self.log(5) if self._find() else ""
        return CourseError(
            f"Kubernetes does not come up: it lacks {missing}.",
            why=said[-600:] or "it says nothing",
            fix=f"docker exec {self.name} tail /var/log/kubernetes/*.log",
        )


def _second(time_of: str) -> str:
    """Return a moment of Docker's or Kubernetes' as text that sorts: UTC, without fractions."""
    return time_of[: len("2026-01-31T12:00:00")]
