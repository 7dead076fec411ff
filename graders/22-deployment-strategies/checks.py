import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Builder,
    Client,
    Database,
    Deadline,
    Failure,
    Meanwhile,
    Postgres,
    Random,
    Reply,
    Sandbox,
    Story,
    Stream,
    Submission,
    at_once,
    at_rate,
    fail,
    points,
)

SCRIPT, BALANCER, PORT = "deploy.sh", "lb", 8080
IMAGE, NAMED = "lantern/shop", "shop-"
FIRST, SECOND, NEVER_READY = "1", "2", "4"
# Other people's containers: the first one runs, the second was only created.
OTHERS, OTHERS_IMAGE = ("old-shop-1", "old-shop-2"), "busybox:1.37"
# How the names of what the checks start themselves begin.
OWN = "22-deployment-strategies-"
LIST = "docker ps --all"
BEFOREHAND = "the commands before"
# A canary is watched for seconds: fewer requests a second show the same.
PER_S, CANARY_PER_S, BEFORE, AFTER = 100, 60, 10, 10
ENDS_WITHIN_S, BACK_WITHIN_S = 15, 1
# So long that no machine is too slow for a good version; so short that a bad one is soon given up.
PATIENT_S, SHORT_S = 30, 1
# The slow one needs longer than the default of READY_WITHIN_S, however late that begins.
WARMUP_MS, SLOW_WARMUP_MS = 600, 4500
# What both variables are where they aren't set.
DEFAULT_S = 3
# The longer one is so long that a canary with 3 % errors has had one, and that the default isn't
# about as long. A script that counts whole seconds is up to one second short.
WATCH_S, WATCH_LONG_S, ABOUT_S = 2, 6, 1.5
NOT_READY, FAILED_TOO_OFTEN = 2, 3
VERSIONS_KEPT = 2
USERS, VISITS, GIVE_OR_TAKE, SIDE_BY_SIDE = 300, 2, 8, 8
# How many requests fail: few, and many. The many of the canary's 20 % are fewer than 5 % of all.
FEW_ERRORS_PERCENT, MANY_ERRORS_PERCENT, CANARY_PERCENT = 3, 12, 20
# So many visits show whether the canary got its share, and no larger one that is typed in.
ENOUGH_VISITS, MET_AT_MOST_PERCENT = 100, 35
# How a version answers 502 where it would answer 500.
ANSWERS_502 = "sed 's/say(500,/say(502,/' /usr/local/bin/shop > /tmp/shop; exec python3 /tmp/shop"
# Who asks on behalf of all; a fifth of many are somebody, whatever their names are.
SOME_USERS, MANY_USERS, UNKNOWN_USERS = 15, 120, 5
SERVER_ERROR, NOT_SERVED = 500, 503
ATTEMPTS = 3
BUYERS, WAITS_AT_MOST_S, WRITES = 200, 2, 2
# By version.
WRITE = {
    "1": "INSERT INTO buyers (email, name) VALUES (%s, %s)",
    "2": "INSERT INTO buyers (email, full_name) VALUES (%s, %s)",
}
CHANGE = {
    "1": "UPDATE buyers SET name = %s WHERE email = %s",
    "2": "UPDATE buyers SET full_name = %s WHERE email = %s",
}
READ = {
    "1": "SELECT email, name AS shown FROM buyers",
    "2": "SELECT email, full_name AS shown FROM buyers",
}
LOOKED_FOR_S, POLL_S = 5.0, 0.05
# What a visitor waits at most, where the machine is too busy to tell.
PATIENCE_S = 15.0


# --- the evening --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Visit:
    """A request and its response.

    Args:
        user: who asked; empty for somebody unknown.
        begun: when, in seconds of the monotonic clock.
        reply: with the version that answered.
    """

    user: str
    begun: float
    reply: Reply

    @property
    def version(self) -> str:
        """The version that answered; empty where it was not the shop."""
        return self.reply.headers.get("X-Version", "")

    @property
    def instance(self) -> str:
        """Which run of the shop's program answered."""
        return self.reply.headers.get("X-Instance", "")

    @property
    def was_served(self) -> bool:
        """Whether the shop answered, and was ready."""
        return bool(self.version) and self.reply.status != NOT_SERVED

    @property
    def failed(self) -> bool:
        """Whether the response is the server's fault."""
        return not self.was_served or self.reply.status >= SERVER_ERROR

    @property
    def shown(self) -> str:
        """The status and who answered, for a report."""
        return f"{self.reply.status} of {f'version {self.version}' if self.version else 'no shop'}"


