import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from coursework.checks import (
    CHECK_AGAIN,
    Client,
    Cluster,
    Commit,
    Deadline,
    Failure,
    Finished,
    Image,
    Meanwhile,
    Monitoring,
    Namespace,
    PipelineRun,
    Random,
    Runner,
    Sandbox,
    Story,
    Submission,
    eventually,
    fail,
    points,
)

Json = dict[str, Any]

# --- from a push to both edges --------------------------------------------------------------------

NETWORK, IMAGE, SHORT = "lantern", "lantern", 12
EDGES = {"lantern-edge-1": 8081, "lantern-edge-2": 8082}
SERVES_WITHIN_S = 5.0
MAIN, BRANCH = "refs/heads/main", "refs/heads/try-something"
SECRET = "DEPLOY_TOKEN"  # noqa: S105 - its name
FAILED = "❌"
FAILING = """
import assert from "node:assert/strict";
import { test } from "node:test";

test("the last row is sold first", () => assert.equal("A", "F"));
"""


@dataclass(frozen=True)
class Edge:
    """What one edge of production runs.

    Args:
        container: its id; another one after each rollout.
        image: the id of its image.
        token: the fingerprint of the token that it was rolled out with.
        is_running: whether it still does.
    """

    container: str
    image: str
    token: str
    is_running: bool


@dataclass
class Delivery:
    """A repository with the answer's workflows, and the engine where its images and containers are.

    Args:
        runner: runs the workflows.
        sandbox: has the engine.
        commits: by what is in them.
        token: opens production.
    """

    runner: Runner
    sandbox: Sandbox
    commits: Mapping[str, Commit]
    token: str

    def push(self, name: str, ref: str = MAIN) -> PipelineRun:
        """Push a commit, and return what came of it."""
        return self.runner.push(self.commits[name], ref, secrets={SECRET: self.token})

    def propose(self, name: str) -> PipelineRun:
        """Open a pull request of somebody who has no secrets."""
        return self.runner.pull_request(self.commits[name], title="Rows")

    def named(self, name: str) -> str:
        """Return the name of a commit's image."""
        return f"{IMAGE}:{self.commits[name].sha[:SHORT]}"

    def built(self, name: str) -> Image | None:
        """Return a commit's image."""
        return self.runner.image(self.named(name))

    def images(self) -> set[str]:
        """Return the tags of all images of the shop."""
        return set(self.sandbox.docker("images", "--format={{.Tag}}", IMAGE).split())

    def edges(self) -> list[Edge]:
        """Return what both edges of production run."""
        found: list[Json] = json.loads(self.sandbox.docker("container", "inspect", *EDGES))
        return [
            Edge(
                facts["Id"],
                facts["Image"],
                (facts["Config"]["Labels"] or {}).get("deployed-with", ""),
                facts["State"]["Running"],
            )
            for facts in found
        ]

    def doors(self) -> list[Client]:
        """Return a client of each edge."""
        return [self.sandbox.server(port) for port in EDGES.values()]

    def expect_untouched(self, before: list[Edge], after_what: str) -> None:
        """Fail unless both edges are the containers that they were."""
        for name, was, now in zip(EDGES, before, self.edges(), strict=True):
            if now != was:
                seen = "another container" if now.container != was.container else "it has ended"
                fail(f"{name} as it was, after {after_what}", seen, command=CHECK_AGAIN)


def expect(ran: PipelineRun, what: str, *, green: bool) -> None:
    """Fail unless something starts a workflow, and all of them end so."""
    if not ran.workflows or ran.is_green != green:
        fail(f"a {'green' if green else 'red'} run after {what}", told(ran), command=CHECK_AGAIN)


def told(ran: PipelineRun) -> str:
    """Return how a run went, and the step that failed first."""
    if not ran.workflows:
        return "no workflow starts"
    failed = [line for line in ran.log.splitlines() if FAILED in line]
    colour = "a green one" if ran.is_green else "a red one"
    return f"{colour}; {' '.join(failed[0].split())[:200]}" if failed else colour


@pytest.fixture(scope="module")
def delivery(runner: Runner, sandbox: Sandbox, submission: Submission, random: Random) -> Delivery:
    """The repository with every commit that the check pushes."""
    runner.join(NETWORK)
    fine: dict[str, dict[str, str]] = {"first": {}, "better": {}, "proposed": {}}
    changes = {**fine, **breaking(submission.files, random)}
    mark = random.word()
    commits = runner.commit(
        {name: {**changed, f"notes/{mark}.txt": name} for name, changed in changes.items()}
    )
    return Delivery(runner, sandbox, commits, random.hex(30))


def breaking(files: Mapping[str, bytes], random: Random) -> dict[str, dict[str, str]]:
    """Return the changes of commits that must not get to production, or not stay there."""
    server, stages = files["server.js"].decode(), files["stages.js"].decode()
    kept = [line for line in stages.splitlines() if "production:" not in line]
    return {
        "a failing test": {f"test/{random.word()}.test.js": FAILING},
        # No test starts the server.
        "an image that isn't ready": {"server.js": f"{server}\nprocess.exit(1);\n"},
        "a version that isn't ready in production": {"stages.js": "\n".join([*kept, ""])},
    }


