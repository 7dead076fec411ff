import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, NoReturn

import pytest
import yaml
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from coursework.checks import (
    CHECK_AGAIN,
    Alertmanager,
    Failure,
    Finished,
    HeldBack,
    Image,
    Meanwhile,
    Monitoring,
    Prometheus,
    Random,
    Received,
    Server,
    Span,
    StartFailure,
    Story,
    Stub,
    at_once,
    at_rate,
    eventually,
    fail,
    points,
    spans_in,
)

REQUESTS, DURATIONS, BOOKINGS = (
    "http_requests_total",
    "http_request_duration_seconds",
    "lantern_bookings_total",
)
LABELS = {
    REQUESTS: {"method", "route", "status"},
    f"{DURATIONS}_count": {"method", "route"},
    BOOKINGS: {"result"},
}
SHOW, BOOK, BOOM, OTHER = "/api/shows/:id", "/api/bookings", "/api/boom", "other"
RESULTS = {201: "confirmed", 402: "declined", 502: "failed"}
COUNTED_WITHIN_S, ARRIVED_WITHIN_S, RAISED_WITHIN_S = 1.0, 2.0, 12.0
# The contract's 5 seconds, and one for the way.
PAGED_WITHIN_S = 6.0
METRICS_PORT = 9100
QUICK_S, SLOW_S, LATENCIES = 0.1, 0.7, 40
HIGH, SLOW, DOWN = "HighErrorRate", "SlowBookings", "TargetDown"
ALERTS = (HIGH, SLOW, DOWN)
RULES, RULES_TEST = "rules.yml", "rules_test.yml"
TRACES = "POST /v1/traces"

Series = tuple[str, frozenset[tuple[str, str]]]
Samples = dict[Series, float]


# --- the server, and what is behind it ------------------------------------------------------------


class Office:
    """A box office that is measured, and what it asks."""

    def __init__(self, server: Server, stub: Stub, collector: Stub, random: Random) -> None:
        self.server, self.stub, self.collector, self.random = server, stub, collector, random

    def show(self, status: int = 200, *, after_s: float = 0.0) -> str:
        """Return the path of a new show that the catalog answers with a status."""
        show_id = f"{self.random.word()}-{self.random.integer(100, 999)}"
        title = {"id": show_id, "title": self.random.word()}
        self.stub.reply(f"GET /shows/{show_id}", status, json=title, after_s=after_s)
        return f"/api/shows/{show_id}"

    def order(self, status: int = 201) -> dict[str, Any]:
        """Return a booking that the payment company answers with a status."""
        user = self.random.word()
        self.stub.reply("POST /charges", status, json={"id": self.random.word()}, having=user)
        return {"show_id": self.random.integer(11, 99), "seat": "C4", "user": user}

    def samples(self) -> Samples:
        """Return all series of its metrics by name and labels.

        Raises:
            Failure: they are not in Prometheus' text format.
        """
        return read(self.server)[0]

    def expect_more(self, before: Samples, wanted: Mapping[Series, int]) -> None:
        """Compare what was counted since, once all of it may be there."""
        names = {name for name, _ in wanted}

        def compare() -> None:
            now = self.samples()
            expect_labels(now)
            more = {s: v - before.get(s, 0.0) for s, v in now.items() if s[0] in names}
            for series in sorted({*wanted, *more}, key=str):
                if more.get(series, 0.0) != wanted.get(series, 0):
                    fail(
                        f"{told(series)} has grown by {wanted.get(series, 0)}",
                        f"by {more[series]:g}" if series in more else "there is no such series",
                    )

        eventually(compare, within_s=COUNTED_WITHIN_S)


def read(server: Server) -> tuple[Samples, dict[str, str]]:
    """Return a server's series, and the type of each metric by the names of its samples."""
    try:
        reply = server.side.get("/metrics")
    except Failure as failure:
        if not isinstance(failure, StartFailure) and server.container.exit_code() is None:
            failure.hint = "the metrics listen on the port in METRICS_PORT, on all addresses"
        raise
    reply.expect(200)
    is_openmetrics = reply.type == "application/openmetrics-text"
    parse = openmetrics_families if is_openmetrics else text_string_to_metric_families
    try:
        families = list(parse(reply.body.decode()))
    except (ValueError, KeyError, IndexError) as error:
        reply.fail(f"metrics in Prometheus' text format ({str(error)[:120]})")
    samples = {series(s.name, s.labels): s.value for f in families for s in f.samples}
    return samples, {s.name: f.type for f in families for s in f.samples}


def series(name: str, labels: Mapping[str, str]) -> Series:
    """Return a series' name with its labels in one."""
    return name, frozenset(labels.items())


def told(one: Series) -> str:
    """Return a series as Prometheus writes it."""
    labels = ", ".join(f'{name}="{value}"' for name, value in sorted(one[1]))
    return f"{one[0]}{{{labels}}}"


def requests_of(method: str, route: str, status: int) -> Series:
    """Return the series that counts a request."""
    return series(REQUESTS, {"method": method, "route": route, "status": str(status)})


def durations_of(method: str, route: str) -> Series:
    """Return the series that counts a request's duration."""
    return series(f"{DURATIONS}_count", {"method": method, "route": route})


def growth_of(*requests: tuple[str, str, int]) -> Counter[Series]:
    """Return by how much requests with these methods, routes and statuses are counted."""
    return Counter(s for r in requests for s in (requests_of(*r), durations_of(*r[:2])))


@pytest.fixture(scope="module")
def collector(stub: Stub) -> Stub:
    """Where spans go."""
    return new_collector(stub)