class Visitors:
    """People at the door of the shop, each time somebody else, who look, buy and mistype."""

    def __init__(self, door: Client, random: Random) -> None:
        self._door, self._random, self._numbers = door, random, count()

    def names(self, users: int) -> list[str]:
        """Return names of users who have never been here."""
        # Their first and last letters are the same, so a share has to come from the whole name.
        return [f"ada-{self._random.hex(10)}@example.com" for _ in range(users)]

    def come(self) -> Visit:
        """Send a request: of ten, one buys and one asks for what is not there."""
        number = next(self._numbers)
        kind = number % 10
        [user] = self.names(1)
        return self.ask(user, *("POST", "/checkout") if kind == 0 else ("GET", path_of(kind)))

    def buy(self) -> Visit:
        """Send a checkout."""
        [user] = self.names(1)
        return self.ask(user, "POST", "/checkout")

    def ask(self, user: str, method: str = "GET", path: str = "/seats") -> Visit:
        """Send a request of a user."""
        headers = {"X-User": user} if user else {}
        begun = time.monotonic()
        reply = self._door.request(method, path, headers=headers, timeout_s=PATIENCE_S)
        return Visit(user, begun, reply)

    def come_again(self, users: Sequence[str], visits: int) -> list[Visit]:
        """Return what some users get, so many times each."""

        def ask(some: Sequence[str]) -> list[Visit]:
            return [self.ask(user) for _ in range(visits) for user in some]

        lanes = [users[n::SIDE_BY_SIDE] for n in range(SIDE_BY_SIDE)]
        with at_once(ask, lanes) as crowd:
            return [visit for some in crowd.results() for visit in some]


def path_of(kind: int) -> str:
    """Return what a visitor of a kind asks for."""
    return {1: "/nothing", 2: "/"}.get(kind, "/seats")


