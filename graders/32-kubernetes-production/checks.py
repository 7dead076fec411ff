import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Cluster,
    Deadline,
    Failure,
    Meanwhile,
    Namespace,
    Random,
    Reply,
    Story,
    Stream,
    at_rate,
    fail,
    points,
)

Json = dict[str, Any]

FEWEST, MOST, TARGET_PERCENT = 2, 5, 50
SCALED_TO, SCALED_WITHIN_S = 3, 25
ADMITTED_WITHIN_S = 20
ROLLED_WITHIN_S = 60
LISTENS_FOR_S = 2
FAILED_WITHIN_S, LIMIT_PROGRESS_S = 15, 10
UNREACHABLE_WITHIN_S = 10
RESTARTED_WITHIN_S, LIMIT_PERIOD_S, LIMIT_FAILURES = 15, 2, 3
# So long a liveness probe of the contract takes to restart what it takes for dead.
AWAY_FOR_S = LIMIT_PERIOD_S * LIMIT_FAILURES + 2
BACK_WITHIN_S = 30
REPORTED_WITHIN_S = 30
PER_S = 100
BURN_S, BURNS_PER_S_AT_MOST = 0.05, 40
# Of what the pods request together: the target three times over.
LOAD = 1.5
POLL_S = 0.1

FOLDER = "namespace"
PRODUCTION = "overlays/prod"
PASSWORD = b"alas-poor-yorick"
STAGE = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: {namespace}
resources: [database.yaml, ../overlays/prod]
"""
MARKED = """
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../base-as-written]
labels: [{{pairs: {{lantern/changed: {mark}}}}}]
"""
# What neither account may do: verb, kind, name, and the namespace if it is another one.
FORBIDDEN = (
    ("get", "configmaps", "kube-root-ca.crt", ""),
    ("list", "configmaps", "", ""),
    ("list", "configmaps", "web-config", ""),
    ("watch", "configmaps", "web-config", ""),
    ("update", "configmaps", "web-config", ""),
    ("patch", "configmaps", "web-config", ""),
    ("delete", "configmaps", "web-config", ""),
    ("get", "secrets", "db-secret", ""),
    ("list", "secrets", "", ""),
    ("list", "pods", "", ""),
    ("create", "pods", "", ""),
    ("patch", "deployments", "web", ""),
    ("create", "rolebindings", "", ""),
    ("get", "configmaps", "web-config", "default"),
)


# --- two namespaces ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def production(cluster: Cluster, random: Random) -> Namespace:
    """Return a namespace with the unchanged answer in it."""
    namespace = cluster.create_namespace(restricted=True)
    apply(cluster, namespace, random.word())
    return namespace


def apply(cluster: Cluster, namespace: Namespace, password: str) -> None:
    """Apply the answer and its database, as `namespace/kustomization.yaml` does."""
    database = cluster.files[f"{FOLDER}/database.yaml"].replace(PASSWORD, password.encode())
    stage = STAGE.format(namespace=namespace.name).encode()
    files = {
        f"{FOLDER}/kustomization.yaml": stage,
        f"{FOLDER}/database.yaml": database,
    }
    namespace.apply({**cluster.files, **files}, folder=FOLDER)


class Evening:
    """What goes wrong in the second namespace, one after the other, beside the rollouts."""

    def __init__(self, meanwhile: Meanwhile, cluster: Cluster, password: str) -> None:
        namespace = cluster.create_namespace(restricted=True)

        def begin() -> None:
            apply(cluster, namespace, password)
            wait_for_web(namespace)

        self._meanwhile = meanwhile
        self._last: Story[None] = meanwhile(begin)
        self.begun = self._last
        self.drained = self._then(lambda: drain(namespace))
        self.database_lost = self._then(lambda: lose_database(namespace))
        self.hung = self._then(lambda: hang(namespace))
        self.crowded = self._then(lambda: come_at_once(cluster, namespace, password))

    def _then(self, function: Callable[[], None]) -> Story[None]:
        before = self._last

        def go() -> None:
            # Another check tells how that ended; what cannot begin, its own check tells.
            with suppress(Failure):
                before.result()
            self.begun.result()
            function()

        self._last = self._meanwhile(go)
        return self._last


@pytest.fixture(scope="module")
def evening(cluster: Cluster, meanwhile: Meanwhile, random: Random) -> Evening:
    """Return the stories of the second namespace."""
    return Evening(meanwhile, cluster, random.word())


# --- words that several checks share -------------------------------------------------------------


def wait_for_web(namespace: Namespace, within_s: float = ROLLED_WITHIN_S) -> list[Json]:
    """Wait until web has the fewest pods that are allowed, all ready; return them."""
    return namespace.wait_for_pods("deployments", "web", at_least=FEWEST, within_s=within_s)


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


def restarts(pod: Json) -> int:
    """Count how often containers of a pod were started again."""
    return sum(s["restartCount"] for s in pod["status"].get("containerStatuses") or [])


def is_being_restarted(namespace: Namespace, pod: Json) -> bool:
    """Tell whether the kubelet has restarted a container of the pod, or is about to."""
    name = pod["metadata"]["name"]
    now = [p for p in namespace.all_of("pods") if p["metadata"]["name"] == name]
    if not now or restarts(now[0]) > restarts(pod):
        return True
    return any(
        event["reason"] == "Killing" and "liveness" in event.get("message", "")
        for event in namespace.all_of("events")
        if event["involvedObject"]["name"] == name
    )


def one_of(objects: list[Json], kind: str, name: str, folder: str) -> Json:
    """Return the object of that kind and name among rendered ones."""
    found = [o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name]
    if not found:
        seen = ", ".join(sorted(f"{o['kind']} {o['metadata']['name']}" for o in objects))
        shown = f"kubectl kustomize {folder}/"
        fail(f"{kind} {name} in {folder}/", seen or "no object", command=shown)
    return found[0]


class Seen:
    """What was seen beside a rollout."""

    def __init__(self, namespace: Namespace, old: set[str]) -> None:
        self.fewest_endpoints = MOST
        self.deaf: list[Failure] = []
        self._namespace = namespace
        self._old = old

    def look(self) -> None:
        """Count the ready endpoints of web, and ask each old pod whose deletion has just begun."""
        ready = self._namespace.ready_endpoints("web")
        self.fewest_endpoints = min(self.fewest_endpoints, ready)
        for pod in self._namespace.all_of("pods"):
            is_old = pod["metadata"]["name"] in self._old
            if not is_old or time.time() > deleted_at(pod) + LISTENS_FOR_S:
                continue
            try:
                self._namespace.pod_server(pod, port=3000, patient=False).get("/livez")
            except Failure as failure:
                # What a busy machine asks too late was not promised.
                if time.time() < deleted_at(pod) + LISTENS_FOR_S:
                    self.deaf.append(failure)


def deleted_at(pod: Json) -> float:
    """Return when a pod's deletion began, in seconds since 1970; 0 where it has not."""
    ends = pod["metadata"].get("deletionTimestamp")
    if not ends:
        return 0.0
    grace = pod["metadata"].get("deletionGracePeriodSeconds") or 0
    return datetime.fromisoformat(ends).timestamp() - float(grace)