def new_collector(stub: Stub) -> Stub:
    """Return an upstream that takes all spans."""
    collector = stub.another()
    collector.reply(TRACES, 200, json={})
    return collector


@pytest.fixture(scope="session")
def service(random: Random) -> str:
    """A name of the service that nobody can type in."""
    return f"lantern-{random.word()}"


def variables(stub: Stub, collector: Stub, service: str) -> dict[str, str]:
    """Return what a server is told."""
    return {
        "CATALOG_URL": stub.url,
        "PAYMENTS_URL": stub.url,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_SERVICE_NAME": service,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }


@pytest.fixture(scope="module")
def office(image: Image, stub: Stub, collector: Stub, random: Random, service: str) -> Office:
    """A box office whose metrics are at a port that nobody uses by habit."""
    port, upstream = random.port(), stub.another()
    env = {**variables(upstream, collector, service), "METRICS_PORT": str(port)}
    return Office(image.start(env=env, side_port=port), upstream, collector, random)


# --- metrics --------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        "When do you count, and do you know by then how the request ended?",
        (
            "Count when the reply has been sent or the connection is closed: res.once('close') in "
            "Node, the end of the middleware in Python; 499 if the reply wasn't finished. A known "
            "path with another method is `other`."
        ),
    ),
    link="Count what is over",
)
def check_counts_truthfully(office: Office) -> None:
    """Each request is counted once, when it is over, with its route and its status"""
    server = office.server
    counts = iter(office.random.shuffled([2, 3, 4, 5, 6, 7]))
    calls: list[tuple[Series, Series, Callable[[], int]]] = []
    results: Counter[Series] = Counter()

    def plan(method: str, route: str, status: int, call: Callable[[], int]) -> None:
        planned = (requests_of(method, route, status), durations_of(method, route), call)
        calls.extend([planned] * next(counts, 1))

    plan("GET", SHOW, 200, lambda: server.get(office.show()).status)
    plan("GET", SHOW, 404, lambda: server.get(office.show(404)).status)
    plan("GET", SHOW, 502, lambda: server.get(office.show(503)).status)
    plan("GET", BOOM, 500, lambda: server.get(BOOM).status)
    plan("GET", OTHER, 404, lambda: server.get(f"/{office.random.word()}").status)
    plan("GET", OTHER, 404, lambda: server.get(f"{office.show()}/seats").status)
    plan("DELETE", OTHER, 404, lambda: server.request("DELETE", f"/{office.random.word()}").status)
    # The second port may open a moment after the first.
    start = eventually(office.samples, within_s=COUNTED_WITHIN_S)
    # Some frameworks say 405 where a path is known; either is right.
    refusal = 405 if server.get(BOOK).status == 405 else 404
    plan("GET", OTHER, refusal, lambda: server.get(BOOK).status)
    # 201 alone says that a charge was made.
    asked = ((201, 201), (402, 402), (502, 500), (502, 200))
    orders = [(status, office.order(payments)) for status, payments in asked]
    for status, body in orders:
        plan("POST", BOOK, status, lambda b=body: server.post(BOOK, json=b).status)  # type: ignore[misc]
    server.get(office.show()).expect(200)
    office.expect_more(start, growth_of(("GET", OTHER, refusal), ("GET", SHOW, 200)))
    before = office.samples()
    server.get("/healthz").expect(200)
    wanted: Counter[Series] = Counter()
    for counted, lasted, call in office.random.shuffled(calls):
        labels = dict(counted[1])
        if (status := call()) != int(labels["status"]):
            fail(f"{labels['status']} from {labels['method']} {labels['route']}", f"{status}")
        wanted += Counter([counted, lasted])
        if labels["route"] == BOOK:
            results[series(BOOKINGS, {"result": RESULTS[status]})] += 1
    office.expect_more(before, wanted + results)
    for _, body in orders:
        expect_passed_on(office, body)
    expect_types(server)
    expect_refused_charge(office)
    expect_aborted(office)
    server.get("/metrics").expect(404)


def expect_passed_on(office: Office, order: dict[str, Any]) -> None:
    """Look that the payment company gets the whole booking."""
    for charge in office.stub.requests("POST /charges", having=order["user"]):
        if (body := charge.json()) != order:
            what = f"POST /charges with {order}"
            fail(what, f"{body}"[:300], command=CHECK_AGAIN, hint="send the whole booking")


def expect_refused_charge(office: Office) -> None:
    """Have the payment company refuse connections: that booking has failed too."""
    order, before = office.order(), office.samples()
    office.stub.refuse()
    try:
        office.server.post(BOOK, json=order).expect(502)
    finally:
        office.stub.accept()
    failed = Counter([series(BOOKINGS, {"result": RESULTS[502]})])
    office.expect_more(before, growth_of(("POST", BOOK, 502)) + failed)


def expect_types(server: Server) -> None:
    """Compare the types of the metrics."""
    _, types = read(server)
    kinds = {REQUESTS: "counter", BOOKINGS: "counter", f"{DURATIONS}_count": "histogram"}
    for name, wanted in kinds.items():
        if types.get(name) != wanted:
            fail(f"{name} of a {wanted}", types.get(name, "there is none"))


def expect_labels(samples: Samples) -> None:
    """Compare the names of the labels."""
    for name, labels in samples:
        if name in LABELS and (seen := {label for label, _ in labels}) != LABELS[name]:
            fail(f"{name} with {sorted(LABELS[name])}", f"{sorted(seen)}")


def settled(office: Office) -> Samples:
    """Return the series once two looks give the same: what was answered has been counted."""

    def look() -> Samples:
        first = office.samples()
        time.sleep(0.1)
        now = office.samples()
        if any(first.get(s) != v for s, v in now.items() if s[0] in LABELS):
            fail("counts that stay while nothing is asked", "they grow")
        return now

    return eventually(look, within_s=COUNTED_WITHIN_S)