class Evening:
    """The shop as the answer's script runs it, from check to check; begun anew after a failure."""

    def __init__(self, sandbox: Sandbox, random: Random) -> None:
        self._sandbox = sandbox
        self.visitors = Visitors(sandbox.server(PORT), random)
        self.live, self.before = "", ""
        self._is_well = False

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Have a version live; where the block fails, the next one begins with nothing."""
        if not self._is_well:
            self._begin()
        self._is_well = False
        yield
        self._is_well = True

    def _begin(self) -> None:
        self._sandbox.empty()
        running, created = OTHERS
        self._sandbox.docker("run", "--detach", f"--name={running}", "--init", OTHERS_IMAGE,
                             "sleep", "3600")  # fmt: skip
        self._sandbox.docker("create", f"--name={created}", OTHERS_IMAGE)
        self.live, self.before = "", ""
        # Not the first: a start that ignores its argument would be right with that.
        self.deploy("start", SECOND)
        self.live = SECOND
        seen = self._sandbox.docker("ps", "--format={{.Names}}").split()
        if BALANCER not in seen:
            fail(f"a container {BALANCER} after {typed('start', SECOND)}", ", ".join(seen))

    def deploy(
        self,
        *words: str,
        ready_s: int | None = PATIENT_S,
        watch_s: int | None = WATCH_S,
        exit_code: int = 0,
    ) -> float:
        """Run the answer's script, and return when it ended.

        Args:
            words: of the command.
            ready_s: in READY_WITHIN_S; None leaves it unset.
            watch_s: in WATCH_S; None leaves it unset.
            exit_code: with which it must end.

        Raises:
            Failure: it ends too late, or with another exit code.
        """
        told_s = {"READY_WITHIN_S": ready_s, "WATCH_S": watch_s}
        env = {name: str(seconds) for name, seconds in told_s.items() if seconds is not None}
        if words[0] == "rollback":
            # It waits for nothing, so who calls it need not set them.
            env = {}
        to_ready, to_watch = (DEFAULT_S if s is None else s for s in told_s.values())
        waits_s = {"start": to_ready, "release": to_ready, "canary": to_ready + to_watch}
        limit = ENDS_WITHIN_S + waits_s.get(words[0], 0)
        ran = self._sandbox.run(SCRIPT, *words, env=env, in_place=True, within_s=limit)
        ended = time.monotonic()
        if ran.exit_code != exit_code:
            said = ran.stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
            saw = f"{ran.exit_code}, and on standard error: {said[0][:200]}"
            asked = " ".join([*(f"{name}={value}" for name, value in env.items()), typed(*words)])
            fail(f"exit code {exit_code} of {asked}", saw, command=CHECK_AGAIN)
        return ended

    def absent(self, *versions: str) -> str:
        """Return the first of these versions that has no container by now."""
        return next(v for v in versions if v not in (self.live, self.before))

    def goes_live(self, version: str) -> None:
        """Remember who is live, and who was before."""
        self.live, self.before = version, self.live

    @contextmanager
    def visited(self, per_s: int = PER_S, *, all_buy: bool = False) -> Iterator[Stream[Visit]]:
        """Let people come at a steady rate, from before the block until after it."""
        come = self.visitors.buy if all_buy else self.visitors.come
        with at_rate(come, per_s=per_s) as stream:
            stream.wait_for(BEFORE)
            yield stream
            stream.wait_for(len(stream.outcomes()) + AFTER)

    def expect_live(self, version: str, what: str, users: int = SOME_USERS) -> set[str]:
        """Expect that everybody gets a version by now, also those without a name.

        Returns:
            Which runs of its program answered.
        """
        names = [*self.visitors.names(users), *[""] * UNKNOWN_USERS]
        visits = self.visitors.come_again(names, 1)
        wrong = Counter(v.shown for v in visits if v.version != version or not v.was_served)
        if wrong:
            fail(f"version {version} for all of {len(visits)} requests after {what}", told(wrong),
                 command=CHECK_AGAIN)  # fmt: skip
        return {visit.instance for visit in visits}

    def expect_back(self, version: str, was: set[str], what: str) -> None:
        """Expect that everybody gets a version again, from the containers that it had before."""
        if self.expect_live(version, what) - was:
            fail(f"the container of version {version} that has been running all the time",
                 "another one: it was started again", command=CHECK_AGAIN)  # fmt: skip

    def containers(self) -> dict[str, str]:
        """Return the image of each container by its name, but for those of the checks."""
        told = self._sandbox.docker("ps", "--all", "--format={{.Names}} {{.Image}}")
        found = dict(line.split(" ", 1) for line in told.splitlines())
        return {name: image for name, image in found.items() if not name.startswith(OWN)}

    def expect_tidy(self, what: str) -> None:
        """Expect the containers of no more than two versions, and those of others as they were."""
        found = self.containers()
        if gone := [name for name in OTHERS if name not in found]:
            fail("the containers of others left alone", f"{gone[0]} is gone after {what}")
        unnamed = {name for name in found if not name.startswith(NAMED)} - {BALANCER, *OTHERS}
        if unnamed:
            fail(f"names that begin with {NAMED}", ", ".join(sorted(unnamed)), command=LIST)
        # Other containers of the answer are no versions.
        versions = {image for image in found.values() if image.startswith(f"{IMAGE}:")}
        if len(versions) > VERSIONS_KEPT:
            fail(f"containers of at most {VERSIONS_KEPT} versions after {what}",
                 ", ".join(sorted(versions)), command=LIST)  # fmt: skip


def typed(*words: str) -> str:
    """Return the command as a person types it."""
    return " ".join(("sh", SCRIPT, *words))


def told(counts: "Counter[str]") -> str:
    """Return what was seen, and how often, the most frequent first."""
    return "; ".join(f"{seen}, {count} times" for seen, count in counts.most_common(3))


def expect_all_served(stream: Stream[Visit], what: str) -> None:
    """Expect that the shop answered every request."""
    lost = Counter(failure.saw for failure in stream.failures())
    lost.update(visit.shown for visit in stream.results() if not visit.was_served)
    if lost:
        total = len(stream.outcomes())
        fail(f"{total} of {total} requests answered by the shop, before, during and after {what}",
             told(lost), command=CHECK_AGAIN)  # fmt: skip


@pytest.fixture(scope="module")
def evening(sandbox: Sandbox, random: Random) -> Evening:
    """The shop, run by the answer's script in an engine of its own."""
    return Evening(sandbox, random)


