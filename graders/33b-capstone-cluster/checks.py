import itertools
import json
import math
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Cluster,
    Deadline,
    Failure,
    Namespace,
    Random,
    Reply,
    Stream,
    at_rate,
    fail,
    points,
)

Json = dict[str, Any]

FEWEST, UP_WITHIN_S, CONFIRMED_WITHIN_S = 2, 60, 15
ROLLED_WITHIN_S, LISTENS_FOR_S = 90, 2
BACK_WITHIN_S, FINAL_WITHIN_S = 30, 30
FAILED_WITHIN_S, LIMIT_PROGRESS_S = 15, 10
# So long a liveness probe of the contract takes to restart what it takes for dead.
LIMIT_LIVENESS_S, AWAY_FOR_S = 10, 12
PER_S, EACH_NTH_BUYS, SHOWS = 16, 4, 12
WAITING, ATTEMPTS = 8, 3
# After this the worker sends once more what the broker may have lost.
SENT_AGAIN_AFTER_S = 15
ACCEPTED, LATE_S, POLL_S = 202, 15, 0.1
METRICS_PORT = 9100

NAMESPACE, RELEASE, PROGRAM = "namespace", "release", "lantern/opening"
SECRET, TYPED_IN = "lantern-secret", "alas-poor-yorick"
KEEPERS = ("db", "broker", "cache")
PROGRAMS = (("deployments", "edge"), ("deployments", "worker"), ("statefulsets", "db"))
STAGE = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [{resources}]
images: [{{name: lantern/opening, newTag: "{tag}"}}]
"""
# What no account of the answer may do: verb and kind.
FORBIDDEN = (
    ("get", "secrets"), ("list", "secrets"), ("get", "configmaps"), ("list", "pods"),
    ("create", "pods"), ("patch", "deployments"), ("create", "rolebindings"),
)  # fmt: skip
PASSWORD_IN_URL = re.compile(r"""://[^:/@\s"]*:(?!\$\()[^@/\s"]+@""")


# --- a namespace with the answer in it -----------------------------------------------------------


class Night:
    """The namespace, what only it knows, and the sale in it."""

    def __init__(self, cluster: Cluster, random: Random) -> None:
        self.namespace = cluster.create_namespace(restricted=True)
        self.password = f"{random.word()}-{random.word()}"
        self.staff_key = f"{random.word()}-{random.word()}"
        self.sale = Sale(self.namespace, self.staff_key, random)
        self._files = cluster.files
        self.apply(NAMESPACE, "secret.yaml, partners.yaml, ../overlays/prod", "1")

    def apply(self, folder: str, resources: str, tag: str) -> None:
        """Apply the answer, as the given kustomization of that folder does."""
        name = self.namespace.name
        stage = STAGE.format(namespace=name, resources=resources, tag=tag)
        secret = self._files[f"{NAMESPACE}/secret.yaml"].decode().replace(TYPED_IN, self.password)
        secret = secret.replace("put-out-the-light", self.staff_key)
        files = {
            f"{folder}/kustomization.yaml": stage.encode(),
            f"{NAMESPACE}/secret.yaml": secret.encode(),
        }
        try:
            self.namespace.apply({**self._files, **files}, folder=folder)
        except Failure as failure:
            # The learner's own kustomization names another namespace.
            failure.command = CHECK_AGAIN
            raise


@pytest.fixture(scope="module")
def night(cluster: Cluster, random: Random) -> Night:
    """Return the night, with the unchanged answer applied."""
    return Night(cluster, random)


# --- the sale ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bought:
    """A booking that was accepted."""

    number: str
    show: int
    seat: str
    price: int


