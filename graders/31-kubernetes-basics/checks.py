import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
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
    fail,
    points,
)

Json = dict[str, Any]

REPLICAS = 2
MIGRATE = "lantern/migrate:1"
UP_WITHIN_S = 15
ROLLED_WITHIN_S = 20
REPLACED_WITHIN_S = 5
# A name leads to a pod that has just ended for as long as the node needs to hear of it.
SEEN_WITHIN_S = 5
SEATS = "/api/shows/1/bookings"
POLL_S = 0.1


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Namespace:
    """Return a namespace with the unchanged answer in it."""
    namespace = cluster.create_namespace()
    namespace.apply()
    return namespace


@pytest.fixture(scope="module")
def objects(shop: Namespace, meanwhile: Meanwhile) -> Story[list[Json]]:
    """Return the answer's objects, as its manifests describe them."""

    def render() -> list[Json]:
        # What is measured there must not share the processors with this.
        shop.wait_for_rollout("deployments", "web", within_s=2 * UP_WITHIN_S)
        return shop.rendered()

    return meanwhile(render)


@pytest.fixture(scope="module")
def other_password(
    cluster: Cluster,
    meanwhile: Meanwhile,
    random: Random,
    objects: Story[list[Json]],
) -> Story[None]:
    """Return the story of the answer that comes up from nothing with another password."""
    password = f"{random.word()}-{random.word()}"
    namespace = cluster.create_namespace()

    return meanwhile(lambda: sells_with(namespace, deepcopy(objects.result()), password))


def sells_with(namespace: Namespace, objects: list[Json], password: str) -> None:
    """Apply objects with a password of ours, and buy a seat."""
    secret = secret_of(objects)
    (secret.get("stringData") or {}).pop("password", None)
    # The answer may keep more in it.
    encoded = base64.b64encode(password.encode()).decode()
    secret["data"] = {**(secret.get("data") or {}), "password": encoded}
    for found in objects:
        if found["kind"] == "Deployment" and found["metadata"]["name"] == "web":
            # One tells as much as two, in less time.
            found["spec"]["replicas"] = 1
    namespace.apply_objects(objects)
    namespace.wait_for_rollout("deployments", "web", within_s=2 * UP_WITHIN_S)
    buy(namespace, "A1").expect(201)
    namespace.wait_for_job("migrate", within_s=2 * UP_WITHIN_S)
    expect_password_wanted(namespace, f"not-{password}")


def expect_password_wanted(namespace: Namespace, wrong: str) -> None:
    """Fail if the database lets somebody in with a wrong password."""
    found = [p for p in namespace.all_of("pods") if p["metadata"]["name"] == "db-0"]
    if not found:
        # Another check tells of that.
        return
    address = found[0]["status"]["podIP"]
    # At 127.0.0.1 the image trusts everybody.
    url = f"postgres://postgres:{wrong}@{address}:5432/postgres?connect_timeout=5"
    query = "SELECT 'let in as ' || current_user"
    words = ("psql", "--no-password", "--tuples-only", f"--command={query}", url)
    code, said = namespace.execute("db-0", *words)
    if not code:
        fail(
            "a database that refuses every password but the Secret's",
            f"{said.strip()[:200]}, with the password {wrong}",
            command=namespace.kubectl_command("exec", "db-0", "--", *words),
        )


def secret_of(objects: list[Json]) -> Json:
    """Return the Secret of the contract."""
    named = [o for o in objects if o["kind"] == "Secret" and o["metadata"]["name"] == "db-secret"]
    if not named:
        fail("a Secret db-secret in k8s/", f"{', '.join(sorted(o['kind'] for o in objects))}")
    return named[0]


def password_of(secret: Json) -> str:
    """Return the password that a manifest of a Secret holds."""
    if "password" in (plain := secret.get("stringData") or {}):
        return str(plain["password"])
    data = secret.get("data") or {}
    if "password" not in data:
        fail("the key password in the Secret db-secret", f"the keys {sorted({**plain, **data})}")
    return base64.b64decode(data["password"]).decode(errors="replace")


def decoded(found: Json) -> list[str]:
    """Return what is written in base64; that of a longer text doesn't show a password."""
    key = {"Secret": "data", "ConfigMap": "binaryData"}.get(found["kind"], "")
    values = (found.get(key) or {}).values()
    return [base64.b64decode(value).decode(errors="replace") for value in values]


def buy(namespace: Namespace, seat: str) -> Reply:
    """Book a seat."""
    order = {"seat": seat, "user": "ada"}
    return namespace.server("web").post(SEATS, json=order)


def seats(namespace: Namespace) -> Reply:
    """Ask which seats are sold."""
    return namespace.server("web").get(SEATS)