@pytest.fixture(scope="module")
def numbers(random: Random) -> list[str]:
    """Return numbers of five versions that nobody can type in."""
    first = random.integer(20, 40)
    second, third = first + random.integer(3, 9), first - random.integer(3, 9)
    fourth = second + random.integer(3, 9)
    return [str(n) for n in (first, second, third, fourth, fourth + random.integer(3, 9))]


@pytest.fixture(scope="module")
def versions(
    numbers: list[str], builder: Builder, sandbox: Sandbox, meanwhile: Meanwhile
) -> Story[list[str]]:
    """Return two good versions, one with few errors, a slow one and a bad one, made meanwhile."""

    def made() -> list[str]:
        # The few errors come late enough to be few in any part of the watch, the many come at once.
        kinds = (
            (0, 1, WARMUP_MS),
            (0, 1, WARMUP_MS),
            (FEW_ERRORS_PERCENT, 1, WARMUP_MS),
            (0, 1, SLOW_WARMUP_MS),
            (MANY_ERRORS_PERCENT, 0, WARMUP_MS),
        )
        for number, (percent, served, warmup_ms) in zip(numbers, kinds, strict=True):
            errors = f"FAILS_PERCENT={percent} SERVED={served}"
            text = f"FROM {IMAGE}:{FIRST}\nENV VERSION={number} {errors} WARMUP_MS={warmup_ms}\n"
            text += f'CMD ["sh", "-c", "{ANSWERS_502}"]\n'
            sandbox.tag(builder.build(files={"Dockerfile": text}), f"{IMAGE}:{number}")
        return numbers

    return meanwhile(made)


# --- blue-green ---------------------------------------------------------------------------------


@points(
    3,
    hints=(
        (
            "The report says what the lost requests got. Is the new version ready before the"
            " first request goes to it? Does the balancer finish what it has begun? Does the old"
            " version still run, for the checkouts that take 0.4 s?"
        ),
        (
            "Start the new container; wait for docker exec NAME ready; copy the new configuration"
            " into lb with docker cp; docker kill --signal USR2 lb (HAProxy) or docker exec lb"
            " nginx -s reload; then ask until the new configuration answers."
        ),
    ),
    link="A reload that keeps connections",
)
def check_switches_without_loss(evening: Evening, versions: Story[list[str]]) -> None:
    """release loses none of 100 requests a second; afterwards all get the new version"""
    new = versions.result()[0]
    with evening.going_on():
        evening.expect_live(evening.live, typed("start", SECOND))
        releases(evening, new)
        evening.expect_live(new, typed("release", new))


def releases(evening: Evening, new: str) -> None:
    """Release a version while people come, and expect that nobody notices."""
    old, what = evening.live, typed("release", new)
    with evening.visited() as stream:
        ended = evening.deploy("release", new)
    evening.goes_live(new)
    expect_all_served(stream, what)
    for visit in stream.results():
        if visit.version not in (old, new) or visit.failed:
            fail(f"version {old} or {new} for each request", visit.shown, command=CHECK_AGAIN)
    late = [visit for visit in stream.results() if visit.begun > ended and visit.version != new]
    if late:
        fail(f"version {new} for each request that begins after {what} has ended",
             f"{late[0].shown}, {len(late)} times", command=CHECK_AGAIN)  # fmt: skip


@points(
    1,
    hints=(
        (
            "Going back is quick when nothing has to start. Which container served before, is it"
            " still running, and where does your script find its name?"
        ),
        (
            "Let release leave the old container running, and note its name where the next call"
            " finds it: in the balancer's configuration, in a label, in a file. rollback is then"
            " the same switch as in release, to that name."
        ),
    ),
    link="Back in a second",
    needs=("switches_without_loss",),
)
def check_goes_back_fast(evening: Evening, versions: Story[list[str]]) -> None:
    """rollback sends everybody to the previous version within 1 s, and loses no request"""
    good = versions.result()
    with evening.going_on():
        # A busy machine makes it late; it never loses a request.
        for _ in range(ATTEMPTS):
            if not (took_s := comes_and_goes(evening, good)):
                return
        fail(f"the end of {typed('rollback')} within {BACK_WITHIN_S} s", f"it took {took_s:.1f} s",
             command=CHECK_AGAIN)  # fmt: skip


