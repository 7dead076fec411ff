"""The cluster instrument: namespaces that are filled as a user who may do nothing elsewhere."""

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from shlex import quote

import pytest
import yaml

from coursework.checks.client import Client
from coursework.checks.deadline import Deadline
from coursework.checks.evidence import Evidence
from coursework.checks.failure import Failure, StartFailure
from coursework.checks.retype import curl_command
from coursework.checks.run import CheckRun
from coursework.checks.wire import Address, Connection
from coursework.cluster import kubectl, operations, rootless
from coursework.cluster.api import ApiError, Json, is_true, path_of, selector, without_ending
from coursework.cluster.explain import explain
from coursework.cluster.images import load_images
from coursework.cluster.kubeconfig import Access
from coursework.cluster.namespace import create_namespace, remove_ended_namespaces, remove_namespace
from coursework.cluster.node import API_PORT, DOOR_PORT, Node
from coursework.images import ensure_images
from coursework.trouble import CourseError
from coursework.words import shortened

_POLL_S = 0.05
# Pods change without their workload; and somebody must look at the clock.
_LOOK_AGAIN_S = 0.25
_KUBECTL_WITHIN_S = 30
_PROGRAMMED_WITHIN_S = 3.0
_KUBECTL_BYTES = 4 * 1024**3
# What the API server can do, as kubectl found it out: the same for all.
_CACHE = "/tmp/kubectl"  # noqa: S108 - inside the node
_NOBODY = "65534"
_INSIDE = f"https://localhost:{API_PORT}"
# At which port a learner's terminal looks through `kubectl port-forward`.
_TYPED_PORT = 8080
# How kubectl ends the line of what it did, and begins those around a reason.
_PLAIN = "--filename"
# HTTP's Not Found, and Unprocessable Content: by it the API server names an invalid object.
_OF_THE_OBJECT = (404, 422)
_DONE = (" created", " configured", " unchanged")
# Before these words kubectl prints the whole field, in Go's notation.
_IMMUTABLE = re.compile(r"Invalid value: .*: field is immutable")
_AROUND_A_REASON = ("Warning:", "{", "to:", "Resource:", "Name:")


class Cluster:
    """A Kubernetes beside the answer, with a fresh namespace for whoever asks.

    Args:
        node: which runs.
        evidence: of the run.
        prefix: of the namespaces' names.
        labels: of the namespaces.
        files: that are applied by default: the answer's, by path.
        home: the folder in which a learner has them, for the commands of a report.

    Example:
        >>> shop = cluster.create_namespace()
        >>> shop.apply()
        >>> shop.wait_for_rollout("deployments", "web", within_s=15)
        >>> shop.server("web").get("/api/shows").expect(200)

    """

    def __init__(
        self,
        node: Node,
        evidence: Evidence,
        *,
        prefix: str,
        labels: Mapping[str, str],
        files: Mapping[str, bytes],
        home: Path | None = None,
    ) -> None:
        self.node = node
        self.evidence = evidence
        self.files = files
        self.home = home
        self.api = node.api()
        self._prefix = prefix
        self._labels = labels
        self._namespaces: list[Namespace] = []

    def create_namespace(self, *, restricted: bool = False) -> "Namespace":
        """Make an empty namespace with limits, and a user with all rights in it alone.

        Args:
            restricted: as in production: Pod Security `restricted`, and what a container does not
                say of processors and memory is refused instead of filled in.
        """
        name = f"{self._prefix}-{len(self._namespaces) + 1}"
        access = create_namespace(self.api, name, self._labels, restricted=restricted)
        self._namespaces.append(Namespace(self, name, access))
        return self._namespaces[-1]

    def close(self, *, keep: bool) -> None:
        """Delete the namespaces that were made, unless somebody wants to look at them."""
        for namespace in self._namespaces if not keep else ():
            remove_namespace(self.api, namespace.name)