@contextmanager
def watching(namespace: Namespace, old: set[str]) -> Iterator[Seen]:
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


def asking(namespace: Namespace) -> Stream[Reply]:
    """Ask web for its page all the time, on a new connection each time and only once."""
    client = namespace.server("web", patient=False)
    return at_rate(lambda: client.get("/", timeout_s=15), per_s=PER_S)


def outcome(reply: Reply) -> str:
    """Return what a reply counts as."""
    return f"version {reply.json().get('version')}" if reply.status == 200 else str(reply.status)


def expect_no_loss(stream: Stream[Reply], versions: set[str]) -> None:
    """Fail unless each request was answered by one of the versions."""
    wanted = {f"version {version}" for version in versions}
    counted = stream.count(outcome)
    wrong = {str(key): n for key, n in counted.items() if key not in wanted}
    if wrong:
        worst = ", ".join(f"{key} ({n})" for key, n in sorted(wrong.items(), key=lambda p: -p[1]))
        fail(
            f"all requests answered by {' or '.join(sorted(wanted))}",
            f"{sum(wrong.values())} of {counted.total()} not: {worst[:300]}",
            command=CHECK_AGAIN,
        )


# --- what is applied -----------------------------------------------------------------------------


@points(
    1,
    hints=(
        "kubectl describe replicaset and kubectl describe job say why a pod was refused.",
        (
            "Each container of web and of report: runAsNonRoot: true, allowPrivilegeEscalation: "
            "false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}, and "
            "requests for cpu and memory, a limit for memory."
        ),
    ),
    link="A namespace that refuses",
)
def check_is_admitted(production: Namespace) -> None:
    """One apply to the restricted namespace: two pods of web run, and one of report when due"""
    job = production.start_job("report")
    wait_for_web(production, within_s=ADMITTED_WITHIN_S)
    production.wait_for_pods("jobs", job, at_least=1, within_s=ADMITTED_WITHIN_S, ready=False)