def comes_and_goes(evening: Evening, good: Sequence[str]) -> float:
    """Release a version, go back from it, and return how long that took; 0 if it was in time."""
    old, what = evening.live, typed("rollback")
    new = evening.absent(good[1], SECOND, good[0])
    was = evening.expect_live(old, BEFOREHAND)
    releases(evening, new)
    evening.expect_tidy(typed("release", new))
    with evening.visited() as stream:
        deadline = Deadline(BACK_WITHIN_S)
        start = time.monotonic()
        evening.deploy("rollback")
        is_late, took_s = deadline.has_passed(), time.monotonic() - start
    evening.goes_live(old)
    expect_all_served(stream, what)
    evening.expect_back(old, was, what)
    return took_s if is_late else 0.0


@points(
    1,
    hints=(
        (
            "One version needs a few seconds, version 4 is never ready. What does your script wait"
            " for, and for how long? What is left behind when it gives up?"
        ),
        (
            'timeout "${READY_WITHIN_S:-3}" sh -c \'until docker exec "$0" ready; do sleep 0.1;'
            ' done\' "$name" || { docker rm --force "$name"; exit 2; }. Do that before anything'
            " else changes."
        ),
    ),
    link="Ready, or not released",
    needs=("goes_back_fast",),
)
def check_ships_nothing_unready(evening: Evening, versions: Story[list[str]]) -> None:
    """A slow version gets READY_WITHIN_S; 4 is never ready: exit code 2, nothing has changed"""
    with evening.going_on():
        # So that there is a version to go back to.
        before, live = evening.live, versions.result()[3]
        was = evening.expect_live(before, BEFOREHAND)
        evening.deploy("release", live)
        evening.goes_live(live)
        gives_up(evening, ("release", NEVER_READY), SHORT_S)
        gives_up(evening, ("canary", NEVER_READY, "50"), None)
        evening.deploy("rollback")
        evening.goes_live(before)
        evening.expect_back(before, was, f"version {NEVER_READY} and {typed('rollback')}")


def gives_up(evening: Evening, words: Sequence[str], limit_s: int | None) -> None:
    """Try a version that never gets ready, and expect that nothing has changed."""
    containers, what = evening.containers(), typed(*words)
    with evening.visited(CANARY_PER_S) as stream:
        start = time.monotonic()
        ended = evening.deploy(*words, ready_s=limit_s, watch_s=limit_s, exit_code=NOT_READY)
    took_s = ended - start
    # Half of it is far from the default, and from giving up at once.
    if limit_s is None and took_s < DEFAULT_S / 2:
        fail(f"{what} waits {DEFAULT_S} s for the version, as READY_WITHIN_S isn't set",
             f"it ends after {took_s:.1f} s", command=CHECK_AGAIN)  # fmt: skip
    expect_all_served(stream, what)
    evening.expect_live(evening.live, what)
    expect_same_containers(containers, evening.containers(), what)


def expect_same_containers(before: Mapping[str, str], after: Mapping[str, str], what: str) -> None:
    """Expect that no container has come or gone."""
    more = [f"{name} is new" for name in after.keys() - before.keys()]
    fewer = [f"{name} is gone" for name in before.keys() - after.keys()]
    if changes := more + fewer:
        fail(f"the same containers as before {what}", ", ".join(changes),
             command=LIST)  # fmt: skip