@points(
    2,
    hints=(
        (
            "What does the last step of the run say? Which job waits for which, and which image"
            " does docker inspect show for lantern-edge-1 and lantern-edge-2?"
        ),
        (
            "Jobs test, build (needs: test; it also tries the image with tools/smoke.sh) and"
            " rollout (needs: build), the last two only on a push to main. Before sh"
            " tools/rollout.sh, keep the output of docker inspect --format '{{.Image}}'"
            " lantern-edge-1, and in a step with if: failure() roll that image out."
        ),
    ),
    link="The commit that should have stopped",
)
def check_ships_from_a_push(delivery: Delivery) -> None:
    """A push to main ends with its image on both edges; a red run ships nothing, or is undone"""
    for name in ("first", "better"):
        ships(delivery, name)
    before, images = delivery.edges(), delivery.images()
    delivery.push("proposed", BRANCH)
    expect(delivery.propose("proposed"), "a good pull request", green=True)
    expect(delivery.propose("a failing test"), "a pull request with a failing test", green=False)
    if new := delivery.images() - images:
        fail(f"no image {IMAGE} from another branch or a pull request", ", ".join(new),
             command=CHECK_AGAIN)  # fmt: skip
    what = "a push of a failing test"
    expect(delivery.push("a failing test"), what, green=False)
    if delivery.built("a failing test"):
        fail(f"nothing built after {what}", f"an image {delivery.named('a failing test')}",
             command=CHECK_AGAIN)  # fmt: skip
    what = "a push of an image that isn't ready"
    expect(delivery.push("an image that isn't ready"), what, green=False)
    delivery.expect_untouched(before, f"branches, pull requests and {what}")
    goes_back(delivery, before)


def ships(delivery: Delivery, name: str) -> None:
    """Push a good commit, and expect it on both edges."""
    what, sha = "a push to main", delivery.commits[name].sha
    expect(delivery.push(name), what, green=True)
    image = delivery.built(name)
    if image is None:
        seen = ", ".join(f"{IMAGE}:{tag}" for tag in delivery.images())
        fail(f"the image {delivery.named(name)} after {what}", seen or f"no image {IMAGE}",
             command=CHECK_AGAIN)  # fmt: skip
    token = hashlib.sha256(delivery.token.encode()).hexdigest()[:SHORT]
    for edge, live in zip(EDGES, delivery.edges(), strict=True):
        if live.image != image.image_id:
            fail(f"{edge} with {delivery.named(name)}", live.image, command=CHECK_AGAIN)
        if live.token != token:
            fail(f"a rollout with the secret {SECRET}", "another token", command=CHECK_AGAIN)
    for door in delivery.doors():
        eventually(
            lambda d=door: d.get("/api/version").expect(200, json={"revision": sha}),  # type: ignore[misc]
            within_s=SERVES_WITHIN_S,
        )


def goes_back(delivery: Delivery, before: list[Edge]) -> None:
    """Push what isn't ready in production, and expect the image before on both edges again."""
    name = "a version that isn't ready in production"
    ran = delivery.push(name)
    after = delivery.edges()
    if delivery.built(name) is None or after[0].container == before[0].container:
        fail(f"{delivery.named(name)} rolled out, and then the image before again",
             f"it was never rolled out; {told(ran)}", command=CHECK_AGAIN)  # fmt: skip
    for edge, was, now in zip(EDGES, before, after, strict=True):
        if now.image != was.image:
            fail(f"the image before on {edge}, after {name}", "the one that isn't ready",
                 command=CHECK_AGAIN)  # fmt: skip
    expect(ran, f"a push of {name}", green=False)
    for door in delivery.doors():
        eventually(lambda d=door: d.get("/api/shows").expect(200), within_s=SERVES_WITHIN_S)  # type: ignore[misc]


# --- who is woken, and by what --------------------------------------------------------------------

RULES, CASES = "rules.yml", "of_the_check.yml"
FAST, SLOW = ("BudgetBurnsFast", "page"), ("BudgetBurnsSlowly", "ticket")
# A morning before anything happens: the longest window is six hours.
CALM = 370
# Minutes between a change of a condition and that of its alert, at most.
DELAY = 2
MINUTES = 10 * 60
SHOWS, BOOK, RARE = "/api/v2/shows", "/api/bookings", "/api/users"
PER_MINUTE = {SHOWS: 600, BOOK: 300, RARE: 6}
INSTANCES = ("edge-1:9100", "edge-2:9100")