class Sale:
    """A buyer with a session, shows with their seats, and what was accepted so far."""

    def __init__(self, namespace: Namespace, staff_key: str, random: Random) -> None:
        self.accepted: list[Bought] = []
        self._namespace, self._staff_key, self._random = namespace, staff_key, random
        self._requests = itertools.count(1)
        self._cookie = ""
        self._seats: list[tuple[int, str, int]] = []

    def open(self) -> None:
        """Let a buyer sign in, and put the shows on sale."""
        edge, random = self._namespace.server("edge"), self._random
        account = {"user": random.word(), "password": f"{random.word()}-{random.word()}"}
        edge.post("/api/users", json=account).expect(201)
        reply = edge.post("/api/login", json=account).expect(204, headers={"Set-Cookie": None})
        self._cookie = reply.headers["set-cookie"].partition(";")[0]
        for number in range(SHOWS):
            price = 100 * random.integer(10, 90) + number + 1
            show = {"title": random.word(), "starts_at": "2027-03-01T19:30:00Z"}
            made = edge.post(
                "/v2/shows",
                json={**show, "price_cents": price},
                headers={"X-Staff-Key": self._staff_key},
            ).expect(201)
            identity = made.json()["id"]
            self._seats += [
                (identity, f"{row}{n}", price) for row in "ABCDEF" for n in range(1, 11)
            ]
        self._seats = random.shuffled(self._seats)

    def going_on(self) -> Stream[Reply]:
        """Ask all the time, on a new connection each time and only once; each fourth one buys."""
        # The address is asked for once: a client of a name would hide what it leads to.
        client = self._namespace.server("edge", patient=False)

        def ask() -> Reply:
            if next(self._requests) % EACH_NTH_BUYS == 0:
                return self._buy(client.post)
            return client.get("/v2/shows", headers=self._headers(), timeout_s=LATE_S)

        return at_rate(ask, per_s=PER_S)

    def buy(self) -> Bought:
        """Buy the next free seat."""
        self._buy(self._namespace.server("edge").post).expect(ACCEPTED)
        return self.accepted[-1]

    def _buy(self, post: Callable[..., Reply]) -> Reply:
        show, seat, price = self._seats.pop()
        headers = self._headers() | {"Idempotency-Key": f"{show}-{seat}"}
        order = {"show_id": show, "seat": seat}
        reply = post("/api/bookings", json=order, headers=headers, timeout_s=LATE_S)
        if reply.status == ACCEPTED:
            self.accepted.append(Bought(str(reply.json()["id"]), show, seat, price))
        return reply

    def is_counted(self) -> bool:
        """Tell whether the edge has counted a request, which it does in the cache."""
        reply = self._namespace.server("edge").get("/v2/shows", headers=self._headers())
        return "RateLimit" in reply.expect(200).headers

    def read(self, bought: Bought) -> Reply:
        """Ask for a booking as its buyer does."""
        edge = self._namespace.server("edge")
        return edge.get(f"/api/bookings/{bought.number}", headers=self._headers())

    def _headers(self) -> dict[str, str]:
        """Return what the proxy in front of the edge writes, another address each time."""
        number = next(self._requests)
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        return {"X-Forwarded-For": address, "Cookie": self._cookie}

    def ledger(self) -> Json:
        """Return what the payment company has done so far."""
        return dict(self._partners().get("/ledger").expect(200).json())

    def _partners(self) -> Any:
        return self._namespace.server("partners", port=4000)

    @contextmanager
    def company_silent(self) -> Iterator[None]:
        """Keep the payment company from answering, until the block ends."""
        self._partners().post("/hold").expect(200)
        try:
            yield
        finally:
            self._partners().post("/release").expect(200)

    def settle(self, within_s: float = FINAL_WITHIN_S) -> None:
        """Wait until every accepted booking has its answer, and compare it with what was paid."""
        deadline = Deadline(within_s)
        statuses = {}
        for bought in list(self.accepted):
            while (status := self._status(bought)) == "pending":
                if deadline.has_passed():
                    fail(
                        f"every accepted booking confirmed or cancelled within {within_s:g} s",
                        f"booking {bought.number} is still pending",
                        command=CHECK_AGAIN,
                    )
                time.sleep(POLL_S)
            statuses[bought] = status
        self._expect_sums(statuses)

    def _status(self, bought: Bought) -> str:
        """Return a booking's status; it must be there, as it was bought."""
        reply = self.read(bought)
        wanted = {"show_id": bought.show, "seat": bought.seat, "price_cents": bought.price}
        return str(reply.expect(200, json=wanted).json().get("status"))

    def _expect_sums(self, statuses: dict[Bought, str]) -> None:
        ledger = self.ledger()
        paid = Counter(c["booking_id"] for c in ledger["charges"])
        paid.subtract(c["booking_id"] for c in ledger["refunds"])
        amounts = {c["booking_id"]: c["amount_cents"] for c in ledger["charges"]}
        for bought, status in statuses.items():
            wanted = int(status == "confirmed")
            if paid.pop(bought.number, 0) != wanted or (
                wanted and amounts[bought.number] != bought.price
            ):
                fail(
                    f"booking {bought.number}, which is {status}, paid for "
                    f"{'once' if wanted else 'not at all'}: {wanted * bought.price} cents",
                    f"{amounts.get(bought.number, 'no charge')}",
                    command=CHECK_AGAIN,
                )
        if strays := [number for number, times in paid.items() if times]:
            fail("charges for accepted bookings alone", f"one for {strays[0]}", command=CHECK_AGAIN)