# --- canaries -----------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "The report says who got what. What decides who gets the canary: chance, or the user's"
            " name? Which responses do you count as errors, and from which version?"
        ),
        (
            "HAProxy: use_backend canary if { req.fhdr(X-User),xxh32,mod(100) lt PERCENT }. nginx:"
            ' split_clients "$http_x_user" $side { PERCENT% canary; * live; }. promote makes the'
            " canary the live one for everybody, also for those without X-User."
        ),
    ),
    link="Ten percent of requests, ten percent of users",
    needs=("goes_back_fast",),
)
def check_tries_on_few(evening: Evening, versions: Story[list[str]], random: Random) -> None:
    """canary N PERCENT gives that share of 300 users N, each time; promote gives it to everybody"""
    # A third or a quarter, typed in, is far from it; the check of a bad canary has another share.
    new, percent = versions.result()[2], random.integer(48, 50)
    with evening.going_on():
        live, words = evening.live, ("canary", new, str(percent))
        was = evening.expect_live(live, BEFOREHAND)
        with evening.visited(CANARY_PER_S) as stream:
            ended = evening.deploy(*words, watch_s=WATCH_LONG_S)
        expect_all_served(stream, typed(*words))
        expect_watched(stream, new, ended, typed(*words))
        expect_share(evening, {new: percent, live: 100 - percent}, typed(*words))
        unknown = evening.visitors.come_again([""] * UNKNOWN_USERS, 1)
        expect_either(unknown, (new, live), f"{typed(*words)}, without X-User")
        with evening.visited() as stream:
            evening.deploy("promote")
        expect_all_served(stream, typed("promote"))
        evening.goes_live(new)
        evening.expect_live(new, typed("promote"))
        evening.expect_tidy(typed("promote"))
        evening.deploy("rollback")
        evening.goes_live(live)
        evening.expect_back(live, was, f"{typed('promote')} and {typed('rollback')}")


def expect_watched(stream: Stream[Visit], new: str, ended: float, what: str) -> None:
    """Expect that users met the canary for as long as it was to be watched."""
    met = [visit.begun for visit in stream.results() if visit.version == new]
    watched_s = ended - min(met, default=ended)
    if watched_s < WATCH_LONG_S - ABOUT_S:
        fail(f"a canary that is watched for WATCH_S={WATCH_LONG_S} s before {what} ends",
             f"its first response came {watched_s:.1f} s before", command=CHECK_AGAIN)  # fmt: skip


def expect_share(evening: Evening, shares: Mapping[str, int], what: str) -> None:
    """Expect that users are shared among two versions; chance has more than one attempt."""
    new, percent = next(iter(shares.items()))
    low, high = percent - GIVE_OR_TAKE, percent + GIVE_OR_TAKE
    for _ in range(ATTEMPTS):
        met = share(evening, shares, what)
        if low <= met <= high:
            return
    fail(f"version {new} for {low} to {high} % of {USERS} users after {what}", f"{met:.0f} %",
         command=CHECK_AGAIN)  # fmt: skip


def share(evening: Evening, shares: Mapping[str, int], what: str) -> float:
    """Expect one of two versions for each user, and return the first one's share in percent."""
    users = evening.visitors.names(USERS)
    seen: dict[str, set[str]] = defaultdict(set)
    visits = evening.visitors.come_again(users, VISITS)
    expect_either(visits, list(shares), what)
    for visit in visits:
        seen[visit.user].add(visit.version)
    if fickle := sum(len(met) > 1 for met in seen.values()):
        fail(f"one version for each of {USERS} users, who ask {VISITS} times after {what}",
             f"{fickle} users met both", command=CHECK_AGAIN)  # fmt: skip
    return sum(next(iter(shares)) in met for met in seen.values()) * 100 / USERS


def expect_either(visits: Sequence[Visit], versions: Sequence[str], what: str) -> None:
    """Expect that one of some versions answered each request."""
    for visit in visits:
        if visit.version not in versions or not visit.was_served:
            fail(f"version {' or '.join(versions)} after {what}", visit.shown, command=CHECK_AGAIN)