def wait_for_pages(namespace: Namespace, wanted: Json, looked_for: str) -> None:
    """Wait until each pod of web, asked directly, gives the wanted answer."""
    deadline = Deadline(SEEN_WITHIN_S)
    while True:
        pages = {}
        for pod in namespace.pods_of("deployments", "web"):
            reply = namespace.pod_server(pod, port=3000).get("/").expect(200)
            pages[pod["metadata"]["name"]] = {n: reply.json().get(n) for n in wanted}
        if pages and all(page == wanted for page in pages.values()):
            return
        if deadline.has_passed():
            seen = "; ".join(f"{name}: {page}" for name, page in sorted(pages.items()))
            fail(looked_for, seen, command=namespace.kubectl_command("describe", "pods"))
        time.sleep(POLL_S)


def wait_for_database(namespace: Namespace) -> None:
    """Wait until the name db leads to something that accepts connections."""
    namespace.get("services", "db")
    deadline = Deadline(SEEN_WITHIN_S)
    # A policy may close it to strangers: then its endpoints tell as much.
    while not (
        namespace.server("db", port=5432).connects()
        or (namespace.all_of("networkpolicies") and namespace.ready_endpoints("db"))
    ):
        if deadline.has_passed():
            fail(
                f"a connection to db.{namespace.name}:5432",
                "nothing accepts one",
                command=namespace.kubectl_command("describe", "service", "db"),
            )
        time.sleep(POLL_S)


def wait_for_both(namespace: Namespace) -> None:
    """Ask by name until each of the two pods has answered."""
    deadline = Deadline(SEEN_WITHIN_S)
    pods = ready_pods(namespace)
    answered: set[str] = set()
    while not (pods and pods <= answered):
        answered.add(str(namespace.server("web").get("/").expect(200).json()["pod"]))
        if deadline.has_passed():
            affinity = namespace.get("services", "web")["spec"].get("sessionAffinity")
            fail(
                f"answers from both pods of web at web.{namespace.name}",
                f"only {', '.join(sorted(answered))}; session affinity: {affinity}",
                command=namespace.kubectl_command("describe", "service", "web"),
            )
        time.sleep(POLL_S)


@points(
    2,
    hints=(
        (
            "Who is ready first, the database, the migration or web? Look at kubectl get "
            "pods and at the RESTARTS column."
        ),
        (
            "Give web an init container that waits until the tables exist. lantern/migrate:1 will"
            " do: it waits for the database, creates what is missing, and exits."
        ),
    ),
    link="Work that ends: Job",
)
def check_comes_up_in_one_apply(shop: Namespace) -> None:
    """One apply to an empty namespace, and within 15 s web sells a seat, without a restart"""
    web = shop.wait_for_rollout("deployments", "web", within_s=UP_WITHIN_S)
    replicas = web["spec"]["replicas"]
    if replicas != REPLICAS:
        fail(
            "2 replicas of web",
            f"{replicas}",
            command=shop.kubectl_command("get", "deployment", "web"),
        )
    expect_one_database(shop)
    buy(shop, "C4").expect(201)
    seats(shop).expect(200, json={"seats": ["C4"]})
    expect_one_run(shop, shop.wait_for_job("migrate", within_s=UP_WITHIN_S))
    for pod in shop.pods_of("deployments", "web"):
        expect_no_restart(shop, pod)


def expect_one_database(namespace: Namespace) -> None:
    """Fail if db has several pods, each of which would be a database with its own data."""
    for found in namespace.all_of("statefulsets"):
        if found["metadata"]["name"] == "db" and found["spec"]["replicas"] != 1:
            fail(
                "1 replica of db",
                f"{found['spec']['replicas']}",
                command=namespace.kubectl_command("get", "statefulset", "db"),
            )


def expect_one_run(namespace: Namespace, job: Json) -> None:
    """Fail unless a Job is one run of the migration."""
    spec = job["spec"]
    images = [container["image"] for container in spec["template"]["spec"]["containers"]]
    if spec.get("completions", 1) != 1 or MIGRATE not in images:
        fail(
            f"one run of {MIGRATE} by the Job migrate",
            f"{spec.get('completions', 1)} of {', '.join(images)}",
            command=namespace.kubectl_command("get", "job", "migrate", "--output=wide"),
        )


def expect_no_restart(namespace: Namespace, pod: Json) -> None:
    """Fail if a container of a pod was restarted, or one that comes before them."""
    name, status = pod["metadata"]["name"], pod["status"]
    # What an init container said is soon gone.
    shown = {
        "initContainerStatuses": ("describe", "pod", name),
        "containerStatuses": ("logs", name, "--previous"),
    }
    counted = namespace.kubectl_command("get", "pod", name)
    for kind, words in shown.items():
        for one in status.get(kind) or ():
            if one["restartCount"]:
                fail(
                    "web pods in which no container was ever restarted",
                    f"container {one['name']} of {name} was restarted, {one['restartCount']} times",
                    command=f"{counted}; {namespace.kubectl_command(*words)}",
                )