# --- words that several checks share -------------------------------------------------------------


def names(pods: list[Json]) -> set[str]:
    """Return the names of pods."""
    return {pod["metadata"]["name"] for pod in pods}


def wait_until(holds: Callable[[], bool], within_s: float, late: Callable[[], Failure]) -> None:
    """Wait until something holds, or raise what is told of it when it is late."""
    deadline = Deadline(within_s)
    while not holds():
        if deadline.has_passed():
            raise late()
        time.sleep(POLL_S)


def wait_for_edge(namespace: Namespace, within_s: float = BACK_WITHIN_S) -> list[Json]:
    """Wait until two pods of edge are ready, and the Service leads to them; return the pods."""
    found = namespace.wait_for_pods("deployments", "edge", at_least=FEWEST, within_s=within_s)
    wait_until(
        lambda: namespace.ready_endpoints("edge") >= FEWEST,
        BACK_WITHIN_S,
        lambda: Failure(
            f"a Service edge that leads to {FEWEST} ready pods",
            f"{namespace.ready_endpoints('edge')}",
            command=namespace.kubectl_command("get", "endpointslices"),
        ),
    )
    return found


def wait_until_gone(namespace: Namespace, gone: set[str]) -> None:
    """Wait until pods that are ending have ended."""
    wait_until(
        lambda: not gone & names(namespace.all_of("pods")),
        ROLLED_WITHIN_S,
        lambda: Failure(
            "the old pods gone",
            f"still there: {', '.join(sorted(gone & names(namespace.all_of('pods'))))}",
            command=namespace.kubectl_command("get", "pods"),
        ),
    )


def endpoints(namespace: Namespace, service: str) -> set[tuple[str, int]]:
    """Return the addresses and ports to which a Service leads."""
    slices = namespace.all_of("endpointslices", f"kubernetes.io/service-name={service}")
    return {
        (address, port["port"])
        for s in slices
        for end in s.get("endpoints") or []
        for address in end["addresses"]
        for port in s.get("ports") or []
    }


class Seen:
    """What was seen of edge beside a release."""

    def __init__(self, namespace: Namespace, old: list[Json]) -> None:
        self.fewest_endpoints = 99
        self.deaf: list[str] = []
        self._namespace, self._old = namespace, names(old)
        self._port = min(port for _, port in endpoints(namespace, "edge"))

    def look(self) -> None:
        """Count the ready endpoints, and ask each pod that is ready or has just begun to leave."""
        ready = self._namespace.ready_endpoints("edge")
        self.fewest_endpoints = min(self.fewest_endpoints, ready)
        for pod in self._namespace.ready_pods_of("deployments", "edge"):
            failure = self._failure(pod)
            if failure and "refused" in failure.saw and self._is_ready(pod):
                self.deaf.append(f"{failure.saw}, though the pod counts as ready")
        for pod in self._namespace.all_of("pods"):
            if pod["metadata"]["name"] not in self._old or not is_listening_time(pod):
                continue
            failure = self._failure(pod)
            # What a busy machine asks too late was not promised.
            if failure and is_listening_time(pod):
                self.deaf.append(f"{failure.saw}, less than {LISTENS_FOR_S} s after its deletion")

    def _failure(self, pod: Json) -> Failure | None:
        try:
            self._namespace.pod_server(pod, port=self._port, patient=False).get("/healthz")
        except Failure as failure:
            return failure
        return None

    def _is_ready(self, pod: Json) -> bool:
        return names([pod]) <= names(self._namespace.ready_pods_of("deployments", "edge"))