@points(
    2,
    hints=(
        (
            "One in eight of the canary's responses is an error, but that's only about two in a"
            " hundred of all responses, and not every error is a 500. Whose errors does your script"
            " count, since when, and what does it do then? Does the canary finish the checkouts it"
            " has begun? Where does rollback lead after that, and which containers does the next"
            " release remove?"
        ),
        (
            "Let the balancer log who answered and the status, then count the canary's lines:"
            ' docker logs --since "$since" lb | awk \'$1 == "canary" { all++; if ($2 >= 500)'
            " bad++ } END { exit !(bad * 100 > all * 5) }'; then switch back, and exit 3."
        ),
    ),
    link="Watching a canary",
    needs=("tries_on_few",),
)
def check_aborts_a_bad_canary(evening: Evening, versions: Story[list[str]]) -> None:
    """A canary that fails too often: exit code 3, then nobody gets it, and a release removes it"""
    with evening.going_on():
        # So that there is a version to go back to.
        before, live, bad = evening.live, evening.absent(SECOND, FIRST), versions.result()[4]
        was = evening.expect_live(before, BEFOREHAND)
        evening.deploy("release", live)
        evening.goes_live(live)
        words = ("canary", bad, str(CANARY_PERCENT))
        what = typed(*words)
        # They take long, so the canary has begun some when it is given up.
        with evening.visited(all_buy=True) as stream:
            evening.deploy(*words, watch_s=None, exit_code=FAILED_TOO_OFTEN)
        expect_all_served(stream, what)
        evening.expect_live(live, f"{what} has given up", MANY_USERS)
        expect_few_met(stream.results(), bad, what)
        evening.deploy("rollback")
        evening.goes_live(before)
        evening.expect_back(before, was, f"{what} and {typed('rollback')}")
        # The canary's container may have stayed until now.
        good = evening.absent(versions.result()[0], SECOND, FIRST)
        evening.deploy("release", good)
        evening.goes_live(good)
        evening.expect_live(good, f"{what} and {typed('release', good)}")
        evening.expect_tidy(f"{what} and {typed('release', good)}")


def expect_few_met(visits: Sequence[Visit], bad: str, what: str) -> None:
    """Expect that the canary got about its share, from its first request to its last one."""
    met = [visit.begun for visit in visits if visit.version == bad]
    first, last = min(met, default=0.0), max(met, default=0.0)
    during = sum(first <= visit.begun <= last for visit in visits)
    # With fewer visits chance is too strong: the check before has looked at the share.
    if during >= ENOUGH_VISITS and len(met) * 100 > MET_AT_MOST_PERCENT * during:
        fail(f"about {CANARY_PERCENT} % of {during} requests for version {bad} while {what} runs",
             f"{len(met) * 100 / during:.0f} %", command=CHECK_AGAIN)  # fmt: skip


# --- two versions on one table ------------------------------------------------------------------