def expect_aborted(office: Office) -> None:
    """Hang up on one held request, and have another answered: neither counts before its end."""
    left, stayed = office.show(), office.show()
    before = settled(office)
    with (
        office.stub.holding(having=left.rsplit("/")[-1]) as held_left,
        office.stub.holding(having=stayed.rsplit("/")[-1]) as held,
        at_once(lambda path: office.server.get(path, timeout_s=30.0), [stayed]) as crowd,
    ):
        with office.server.connect() as line:
            line.send(f"GET {left} HTTP/1.1\r\nHost: lantern.example\r\n\r\n".encode())
            held_left.wait()
            held.wait()
            office.expect_more(before, {durations_of("GET", SHOW): 0})
        hung_up = {requests_of("GET", SHOW, 499): 1, durations_of("GET", SHOW): 1}
        release_once_noticed(held_left, lambda: office.expect_more(before, hung_up))
        office.expect_more(before, hung_up)
        held.release()
    crowd.results()[0].expect(200)
    office.expect_more(
        before, {**hung_up, requests_of("GET", SHOW, 200): 1, durations_of("GET", SHOW): 2}
    )


def release_once_noticed(held: HeldBack, noticed: Callable[[], object]) -> None:
    """Let a call go on whose caller has hung up; some servers notice only when they reply."""
    with suppress(Failure):
        noticed()
    held.release()


@points(
    1,
    needs=("counts_truthfully",),
    hints=(
        "How many series do your metrics have after a day on which somebody tries all paths?",
        "Label with the route's template, and with `other` for everything that has no route.",
    ),
    link="Labels that stay few",
)
def check_bounds_labels(office: Office) -> None:
    """300 more requests with new ids, queries and unknown paths add no series to the metrics"""
    server, random = office.server, office.random
    known, unknown = office.show(), office.show(404)
    for path in (known, unknown, f"/{random.word()}", f"{known}?day={random.word()}"):
        server.get(path)
    server.post(BOOK, json=office.order())
    before = series_with(
        office,
        growth_of(("GET", SHOW, 200), ("GET", SHOW, 404), ("GET", OTHER, 404), ("POST", BOOK, 201)),
    )
    office.stub.reply("GET /shows/gone-*", 404)
    paths = [f"/api/shows/gone-{random.word()}" for _ in range(100)]
    paths += [f"/{random.word()}/{random.word()}" for _ in range(100)]
    paths += [f"{known}?day={random.word()}" for _ in range(50)]
    for some in (paths[n : n + 50] for n in range(0, len(paths), 50)):
        with at_once(server.get, some) as crowd:
            pass
        crowd.results()
    orders = [office.order() for _ in range(50)]
    with at_once(lambda order: server.post(BOOK, json=order), orders) as bookings:
        pass
    bookings.results()
    after = {s for s in settled(office) if s[0] in LABELS}
    if more := sorted(after - before, key=str):
        fail(f"as many series as before, {len(before)}", f"{len(more)} more: {told(more[0])} …")


def series_with(office: Office, wanted: Counter[Series]) -> set[Series]:
    """Return the series of the contract's metrics, once those wanted are among them."""

    def look() -> set[Series]:
        found = {s for s in office.samples() if s[0] in LABELS}
        if missing := sorted(wanted.keys() - found, key=str):
            fail(told(missing[0]), "there is no such series")
        return found

    return eventually(look, within_s=COUNTED_WITHIN_S)


@points(
    1,
    needs=("counts_truthfully",),
    hints=(
        "In which unit do you observe, and between which two buckets lies 0.7?",
        "Observe seconds, and choose bounds close to 0.5: 0.4, 0.5, 0.6, 0.8, 1.",
    ),
    link="Where a histogram is exact",
)
def check_measures_latency(office: Office) -> None:
    """With one request in ten at 0.7 s, the histogram's 95th percentile is 0.5 to 0.9 s"""
    eventually(lambda: expect_quantile(office), within_s=15.0, attempts=3)


def expect_quantile(office: Office) -> None:
    """Have one request in ten take long, and compare the quantile that Prometheus would give."""
    slow = LATENCIES // 10
    waits = [SLOW_S] * slow + [QUICK_S] * (LATENCIES - slow)
    paths = [office.show(after_s=seconds) for seconds in office.random.shuffled(waits)]
    before = settled(office)
    with at_once(office.server.get, paths) as crowd:
        pass
    for reply in crowd.results():
        reply.expect(200)
    count = durations_of("GET", SHOW)
    office.expect_more(before, {count: LATENCIES})
    grown = buckets(office.samples(), before)
    if not grown or grown[-1] != (float("inf"), LATENCIES):
        seen = f"{grown[-1][0]:g} has grown by {grown[-1][1]:g}" if grown else "there is none"
        fail(f"a last bucket +Inf of {SHOW} that has grown by {LATENCIES}", seen)
    p95 = histogram_quantile(0.95, grown)
    if not 0.5 < p95 < 0.9:
        bounds = ", ".join(f"{bound:g}" for bound, _ in grown)
        fail(
            f"a 95th percentile of 0.5 to 0.9 s where {slow} of {LATENCIES} took {SLOW_S:g} s",
            f"{p95:g}; the bounds of your buckets: {bounds}",
            command=CHECK_AGAIN,
        )