def is_listening_time(pod: Json) -> bool:
    """Tell whether a pod's deletion began so recently that it must still accept connections."""
    metadata = pod["metadata"]
    if not (ends := metadata.get("deletionTimestamp")):
        return False
    grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
    return time.time() < datetime.fromisoformat(ends).timestamp() - grace + LISTENS_FOR_S


@contextmanager
def watching(namespace: Namespace, old: list[Json]) -> Iterator[Seen]:
    """Look again and again, until the block ends."""
    seen, done = Seen(namespace, old), threading.Event()

    def look() -> None:
        while not done.wait(POLL_S):
            seen.look()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def expect_no_loss(stream: Stream[Reply]) -> None:
    """Fail unless each request was answered as on a quiet day."""
    counted = stream.count(lambda reply: reply.status)
    wrong = {str(key): n for key, n in counted.items() if key not in (200, ACCEPTED)}
    if wrong:
        worst = ", ".join(f"{key} ({n})" for key, n in sorted(wrong.items(), key=lambda p: -p[1]))
        fail(
            f"all requests answered with 200 or {ACCEPTED}",
            f"{sum(wrong.values())} of {counted.total()} not: {worst[:300]}",
            command=CHECK_AGAIN,
        )


# --- what is applied -----------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "kubectl get pods, and describe the one that isn't ready. If there is no pod, the "
            "events of its ReplicaSet or StatefulSet say why it was refused."
        ),
        (
            "Each container: runAsNonRoot with a runAsUser where the image's user is a name (999 "
            "for postgres and redis, 4222 for nats), allowPrivilegeEscalation: false, "
            "capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}, requests for cpu "
            "and memory, a limit for memory; and a volume where it writes."
        ),
    ),
    link="What keeps state comes first",
)
def check_stands_up(night: Night) -> None:
    """One apply to the restricted namespace: two pods of edge within 60 s, a booking confirmed"""
    namespace = night.namespace
    wait_for_edge(namespace, within_s=UP_WITHIN_S)
    night.sale.open()
    bought = night.sale.buy()
    wait_until(
        lambda: night.sale.read(bought).json().get("status") == "confirmed",
        CONFIRMED_WITHIN_S,
        lambda: Failure(
            f"a booking that is confirmed within {CONFIRMED_WITHIN_S} s",
            night.sale.read(bought).text.strip()[:200],
            command=namespace.kubectl_command("logs", "deployment/worker"),
        ),
    )
    night.sale.settle()
    expect_images(night, "1")
    wait_until(
        night.sale.is_counted,
        CONFIRMED_WITHIN_S,
        lambda: Failure(
            "an edge that counts requests in the cache: GET /v2/shows with a field RateLimit",
            f"no such field; the Service cache leads to {namespace.ready_endpoints('cache')} pods",
            command=namespace.kubectl_command("logs", "deployment/edge", "--tail=5"),
        ),
    )


def expect_images(night: Night, tag: str) -> None:
    """Fail unless every pod runs the image that the contract names."""
    namespace = night.namespace
    wanted = {"edge": f"{PROGRAM}:{tag}", "worker": f"{PROGRAM}:{tag}"}
    for name, image in wanted.items():
        for pod in namespace.pods_of("deployments", name):
            images = [container["image"] for container in pod["spec"]["containers"]]
            if image not in images:
                fail(f"a container of {image} in each pod of {name}", ", ".join(images))