@points(
    2,
    needs=("comes_up_in_one_apply",),
    hints=(
        (
            "Compare what web answers with kubectl get configmap -o yaml. How does each "
            "value get into the pod?"
        ),
        ("valueFrom.configMapKeyRef makes a variable; a volume of kind configMap makes files."),
    ),
    link="Settings: ConfigMap",
)
def check_reads_its_config(shop: Namespace, random: Random) -> None:
    """Banner and theme come from the ConfigMap, and kubectl rollout restart brings new ones"""
    theme = {"colour": random.word(), "curtain": random.word()}
    wanted: Json = {"banner": f"{random.word()} {random.word()}", "theme": theme}
    data = {"banner": wanted["banner"], "theme.json": json.dumps(theme)}
    shop.get("configmaps", "web-config")
    shop.change("configmaps", "web-config", {"data": data})
    shop.restart("deployments", "web")
    shop.wait_for_rollout("deployments", "web", within_s=ROLLED_WITHIN_S)
    wait_for_pages(shop, wanted, f"from each pod GET / with {wanted}")


@points(
    2,
    needs=("comes_up_in_one_apply",),
    hints=(
        "What outlives a pod, and where does PostgreSQL write?",
        ("volumeClaimTemplates in the StatefulSet, mounted at the folder that contains PGDATA."),
    ),
    link="Data that stays: StatefulSet",
)
def check_keeps_data(shop: Namespace, random: Random) -> None:
    """When the pod db-0 is deleted, another one replaces it and still has the bookings"""
    seat = f"{random.pick('DEFG')}{random.integer(1, 20)}"
    buy(shop, seat).expect(201)
    shop.get("statefulsets", "db")
    before = shop.get("pods", "db-0")["metadata"]["uid"]
    shop.delete("pods", "db-0")
    deadline = Deadline(ROLLED_WITHIN_S)
    while pod_id(shop, "db-0") in ("", before) and not deadline.has_passed():
        time.sleep(POLL_S)
    shop.wait_for_rollout("statefulsets", "db", within_s=ROLLED_WITHIN_S)
    shop.wait_for_rollout("deployments", "web", within_s=ROLLED_WITHIN_S)
    deadline = Deadline(SEEN_WITHIN_S)
    # A server may find its connections broken once, and make new ones.
    while not holds(seen := seats(shop), seat):
        if deadline.has_passed():
            fail(
                f"seat {seat} among the bookings, as before db-0 was deleted",
                f"{seen.status} · {seen.text.strip()[:200]}",
                command=seen.command,
            )
        time.sleep(POLL_S)


def holds(reply: Reply, seat: str) -> bool:
    """Tell whether a list of bookings contains a seat."""
    return reply.status == 200 and seat in reply.json()["seats"]


def pod_id(namespace: Namespace, name: str) -> str:
    """Return what tells a pod from the next one of its name; empty while there is none."""
    found = [p for p in namespace.all_of("pods") if p["metadata"]["name"] == name]
    return str(found[0]["metadata"]["uid"]) if found else ""


@points(
    2,
    needs=("comes_up_in_one_apply",),
    hints=(
        "kubectl get endpointslices shows which pods a Service leads to.",
        (
            "The Service's selector must match the labels of web's pods and of no other "
            "pods, and its port must lead to the container's."
        ),
    ),
    link="A name that stays",
)
def check_is_found_by_name(shop: Namespace) -> None:
    """From another namespace both pods answer under the name web, even while one is replaced"""
    for service in shop.all_of("services"):
        if service["spec"]["type"] != "ClusterIP" and leads_to_database(shop, service):
            fail(
                "a database that is reached inside the cluster alone",
                f"service {service['metadata']['name']} is a {service['spec']['type']}",
                command=shop.kubectl_command("get", "services"),
            )
    expect_web_alone(shop)
    wait_for_database(shop)
    wait_for_both(shop)
    gone = shop.pods_of("deployments", "web")[0]["metadata"]["name"]
    with asking(shop) as asked:
        shop.delete("pods", gone)
        deadline = Deadline(REPLACED_WITHIN_S)
        while len(ready := ready_pods(shop) - {gone}) < REPLICAS:
            if deadline.has_passed():
                fail(
                    f"2 ready pods of web again within {REPLACED_WITHIN_S} s of a deletion",
                    f"{len(ready)}: {', '.join(sorted(ready))}",
                    command=shop.kubectl_command("get", "pods"),
                )
            time.sleep(POLL_S)
    if asked.failures:
        raise asked.failures[0]