@points(
    1,
    needs=("is_admitted",),
    hints=(
        "Compare what kubectl kustomize base/ and kubectl kustomize overlays/prod/ print.",
        (
            "overlays/prod/kustomization.yaml lists ../../base among its resources, and patches "
            "only the stage in the ConfigMap."
        ),
    ),
    link="One base, several stages",
)
@pytest.mark.usefixtures("evening")
def check_keeps_one_base(cluster: Cluster, production: Namespace, random: Random) -> None:
    """base/ alone is the rehearsal, and production builds on it: a change in base/ arrives there"""
    alone = production.rendered(folder="base")
    one_of(alone, "Deployment", "web", "base")
    expect_stage(alone, "rehearsal", "base")
    mark = random.word()
    live = production.rendered(marked(cluster.files, mark), folder=PRODUCTION)
    expect_stage(live, "production", PRODUCTION)
    labels = one_of(live, "Deployment", "web", PRODUCTION)["metadata"].get("labels") or {}
    if labels.get("lantern/changed") != mark:
        fail(
            f"the label lantern/changed: {mark}, which we gave to all of base/, in {PRODUCTION}/",
            f"Deployment web with the labels {labels}",
            command=f"kubectl kustomize {PRODUCTION}/",
        )
    production.server("web").get("/").expect(200, json={"stage": "production"})


def expect_stage(objects: list[Json], stage: str, folder: str) -> None:
    """Fail unless the ConfigMap among rendered objects names the stage."""
    data = one_of(objects, "ConfigMap", "web-config", folder).get("data") or {}
    if data.get("stage") != stage:
        fail(
            f"stage: {stage} in the ConfigMap of {folder}/",
            f"{json.dumps(data)[:200]}",
            command=f"kubectl kustomize {folder}/",
        )


def marked(files: Mapping[str, bytes], mark: str) -> dict[str, bytes]:
    """Return the answer with another base/: the one it had, and a label on each object."""
    moved = {
        f"base-as-written/{path.removeprefix('base/')}" if path.startswith("base/") else path: data
        for path, data in files.items()
    }
    return {**moved, "base/kustomization.yaml": MARKED.format(mark=mark).encode()}