@points(
    2,
    needs=("stands_up",),
    hints=(
        (
            "kubectl get pod -o yaml shows users, tokens and root file systems, and kubectl get "
            "poddisruptionbudgets shows how many pods may go. Then try to connect from a pod in "
            "another namespace."
        ),
        (
            "readOnlyRootFilesystem: true for edge and worker; automountServiceAccountToken: false "
            "in every pod; secretKeyRef for every password; a PodDisruptionBudget with "
            "minAvailable: 1 that selects edge; and a NetworkPolicy for db, broker and cache that "
            "lets in podSelector: {}."
        ),
    ),
    link="Lean and locked: walls, tokens, passwords",
)
def check_runs_lean_and_locked(night: Night) -> None:
    """Roots are read-only, evictions bounded, no token, no password in the open, no strangers in"""
    namespace = night.namespace
    pods = [
        pod
        for pod in namespace.all_of("pods")
        if pod["metadata"].get("labels", {}).get("app") != "partners"
    ]
    for pod in pods:
        expect_no_token(namespace, pod)
    for account in {pod["spec"].get("serviceAccountName", "default") for pod in pods}:
        expect_no_rights(namespace, account)
    for kind, name in PROGRAMS:
        for pod in namespace.pods_of(kind, name):
            expect_secret_used(namespace, pod)
            if name != "db":
                expect_read_only_root(namespace, pod)
    expect_no_password_elsewhere(night)
    expect_walls(namespace)
    drain(namespace)


def expect_no_token(namespace: Namespace, pod: Json) -> None:
    """Fail if a service account's token is mounted into a pod."""
    for volume in pod["spec"].get("volumes") or []:
        sources = (volume.get("projected") or {}).get("sources") or []
        if any("serviceAccountToken" in source for source in sources):
            name = pod["metadata"]["name"]
            command = namespace.kubectl_command("get", "pod", name, "--output=yaml")
            fail("no service account token in any pod", f"pod {name} has one", command=command)


def expect_no_rights(namespace: Namespace, account: str) -> None:
    """Fail if an account that pods run as may do something."""
    for verb, kind in FORBIDDEN:
        if namespace.may(account, verb, kind):
            user = f"--as=system:serviceaccount:{namespace.name}:{account}"
            fail(
                f"service account {account} may not {verb} {kind}",
                "it may",
                command=namespace.kubectl_command("auth", "can-i", verb, kind, user),
            )


def expect_read_only_root(namespace: Namespace, pod: Json) -> None:
    """Fail unless no container of a pod can write to its root file system."""
    for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
        if not (container.get("securityContext") or {}).get("readOnlyRootFilesystem"):
            name = pod["metadata"]["name"]
            fail(
                "readOnlyRootFilesystem: true in each container of edge and worker",
                f"container {container['name']} of pod {name} may write",
                command=namespace.kubectl_command("get", "pod", name, "--output=yaml"),
            )


def expect_secret_used(namespace: Namespace, pod: Json) -> None:
    """Fail unless a pod gets something from the Secret of the namespace."""
    if SECRET not in json.dumps(pod["spec"]):
        name = pod["metadata"]["name"]
        fail(
            f"the password from the Secret {SECRET}",
            f"pod {name} gets nothing from it",
            command=namespace.kubectl_command("get", "pod", name, "--output=yaml"),
        )


def expect_no_password_elsewhere(night: Night) -> None:
    """Fail if a password is written into an object that is no Secret."""
    namespace = night.namespace
    for kind in ("configmaps", "deployments", "statefulsets", "jobs", "cronjobs", "pods"):
        for found in namespace.all_of(kind):
            # What kubectl applied is remembered in an annotation, in other words once more.
            found["metadata"].pop("annotations", None)
            text = json.dumps(found)
            if PASSWORD_IN_URL.search(text) or TYPED_IN in text or night.password in text:
                name = f"{kind.removesuffix('s')} {found['metadata']['name']}"
                words = ("get", *name.split(), "--output=yaml")
                fail(
                    "passwords in Secrets alone",
                    f"one is written in {name}",
                    command=namespace.kubectl_command(*words),
                )


def drain(namespace: Namespace) -> None:
    """Evict each pod of edge without waiting for another one to take its place."""
    command = namespace.kubectl_command("get", "poddisruptionbudgets")
    pods = sorted(names(wait_for_edge(namespace)))
    refused = ""

    def is_granted() -> bool:
        nonlocal refused
        refused = namespace.evict(pods[0])
        return not refused

    # The budget counts the pods that are ready a moment after they are.
    wait_until(
        is_granted, 5, lambda: Failure("the first eviction granted", refused, command=command)
    )
    if not any(namespace.evict(pod) for pod in pods[1:]):
        fail("a budget that refuses to evict the last pod", "all were granted", command=command)