def buckets(now: Samples, before: Samples) -> list[tuple[float, float]]:
    """Return how much each bucket of the shows has grown, by its bound."""
    grown = []
    for (name, labels), value in now.items():
        by = dict(labels)
        if name == f"{DURATIONS}_bucket" and (by.get("method"), by.get("route")) == ("GET", SHOW):
            try:
                grown.append((float(by["le"]), value - before.get((name, labels), 0.0)))
            except (KeyError, ValueError):
                fail("buckets with a number as le", told((name, labels)))
    return sorted(grown)


def histogram_quantile(quantile: float, cumulative: list[tuple[float, float]]) -> float:
    """Return a quantile as Prometheus does: linear within the bucket that holds its rank.

    https://prometheus.io/docs/prometheus/2.53/querying/functions/#histogram_quantile
    """
    rank = quantile * cumulative[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in cumulative:
        if bound < float("inf") and count >= rank:
            return lower + (bound - lower) * (rank - below) / (count - below)
        lower, below = bound, count
    return lower


# --- traces ---------------------------------------------------------------------------------------


@dataclass
class Caller:
    """Somebody who calls with a trace."""

    trace_id: str
    span_id: str

    @property
    def headers(self) -> dict[str, str]:
        """The fields that a request of theirs carries."""
        return {"traceparent": f"00-{self.trace_id}-{self.span_id}-01"}


def new_caller(random: Random) -> Caller:
    """Return a caller whose trace nobody has seen."""
    return Caller(random.hex(32), random.hex(16))


def spans_of(office: Office, trace_id: str, *, at_least: int) -> list[Span]:
    """Return a trace's spans of both kinds, once there are so many with a server's among them."""

    def look() -> list[Span]:
        all_spans = spans_in(office.collector.requests(TRACES))
        # Internal spans are free, and one of them may arrive before the client's.
        spans = [s for s in all_spans if s.trace_id == trace_id and s.kind in ("server", "client")]
        if not all_spans:
            expect_no_other_path(office)
        if len(spans) < at_least or not any(span.kind == "server" for span in spans):
            seen = ", ".join(f"{s.kind} {s.name}" for s in spans) or "none"
            fail(
                f"{at_least} spans of trace {trace_id}, one of kind server",
                f"{seen}; {len(all_spans)} spans of other traces have arrived",
                command=CHECK_AGAIN,
            )
        return spans

    return eventually(look, within_s=ARRIVED_WITHIN_S)


def expect_no_other_path(office: Office) -> None:
    """Fail if the collector was asked, but not for the path that takes spans."""
    paths = {f"{request.method} {request.path}" for request in office.collector.requests()}
    if elsewhere := ", ".join(sorted(paths - {TRACES})):
        hint = "send the spans to OTEL_EXPORTER_OTLP_ENDPOINT with /v1/traces behind it"
        fail(f"spans at {TRACES}", elsewhere[:300], command=CHECK_AGAIN, hint=hint)


def expect_server_span(
    office: Office, caller: Caller, route: str, status: int, *, calls: int = 0
) -> Span:
    """Compare the one server's span of a trace with what the request came to."""
    spans = spans_of(office, caller.trace_id, at_least=1 + calls)
    servers = [span for span in spans if span.kind == "server"]
    what = f"{route} {status}"
    if len(servers) != 1:
        again(f"one span of kind server for {what}", f"{len(servers)}")
    [span] = servers
    code = span.attributes.get("http.response.status_code")
    for name, wanted, seen in (
        ("parent", caller.span_id, span.parent_id),
        ("http.route", route, span.attributes.get("http.route")),
        ("http.response.status_code", status, code),
        ("an error", status >= 500, span.is_error),
    ):
        if wanted != seen:
            again(f"a server's span of {what} with {name}: {wanted!r}", f"{seen!r}")
    return span


def again(looked_for: str, saw: str) -> NoReturn:
    """Fail with what only another check shows."""
    fail(looked_for, saw, command=CHECK_AGAIN)


def only_call(office: Office, having: str, route: str = "") -> Received:
    """Return the call that a request led to: there must be one, and no more."""
    calls = office.stub.requests(route, having=having, at_least=1)
    if len(calls) > 1:
        again("one call for one request", f"{len(calls)}, {calls[0].method} {calls[0].path}")
    return calls[0]


def expect_call(office: Office, caller: Caller, span: Span, request: Received) -> None:
    """Compare the client's span of a call with the server's, and with what was sent."""
    parent = request.headers.get("traceparent") or ""
    trace_id, span_id, *_ = [*parent.split("-")[1:3], "", ""]
    what = f"{request.method} {request.path}"
    if trace_id != caller.trace_id:
        again(f"{what} with the trace {caller.trace_id}", f"traceparent: {parent or '(absent)'}")
    spans = spans_of(office, caller.trace_id, at_least=2)
    clients = [one for one in spans if one.kind == "client"]
    if span_id not in {client.span_id for client in clients}:
        ids = ", ".join(client.span_id for client in clients) or "there is none"
        again(f"{what} with the id of its client span: {ids}", f"traceparent: {parent}")
    [client] = [client for client in clients if client.span_id == span_id]
    if client.parent_id != span.span_id:
        again(f"a client span whose parent is the server's span, {span.span_id}", client.parent_id)


@points(
    2,
    hints=(
        "Which span is open while your handler calls the next service, and who is its parent?",
        (
            "Extract the caller's context from the headers, start the server's span in it, start a "
            "client span inside, and inject that one's context into the call; always end each span."
        ),
    ),
    link="One request through many programs",
)
def check_traces_the_call(office: Office, service: str) -> None:
    """A request's spans belong to the caller's trace, and the call carries the client span's id"""
    random, server = office.random, office.server
    show = office.show()
    caller = new_caller(random)
    server.get(show, headers=caller.headers).expect(200)
    span = expect_server_span(office, caller, SHOW, 200, calls=1)
    request = only_call(office, show.rsplit("/")[-1])
    expect_call(office, caller, span, request)
    if span.service != service:
        again(f"service.name: {service}", span.service or "(absent)")
    expect_new_trace(office)
    for status, asked in ((402, 402), (502, 503)):
        order, caller = office.order(asked), new_caller(random)
        server.post(BOOK, json=order, headers=caller.headers).expect(status)
        span = expect_server_span(office, caller, BOOK, status, calls=1)
        request = only_call(office, order["user"], "POST /charges")
        expect_call(office, caller, span, request)
    unseen = new_caller(random)
    server.get("/healthz", headers=unseen.headers).expect(200)
    for path, route, status in ((BOOM, BOOM, 500), (f"/{random.word()}", OTHER, 404)):
        caller = new_caller(random)
        server.get(path, headers=caller.headers).expect(status)
        expect_server_span(office, caller, route, status)
    expect_apart(office)
    if any(s.trace_id == unseen.trace_id for s in spans_in(office.collector.requests(TRACES))):
        again("no span of GET /healthz", "one has arrived")
    expect_unreached(office)
    expect_harmless(office)


def expect_new_trace(office: Office) -> None:
    """Call without a trace, twice: each begins one."""
    seen = set()
    for _ in range(2):
        show = office.show()
        office.server.get(show).expect(200)
        request = only_call(office, show.rsplit("/")[-1])
        parent = (request.headers.get("traceparent") or "").split("-")
        if len(parent) < 4 or not set(parent[1]) - {"0"}:
            again("a traceparent in the call to the catalog", "-".join(parent) or "(absent)")
        span = expect_server_span(office, Caller(parent[1], ""), SHOW, 200, calls=1)
        seen.add(span.trace_id)
    if len(seen) == 1:
        again("another trace for another request", f"{seen.pop()} for both")


def expect_apart(office: Office) -> None:
    """Hold two calls and hang up on one request: each keeps its trace, each span ends."""
    left, stayed = office.show(), office.show()
    callers = {path: new_caller(office.random) for path in (left, stayed)}
    with (
        office.stub.holding(having=left.rsplit("/")[-1]) as held_left,
        office.stub.holding(having=stayed.rsplit("/")[-1]) as held,
        at_once(
            lambda path: office.server.get(path, headers=callers[path].headers, timeout_s=30.0),
            [stayed],
        ) as crowd,
    ):
        with office.server.connect() as line:
            [(name, value)] = callers[left].headers.items()
            line.send(
                f"GET {left} HTTP/1.1\r\nHost: lantern.example\r\n{name}: {value}\r\n\r\n".encode()
            )
            of_left, of_stayed = held_left.wait()[0], held.wait()[0]
        for path, request in ((left, of_left), (stayed, of_stayed)):
            parent = request.headers.get("traceparent") or "(absent)"
            if callers[path].trace_id not in parent:
                again(
                    f"each of two calls at once with its own trace, {callers[path].trace_id}",
                    parent,
                )
        release_once_noticed(
            held_left, lambda: expect_server_span(office, callers[left], SHOW, 499)
        )
        span = expect_server_span(office, callers[left], SHOW, 499, calls=1)
        expect_call(office, callers[left], span, of_left)
        held.release()
    crowd.results()[0].expect(200)
    expect_server_span(office, callers[stayed], SHOW, 200, calls=1)


def expect_unreached(office: Office) -> None:
    """Have the catalog refuse connections: the call that failed is a span all the same."""
    show, caller = office.show(), new_caller(office.random)
    office.stub.refuse()
    try:
        office.server.get(show, headers=caller.headers).expect(502)
    finally:
        office.stub.accept()
    span = expect_server_span(office, caller, SHOW, 502, calls=1)
    spans = spans_of(office, caller.trace_id, at_least=2)
    parents = [one.parent_id for one in spans if one.kind == "client"]
    if span.span_id not in parents:
        again(f"a client span of a refused call whose parent is the server's span, {span.span_id}",
              ", ".join(parents) or "none of kind client")  # fmt: skip


def expect_harmless(office: Office) -> None:
    """Refuse the spans for longer than a batch waits: guests are answered all the same."""
    show = office.show()
    office.collector.refuse()
    try:
        with at_rate(lambda: office.server.get(show).status, per_s=20) as stream:
            stream.wait_for(24)
    finally:
        office.collector.accept()
    if (answers := stream.count(lambda status: status)) != {200: len(stream.outcomes())}:
        told_answers = ", ".join(f"{count} times {answer}" for answer, count in answers.items())
        again("200 for all while the collector refuses connections", told_answers)


# --- rules ----------------------------------------------------------------------------------------


@dataclass
class Case:
    """What happens in front of the rules, second by second, and which alerts must fire when.

    Args:
        name: for the report.
        counters: growth per second of each series, in turns of (seconds, growth).
        firing: names of the alerts that fire, by the second at which one looks.
        up: whether the target can be scraped, in turns.
    """

    name: str
    counters: dict[str, list[tuple[int, float]]]
    firing: dict[int, tuple[str, ...]]
    up: list[tuple[int, int]] = field(default_factory=lambda: [(60, 1)])


def request_series(route: str, status: int, method: str = "GET") -> str:
    """Return the name of a counter as Prometheus stores it."""
    return (
        f'{REQUESTS}{{method="{method}",route="{route}",status="{status}",'
        'job="web",instance="web:9100"}'
    )


def booking_buckets(
    quick: list[tuple[int, float]], slow: list[tuple[int, float]], *, route: str = BOOK
) -> dict[str, list[tuple[int, float]]]:
    """Return the buckets of bookings of which some take 0.1 seconds and others 0.7."""
    both = [(s, a + b) for (s, a), (_, b) in zip(quick, slow, strict=True)]
    method = "POST" if route == BOOK else "GET"
    labels = f'method="{method}",route="{route}",job="web",instance="web:9100"'
    of = {"0.25": quick, "0.5": quick, "1": both, "+Inf": both}
    found = {f'{DURATIONS}_bucket{{{labels},le="{le}"}}': turns for le, turns in of.items()}
    return {**found, f"{DURATIONS}_count{{{labels}}}": both}


def cases() -> list[Case]:
    """Return what happens to the box office in our tests of its rules.

    What a rule records in another group may be seen a second late: these seconds leave room for it.
    """
    ok, well = request_series(SHOW, 200), [(20, 10.0), (40, 0.0)]
    fail_all = [(20, 0.0), (40, 10.0)]
    return [
        Case(
            "all requests fail from second 20",
            {ok: well, request_series(BOOK, 502, "POST"): fail_all},
            {15: (), 22: (), 24: (HIGH,)},
        ),
        Case(
            "3 % end with 500 and 3 % with 503, on other routes",
            {ok: [(60, 94)], request_series(BOOM, 500): [(60, 3)],
             request_series(BOOK, 503, "POST"): [(60, 3)]},
            {30: (HIGH,)},
        ),
        Case("five requests in four seconds, and one of them fails",
             {ok: [(60, 1)], request_series(BOOM, 500): [(60, 0.25)]}, {30: (HIGH,)}),
        Case("one request per second, and half of them fail",
             {ok: [(60, 0.5)], request_series(BOOM, 500): [(60, 0.5)]}, {30: (HIGH,)}),
        Case("half of the requests are 404, a tenth 402, and a tenth 499",
             {ok: [(60, 30)], request_series(OTHER, 404): [(60, 50)],
              request_series(BOOK, 402, "POST"): [(60, 10)],
              request_series(SHOW, 499): [(60, 10)]}, {30: ()}),
        Case("three requests in four seconds at night, and all fail",
             {request_series(BOOM, 500): [(60, 0.75)]}, {30: (), 50: ()}),
        Case("four in a hundred fail at 500 requests per second",
             {ok: [(60, 480)], request_series(BOOM, 500): [(60, 20)]}, {30: ()}),
        Case("a rare route fails always, 2 % of all requests",
             {ok: [(60, 98)], request_series(BOOM, 500): [(60, 2)]}, {30: ()}),
        Case("errors until second 20, then none",
             {ok: [(60, 10)], request_series(BOOM, 500): [(20, 20), (40, 0)]},
             {15: (HIGH,), 29: (HIGH,), 31: ()}),
        Case(
            "one booking in ten takes 0.7 seconds from second 20",
            {ok: [(60, 10)], **booking_buckets([(20, 10.0), (40, 9.0)], [(20, 0.0), (40, 1.0)])},
            {15: (), 35: (SLOW,)},
        ),
        Case("nine bookings in ten are slow from second 20 to 40",
             {ok: [(60, 10)], **booking_buckets([(20, 10.0), (20, 1.0), (20, 10.0)],
                                                [(20, 0.0), (20, 9.0), (20, 0.0)])},
             {22: (), 24: (SLOW,), 49: (SLOW,), 51: ()}),
        Case("one booking in eighteen takes 0.7 seconds",
             {ok: [(60, 10)], **booking_buckets([(60, 17)], [(60, 1)])}, {40: (SLOW,)}),
        Case("one booking in fifty is slow, and all shows",
             {ok: [(60, 10)], **booking_buckets([(60, 49)], [(60, 1)]),
              **booking_buckets([(60, 0)], [(60, 100)], route=SHOW)}, {30: ()}),
        Case("nothing to scrape from second 20", {}, {15: (), 21: (), 24: (DOWN,)},
             [(20, 1), (40, 0)]),
    ]  # fmt: skip


def promtool_file(case: Case, rule_files: list[str]) -> bytes:
    """Return the case as a file of tests; an alert is seen by the series that it makes."""
    of_the_contract = f'alertname=~"{"|".join(ALERTS)}"'
    firing = f'group by (alertname) (ALERTS{{alertstate="firing",{of_the_contract}}})'
    tests = [
        {
            "expr": firing,
            "eval_time": f"{second}s",
            "exp_samples": [
                {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)
            ],
        }
        for second, names in case.firing.items()
    ]
    up = {'up{job="web",instance="web:9100"}': " ".join(f"{v}x{s - 1}" for s, v in case.up)}
    counters = {name: values(turns) for name, turns in case.counters.items()}
    told = {
        "rule_files": rule_files,
        "evaluation_interval": "1s",
        "tests": [
            {
                "interval": "1s",
                "input_series": [{"series": s, "values": v} for s, v in {**counters, **up}.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    return yaml.safe_dump(told).encode()


def values(turns: list[tuple[int, float]]) -> str:
    """Return a counter's values in promtool's notation."""
    parts, value = [], 0.0
    for seconds, growth in turns:
        # "a+bxn" is n + 1 values; the next turn begins where this one ends.
        parts.append(f"{value:g}+{growth:g}x{seconds - 1}")
        value += growth * seconds
    return " ".join(parts)


@points(
    2,
    hints=(
        "Which share of which requests, over which time? A number of errors says nothing alone.",
        (
            "sum(rate(failed[10s])) / sum(rate(all[10s])) > 0.05 and sum(rate(all[10s])) >= 1, "
            "with for: 2s; histogram_quantile(0.95, sum by (le) (rate(…_bucket[10s]))) > 0.5."
        ),
    ),
    link="Alert on what guests feel",
)
def check_stays_quiet(monitoring: Monitoring) -> None:
    """The alerts fire on what guests suffer, and on nothing else"""
    rules_of(monitoring)
    loaded = rule_files_of(monitoring)
    mine = {f"case-{n}": case for n, case in enumerate(cases())}
    folders = {
        name: {**monitoring.files, "of_the_check.yml": promtool_file(case, loaded)}
        for name, case in mine.items()
    }
    ended = monitoring.promtool(folders, "of_the_check.yml")
    for name, case in mine.items():
        if ended[name].exit_code:
            fail(f"with your {RULES}, as {case.name}: {wanted_of(case)}", said(ended[name]),
                 command=CHECK_AGAIN)  # fmt: skip


def wanted_of(case: Case) -> str:
    """Say which alerts must fire, and when."""
    return "; ".join(
        f"{', '.join(names) or 'no alert'} at second {second}"
        for second, names in case.firing.items()
    )


def said(finished: Finished) -> str:
    """Return what promtool says is wrong, in one line."""
    lines = [line.strip() for line in finished.stdout.splitlines() if line.strip()]
    wrong = [
        line
        for line in lines
        if line.startswith(("got:", "time:", "err", "FAILED")) or "time:" in line
    ]
    return " · ".join(wrong or lines[-3:])[:400]


def rules_of(monitoring: Monitoring) -> list[dict[str, Any]]:
    """Return the answer's rules that alert.

    Raises:
        Failure: there is no such file, or it is no list of rules with all three.
    """
    try:
        groups = yaml.safe_load(monitoring.files.get(RULES, b""))["groups"]
        rules = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    except (yaml.YAMLError, TypeError, KeyError, RecursionError) as error:
        fail(f"groups of rules in {RULES}", f"{error!r}"[:300], command=CHECK_AGAIN)
    found = [str(rule["alert"]) for rule in rules]
    if missing := [name for name in ALERTS if name not in found]:
        fail(f"an alert {missing[0]} in {RULES}", f"{found}", command=CHECK_AGAIN)
    return rules


def rule_files_of(monitoring: Monitoring) -> list[str]:
    """Return rules.yml, and the answer's other files that Prometheus loads rules from."""
    try:
        entries = yaml.safe_load(monitoring.files.get("prometheus.yml", b""))["rule_files"]
        patterns = [str(e).removeprefix("/etc/prometheus/").removeprefix("./") for e in entries]
    except (yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError):
        # What is wrong with this file is told by the check that starts Prometheus.
        patterns = []
    named = {n for n in monitoring.files if any(fnmatchcase(n, pattern) for pattern in patterns)}
    return [RULES, *sorted(named - {RULES})]


@points(
    1,
    hints=(
        "Would your tests notice an alert that never fires? And one that always does?",
        "For each alert, write one test in which it must fire, and one in which it must not.",
    ),
    link="Test the alert before the night",
)
def check_tests_its_rules(monitoring: Monitoring) -> None:
    """promtool passes your tests, and they fail if an alert never fires, or always does"""
    if RULES_TEST not in monitoring.files:
        fail(f"a file {RULES_TEST}", "there is none", command=CHECK_AGAIN)
    rules_of(monitoring)
    mutants = {
        f"{name}-{how}": (name, how, mutated(monitoring, name, how))
        for name in ALERTS
        for how in ("never", "always")
    }
    folders = {"as-it-is": monitoring.files}
    folders |= {key: {**monitoring.files, RULES: rules} for key, (_, _, rules) in mutants.items()}
    ended = monitoring.promtool(folders, RULES_TEST)
    if ended["as-it-is"].exit_code:
        fail(f"promtool test rules {RULES_TEST} passes", said(ended["as-it-is"]),
             command=CHECK_AGAIN)  # fmt: skip
    for key, (name, how, _) in mutants.items():
        if not ended[key].exit_code:
            fires = "never fires" if how == "never" else "always fires"
            fail(
                f"{RULES_TEST} fails if {name} {fires}",
                "promtool says SUCCESS",
                command=CHECK_AGAIN,
                hint=f"add a test in which {name} must{' not' if how == 'always' else ''} fire",
            )


def mutated(monitoring: Monitoring, name: str, how: str) -> bytes:
    """Return the rules with one alert that never fires, or always does."""
    content = yaml.safe_load(monitoring.files[RULES])
    for group in content["groups"]:
        for rule in group["rules"]:
            if rule.get("alert") == name and how == "never":
                rule["expr"] = "vector(0) > 1"
            elif rule.get("alert") == name:
                # Where it fires anyway, its labels and its value stay: only a quiet test notices.
                rule["expr"] = f"({rule.get('expr')}\n) or on() vector(1)"
                rule.pop("for", None)
    return yaml.safe_dump(content).encode()


# --- from the scrape to the pager -----------------------------------------------------------------


class Pager:
    """The sink of the webhook: what Alertmanager has posted."""

    def __init__(self, sink: Stub) -> None:
        self.sink = sink

    def notices(self) -> Iterator[tuple[str, str, dict[str, str]]]:
        """Yield name, status and labels of each alert in each notice, in their order."""
        for request in self.sink.requests("POST /"):
            notice = request.json()
            for alert in notice.get("alerts", []) if isinstance(notice, dict) else []:
                yield alert["labels"].get("alertname", ""), alert["status"], alert["labels"]

    def wait_for(self, name: str, status: str) -> dict[str, str]:
        """Wait for an alert that begins or is over, and return its labels."""

        def look() -> dict[str, str]:
            notices = list(self.notices())
            for seen, how, labels in notices:
                if (seen, how) == (name, status):
                    return labels
            posted = ", ".join(f"{seen} {how}" for seen, how, _ in notices) or "nothing"
            again(
                f"{name} {status} at http://sink:9099/ {PAGED_WITHIN_S:g} s later",
                f"posted: {posted}",
            )

        return eventually(look, within_s=PAGED_WITHIN_S)


@pytest.fixture(scope="module")
def evening(
    image: Image,
    stub: Stub,
    random: Random,
    service: str,
    monitoring: Monitoring,
    meanwhile: Meanwhile,
) -> Story[None]:
    """An evening on which a fifth of all requests fail, all is well again, and the server dies."""
    # The other one is refused for a while.
    collector = new_collector(stub)
    server = image.start(env=variables(stub, collector, service), side_port=METRICS_PORT)
    office = Office(server, stub, collector, random)
    sink = stub.another(9099)
    sink.reply("POST /", 200)
    well, slow = office.show(), [office.order() for _ in range(6)]
    for order in slow:
        stub.reply("POST /charges", 201, json={}, having=order["user"], after_s=SLOW_S)
    return meanwhile(lambda: live(office, monitoring, Pager(sink), well, slow))


def live(
    office: Office, monitoring: Monitoring, pager: Pager, well: str, slow: list[dict[str, Any]]
) -> None:
    """Go through the evening."""
    server = office.server
    server.get(well).expect(200)
    # A counter that appears has not grown yet: the first booking and the first error are that.
    server.post(BOOK, json=office.order()).expect(201)
    server.get(BOOM).expect(500)
    alertmanager = monitoring.alertmanager({"sink": pager.sink.container.network_address})
    hosts = {
        "alertmanager": alertmanager.address,
        "web": server.container.network_address,
    }
    prometheus = monitoring.prometheus(hosts)
    prometheus.wait_for('up{job="web", instance="web:9100"} == 1')
    expect_each_second(prometheus)
    prometheus.wait_for(f'{DURATIONS}_count{{route="{BOOK}"}}')
    turn = iter(range(10**6))

    def ask() -> int:
        return server.get(BOOM if next(turn) % 5 == 0 else well).status

    with at_rate(ask, per_s=20) as stream:
        stream.wait_for(5)
        with at_once(lambda order: server.post(BOOK, json=order), slow):
            labels = paged(prometheus, pager, HIGH)
        too_slow = paged(prometheus, pager, SLOW)
    # So many requests succeed now that the share of errors falls soon, and scrapes find room.
    with at_rate(lambda: server.get(well).status, per_s=60):
        prometheus.wait_for(f"absent({firing(HIGH)})", within_s=RAISED_WITHIN_S)
        pager.wait_for(HIGH, "resolved")
    server.container.signal("SIGKILL")
    paged(prometheus, pager, DOWN)
    # As Prometheus would send them, were there any numbers.
    alertmanager.fire(labels, too_slow)
    expect_silent(alertmanager, (HIGH, SLOW))


def expect_each_second(prometheus: Prometheus) -> None:
    """Compare what Prometheus says of its only target, and how often it looks and evaluates."""
    targets = prometheus.ask("/api/v1/targets?state=active")["data"]["activeTargets"]
    scraped = [f"{target['scrapeUrl']} each {target['scrapeInterval']}" for target in targets]
    if scraped != (wanted := ["http://web:9100/metrics each 1s"]):
        again(f"one target, {wanted[0]}", ", ".join(scraped))
    groups = prometheus.ask("/api/v1/rules")["data"]["groups"]
    if slow := [f"{group['name']} each {group['interval']:g}s" for group in groups
                if group["interval"] != 1]:  # fmt: skip
        again("all groups of rules evaluated each second", ", ".join(slow))


def firing(name: str) -> str:
    """Return the series that Prometheus makes of an alert that fires."""
    return f'ALERTS{{alertname="{name}",alertstate="firing"}}'


def paged(prometheus: Prometheus, pager: Pager, name: str) -> dict[str, str]:
    """Wait until an alert has fired, and then until it was posted; return its labels."""
    # It may be over by the time we look, if the alert before it took long to be posted.
    prometheus.wait_for(f"last_over_time({firing(name)}[1m])", within_s=RAISED_WITHIN_S)
    return pager.wait_for(name, "firing")


def expect_silent(alertmanager: Alertmanager, names: tuple[str, ...]) -> None:
    """Wait until Alertmanager has made up its mind about alerts: they must be suppressed."""

    def look() -> None:
        states = {name: alertmanager.states(name) for name in names}
        for name, seen in states.items():
            if not seen or set(seen) != {"suppressed"}:
                fail(
                    f"{name} suppressed while {DOWN} fires",
                    f"{', '.join(seen) or 'it is not there'}",
                    command=CHECK_AGAIN,
                    hint="inhibit_rules in alertmanager.yml say which alert silences which",
                )

    eventually(look, within_s=PAGED_WITHIN_S)


@points(
    1,
    needs=("counts_truthfully",),
    hints=(
        "Follow the alert: target, rule, Alertmanager, webhook. Where do you last see it?",
        (
            "prometheus.yml needs scrape_configs, rule_files and alerting; alertmanager.yml needs "
            "a route with group_wait: 0s and group_interval: 1s, webhook_configs, inhibit_rules."
        ),
    ),
    link="From the rule to the pager",
)
def check_pages_on_errors(evening: Story[None]) -> None:
    """The webhook hears when requests fail and when it's over; TargetDown mutes the other two"""
    evening.result()