def expect_web_alone(namespace: Namespace) -> None:
    """Fail unless the Service web leads to the pods of web and to no others."""
    wanted = namespace.get("services", "web")["spec"].get("selector") or {}
    selector = ",".join(f"{label}={value}" for label, value in wanted.items())
    own = {pod["metadata"]["name"] for pod in namespace.pods_of("deployments", "web")}
    for pod in namespace.all_of("pods"):
        name, labels = pod["metadata"]["name"], pod["metadata"].get("labels") or {}
        # A pod of web that is ending belongs to web too, and no longer counts. One of a Job that is
        # over was led to while it ran.
        is_live = not pod["metadata"].get("deletionTimestamp")
        if is_live and name not in own and wanted and wanted.items() <= labels.items():
            fail(
                "a Service web that leads to the pods of web alone",
                f"{name}, too",
                command=namespace.kubectl_command("get", "pods", f"--selector={selector}"),
            )


def ready_pods(namespace: Namespace) -> set[str]:
    """Return the names of the web pods that are ready."""
    return {pod["metadata"]["name"] for pod in namespace.ready_pods_of("deployments", "web")}


def leads_to_database(namespace: Namespace, service: Json) -> bool:
    """Tell whether a Service selects the pod db-0."""
    selector = (service["spec"].get("selector") or {}).items()
    if not selector:
        return False
    database = [p for p in namespace.all_of("pods") if p["metadata"]["name"] == "db-0"]
    return any(selector <= (p["metadata"].get("labels") or {}).items() for p in database)


class Asked:
    """Requests that run beside the check, and the endpoints seen meanwhile."""

    def __init__(self) -> None:
        self.failures: list[Failure] = []
        self.fewest_endpoints = REPLICAS


@contextmanager
def asking(namespace: Namespace) -> Iterator[Asked]:
    """Ask for the page and count the ready endpoints, again and again, until the block ends."""
    asked, done = Asked(), threading.Event()

    def ask() -> None:
        while not done.wait(POLL_S):
            asked.fewest_endpoints = min(asked.fewest_endpoints, namespace.ready_endpoints("web"))
            try:
                namespace.server("web").get("/").expect(200)
            except Failure as failure:
                asked.failures.append(failure)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield asked
    finally:
        done.set()
        thread.join()


@points(
    1,
    needs=("comes_up_in_one_apply",),
    hints=(
        (
            "When does Kubernetes count a new pod as ready, and how many old ones may go "
            "before that?"
        ),
        (
            "A readinessProbe that asks web itself, strategy RollingUpdate with "
            "maxUnavailable: 0, and a revision history that isn't switched off."
        ),
    ),
    link="A new version, and back",
)
def check_rolls_and_undoes(shop: Namespace) -> None:
    """Version 2 rolls out amid requests, never without a ready endpoint, and can be undone"""
    with asking(shop) as asked:
        shop.set_image("web", "lantern/web:1", "lantern/web:2")
        shop.wait_for_rollout("deployments", "web", within_s=ROLLED_WITHIN_S)
    if not asked.fewest_endpoints:
        fail(
            "at least one ready endpoint of web at each moment of the rollout",
            "a moment with none",
            command=CHECK_AGAIN,
        )
    wait_for_pages(shop, {"version": "2"}, "version 2 from each pod")
    shop.roll_back("web")
    shop.wait_for_rollout("deployments", "web", within_s=ROLLED_WITHIN_S)
    wait_for_pages(shop, {"version": "1"}, "version 1 from each pod after the undo")


# The last one: the other namespace comes up beside the checks before it.
@points(
    1,
    needs=("comes_up_in_one_apply",),
    hints=(
        "Look through everything you apply: where else does the password appear?",
        (
            "valueFrom.secretKeyRef gives PASSWORD to a container, and a later variable may use it:"
            " postgres://postgres:$(PASSWORD)@db:5432/postgres."
        ),
    ),
    link="Keeping settings private: Secret",
)
def check_keeps_the_secret(
    shop: Namespace, objects: Story[list[Json]], other_password: Story[None]
) -> None:
    """The password is only in the Secret, and with another one everything comes up from nothing"""
    found_objects = objects.result()
    secret = secret_of(found_objects)
    password = password_of(secret)
    encoded = base64.b64encode(password.encode()).decode().rstrip("=")
    for found in found_objects:
        text = json.dumps([found, decoded(found)], ensure_ascii=False)
        if found is not secret and (password in text or encoded in text):
            kind, name = found["kind"], found["metadata"]["name"]
            fail(
                "the password in no object but the Secret",
                f"it's in {kind} {name}",
                command=shop.kubectl_command("get", kind.lower(), name, "--output=yaml"),
            )
    other_password.result()