class Namespace:
    """One namespace: filled as its user, looked at as the cluster's owner."""

    def __init__(self, cluster: Cluster, name: str, access: Access) -> None:
        self.name = name
        self.api = cluster.api
        self._cluster = cluster
        self._access = access
        self._commands = count(1)

    def apply(self, files: Mapping[str, bytes] | None = None, *, folder: str = "k8s") -> None:
        """Apply a folder of manifests, as `kubectl apply -f` does; with Kustomize where it asks.

        Args:
            files: by path; the answer's by default.
            folder: the one whose manifests are applied.

        Raises:
            Failure: the API server refuses one, in its own words.
        """
        laid = self._cluster.files if files is None else files
        option = _option(laid, folder)
        place = f"{self._cluster.home / folder if self._cluster.home else folder}/"
        command = self.kubectl_command("apply", option, place)
        self.note(command)
        below = [path for path in laid if path.startswith(f"{folder}/")]
        if not below:
            raise StartFailure(
                f"manifests in {folder}/", "there is none", command=f"ls {quote(place)}"
            )
        if option == _PLAIN and all(path.count("/") > 1 for path in below):
            raise StartFailure(
                f"manifests in {folder}/ itself",
                f"only folders: {', '.join(sorted({path.split('/')[1] for path in below}))}",
                command=command,
                hint="kubectl apply --filename reads no folders below the one that it is given",
            )
        code, output = self._run_as_user(_needed(laid, folder), "apply", option, f"{folder}/")
        if code:
            named = _namespaces(_needed(laid, folder))
            failure = StartFailure(
                "manifests that the cluster accepts",
                named or _refusals(output),
                command=command,
                hint="take the namespace out: the one who applies decides it" if named else "",
            )
            if named:
                failure.add_note(_refusals(output))
            raise failure

    def rendered(
        self, files: Mapping[str, bytes] | None = None, *, folder: str = "k8s"
    ) -> list[Json]:
        """Return the answer's objects as kubectl would send them, and send none.

        Args:
            files: by path; the answer's by default.
            folder: the one whose manifests are read.

        Raises:
            Failure: they cannot be read.
        """
        laid = self._cluster.files if files is None else files
        # `apply` would look for what is there already, and write it in.
        words = ("create", _option(laid, folder), f"{folder}/", "--dry-run=client")
        code, output = self._run_as_user(_needed(laid, folder), *words, "--output=json")
        command = f"kubectl --namespace {self.name} {' '.join(words)} --output=json"
        if code:
            raise Failure("manifests that kubectl can read", _refusals(output), command=command)
        objects = list(_decoded(output))
        for rendered in objects:
            # kubectl writes in where it would have put it.
            rendered["metadata"].pop("namespace", None)
        return objects

    def apply_objects(self, objects: Sequence[Json]) -> None:
        """Apply objects that a check has changed; see `apply`."""
        whole = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.apply({"k8s/all.json": json.dumps(whole).encode()})

    def roll_back(self, deployment: str) -> None:
        """Type `kubectl rollout undo`.

        Raises:
            Failure: there is nothing to go back to, in kubectl's words.
        """
        words = ("rollout", "undo", f"deployment/{deployment}")
        code, output = self._run_as_user({}, *words)
        if code:
            raise Failure(
                "a rollout undone", _refusals(output), command=self.kubectl_command(*words)
            )

    def execute(self, pod: str, *words: str) -> tuple[int, str]:
        """Run a command in the only container of a pod, as `kubectl exec` does.

        Args:
            pod: its name, or `deployment/web` for one of a workload's pods.
            words: of the command; it ends within 30 s.

        Returns:
            Its exit code, and what it printed to both outputs.
        """
        self.note(self.kubectl_command("exec", pod, "--", *words))
        code, said = self._run_as_user({}, "exec", pod, "--", *words)
        # kubectl's own word of it comes before or after the command's last ones.
        own = f"command terminated with exit code {code}"
        return code, "\n".join(line for line in said.splitlines() if line != own)

    def _run_as_user(self, files: Mapping[str, bytes], *words: str) -> tuple[int, str]:
        """Run kubectl in the node, as nobody there and as the namespace's user in the cluster."""
        access = replace(self._access, server=_INSIDE)
        # A folder for each command: what an earlier one was given is not part of this one.
        place = f"/tmp/{self.name}-{next(self._commands)}"  # noqa: S108 - inside the node
        kubeconfig = access.written(namespace=self.name).encode()
        self._cluster.node.write(place, {**files, "kubeconfig": kubeconfig}, _NOBODY)
        limits = ["timeout", str(_KUBECTL_WITHIN_S), "prlimit", f"--as={_KUBECTL_BYTES}"]
        options = [f"--kubeconfig={place}/kubeconfig", f"--cache-dir={_CACHE}"]
        command = [*limits, "env", "--chdir", place, "kubectl", *options, *words]
        try:
            code, output = self._cluster.node.run_as(_NOBODY, command)
        finally:
            self._cluster.node.remove(place)
        return code, output.strip() or f"kubectl ended with exit code {code} and without a word"

    # --- what is there ------------------------------------------------------------------------

    def get(self, kind: str, name: str) -> Json:
        """Return an object as `kubectl get -o json` does.

        Args:
            kind: in the plural, such as `deployments`.
            name: of the object.

        Raises:
            Failure: there is none.
        """
        command = self.kubectl_command("get", kind, name)
        self.note(command)
        try:
            return self.api.get(kind, name, namespace=self.name)
        except ApiError as error:
            raise Failure(f"{_singular(kind)} {name}", error.message, command=command) from error

    def all_of(self, kind: str, labels: str = "") -> list[Json]:
        """Return all objects of a kind, or those that have the labels, such as `app=web`."""
        return self.api.list(kind, namespace=self.name, labels=labels)

    def pods_of(self, kind: str, name: str) -> list[Json]:
        """Return the pods that a workload selects, without those that are ending."""
        return self._live_pods(self.get(kind, name))

    def ready_pods_of(self, kind: str, name: str) -> list[Json]:
        """Return the pods that a workload selects and that are ready and not ending."""
        return [p for p in self.pods_of(kind, name) if is_true(p, "Ready")]

    def ready_endpoints(self, service: str) -> int:
        """Count the endpoints of a Service to which it leads at this moment."""
        slices = self.all_of("endpointslices", f"kubernetes.io/service-name={service}")
        ends = [end for s in slices for end in s.get("endpoints") or []]
        return sum(bool((end.get("conditions") or {}).get("ready")) for end in ends)

    def _live_pods(self, workload: Json) -> list[Json]:
        return without_ending(self.all_of("pods", selector(workload)))

    def change(self, kind: str, name: str, change: Json) -> None:
        """Change an object by a merge patch, as somebody who may.

        Raises:
            Failure: the object itself does not let it, such as an immutable ConfigMap.
        """
        resource = f"{_singular(kind)} {name}"
        try:
            self.api.patch(kind, name, change, namespace=self.name)
        except ApiError as error:
            if error.code not in _OF_THE_OBJECT:
                raise
            words = (
                "patch",
                _singular(kind),
                name,
                "--type=merge",
                f"--patch={json.dumps(change)}",
            )
            raise Failure(
                f"{resource} that can be changed",
                shortened(error.message, 600),
                command=self.kubectl_command(*words),
            ) from error

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, as somebody who may."""
        self.api.delete(kind, name, namespace=self.name)

    def restart(self, kind: str, name: str) -> None:
        """Type `kubectl rollout restart`: new pods of the same template take over; see `change`."""
        mark = {"kubectl.kubernetes.io/restartedAt": str(time.time())}
        self.change(kind, name, {"spec": {"template": {"metadata": {"annotations": mark}}}})

    def set_image(self, deployment: str, old: str, new: str) -> None:
        """Type `kubectl set image` for each container of a Deployment that has the old image.

        Raises:
            Failure: none has it.
        """
        pod = self.get("deployments", deployment)["spec"]["template"]["spec"]
        if not any(c["image"] == old for c in pod["containers"]):
            images = ", ".join(c["image"] for c in pod["containers"])
            raise Failure(f"a container of {old} in deployment {deployment}", images)
        changed = [{**c, "image": new if c["image"] == old else c["image"]}
                   for c in pod["containers"]]  # fmt: skip
        template = {"template": {"spec": {"containers": changed}}}
        self.change("deployments", deployment, {"spec": template})

    def evict(self, pod: str) -> str:
        """Ask for a pod to go, as `kubectl drain` does.

        Returns:
            Why a disruption budget refuses, in the API server's words; empty where the pod goes.

        Raises:
            Failure: it is refused for another reason, such as two budgets for one pod.
        """
        try:
            return operations.evict(self.api, self.name, pod)
        except ApiError as error:
            raise Failure(f"pod {pod} evicted, or refused by its budget", error.message) from error

    def may(self, account: str, verb: str, kind: str, name: str = "", *, inside: str = "") -> bool:
        """Tell whether a service account may do something, as `kubectl auth can-i` does.

        Args:
            account: of this namespace.
            verb: such as `get`.
            kind: in the plural, such as `configmaps`.
            name: of one object; any by default.
            inside: another namespace in which it would do that.
        """
        where = inside or self.name
        return operations.is_allowed(
            self.api, self.name, account, verb, kind, name=name, inside=where
        )

    def start_job(self, cron_job: str) -> str:
        """Run a CronJob once, now, as `kubectl create job --from` does; return the Job's name.

        Raises:
            Failure: there is no such CronJob.
        """
        name = f"{cron_job}-now"
        operations.start_job(self.api, self.name, self.get("cronjobs", cron_job), name)
        return name

    def log(self, pod: str) -> str:
        """Return what the only container of a pod has printed."""
        return self.api.text(f"{path_of('pods', self.name)}/{pod}/log")

    # --- waiting ------------------------------------------------------------------------------

    def wait_for_rollout(self, kind: str, name: str, *, within_s: float) -> Json:
        """Wait until every replica is of the newest template and ready; return the workload.

        Args:
            kind: `deployments` or `statefulsets`.
            name: of the workload.
            within_s: seconds.

        Raises:
            Failure: it is not there, or not ready in time; with why not.
        """
        return self._wait(kind, name, "ready", self._is_rolled_out, within_s)

    def _is_rolled_out(self, workload: Json) -> bool:
        if not _says_rolled_out(workload):
            return False
        # A controller hears of a pod that is gone a moment later; the pods themselves tell at once.
        ready = sum(is_true(pod, "Ready") for pod in self._live_pods(workload))
        return ready >= int(workload["spec"].get("replicas", 1))

    def wait_for_pods(
        self, kind: str, name: str, *, at_least: int, within_s: float, ready: bool = True
    ) -> list[Json]:
        """Wait until a workload has so many pods, whoever asked for them; return them.

        Args:
            kind: such as `deployments` or `jobs`.
            name: of the workload.
            at_least: how many pods.
            within_s: seconds.
            ready: count those alone that are ready.

        Raises:
            Failure: the workload is not there, or has fewer in time; with why not.
        """

        def found(workload: Json) -> list[Json]:
            return [p for p in self._live_pods(workload) if not ready or is_true(p, "Ready")]

        what = f"with {at_least} {'ready ' if ready else ''}pod{'s' if at_least > 1 else ''}"
        holds = self._wait(kind, name, what, lambda w: len(found(w)) >= at_least, within_s)
        return found(holds)

    def wait_for_job(self, name: str, *, within_s: float) -> Json:
        """Wait until a Job is complete; return it.

        Raises:
            Failure: it is not there, or not complete in time; with why not.
        """
        return self._wait("jobs", name, "complete", lambda job: is_true(job, "Complete"), within_s)

    def _wait(
        self, kind: str, name: str, what: str, holds: Callable[[Json], bool], within_s: float
    ) -> Json:
        deadline = Deadline(within_s)
        while not holds(found := self.get(kind, name)):
            if deadline.has_passed():
                raise self._late(kind, found, f"{what} within {within_s:g} s")
            self.api.wait_for_change(kind, found, within_s=_LOOK_AGAIN_S)
        return found

    def _late(self, kind: str, workload: Json, what: str) -> Failure:
        name = workload["metadata"]["name"]
        why = explain(self.api, self.name, workload)
        shown = ("describe", "pod", why.pod) if why.pod else ("describe", _singular(kind), name)
        failure = Failure(
            f"{_singular(kind)} {name} {what}", why.saw, command=self.kubectl_command(*shown)
        )
        failure.add_note("\n".join([*why.events, why.log]).strip())
        return failure

    # --- asking -------------------------------------------------------------------------------

    def server(self, service: str, *, port: int = 80, patient: bool = True) -> "ClusterClient":
        """Return a client of a Service: it asks by name, from another namespace of the cluster.

        Args:
            service: its name.
            port: of the Service.
            patient: whether it tries again while the rules of a pod that has just become ready
                are written; if not, it asks the Service's address once, for a count of what fails.
        """
        name = f"{service}.{self.name}"
        # The whole name with its dot: nobody outside the cluster is asked for a shorter one.
        host = f"{name}.svc.cluster.local."
        if not patient:
            host = str(self.get("services", service)["spec"]["clusterIP"])
        return ClusterClient(
            self._cluster.node, self, f"service/{service}", name, f"{host}:{port}", patient=patient
        )

    def pod_server(self, pod: Json, *, port: int, patient: bool = True) -> "ClusterClient":
        """Return a client of one pod, at its own address, past every Service; see `server`."""
        name, address = pod["metadata"]["name"], pod["status"].get("podIP", "")
        target = f"{address}:{port}"
        return ClusterClient(self._cluster.node, self, f"pod/{name}", name, target, patient=patient)

    def note(self, command: str) -> None:
        """Remember the command that shows what the running check looked at last."""
        self._cluster.evidence.note_command(command)

    def kubectl_command(self, *words: str) -> str:
        """Return the kubectl command that a learner types to look here."""
        return shlex.join(["kubectl", "--namespace", self.name, *words])


class ClusterClient(Client):
    """Sends requests to a Service or a pod, through the cluster's door."""

    def __init__(
        self,
        node: Node,
        namespace: Namespace,
        resource: str,
        host: str,
        target: str,
        *,
        patient: bool = True,
    ) -> None:
        self._door = node.published_port(DOOR_PORT)
        self._is_patient = patient
        self._namespace = namespace
        self._resource = resource
        self._name = host
        self._target = target

    def connects(self) -> bool:
        """Tell whether a connection from another namespace is accepted at this moment."""
        try:
            self._open(_PROGRAMMED_WITHIN_S).close()
        except Failure:
            return False
        return True

    def _prepare(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        ports = f"{_TYPED_PORT}:{self._target.rpartition(':')[2]}"
        forward = self._namespace.kubectl_command("port-forward", self._resource, ports)
        curl = curl_command(method, path, headers, body, _TYPED_PORT)
        return f"{forward} & sleep 3; {curl}; kill $!"

    def _note(self, command: str) -> None:
        self._namespace.note(command)

    def _host(self) -> str:
        return self._name

    def _open(self, timeout_s: float) -> Connection:
        if self._door is None:
            raise CourseError("The cluster is gone.", fix="course cluster start")
        address = Address("127.0.0.1", self._door, _TYPED_PORT)
        deadline = Deadline(_PROGRAMMED_WITHIN_S)
        while True:
            connection = Connection(address, timeout_s=timeout_s)
            try:
                connection.go_through(self._target)
            except Failure as failure:
                connection.close()
                # kube-proxy writes its rules a moment after a pod has become ready.
                if not self._is_patient or "refused" not in failure.saw:
                    raise
                if self._lacks_endpoints() or deadline.has_passed():
                    raise
                time.sleep(_POLL_S)
            else:
                return connection

    def _explain(self, failure: Failure) -> None:
        if self._is_patient and self._lacks_endpoints():
            failure.saw += f"; {self._resource.replace('/', ' ')} has no ready endpoint"

    def _lacks_endpoints(self) -> bool:
        kind, _, name = self._resource.partition("/")
        if kind != "service":
            return False
        try:
            return not self._namespace.ready_endpoints(name)
        except ApiError:
            return False


def _option(files: Mapping[str, bytes], folder: str) -> str:
    # The names that kubectl apply --kustomize looks for.
    names = ("kustomization.yaml", "kustomization.yml", "Kustomization")
    return "--kustomize" if any(f"{folder}/{name}" in files for name in names) else _PLAIN


def _needed(files: Mapping[str, bytes], folder: str) -> Mapping[str, bytes]:
    """Return the files that kubectl may read: a kustomization may build on other folders."""
    if _option(files, folder) != _PLAIN:
        return files
    return {path: data for path, data in files.items() if path.startswith(f"{folder}/")}


def _namespaces(files: Mapping[str, bytes]) -> str:
    """Say which manifest names a namespace; empty where none does, or where it is no YAML."""
    makes = ""
    for path, data in sorted(files.items()):
        if not path.endswith((".yaml", ".yml", ".json")):
            continue
        with suppress(yaml.YAMLError, UnicodeDecodeError):
            for found in yaml.safe_load_all(data.decode()):
                meta = found.get("metadata") if isinstance(found, dict) else None
                if isinstance(meta, dict) and (name := meta.get("namespace")):
                    return f"{path} names the namespace {str(name)[:60]}"
                if isinstance(found, dict) and found.get("kind") == "Namespace":
                    makes = makes or f"{path} makes a namespace of its own"
    return makes


def _refusals(output: str) -> str:
    """Return the lines in which kubectl says what was refused, without those around them."""
    lines = output.splitlines()
    wrong = [
        _IMMUTABLE.sub("field is immutable", line)
        for line in lines
        if not line.endswith(_DONE) and not line.startswith(_AROUND_A_REASON)
    ]
    return shortened(" · ".join(wrong or lines), 600)


def _decoded(text: str) -> Iterator[Json]:
    """Read JSON values that stand one behind another."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        value, place = decoder.raw_decode(text, place)
        yield value
        place += len(text[place:]) - len(text[place:].lstrip())


def _says_rolled_out(workload: Json) -> bool:
    spec, status = workload["spec"], workload.get("status", {})
    wanted = spec.get("replicas", 1)
    return bool(
        status.get("observedGeneration", 0) >= workload["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("readyReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
    )


def _singular(kind: str) -> str:
    return kind.removesuffix("s") if not kind.endswith("sses") else kind.removesuffix("es")


def start_cluster(run: CheckRun) -> Cluster:
    """Start the Kubernetes beside the answer, with the images that its manifests may name.

    Raises:
        CourseError: it does not come up.
    """
    # A sandbox has no room for a node: the cluster is beside it.
    task, engine, owner = run.task, run.services.engine.outer, run.services.run
    node = Node(engine, rootless=task.rootless and not rootless.unsupported_reason(engine))
    ensure_images(engine, task.module.cluster_images, task.on_line)
    with node.starting(task.on_line):
        # What its system waits for, the processors need not.
        load_images(engine, node, task.module.cluster_images)
    remove_ended_namespaces(node.api(), owner.module)
    return Cluster(
        node, run.evidence, prefix=f"check-{owner.run_id}", labels=owner.labels,
        files=task.submission.files, home=task.home.folder,
    )  # fmt: skip


@pytest.fixture(scope="session")
def cluster(check_run: CheckRun) -> Iterator[Cluster]:
    """Return a Kubernetes beside the submission."""
    started = start_cluster(check_run)
    yield started
    keep = check_run.keeps_failed and check_run.evidence.some_failed
    if keep:
        # A learner need not have started the cluster to type what a report says.
        with suppress(CourseError, OSError):
            kubectl.bring(check_run.services.engine.outer, started.node)
    started.close(keep=keep)