@points(
    1,
    needs=("is_admitted",),
    hints=(
        (
            "What may reporter do? Try kubectl auth can-i --list --namespace=<namespace>"
            " --as=system:serviceaccount:<namespace>:reporter, then the same with web. Is a token"
            " mounted into the web pods?"
        ),
        (
            "One rule: resources [configmaps], resourceNames [web-config], verbs [get], bound to "
            "reporter alone; and automountServiceAccountToken: false for web."
        ),
    ),
    link="Who may do what",
)
def check_gives_least_rights(production: Namespace, random: Random) -> None:
    """reporter may get web-config and nothing else; web may do nothing and has no token"""
    banner = random.word()
    production.change("configmaps", "web-config", {"data": {"banner": banner}})
    production.delete("jobs", "report-now")
    wait_until(
        lambda: not [j for j in production.all_of("jobs") if j["metadata"]["name"] == "report-now"],
        REPORTED_WITHIN_S,
        lambda: Failure("a Job that can be deleted", "it is still there"),
    )
    job = production.start_job("report")
    expect_right(production, "reporter", ("get", "configmaps", "web-config", ""), allowed=True)
    for question in FORBIDDEN:
        expect_right(production, "reporter", question, allowed=False)
    for question in (("get", "configmaps", "web-config", ""), *FORBIDDEN):
        expect_right(production, "web", question, allowed=False)
    expect_no_token(production)
    production.wait_for_job(job, within_s=REPORTED_WITHIN_S)
    (pod,) = [p for p in production.pods_of("jobs", job) if p["status"]["phase"] == "Succeeded"]
    expect_account(production, pod, "reporter")
    log = production.log(pod["metadata"]["name"])
    if f"banner: {banner}" not in log:
        fail(
            f"banner: {banner} in the log of report, as the ConfigMap has it now",
            log.strip()[:200] or "an empty log",
            command=production.kubectl_command("logs", f"job/{job}"),
        )


def expect_right(
    namespace: Namespace, account: str, question: tuple[str, str, str, str], *, allowed: bool
) -> None:
    """Fail unless an account may, or may not, do something."""
    verb, kind, name, inside = question
    if namespace.may(account, verb, kind, name, inside=inside) == allowed:
        return
    what = " ".join(filter(None, (verb, kind, name, f"in {inside}" if inside else "")))
    asked = ("auth", "can-i", verb, f"{kind}/{name}" if name else kind)
    user = f"--as=system:serviceaccount:{namespace.name}:{account}"
    where = ("--namespace", inside) if inside else ()
    fail(
        f"service account {account} {'may' if allowed else 'may not'} {what}",
        "it may not" if allowed else "it may",
        command=namespace.kubectl_command(*asked, user, *where),
    )


def expect_account(namespace: Namespace, pod: Json, account: str) -> None:
    """Fail unless a pod runs as an account."""
    name, actual = pod["metadata"]["name"], pod["spec"].get("serviceAccountName")
    if actual != account:
        command = namespace.kubectl_command("get", "pod", name, "--output=yaml")
        fail(f"pod {name} with the service account {account}", f"{actual}", command=command)


def expect_no_token(namespace: Namespace) -> None:
    """Fail unless the pods of web run as the account web, without a token."""
    for pod in namespace.pods_of("deployments", "web"):
        expect_account(namespace, pod, "web")
        name, spec = pod["metadata"]["name"], pod["spec"]
        command = namespace.kubectl_command("get", "pod", name, "--output=yaml")
        sources = [
            s
            for v in spec.get("volumes") or []
            for s in (v.get("projected") or {}).get("sources") or []
        ]
        if any("serviceAccountToken" in source for source in sources):
            fail("web pods without a token", f"one is mounted into pod {name}", command=command)


# --- rollouts ------------------------------------------------------------------------------------