def expect_walls(namespace: Namespace) -> None:
    """Fail unless strangers reach edge and the metrics, and nothing that keeps data."""
    for name in KEEPERS:
        for address, port in endpoints(namespace, name):
            expect_wall(namespace, name, address, port)
    for pod in namespace.pods_of("deployments", "worker"):
        metrics(namespace, pod)


def expect_wall(namespace: Namespace, name: str, address: str, port: int) -> None:
    """Fail unless a connection from another namespace to an address is refused."""
    pod = {"metadata": {"name": name}, "status": {"podIP": address}}
    server = namespace.pod_server(pod, port=port, patient=False)
    wait_until(
        lambda: not server.connects(),
        5,
        lambda: Failure(
            f"nobody from another namespace reaches {name}",
            "a connection is accepted",
            command=namespace.kubectl_command("get", "networkpolicies"),
        ),
    )


def metrics(namespace: Namespace, pod: Json) -> str:
    """Return the metrics of a pod, as Prometheus reads them from elsewhere in the cluster."""
    return namespace.pod_server(pod, port=METRICS_PORT).get("/metrics").expect(200).text


# --- a release during the sale -------------------------------------------------------------------


@points(
    3,
    needs=("stands_up",),
    hints=(
        (
            "Apply release/ by hand while you send requests in a loop. What can't be changed in an "
            "object that exists? When is a new pod ready, and how long does an old one listen?"
        ),
        (
            "Migrate in an init container of edge and worker instead of a Job; a readinessProbe "
            "on /readyz; maxUnavailable: 0; and DRAIN_MS (or a preStop hook that sleeps) of five "
            "seconds, with a longer terminationGracePeriodSeconds."
        ),
    ),
    link="A release in the middle of the sale",
)
def check_rolls_during_the_sale(night: Night) -> None:
    """Version 2 and its column arrive during the sale: no request fails, and the sums are right"""
    namespace = night.namespace
    old = wait_for_edge(namespace)
    workers = namespace.pods_of("deployments", "worker")
    with night.sale.going_on() as stream, watching(namespace, old) as seen:
        stream.wait_for(PER_S)
        night.apply(RELEASE, "../overlays/prod", "2")
        namespace.wait_for_rollout("deployments", "edge", within_s=ROLLED_WITHIN_S)
        namespace.wait_for_rollout("deployments", "worker", within_s=ROLLED_WITHIN_S)
        # What an old pod does when it ends is part of the release.
        wait_until_gone(namespace, names(old) | names(workers))
        stream.wait_for(len(stream.outcomes()) + PER_S)
    expect_no_loss(stream)
    if seen.deaf:
        fail(
            "connections accepted by each pod that is ready, and by each old one until "
            f"{LISTENS_FOR_S} s after its deletion began",
            seen.deaf[0],
            command=CHECK_AGAIN,
        )
    if seen.fewest_endpoints < FEWEST:
        fail(
            f"at least {FEWEST} ready pods of edge at each moment of the release",
            f"a moment with {seen.fewest_endpoints}",
            command=CHECK_AGAIN,
        )
    expect_images(night, "2")
    night.sale.settle()
    reply = night.sale.read(night.sale.buy())
    if "confirmed_at" not in reply.json():
        fail("a booking with the column of version 2, confirmed_at", reply.text.strip()[:200])


# --- losses --------------------------------------------------------------------------------------


@points(
    2,
    needs=("rolls_during_the_sale",),
    hints=(
        (
            "What outlives the pod of the broker, and that of the database? And what do your "
            "liveness probes ask?"
        ),
        (
            "A volumeClaimTemplate in both StatefulSets, mounted where they write: above PGDATA, "
            "and at /data for nats. A livenessProbe on /healthz, never on /readyz."
        ),
    ),
    link="One pod less",
)
def check_survives_losses(night: Night) -> None:
    """Pods of edge, broker and database are lost in turn, and nothing is forgotten"""
    lose_edge(night)
    lose_broker(night)
    lose_database(night)
    night.sale.settle()