@dataclass
class Case:
    """A day in numbers, and which alerts fire at which minute of it.

    Args:
        name: as the report says it.
        firing: alerts by minute.
        rates: requests a minute that a series counts, from a minute on, by route, status and
            instance.
    """

    name: str
    firing: Mapping[int, set[tuple[str, str]]]
    rates: dict[tuple[str, str, str], list[tuple[int, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for route, rate in PER_MINUTE.items():
            for instance in INSTANCES:
                self.rates[route, "200", instance] = [(0, rate / 2)]
        # Each day has its errors: one request in 5000.
        self.rates[SHOWS, "500", INSTANCES[0]] = [(0, sum(PER_MINUTE.values()) / 5000)]

    def fails(self, status: str, share: float, since: int, until: int) -> "Case":
        """Have further requests end with a status meanwhile, as a share of those that end well."""
        for route in (SHOWS, BOOK):
            rate = PER_MINUTE[route] * share
            self.rates[route, status, INSTANCES[1]] = [(0, 0), (since, rate), (until, 0)]
        return self

    def burns_since(self, window: int, limit: float) -> int:
        """Return the first minute at which more than a share of a window's requests failed."""
        return next(m for m in range(CALM, MINUTES) if self._share(m - window, m) > limit)

    def _share(self, since: int, until: int) -> float:
        grown = {
            series: counted(rates, until) - counted(rates, since)
            for series, rates in self.rates.items()
        }
        failed = sum(more for (_, status, _), more in grown.items() if status.startswith("5"))
        return failed / sum(grown.values())


def counted(rates: list[tuple[int, float]], minute: int) -> float:
    """Return a counter's value at a minute."""
    ends = [since for since, _ in rates[1:]] + [MINUTES]
    turns = zip(rates, ends, strict=True)
    return sum(
        rate * (min(until, minute) - since) for (since, rate), until in turns if since < minute
    )


def cases(random: Random) -> list[Case]:
    """Return days on which somebody must be told, and days on which nobody may be."""
    lost = random.pick(["502", "503", "504"])
    many, few = random.integer(20, 30), random.integer(11, 13)
    outage = Case(
        f"beside a hundred requests that end well, {many} end with {lost},"
        f" from minute {CALM} to {CALM + 20}",
        {},
    ).fails(lost, many / 100, CALM, CALM + 20)
    fast, slowly = outage.burns_since(60, 0.0144), outage.burns_since(6 * 60, 0.006)
    # No failure is in the last five minutes any more, from minute CALM + 25 on.
    outage.firing = {
        CALM - 1: set(), fast + DELAY: {FAST}, slowly + DELAY: {FAST, SLOW},
        CALM + 18: {FAST, SLOW}, CALM + 25 + DELAY: {SLOW},
    }  # fmt: skip
    blip = Case(
        f"beside a hundred requests that end well, ten end with {lost} for three minutes,"
        f" from minute {CALM} on",
        {CALM + n: set() for n in (2, 3, 4, 8)},
    ).fails(lost, 0.1, CALM, CALM + 3)
    slow = Case(
        f"beside a thousand requests that end well, {few} end with 500,"
        f" from minute {CALM} to {CALM + 220}",
        {CALM + 30: set(), CALM + 215: {SLOW}, CALM + 220 + 33: set()},
    ).fails("500", few / 1000, CALM, CALM + 220)
    quiet = {CALM + n: set[tuple[str, str]]() for n in (4, 12, 40)}
    not_found = Case(f"half of all requests end with 404, 409 or 429, from minute {CALM} on", quiet)
    for status in ("404", "409", "429"):
        not_found.rates[BOOK, status, INSTANCES[0]] = [(0, 3), (CALM, 300)]
    spike = Case(f"forty times the traffic, from minute {CALM} on, and 0.05 % of it fails", quiet)
    for instance in INSTANCES:
        spike.rates[SHOWS, "200", instance] = [(0, 300), (CALM, 18_000)]
    spike.rates[SHOWS, "503", INSTANCES[0]] = [(0, 0), (CALM, 18)]
    rare = Case(f"all of the few {RARE} end with 500, 0.3 % of all requests", quiet)
    for instance in INSTANCES:
        rare.rates[RARE, "200", instance] = [(0, 3), (CALM, 0)]
    rare.rates[RARE, "500", INSTANCES[0]] = [(0, 0), (CALM, 3)]
    empty = Case("nobody asks for anything, from the beginning", quiet)
    empty.rates = {series: [(0, 0)] for series in empty.rates}
    return [outage, blip, slow, not_found, spike, rare, empty]


def promtool_file(case: Case) -> bytes:
    """Return the case as a file of tests; an alert is seen by the series that it makes."""
    names = "|".join(name for name, _ in (FAST, SLOW))
    firing = f'group by (alertname, severity) (ALERTS{{alertstate="firing",alertname=~"{names}"}})'
    tests = [
        {
            "expr": firing,
            "eval_time": f"{minute}m",
            "exp_samples": [
                {"labels": f'{{alertname="{name}",severity="{severity}"}}', "value": 1}
                for name, severity in sorted(alerts)
            ],
        }
        for minute, alerts in case.firing.items()
    ]
    method = {SHOWS: "GET"}
    series = [
        {
            "series": f'http_requests_total{{job="edge",instance="{instance}",'
            f'method="{method.get(route, "POST")}",route="{route}",status="{status}"}}',
            "values": values(rates),
        }
        for (route, status, instance), rates in case.rates.items()
    ]
    whole = {
        "rule_files": [RULES],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "promql_expr_test": tests}],
    }
    return yaml.safe_dump(whole).encode()


def values(rates: list[tuple[int, float]]) -> str:
    """Return a counter's values in promtool's notation."""
    parts, value = [], 0.0
    ends = [since for since, _ in rates[1:]] + [MINUTES]
    for (since, rate), until in zip(rates, ends, strict=True):
        # "a+bxn" is n + 1 values; the next turn begins where this one ends.
        parts.append(f"{value:g}+{rate:g}x{until - since - 1}")
        value += rate * (until - since)
    return " ".join(parts)


@points(
    2,
    hints=(
        (
            "Which share of which requests, and over which two windows? promtool test rules shows"
            " what your rules make of a day in numbers."
        ),
        (
            'sum(rate(http_requests_total{status=~"5.."}[1h])) / sum(rate(http_requests_total[1h]))'
            " > 0.0144 and the same over [5m]; the slow one over [6h] and [30m], above 0.006."
        ),
    ),
    link="Alerts: the page that came, and the forty that shouldn't have",
)
def check_pages_rightly(monitoring: Monitoring, random: Random) -> None:
    """A partial outage pages, a slow leak writes a ticket; 404s, a spike and a blip do neither"""
    if RULES not in monitoring.files:
        fail(f"a file {RULES}", "there is none")
    mine = {f"case-{n}": case for n, case in enumerate(cases(random))}
    folders = {
        name: {**monitoring.files, CASES: promtool_file(case)} for name, case in mine.items()
    }
    ended = monitoring.promtool(folders, CASES)
    for name, case in mine.items():
        if ended[name].exit_code:
            fail(f"with your {RULES}, where {case.name}: {wanted_of(case)}", said(ended[name]),
                 command=CHECK_AGAIN)  # fmt: skip


def wanted_of(case: Case) -> str:
    """Say which alerts must fire, and when."""
    return "; ".join(
        f"{' and '.join(sorted(name for name, _ in alerts)) or 'no alert'} at minute {minute}"
        for minute, alerts in case.firing.items()
    )


def said(finished: Finished) -> str:
    """Return what promtool says is wrong, in one line."""
    lines = [line.strip() for line in finished.stdout.splitlines() if line.strip()]
    wrong = [
        line for line in lines if line.startswith(("got:", "err", "FAILED")) or "time:" in line
    ]
    return " · ".join(wrong or lines[-3:])[:400]


# --- what is wrong tonight ------------------------------------------------------------------------

DIAGNOSE, DIAGNOSED_WITHIN_S = "diagnose.sh", 20
TOOLS_IMAGE = "course/tools:1"
SYSTEM = "system"
UP_WITHIN_S, SHOWN_WITHIN_S = 90.0, 30.0
POLL_S = 0.1
SERVICES = ("edge", "db", "cache", "broker")
WORKLOADS = (*SERVICES, "worker", "partners", "operator")
INDEXES = ("unfinished", "unsent", "of_show")
UNFINISHED = 40
LITTLE_LAG_S, MUCH_LAG_S = 0.2, 0.6
# One of each kind: what the cluster knows, what credentials say, what only the programs measure.
KINDS = (
    ("selector", "name"),
    ("secret", "certificate"),
    ("pool", "queue", "event-loop", "index"),
)
OPERATOR, OFFICE_DATABASE = "deployment/operator", "deployment/db"
RUN = f"""printf %s "$1" > /tmp/diagnose.sh; cd /tmp
timeout {DIAGNOSED_WITHIN_S} sh diagnose.sh 2> said; code=$?
echo; echo "$2"; tail -c 300 said; exit "$code"
"""
TOO_LATE = 124
BLOCKS = (
    "--import=data:text/javascript,"
    "setInterval(()=>{const%20t=Date.now();while(Date.now()-t<800);},1000)"
)
FLOOD = """touch flood; for n in 1 2 3 4 5 6 7 8; do
  (while [ -e flood ]; do curl -sk --max-time 60 "https://$1:3000/v2/shows"; sleep 0.1; done) &
done"""
BOOKED = f"""WITH a_user AS (INSERT INTO users VALUES ('ada', 'none') RETURNING name),
  a_show AS (INSERT INTO shows (title, starts_at, price_cents)
    VALUES ('Hamlet', '2027-03-01T19:30:00Z', 2500) RETURNING id),
  booked AS (INSERT INTO bookings
      (show_id, seat, user_name, price_cents, idempotency_key, traceparent)
    SELECT a_show.id, 'A' || n, a_user.name, 2500, 'key-' || n, ''
    FROM a_user, a_show, generate_series(1, {UNFINISHED}) n RETURNING *)
INSERT INTO events (booking_id, show_id, seat, state)
  SELECT id, show_id, seat, 'held' FROM booked"""  # noqa: S608 - our own numbers


class Night:
    """The box office in a namespace, and what goes wrong in it.

    Args:
        namespace: where it runs.
        random: draws what goes wrong.
        script: the answer's, which finds it.
    """

    def __init__(self, namespace: Namespace, random: Random, script: str) -> None:
        self.namespace, self.random, self.script = namespace, random, script
        self._expired: Json = {}
        self._valid: Json = {}

    def begin(self, files: Mapping[str, bytes], certificates: str) -> None:
        """Apply the given system, and wait until all of it is ready."""
        made = {o["metadata"]["name"]: o for o in yaml.safe_load_all(certificates)}
        self._valid = made["edge-tls"]["data"]
        self._expired = made["edge-tls-expired"]["data"]
        given = {path: data for path, data in files.items() if path.startswith(f"{SYSTEM}/")}
        self.namespace.apply(
            {**given, f"{SYSTEM}/certificates.yaml": certificates.encode()}, folder=SYSTEM
        )
        self.namespace.wait_for_job("migrate", within_s=UP_WITHIN_S)
        for name in WORKLOADS:
            self.namespace.wait_for_rollout("deployments", name, within_s=UP_WITHIN_S)
        lag = "event_loop_lag_seconds"
        until("an edge without lag", lambda: 0 <= self.measured("edge", lag) < LITTLE_LAG_S)

    @contextmanager
    def fault(self, name: str) -> Iterator[str]:
        """Bring a fault into the system, and heal it at the end; yields what was done."""
        with getattr(self, name.replace("-", "_"))() as done:
            yield done

    @contextmanager
    def selector(self) -> Iterator[str]:
        """Have a Service look for pods that do not exist."""
        service = self.random.pick(SERVICES)
        wrong = misspelt(service)
        self.namespace.change("services", service, {"spec": {"selector": {"app": wrong}}})
        until("no endpoint", lambda: not self.endpoints(service))
        yield f"the Service {service} selects app={wrong}"
        self.namespace.change("services", service, {"spec": {"selector": {"app": service}}})
        until("an endpoint", lambda: self.namespace.ready_endpoints(service) > 0)

    @contextmanager
    def name(self) -> Iterator[str]:
        """Misspell the name of a host in the settings of the edge."""
        key, host, value = self.random.pick([
            ("DATABASE_HOST", "db", "db"), ("REDIS_URL", "cache", "redis://cache:6379"),
        ])  # fmt: skip
        wrong = value.replace(host, misspelt(host))
        with self.setting(key, wrong, value):
            until("a name that is unknown", lambda: self.logs("edge", "ENOTFOUND", "EAI_AGAIN"))
            yield f"{key} of the edge is {wrong}"

    @contextmanager
    def secret(self) -> Iterator[str]:
        """Have the edge or the worker use another password than the database."""
        workload = self.random.pick(["edge", "worker"])
        before = self.namespace.get("secrets", "db-secret")["data"]
        wrong = {"password": base64.b64encode(self.random.hex(20).encode()).decode()}
        self.namespace.change("secrets", "db-secret", {"data": wrong})
        self.replace(workload)
        until("a refusal", lambda: self.logs(workload, "password authentication failed"))
        yield f"{workload} was restarted with another password in db-secret"
        self.namespace.change("secrets", "db-secret", {"data": before})
        self.replace(workload)
        self.wait_for(workload)

    @contextmanager
    def certificate(self) -> Iterator[str]:
        """Let the edge serve a certificate that has expired."""
        self.namespace.change("secrets", "edge-tls", {"data": self._expired})
        self.replace("edge")
        self.wait_for("edge")
        yield "the certificate in edge-tls has expired"
        self.namespace.change("secrets", "edge-tls", {"data": self._valid})
        self.replace("edge")
        self.wait_for("edge")

    @contextmanager
    def pool(self) -> Iterator[str]:
        """Leave a transaction open that all of the edge's sessions wait for."""
        held = "BEGIN; LOCK TABLE shows; SELECT pg_sleep(600)"
        psql = "setsid psql --username=lantern --command"
        self.inside(OFFICE_DATABASE, f'{psql} "{held}" > /dev/null 2>&1 &')
        address = self.pod("edge")["status"]["podIP"]
        self.inside(OPERATOR, f"cd /tmp; (set -- {address}; {FLOOD}) > /dev/null 2>&1")
        until(
            "an exhausted pool",
            lambda: (
                self.measured("edge", "db_pool_waiting") > 0
                and self.measured("edge", "db_pool_in_use") >= self.measured("edge", "db_pool_size")
            ),
        )
        yield "a transaction keeps all of the edge's connections waiting"
        self.inside(OPERATOR, "rm -f /tmp/flood")
        holder = "FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'"
        self.sql(f"SELECT pg_terminate_backend(pid) {holder}")
        self.wait_for("edge")

    @contextmanager
    def queue(self) -> Iterator[str]:
        """Have the payment company fall silent while bookings come in; it stays so."""
        self.inside(OPERATOR, "curl -s --request POST http://partners:4000/hold")
        self.sql(BOOKED)
        until("a full queue", lambda: self.measured("worker", "queue_messages") >= UNFINISHED)
        yield f"{UNFINISHED} messages wait at the broker, and none gets finished"

    @contextmanager
    def event_loop(self) -> Iterator[str]:
        """Have the edge compute for most of each second."""
        with self.setting("NODE_OPTIONS", BLOCKS, None):
            until("a lag", lambda: self.measured("edge", "event_loop_lag_seconds") > MUCH_LAG_S)
            yield "the edge computes for 0.8 of each second"

    @contextmanager
    def index(self) -> Iterator[str]:
        """Drop an index that the migration has made."""
        name = self.random.pick(INDEXES)
        made = self.sql(f"SELECT indexdef FROM pg_indexes WHERE indexname = '{name}'")  # noqa: S608 - our own words
        self.sql(f"DROP INDEX {name}")
        yield f"the index {name} is gone"
        self.sql(made)

    @contextmanager
    def setting(self, key: str, value: str, before: str | None) -> Iterator[None]:
        """Change a setting and restart the edge with it; None takes it out."""
        self.namespace.change("configmaps", "settings", {"data": {key: value}})
        self.replace("edge")
        yield
        self.namespace.change("configmaps", "settings", {"data": {key: before}})
        self.replace("edge")
        self.wait_for("edge")

    # --- looking and acting -----------------------------------------------------------------------

    def pod(self, workload: str) -> Json:
        """Return the pod of a workload; empty while there is not just one."""
        pods = self.namespace.pods_of("deployments", workload)
        return pods[0] if len(pods) == 1 else {}

    def replace(self, workload: str) -> None:
        """Restart a workload, and wait until its next pod runs, ready or not."""
        old = self.pod(workload)["metadata"]["uid"]
        self.namespace.restart("deployments", workload)

        def runs() -> bool:
            pod = self.pod(workload)
            statuses = pod.get("status", {}).get("containerStatuses") or [{}]
            return bool(pod and pod["metadata"]["uid"] != old and statuses[0].get("started"))

        until(f"another pod of {workload}", runs)

    def wait_for(self, workload: str) -> None:
        """Wait until a workload is ready."""
        self.namespace.wait_for_rollout("deployments", workload, within_s=SHOWN_WITHIN_S)

    def endpoints(self, service: str) -> list[Json]:
        """Return where a Service leads, ready or not."""
        slices = self.namespace.all_of("endpointslices", f"kubernetes.io/service-name={service}")
        return [end for s in slices for end in s.get("endpoints") or []]

    def inside(self, where: str, script: str) -> str:
        """Run a script of ours in a pod, and return what it prints."""
        return self.namespace.execute(where, "sh", "-c", script)[1]

    def logs(self, workload: str, *signs: str) -> bool:
        """Tell whether a workload has just logged one of some words."""
        said = self.inside(OPERATOR, f"kubectl logs deployment/{workload} --since=5s --tail=50")
        return any(sign in said for sign in signs)

    def measured(self, workload: str, metric: str) -> float:
        """Return what a workload's only pod measures; -1 while it does not say."""
        address = self.pod(workload).get("status", {}).get("podIP", "")
        said = self.inside(OPERATOR, f"curl -s --max-time 5 http://{address}:9100/metrics")
        found = [line.split()[1] for line in said.splitlines() if line.startswith(f"{metric} ")]
        return float(found[0]) if found and found[0] != "NaN" else -1.0

    def sql(self, statement: str) -> str:
        """Run a statement in the office's database."""
        psql = ("psql", "--username=lantern", "--no-psqlrc", "--tuples-only", "--no-align")
        code, said = self.namespace.execute(
            OFFICE_DATABASE, *psql, "--set=ON_ERROR_STOP=1", f"--command={statement}"
        )
        if code:
            raise RuntimeError(said)
        return said.strip()


def misspelt(word: str) -> str:
    """Return a word whose last two letters have changed places."""
    return word[:-2] + word[-1] + word[-2]


def until(what: str, holds: Callable[[], bool]) -> None:
    """Wait until something of ours holds.

    Raises:
        RuntimeError: it does not, which is not the answer's fault.
    """
    deadline = Deadline(SHOWN_WITHIN_S)
    while not holds():
        if deadline.has_passed():
            raise RuntimeError(f"the given system does not show {what}")
        time.sleep(POLL_S)


@pytest.fixture(scope="module")
def night(
    cluster: Cluster, sandbox: Sandbox, submission: Submission, random: Random, meanwhile: Meanwhile
) -> Story[None]:
    """Return the story of a night on which three things go wrong, one after the other."""
    namespace = cluster.create_namespace()
    # What fills the queue stays, so it comes last.
    drawn = random.shuffled([random.pick(kind) for kind in KINDS])
    tonight = sorted(drawn, key=lambda name: name == "queue")
    files = submission.files

    def go() -> None:
        if DIAGNOSE not in files:
            fail(f"a file {DIAGNOSE}", "there is none")
        script = files["tools/certificates.sh"].decode()
        certificates = sandbox.docker("run", "--rm", TOOLS_IMAGE, "sh", "-c", script)
        night = Night(namespace, random, files[DIAGNOSE].decode(errors="replace"))
        night.begin(files, certificates)
        diagnose(night, "none", "all is well")
        for name in tonight:
            with night.fault(name) as done:
                diagnose(night, name, done)

    return meanwhile(go)


def diagnose(night: Night, wanted: str, done: str) -> None:
    """Run diagnose.sh in the pod of the operator, and compare what it says."""
    script, mark = night.script, secrets.token_hex(8)
    code, output = night.namespace.execute(OPERATOR, "sh", "-c", RUN, "sh", script, mark)
    printed, _, said = output.partition(mark)
    looked_for = f'{{"fault": "{wanted}"}} from {DIAGNOSE}, where {done}'
    if code == TOO_LATE:
        fail(looked_for, f"it still runs after {DIAGNOSED_WITHIN_S} s", command=CHECK_AGAIN)
    last = (printed.strip().splitlines() or [""])[-1].strip()
    try:
        fault = json.loads(last)["fault"]
    except (ValueError, TypeError, KeyError):
        seen = f"{last[:200]!r}; exit code {code}; {said.strip()[-200:]}"
        fail(looked_for, seen, command=CHECK_AGAIN)
    if fault != wanted:
        fail(looked_for, last[:200], command=CHECK_AGAIN)


@points(
    3,
    hints=(
        (
            "For each of the eight: which command shows this fault and no other? Begin with what"
            " Kubernetes knows, then the programs' logs and metrics, then the database."
        ),
        (
            "kubectl get endpointslices (a Service without addresses), kubectl logs --since=10s"
            " (password authentication failed, ENOTFOUND), curl --cacert (exit code 60), curl to"
            " port 9100 of the pod's address (pool, lag, queue), kubectl exec deployment/db -- psql"
            " (pg_indexes)."
        ),
    ),
    link="Eight faults, and what shows each of them",
)
def check_finds_the_fault(night: Story[None]) -> None:
    """diagnose.sh names each of three faults in the running system, and none when all is well"""
    night.result()


# --- the volume is lost ---------------------------------------------------------------------------

DATABASE, VOLUME, DATABASE_IMAGE = "lantern-db", "lantern-data", "postgres:17"
BACKUP, RESTORE = "backup.sh", "restore.sh"
ENDS_WITHIN_S = 30.0
STARTS_WITHIN_S = 20.0
LOCKED_WITHIN_S = 10.0
SOLD = ("bookings", "charges")
FIRST, SECOND = 3, 8
BOOKINGS = "bookings (show_id, seat, user_name, status)"
STATUSES = ("confirmed", "confirmed", "confirmed", "pending", "cancelled")
CHARGED = """INSERT INTO charges (booking_id, amount_cents) SELECT b.id, price_cents
  FROM bookings b JOIN shows s ON s.id = show_id WHERE status = 'confirmed'"""
MEANWHILE_USER = "during-the-backup"
# Keeps the answer waiting at one table. Where it waits at the second of the two, a booking and its
# charge are committed first, and then one pair after another: what reads both tables at one moment
# has both rows of a pair, or neither.
HOLDS = """
DO $$ DECLARE booked bigint; BEGIN
  LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
  LOOP
    EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = '{table}'::regclass);
    PERFORM pg_sleep(0.01);
  END LOOP;
  IF pg_try_advisory_lock(33) THEN
    COMMIT;
    LOOP
      EXIT WHEN NOT EXISTS (SELECT FROM pg_locks WHERE granted
        AND relation = '{other}'::regclass AND mode = 'AccessExclusiveLock');
      PERFORM pg_sleep(0.01);
    END LOOP;
  ELSE
    LOOP
      INSERT INTO bookings (show_id, seat, user_name, status)
        SELECT min(id), 'F10', '{user}', 'cancelled' FROM shows RETURNING id INTO booked;
      INSERT INTO charges (booking_id, amount_cents) VALUES (booked, 100);
      COMMIT;
      PERFORM pg_sleep(0.002);
    END LOOP;
  END IF;
END $$
"""
HELD = """SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock'
  AND relation IN ('bookings'::regclass, 'charges'::regclass)"""
# Neither is anybody held any more, nor was a seat sold.
REFUSED = f"""SELECT ({HELD}) = 0 AND NOT EXISTS
  (SELECT FROM bookings WHERE user_name = '{MEANWHILE_USER}')"""  # noqa: S608 - our own word
TABLES = """SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
  WHERE relkind = 'r' AND nspname NOT IN ('pg_catalog', 'information_schema')"""
ROWS = f"""SELECT json_build_object(
  'shows', (SELECT coalesce(json_agg(s ORDER BY id), '[]') FROM shows s),
  'bookings', (SELECT coalesce(json_agg(b ORDER BY id), '[]') FROM bookings b
     WHERE user_name <> '{MEANWHILE_USER}'),
  'charges', (SELECT coalesce(json_agg(c ORDER BY id), '[]') FROM charges c
     WHERE booking_id NOT IN (SELECT id FROM bookings WHERE user_name = '{MEANWHILE_USER}')))"""  # noqa: S608 - our own word
HALVES = f"""SELECT count(*) FROM bookings b FULL JOIN charges c ON c.booking_id = b.id
  WHERE coalesce(b.user_name, '{MEANWHILE_USER}') = '{MEANWHILE_USER}'
  AND (b.id IS NULL OR c.id IS NULL)"""  # noqa: S608 - our own word


class BoxOfficeDatabase:
    """The database's container on the machine where the answer's scripts run.

    Args:
        sandbox: the engine of that machine.
        schema: the given tables.
        random: draws rows and passwords.
    """

    def __init__(self, sandbox: Sandbox, schema: str, random: Random) -> None:
        self.sandbox, self.random = sandbox, random
        self._schema = schema
        self.password = ""

    def start(self) -> None:
        """Start it with an empty volume, and a password that it has not had before."""
        self.password = self.random.hex(20)
        variables = {"POSTGRES_USER": "lantern", "POSTGRES_DB": "lantern",
                     "POSTGRES_PASSWORD": self.password}  # fmt: skip
        self.sandbox.docker(
            "run", "--detach", f"--name={DATABASE}", f"--network={NETWORK}",
            f"--volume={VOLUME}:/var/lib/postgresql/data",
            *(f"--env={name}={text}" for name, text in variables.items()),
            DATABASE_IMAGE, "-c", "fsync=off",
        )  # fmt: skip
        eventually(lambda: self.sql("SELECT 1"), within_s=STARTS_WITHIN_S)

    def lose(self) -> None:
        """Remove the container and its volume."""
        self.sandbox.docker("rm", "--force", DATABASE)
        self.sandbox.docker("volume", "rm", VOLUME)

    def sql(self, statement: str, *options: str) -> str:
        """Run a statement as psql does inside, and return what it prints."""
        psql = ("psql", "--username=lantern", "--dbname=lantern", "--quiet", "--no-psqlrc",
                "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")  # fmt: skip
        return self.sandbox.docker(
            "exec", *options, DATABASE, *psql, f"--command={statement}"
        ).strip()

    def rows(self) -> Json:
        """Return the rows of each table, without those that were made during the backup."""
        return dict(json.loads(self.sql(ROWS)))

    def started_at(self) -> str:
        """Return when its container was started."""
        return self.sandbox.docker("inspect", "--format={{.State.StartedAt}}", DATABASE).strip()

    def fill(self) -> None:
        """Make the tables and a sale in them; the last bookings of all are deleted again."""
        self.sql(self._schema)
        for number in (FIRST, SECOND):
            title = f'{self.random.text()}\'s "{self.random.word()}"\n{number}'
            price = self.random.integer(1500, 4000)
            row = f"({number}, {literal(title)}, '2027-03-01T19:30:00Z', {price})"
            self.sql(f"INSERT INTO shows VALUES {row}")  # noqa: S608 - our own words
        seats = [f"{row}{number}" for row in "ABCDE" for number in range(1, 11)]
        sold = [
            f"({number}, '{seat}', {literal(self.random.text())}, '{self.random.pick(STATUSES)}')"
            for number in (FIRST, SECOND)
            for seat in self.random.shuffled(seats)[: self.random.integer(14, 22)]
        ]
        gone = [f"({FIRST}, 'F{number}', 'gone', 'cancelled')" for number in range(1, 6)]
        for rows in (sold, gone):
            self.sql(f"INSERT INTO {BOOKINGS} VALUES {', '.join(rows)}")  # noqa: S608 - our own words
        self.sql(CHARGED)
        self.sql("DELETE FROM bookings WHERE user_name = 'gone'")

    def last_id(self) -> int:
        """Return the last id that a booking was given."""
        return int(self.sql("SELECT last_value FROM bookings_id_seq"))

    def book(self, seat: str) -> int:
        """Sell a seat of the first show, and return the booking's id."""
        row = f"({FIRST}, '{seat}', 'after', 'confirmed')"
        return int(self.sql(f"INSERT INTO {BOOKINGS} VALUES {row} RETURNING id"))  # noqa: S608 - our own words

    @contextmanager
    def selling(self) -> Iterator[None]:
        """Hold both tables until somebody waits for them, and sell a seat in between."""
        for table, other in zip(SOLD, SOLD[::-1], strict=True):
            text = HOLDS.format(table=table, other=other, user=MEANWHILE_USER)
            self.sql(text, "--detach")
        eventually(self._expect_held, within_s=LOCKED_WITHIN_S)
        yield

    def _expect_held(self) -> None:
        if (held := self.sql(HELD)) != "2":
            fail("both tables held", held)


def literal(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture(scope="module")
def office(
    delivery: Delivery, submission: Submission, random: Random, meanwhile: Meanwhile
) -> Story[BoxOfficeDatabase]:
    """A database with a sale in it, in the network that the deliveries use too."""
    schema = submission.files["schema.sql"].decode()
    database = BoxOfficeDatabase(delivery.sandbox, schema, random)

    def begin() -> BoxOfficeDatabase:
        database.start()
        database.fill()
        return database

    return meanwhile(begin)


@points(
    3,
    hints=(
        (
            "Try the whole way by hand: backup, docker rm and docker volume rm, a new container,"
            " restore, and then INSERT a booking. What does each exit code say?"
        ),
        (
            "docker exec lantern-db pg_dump --username lantern --format custom lantern, with no"
            " pipe behind it; docker exec --interactive lantern-db pg_restore --username lantern"
            " --dbname lantern --single-transaction --exit-on-error."
        ),
    ),
    link="Backups: the one that was one, and the ones that weren't",
)
def check_comes_back(office: Story[BoxOfficeDatabase]) -> None:
    """After its volume is lost, the database comes back from a backup, and the sale continues"""
    database = office.result()
    before, last = database.rows(), database.last_id()
    backup = back_up(database)
    database.lose()
    ran = database.sandbox.run(BACKUP, within_s=ENDS_WITHIN_S)
    if not ran.exit_code:
        fail(f"another exit code than 0 of sh {BACKUP} without a database",
             f"0, and {len(ran.output)} bytes on standard output", command=CHECK_AGAIN)  # fmt: skip
    database.start()
    refuses_half(database, backup)
    succeeded(database.sandbox.run(RESTORE, stdin=backup, within_s=ENDS_WITHIN_S), RESTORE)
    expect_rows(database, before)
    expect_one_moment(database)
    sells_again(database, last)
    keeps_what_is_there(database, backup)


def succeeded(ran: Finished, script: str) -> None:
    """Fail unless a script ended with exit code 0."""
    if ran.exit_code:
        said = (ran.stderr.strip().splitlines() or ["nothing on standard error"])[-1]
        fail(f"exit code 0 of sh {script}", f"{ran.exit_code}: {said[:200]}", command=CHECK_AGAIN)


def back_up(database: BoxOfficeDatabase) -> bytes:
    """Run backup.sh while a seat is sold, and return what it prints."""
    started = database.started_at()
    with database.selling():
        ran = database.sandbox.run(BACKUP, within_s=ENDS_WITHIN_S)
    succeeded(ran, BACKUP)
    if not ran.output:
        fail("a backup on standard output", "nothing", command=CHECK_AGAIN)
    if database.started_at() != started:
        fail("a database that keeps running", "it was stopped meanwhile", command=CHECK_AGAIN)
    if database.sql(REFUSED) == "t":
        fail(f"a seat that is sold while sh {BACKUP} runs", "the sale had to wait for its end",
             command=CHECK_AGAIN)  # fmt: skip
    return ran.output


def refuses_half(database: BoxOfficeDatabase, backup: bytes) -> None:
    """Restore one half of a backup, and expect an empty database and an exit code that says so."""
    ran = database.sandbox.run(RESTORE, stdin=backup[: len(backup) // 2], within_s=ENDS_WITHIN_S)
    if not ran.exit_code:
        fail(f"another exit code than 0 of sh {RESTORE} with half a backup", "0",
             command=CHECK_AGAIN)  # fmt: skip
    if (tables := database.sql(TABLES)) != "0":
        fail(f"an empty database after sh {RESTORE} with half a backup", f"{tables} tables",
             command=CHECK_AGAIN)  # fmt: skip


def expect_rows(database: BoxOfficeDatabase, before: Json) -> None:
    """Compare the rows of all tables."""
    try:
        after = database.rows()
    except Failure as failure:
        fail("the tables of schema.sql after the restore", failure.saw, command=CHECK_AGAIN)
    for table, wanted in before.items():
        lost = [row for row in wanted if row not in after[table]]
        more = [row for row in after[table] if row not in wanted]
        if lost or more:
            example = f"; the first: {json.dumps((lost or more)[0])[:160]}"
            fail(f"the {len(wanted)} rows of {table} as they were",
                 f"{len(lost)} of them lost, {len(more)} others{example}",
                 command=CHECK_AGAIN)  # fmt: skip


def expect_one_moment(database: BoxOfficeDatabase) -> None:
    """Fail if a booking that was made during the backup is there without its charge."""
    if database.sql(HALVES) != "0":
        fail("a booking made during the backup with its charge, or neither",
             "one without the other", command=CHECK_AGAIN)  # fmt: skip


def sells_again(database: BoxOfficeDatabase, last: int) -> None:
    """Sell a seat after the restore, and try to sell it twice."""
    try:
        booked = database.book("F9")
    except Failure as failure:
        fail("a new booking after the restore", failure.saw, command=CHECK_AGAIN)
    if booked <= last:
        fail(f"a new booking with an id above {last}, the last that was given", f"{booked}",
             command=CHECK_AGAIN)  # fmt: skip
    try:
        database.book("F9")
    except Failure:
        return
    fail("a seat that is sold once", "it was sold twice after the restore", command=CHECK_AGAIN)


def keeps_what_is_there(database: BoxOfficeDatabase, backup: bytes) -> None:
    """Restore once more, over a database in use: nothing may change, nor its password."""
    before = database.rows()
    ran = database.sandbox.run(RESTORE, stdin=backup, within_s=ENDS_WITHIN_S)
    if not ran.exit_code:
        fail(f"another exit code than 0 of sh {RESTORE} over a database with bookings", "0",
             command=CHECK_AGAIN)  # fmt: skip
    if database.rows() != before:
        fail("the rows that were there before a second restore", "others", command=CHECK_AGAIN)
    try:
        database.sql("SELECT 1", f"--env=PGPASSWORD={database.password}", "--env=PGHOST=127.0.0.1")
    except Failure as failure:
        fail("the new database's own password, still valid", failure.saw, command=CHECK_AGAIN)