@points(
    2,
    needs=("is_admitted",),
    hints=(
        (
            "Two moments lose requests: a new pod gets some before its server listens, and an old "
            "one after its server has stopped listening."
        ),
        (
            "A readinessProbe on /readyz; a preStop hook that sleeps for five seconds, so the"
            " Service forgets the pod before SIGTERM arrives; and maxUnavailable: 0."
        ),
    ),
    link="A rollout that loses requests",
)
def check_rolls_without_loss(production: Namespace) -> None:
    """Version 4 rolls out amid 100 requests a second: none fails, and two pods are always ready"""
    old = names(wait_for_web(production))
    with asking(production) as stream, watching(production, old) as seen:
        stream.wait_for(PER_S // 2)
        production.set_image("web", "lantern/web:3", "lantern/web:4")
        production.wait_for_rollout("deployments", "web", within_s=ROLLED_WITHIN_S)
        # What an old pod does when it ends is part of the rollout.
        wait_until(
            lambda: not old & names(production.all_of("pods")),
            ROLLED_WITHIN_S,
            lambda: Failure("the old pods gone", "they still end", command=CHECK_AGAIN),
        )
        stream.wait_for(len(stream.outcomes()) + PER_S // 2)
    expect_no_loss(stream, {"3", "4"})
    if seen.deaf:
        fail(
            f"an old pod that accepts connections until {LISTENS_FOR_S} s after its deletion began",
            seen.deaf[0].saw,
            command=CHECK_AGAIN,
        )
    if seen.fewest_endpoints < FEWEST:
        fail(
            f"at least {FEWEST} ready pods at each moment of the rollout",
            f"a moment with {seen.fewest_endpoints}",
            command=CHECK_AGAIN,
        )


@points(
    1,
    needs=("rolls_without_loss",),
    hints=(
        (
            "When does the cluster consider a new pod ready, and how soon does it give up? "
            "Look at kubectl rollout status, and at kubectl get deployment web -o yaml."
        ),
        (
            "progressDeadlineSeconds: 10 in the Deployment (600 is the default), and a "
            "readinessProbe that asks /readyz instead of only trying the port."
        ),
    ),
    link="A release that never gets ready",
)
def check_stops_a_bad_release(production: Namespace) -> None:
    """A release that never gets ready fails within 15 s, gets no request, and can be undone"""
    limit = production.get("deployments", "web")["spec"]["progressDeadlineSeconds"]
    if limit > LIMIT_PROGRESS_S:
        shown = production.kubectl_command("get", "deployment", "web", "--output=yaml")
        fail(f"progressDeadlineSeconds of at most {LIMIT_PROGRESS_S}", f"{limit}", command=shown)
    with asking(production) as stream:
        production.set_image("web", "lantern/web:4", "lantern/web:bad")
        wait_until(
            lambda: has_failed(production) or "version bad" in stream.count(outcome),
            FAILED_WITHIN_S,
            lambda: Failure(
                f"a rollout that reports its failure within {FAILED_WITHIN_S} s",
                "it still claims to make progress",
                command=production.kubectl_command("rollout", "status", "deployment/web"),
            ),
        )
        production.roll_back("web")
        production.wait_for_rollout("deployments", "web", within_s=ROLLED_WITHIN_S)
    expect_no_loss(stream, {"4"})
    production.server("web").get("/").expect(200, json={"version": "4"})


def has_failed(namespace: Namespace) -> bool:
    """Tell whether the Deployment says that its rollout makes no progress."""
    status = namespace.get("deployments", "web")["status"]
    return any(
        condition["type"] == "Progressing" and condition["status"] == "False"
        for condition in status.get("conditions") or []
    )


# --- everything else that goes wrong -------------------------------------------------------------


@points(
    1,
    needs=("is_admitted",),
    hints=(
        "kubectl get poddisruptionbudget: how many disruptions does it allow, and of which pods?",
        "A PodDisruptionBudget with minAvailable: 1, and a selector that matches web's pods.",
    ),
    link="A node is drained",
)
def check_bounds_disruption(evening: Evening) -> None:
    """When the web pods are evicted one right after another, the first goes, but not all of them"""
    evening.begun.result()
    evening.drained.result()


def drain(namespace: Namespace) -> None:
    """Evict each pod of web without waiting for another one to take its place."""
    command = namespace.kubectl_command("get", "poddisruptionbudgets")
    pods = sorted(names(wait_for_web(namespace)))
    refused = ""

    def is_granted() -> bool:
        nonlocal refused
        refused = namespace.evict(pods[0])
        return not refused

    # The budget counts the pods that are ready a moment after they are.
    wait_until(
        is_granted,
        5,
        lambda: Failure("the first eviction granted", refused, command=command),
    )
    refusals = [namespace.evict(pod) for pod in pods[1:]]
    if not any(refusals):
        fail("a budget that refuses to evict the last pod", "all were granted", command=command)
    wait_for_web(namespace)


@points(
    1,
    needs=("stops_a_bad_release",),
    hints=(
        "Which of the two probes asks the database, and what does the cluster do when it fails?",
        (
            "The readinessProbe asks /readyz, every second or two; the livenessProbe asks /livez, "
            "which doesn't ask the database."
        ),
    ),
    link="Two probes, two questions",
)
def check_sits_out_a_lost_database(evening: Evening) -> None:
    """Without its database, web gets no requests and no restart; afterwards the same pods serve"""
    evening.database_lost.result()


def lose_database(namespace: Namespace) -> None:
    """Take the database away until a liveness probe would have failed, and bring it back."""
    pods = wait_for_web(namespace)
    shown = namespace.kubectl_command("get", "pods")
    namespace.change("statefulsets", "db", {"spec": {"replicas": 0}})
    try:
        expect_patience(namespace, pods, shown)
    finally:
        # What comes next in the evening needs the database, however this ended.
        namespace.change("statefulsets", "db", {"spec": {"replicas": 1}})
    namespace.wait_for_rollout("statefulsets", "db", within_s=BACK_WITHIN_S)
    back = wait_for_web(namespace, within_s=BACK_WITHIN_S)
    expect_no_restart(namespace, pods, shown)
    if not names(pods) <= names(back):
        saw = f"{', '.join(sorted(names(back)))} instead of {', '.join(sorted(names(pods)))}"
        fail("the same pods, ready again", saw, command=shown)


def expect_patience(namespace: Namespace, pods: list[Json], shown: str) -> None:
    """Fail unless web gets no requests once the database is gone, and no pod is restarted."""
    wait_until(
        lambda: not [p for p in namespace.all_of("pods") if p["metadata"]["name"] == "db-0"],
        BACK_WITHIN_S,
        lambda: Failure("the database gone", "its pod still ends"),
    )
    wait_until(
        lambda: not namespace.ready_endpoints("web"),
        UNREACHABLE_WITHIN_S,
        lambda: Failure(
            f"no ready endpoint of web {UNREACHABLE_WITHIN_S} s after the database was gone",
            f"{namespace.ready_endpoints('web')} ready",
            command=namespace.kubectl_command("get", "endpointslices"),
        ),
    )
    deadline = Deadline(AWAY_FOR_S)
    while not deadline.is_reached():
        expect_no_restart(namespace, pods, shown)
        time.sleep(POLL_S)


def expect_no_restart(namespace: Namespace, pods: list[Json], command: str) -> None:
    """Fail once the kubelet restarts one of the pods."""
    for pod in pods:
        if is_being_restarted(namespace, pod):
            name = pod["metadata"]["name"]
            fail("no restart of a web pod while the database is gone", f"{name} is restarted",
                 command=command)  # fmt: skip


@points(
    1,
    needs=("is_admitted",),
    hints=(
        "Which probe restarts a container, what does it ask, and how often?",
        "A livenessProbe that asks /livez, with periodSeconds: 2 and failureThreshold: 3.",
    ),
    link="Two probes, two questions",
)
def check_restarts_what_hangs(evening: Evening) -> None:
    """Once a web server stops answering, the kubelet decides to restart it within 15 s"""
    evening.begun.result()
    evening.hung.result()


def hang(namespace: Namespace) -> None:
    """Make one of the servers hang."""
    (pod, *_) = wait_for_web(namespace)
    name = pod["metadata"]["name"]
    shown = namespace.kubectl_command("get", "deployment", "web", "--output=yaml")
    probes = [c.get("livenessProbe") for c in pod["spec"]["containers"]]
    probe = next((p for p in probes if p), None)
    if probe is None:
        fail("a liveness probe of web", "there is none", command=shown)
    if probe["periodSeconds"] > LIMIT_PERIOD_S or probe["failureThreshold"] > LIMIT_FAILURES:
        fail(
            f"a liveness probe at least every {LIMIT_PERIOD_S} s that fails after at most "
            f"{LIMIT_FAILURES} times",
            f"periodSeconds: {probe['periodSeconds']}, failureThreshold: "
            f"{probe['failureThreshold']}",
            command=shown,
        )
    namespace.pod_server(pod, port=3000).post("/hang").expect(202)
    try:
        wait_until(
            lambda: is_being_restarted(namespace, pod),
            RESTARTED_WITHIN_S,
            lambda: Failure(
                f"pod {name}, which hangs, restarted within {RESTARTED_WITHIN_S} s",
                "it was left as it is",
                command=namespace.kubectl_command("describe", "pod", name),
            ),
        )
    except Failure:
        # Nobody else gets rid of it, and what comes next needs a server in its place.
        namespace.delete("pods", name)
        raise


@points(
    1,
    needs=("is_admitted",),
    hints=(
        (
            "What does kubectl describe hpa web say it measures? And what does your Deployment "
            "say about replicas?"
        ),
        (
            "A HorizontalPodAutoscaler with minReplicas: 2, maxReplicas: 5 and cpu at "
            "averageUtilization: 50; and no replicas in the Deployment."
        ),
    ),
    link="Autoscaling: everybody comes at once",
)
def check_scales_by_load(evening: Evening) -> None:
    """Three pods are ready within 25 s of load, and applying again doesn't scale web back"""
    evening.begun.result()
    evening.crowded.result()


def come_at_once(cluster: Cluster, namespace: Namespace, password: str) -> None:
    """Let each pod burn more than the target, and apply the answer again meanwhile."""
    expect_autoscaler(namespace)
    pods = wait_for_web(namespace)
    shown = namespace.kubectl_command("describe", "hpa", "web")
    cores = sum(cores_of(c["resources"]["requests"]["cpu"]) for c in pods[0]["spec"]["containers"])
    per_s = min(BURNS_PER_S_AT_MOST, FEWEST * cores * LOAD / BURN_S)
    client = namespace.server("web", patient=False)
    with at_rate(lambda: client.get("/burn"), per_s=per_s):
        namespace.wait_for_pods("deployments", "web", at_least=SCALED_TO, within_s=SCALED_WITHIN_S)
        # Twice: the autoscaler may correct one of them in the moment before we look.
        for _ in range(2):
            apply(cluster, namespace, password)
            replicas = namespace.get("deployments", "web")["spec"]["replicas"]
            if replicas < SCALED_TO:
                fail(
                    f"at least {SCALED_TO} replicas after applying the same manifests again",
                    f"{replicas}",
                    command=shown,
                )


def expect_autoscaler(namespace: Namespace) -> None:
    """Fail unless the autoscaler has the limits and the target of the contract."""
    spec = namespace.get("horizontalpodautoscalers", "web")["spec"]
    measured = [m.get("resource") or m.get("containerResource") or {} for m in spec["metrics"]]
    targets = [(m["target"].get("averageUtilization")) for m in measured if m.get("name") == "cpu"]
    limits = (spec.get("minReplicas"), spec["maxReplicas"])
    if limits != (FEWEST, MOST) or targets != [TARGET_PERCENT]:
        fail(
            f"{FEWEST} to {MOST} pods, with cpu at {TARGET_PERCENT} %",
            f"{limits[0]} to {limits[1]} pods, with {json.dumps(spec['metrics'])[:200]}",
            command=namespace.kubectl_command("get", "hpa", "web", "--output=yaml"),
        )


def cores_of(quantity: str) -> float:
    """Read a quantity of processors, such as 100m or 0.5."""
    number = quantity.removesuffix("m")
    return float(number) / 1000 if number != quantity else float(number)