def lose_edge(night: Night) -> None:
    """Delete one of the pods of edge in the middle of the sale."""
    namespace = night.namespace
    (gone, *_) = sorted(names(wait_for_edge(namespace)))
    with night.sale.going_on() as stream:
        stream.wait_for(PER_S // 2)
        namespace.delete("pods", gone)
        wait_until_gone(namespace, {gone})
        wait_for_edge(namespace)
    expect_no_loss(stream)


def lose_broker(night: Night) -> None:
    """Delete the broker's pod while messages wait there, and look whether it still has them."""
    for _ in range(ATTEMPTS):
        count = messages_left(night)
        if not math.isnan(count):
            break
    if count < WAITING:
        fail(
            f"{WAITING} messages or more that still wait after the broker's pod was replaced",
            f"{count:g} (queue_messages of worker)",
            command=CHECK_AGAIN,
        )


def messages_left(night: Night) -> float:
    """Replace the broker while messages wait, and count them; NaN where that took too long."""
    namespace, sale = night.namespace, night.sale
    wait_until(lambda: waiting(namespace) == 0, FINAL_WITHIN_S, lambda: no_count(namespace))
    with sale.company_silent():
        bought = time.monotonic()
        for _ in range(WAITING):
            sale.buy()
        wait_until(
            lambda: waiting(namespace) >= WAITING, BACK_WITHIN_S, lambda: no_count(namespace)
        )
        replace_pod(namespace, "broker")
        wait_until(
            lambda: not math.isnan(waiting(namespace)), BACK_WITHIN_S, lambda: no_count(namespace)
        )
        count = waiting(namespace)
        return count if time.monotonic() - bought < SENT_AGAIN_AFTER_S else math.nan


def waiting(namespace: Namespace) -> float:
    """Return how many messages wait at the broker, as a worker tells; NaN while it cannot."""
    for pod in namespace.ready_pods_of("deployments", "worker"):
        found = re.search(r"^queue_messages (\S+)$", metrics(namespace, pod), re.MULTILINE)
        if found and not math.isnan(count := float(found[1])):
            return count
    return math.nan


def no_count(namespace: Namespace) -> Failure:
    """Return the failure of a worker that doesn't find its messages at the broker."""
    return Failure(
        "a worker that finds its messages at the broker",
        f"queue_messages {waiting(namespace):g} for {BACK_WITHIN_S} s",
        command=namespace.kubectl_command("logs", "deployment/worker", "--tail=5"),
    )


def lose_database(night: Night) -> None:
    """Keep the database away until a liveness probe would have failed, and bring it back."""
    namespace = night.namespace
    pods = [p for n in ("edge", "worker") for p in namespace.pods_of("deployments", n)]
    for pod in pods:
        expect_quick_liveness(namespace, pod)
    replace_pod(
        namespace, "db", away_for_s=AWAY_FOR_S, meanwhile=lambda: expect_no_restart(namespace, pods)
    )
    wait_for_edge(namespace)
    expect_no_restart(namespace, pods)
    # A server may find its connections broken once, and make new ones.
    wait_until(
        lambda: is_read(night.sale),
        BACK_WITHIN_S,
        lambda: Failure(
            "bookings that were made before the database's pod was deleted",
            night.sale.read(night.sale.accepted[0]).text.strip()[:200],
            command=namespace.kubectl_command("logs", "deployment/edge", "--tail=5"),
        ),
    )
    night.sale.buy()


def is_read(sale: Sale) -> bool:
    """Tell whether the first booking is there."""
    return sale.read(sale.accepted[0]).status == 200


def replace_pod(
    namespace: Namespace,
    name: str,
    *,
    away_for_s: float = 0,
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Delete the only pod of a StatefulSet, keep it away for a while, and wait for the next one."""
    before = namespace.get("pods", f"{name}-0")["metadata"]["uid"]
    if away_for_s:
        namespace.change("statefulsets", name, {"spec": {"replicas": 0}})
    else:
        namespace.delete("pods", f"{name}-0")
    wait_until(
        lambda: before not in {p["metadata"]["uid"] for p in namespace.all_of("pods")},
        BACK_WITHIN_S,
        lambda: Failure(f"pod {name}-0 gone", "it still ends"),
    )
    deadline = Deadline(away_for_s)
    while not deadline.is_reached():
        meanwhile()
        time.sleep(POLL_S)
    if away_for_s:
        namespace.change("statefulsets", name, {"spec": {"replicas": 1}})
    namespace.wait_for_rollout("statefulsets", name, within_s=BACK_WITHIN_S)


def expect_quick_liveness(namespace: Namespace, pod: Json) -> None:
    """Fail if a liveness probe takes longer than the contract allows."""
    for container in pod["spec"]["containers"]:
        probe = container.get("livenessProbe") or {}
        takes_s = probe.get("periodSeconds", 0) * probe.get("failureThreshold", 0)
        if takes_s > LIMIT_LIVENESS_S:
            name = pod["metadata"]["name"]
            fail(
                f"a liveness probe that finds a server that hangs within {LIMIT_LIVENESS_S} s",
                f"periodSeconds times failureThreshold is {takes_s} in pod {name}",
                command=namespace.kubectl_command("get", "pod", name, "--output=yaml"),
            )


def expect_no_restart(namespace: Namespace, pods: list[Json]) -> None:
    """Fail once the kubelet restarts a container of one of the pods."""
    now = {p["metadata"]["name"]: p for p in namespace.all_of("pods")}
    killed = {
        event["involvedObject"]["name"]
        for event in namespace.all_of("events")
        if event["reason"] == "Killing" and "liveness" in event.get("message", "")
    }
    for pod in pods:
        name = pod["metadata"]["name"]
        if name not in now or name in killed or restarts(now[name]) > restarts(pod):
            fail(
                "no restart of edge or worker while the database is gone",
                f"{name} is restarted",
                command=namespace.kubectl_command("get", "pods"),
            )


def restarts(pod: Json) -> int:
    """Count how often containers of a pod were started again."""
    return sum(s["restartCount"] for s in pod["status"].get("containerStatuses") or [])


# --- a bad release -------------------------------------------------------------------------------


@points(
    1,
    needs=("survives_losses",),
    hints=(
        "When does the cluster consider a new pod ready, and how soon does it give up?",
        (
            "progressDeadlineSeconds: 10 in the Deployment edge (600 is the default), and a "
            "readinessProbe that asks /readyz instead of /healthz or only the port."
        ),
    ),
    link="A release that never gets ready",
)
def check_refuses_a_bad_release(night: Night) -> None:
    """A release that never gets ready fails within 15 s, loses no request, and can be undone"""
    namespace = night.namespace
    old = wait_for_edge(namespace)
    limit = namespace.get("deployments", "edge")["spec"]["progressDeadlineSeconds"]
    if limit > LIMIT_PROGRESS_S:
        fail(f"progressDeadlineSeconds of at most {LIMIT_PROGRESS_S}", f"{limit}")
    with night.sale.going_on() as stream:
        namespace.set_image("edge", f"{PROGRAM}:2", f"{PROGRAM}:bad")
        wait_until(
            lambda: has_failed(namespace) or is_served_by_bad(namespace),
            FAILED_WITHIN_S,
            lambda: Failure(
                f"a rollout that reports its failure within {FAILED_WITHIN_S} s",
                "it still claims to make progress",
                command=namespace.kubectl_command("rollout", "status", "deployment/edge"),
            ),
        )
        if is_served_by_bad(namespace):
            fail(
                "no ready pod of a release whose /readyz always says 503",
                "one counts as ready",
                command=namespace.kubectl_command("get", "deployment", "edge", "--output=yaml"),
            )
        namespace.roll_back("edge")
        namespace.wait_for_rollout("deployments", "edge", within_s=ROLLED_WITHIN_S)
    expect_no_loss(stream)
    expect_images(night, "2")
    if not names(old) & names(namespace.pods_of("deployments", "edge")):
        fail("a pod of before that served all along", "all of them were replaced")
    night.sale.settle()


def has_failed(namespace: Namespace) -> bool:
    """Tell whether the Deployment says that its rollout makes no progress."""
    status = namespace.get("deployments", "edge")["status"]
    return any(
        condition["type"] == "Progressing" and condition["status"] == "False"
        for condition in status.get("conditions") or []
    )


def is_served_by_bad(namespace: Namespace) -> bool:
    """Tell whether a pod of the bad release counts as ready."""
    return any(
        container["image"] == f"{PROGRAM}:bad"
        for pod in namespace.ready_pods_of("deployments", "edge")
        for container in pod["spec"]["containers"]
    )