class Buyers:
    """The table `buyers` as both versions use it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, version: str, email: str, name: str | None) -> None:
        """Let a version write a new row."""
        self._run(version, WRITE[version], email, name)

    def write_in_time(self, version: str, email: str, name: str, file: str) -> None:
        """Let a version write a new row while a file of the answer runs."""
        try:
            self.write(version, email, name)
        except Failure as failure:
            if "lock timeout" not in failure.saw:
                raise
            fail(f"a write that waits at most {WAITS_AT_MOST_S} s while {file} runs",
                 f"it waits longer: {file} waits for a reader, and everybody waits behind it",
                 command=CHECK_AGAIN)  # fmt: skip

    def change(self, version: str, email: str, name: str) -> None:
        """Let a version change a name."""
        self._run(version, CHANGE[version], name, email)

    def expect(self, version: str, names: Mapping[str, str], what: str) -> None:
        """Expect that a version reads these names."""
        read = {row["email"]: row["shown"] for row in self._run(version, READ[version])}
        for email, name in names.items():
            if read.get(email) != name:
                fail(f"version {version} reads the name {name!r} {what}",
                     repr(read.get(email)))  # fmt: skip

    def _run(self, version: str, statement: str, *values: str | None) -> list[dict[str, object]]:
        try:
            return self._database.rows(statement, *values)
        except Failure as failure:
            failure.looked_for = f"version {version} runs {statement.partition(' =')[0]}"
            raise


@pytest.fixture(scope="module")
def changed(
    postgres: Postgres, submission: Submission, random: Random, meanwhile: Meanwhile
) -> Story[None]:
    """The whole change of the schema, beside the other checks."""
    known = {f"{word}@example.com": f"{random.text(4)} O'{word}" for word in random.words(BUYERS)}
    more = [f"{word}@example.org" for word in random.words(7)]

    def story() -> None:
        database = postgres.create_database()
        database.rows(submission.files["schema.sql"].decode())
        database.rows("ALTER TABLE buyers OWNER TO app")
        # So that a write that has to wait too long is told, not held.
        database.rows(f"SET lock_timeout = '{WAITS_AT_MOST_S}s'")
        buyers = Buyers(database)
        for email, name in known.items():
            buyers.write("1", email, name)
        known.update(runs_beside_a_reader(database, submission, "expand.sql", "1", more[:2]))
        expect_both_live(buyers, known, more[2:])
        known.update(runs_beside_a_reader(database, submission, "contract.sql", "2", more[4:]))
        expect_the_new_one_lives(database, known, more[6])

    return meanwhile(story)


def runs_beside_a_reader(
    database: Database, submission: Submission, name: str, version: str, emails: Sequence[str]
) -> dict[str, str]:
    """Run a file of the answer while somebody reads; return the names that a version wrote then."""
    buyers, written = Buyers(database), dict[str, str]()
    with database.holding("SELECT count(*) FROM buyers"):
        script = database.run_script(submission.files, name)
        # The first look starts it, which may take a while.
        script.has_ended()
        looked_for = Deadline(LOOKED_FOR_S)
        while not (script.has_ended() or len(written) == WRITES or looked_for.is_reached()):
            # Who waits for the reader may make all others wait behind it.
            if database.wait_for_waiting(within_s=POLL_S):
                email = emails[len(written)]
                buyers.write_in_time(version, email, f"Ж {email}", name)
                written[email] = f"Ж {email}"
        # The reader stays: the file gives up, or is told that it takes too long.
        try:
            finished = script.result()
        except Failure as failure:
            fail(f"{failure.looked_for} of its start, also while somebody reads the table",
                 failure.saw, command=CHECK_AGAIN)  # fmt: skip
    if not finished.exit_code:
        return written
    again = database.run_script(submission.files, name).result()
    if again.exit_code:
        lines = again.stderr.strip().splitlines() or ["nothing on standard error"]
        # What is there already is only a notice.
        said = next((line for line in lines if "ERROR:" in line), lines[-1])
        fail(f"{name} succeeds once nobody reads the table any more", said[-200:])
    return written


def expect_both_live(buyers: Buyers, known: dict[str, str], emails: Sequence[str]) -> None:
    """Let both versions write and change, and expect that each sees what the other did."""
    for version in READ:
        buyers.expect(version, known, "after expand.sql")
    old = list(known)
    for number, version in enumerate(READ):
        email = emails[number]
        known[email] = f"Ш {email}"
        buyers.write(version, email, known[email])
        for reader in READ:
            buyers.expect(reader, known, f"after version {version} has written it")
    for number, version in enumerate(READ):
        # One that was there before, and one that the other version has written.
        for email in (old[number], emails[1 - number]):
            known[email] = f"{known[email]} Ñ"
            buyers.change(version, email, known[email])
        for reader in READ:
            buyers.expect(reader, known, f"after version {version} has changed it")


def expect_the_new_one_lives(database: Database, known: dict[str, str], email: str) -> None:
    """Expect that version 2 is at home, and nothing of version 1 is left."""
    buyers = Buyers(database)
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'buyers'"
    found = [str(row["column_name"]) for row in database.rows(columns)]
    if "name" in found:
        fail("no column name in buyers after contract.sql", ", ".join(sorted(found)))
    known[email] = f"Ш {email}"
    buyers.write("2", email, known[email])
    changed = next(iter(known))
    known[changed] = f"{known[changed]} Ö"
    buyers.change("2", changed, known[changed])
    buyers.expect("2", known, "after contract.sql")
    try:
        buyers.write("2", f"no-{email}", None)
    except Failure:
        return
    fail("a null in full_name refused after contract.sql", "it was written")


@points(
    1,
    hints=(
        (
            "Run expand.sql by hand, then every statement of the contract's table, as both"
            " versions. Then once more with BEGIN; SELECT * FROM buyers; open in another psql: who"
            " waits for whom?"
        ),
        (
            "In both files SET lock_timeout = '500ms' first. Then expand.sql: ADD COLUMN IF NOT"
            " EXISTS full_name, a trigger BEFORE INSERT OR UPDATE that copies whichever name is new"
            " into the other column, and after its COMMIT an UPDATE that fills the old rows."
            " contract.sql: drop the trigger and the column name, and SET NOT NULL on full_name."
        ),
    ),
    link="Expand, backfill, contract",
)
def check_changes_the_schema_in_steps(changed: Story[None]) -> None:
    """expand.sql lets versions 1 and 2 share buyers, contract.sql ends it, and nobody waits long"""
    changed.result()
