import json
import shlex
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

import pytest

from coursework.checks import (
    Client,
    Composed,
    Crowd,
    Deadline,
    Failure,
    Random,
    Reply,
    Sandbox,
    Stack,
    at_once,
    eventually,
    fail,
    points,
)

DOOR = "127.0.0.1:8080"
DATABASE = "postgres:17"
# The same image, but the database stays away until somebody makes this file in it.
LATE_DATABASE = "course/late-postgres:1"
MAY_BEGIN = "/dev/shm/open"  # noqa: S108 - in its container
LATE_BY_S = 6.0
# How late the contract says it may be.
LATE_AT_MOST_S = 10.0
PASSWORD_FILE = "db_password.txt"  # noqa: S105 - its name
BOOKINGS = "/api/shows/1/bookings"
ANSWERS_WITHIN_S = 20.0
UP_WITHIN_S = 30.0
PROBED_WITHIN_S = 60.0
UP = "docker compose up --wait"
ALL = "docker compose ps --all"
STARTS = (
    f"docker compose down --volumes && {UP}; docker inspect --format"
    " '{{.Name}} {{.RestartCount}} restarts, started {{.State.StartedAt}}'"
    " $(docker compose ps --all --quiet)"
)
GAVE_UP = (
    "by default, three failed checks in a row make a service unhealthy, and Compose gives up on"
    " whatever waits for it: beside interval: 1s, add retries: 20 to its healthcheck"
)


@dataclass(frozen=True)
class House:
    """The box office, as it came up.

    Args:
        stack: its services.
        door: where customers ask.
        first: the reply to the very first request, a booking.
        booked: what was booked by it.
        postgres: id of the image of the database; a name can be given to another one.
        late_postgres: id of the one that stays away.
    """

    stack: Stack
    door: Client
    first: Reply
    booked: dict[str, str]
    postgres: str
    late_postgres: str


@pytest.fixture(scope="session")
def password(random: Random) -> str:
    """Return a password that nobody can know beforehand."""
    return f"{random.word()}-{random.hex(12)}"


@pytest.fixture(scope="session")
def house(sandbox: Sandbox, stack: Stack, password: str, random: Random) -> House:
    """Bring all of it up from nothing, once its database accepts connections."""
    names = (DATABASE, LATE_DATABASE)
    ids = [sandbox.docker("inspect", "--format={{.Id}}", name).strip() for name in names]
    stack.write(PASSWORD_FILE, f"{password}\n")
    stack.build()
    # Whether the others wait for the database is asked later, by one check alone.
    stack.compose("up", "--detach", "db")
    wait_for_database(stack)
    stack.up()
    booked = {"seat": f"B{random.integer(2, 9)}", "user": random.text()}
    door = stack.server(8080)
    return House(stack, door, door.post(BOOKINGS, json=booked), booked, *ids)


def wait_for_database(stack: Stack) -> None:
    """Wait until db accepts connections; the checks that need it notice if it never does."""
    deadline = Deadline(ANSWERS_WITHIN_S)
    while not deadline.has_passed():
        running = [c for c in stack.containers("db") if c.exit_code is None]
        if not running or accepts(running[0]):
            return
        time.sleep(0.1)


def accepts(db: Composed) -> bool:
    """Tell whether a database accepts connections, and its last probe, if any, says so too."""
    # One that still counts as unhealthy would make Compose give up at once.
    return db.probes[-1:] in ([], [0]) and db.reaches("127.0.0.1", 5432)


@points(
    2,
    hints=(
        (
            "docker compose ps --all shows the state of each service, docker compose logs"
            " SERVICE says why. --wait waits until a service is healthy, so web needs a"
            " healthcheck too."
        ),
        (
            "Give seed profiles: [tools], and web a healthcheck that asks /healthz, with"
            " interval: 1s and retries: 20. The image has node -e or python -c, but no curl."
        ),
    ),
    link="Ready, not just started",
)
def check_comes_up_whole(house: House, sandbox: Sandbox, random: Random) -> None:
    """After docker compose up --wait the first seat is sold, and seed runs only when asked"""
    house.first.expect(201, json=house.booked)
    stack = house.stack
    # On a slow machine a service that never asks may be lucky: --wait could not know.
    asked = {s: c.status for s in ("web", "proxy") for c in stack.containers(s)}
    if "running, healthy" not in asked.values():
        seen = ", ".join(f"{service}: {status}" for service, status in asked.items())
        fail("a health check by which up --wait knows that web is ready", seen, command=ALL)
    web = stack.container("web")
    expect_asked(sandbox, web)
    image = stack.container("db").image
    if image.removeprefix("docker.io/").removeprefix("library/") != DATABASE:
        fail(f"the image {DATABASE} for db", image[:80])
    stack.container("proxy")
    if (migrate := stack.container("migrate")).exit_code != 0:
        fail("migrate has ended with exit code 0", migrate.status, command=ALL)
    if started := stack.containers("seed"):
        fail("no container of seed after up", started[0].name[:80], command=ALL)
    titles = [f"{random.word()} {random.text(4)}", f'The {random.word()}\'s "tale"']
    try:
        stack.run("seed", *titles)
    except Failure as failure:
        if "no such service" not in failure.saw:
            failure.hint = "seed asks the database, so it needs what migrate needs to reach it"
        raise
    shows = [{"title": title} for title in ("Hamlet", *titles)]
    house.door.get("/api/shows").expect(200, json={"shows": shows})
    if not probe(web):
        expect_asked_by_proxy(house, sandbox)


def probe(container: Composed) -> list[str]:
    """Return the command of a container's health check; an empty list if it has none."""
    kind, *words = (container.facts["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if kind not in ("CMD", "CMD-SHELL") or not words:
        return []
    return ["/bin/sh", "-c", *words] if kind == "CMD-SHELL" else words


def succeeds(sandbox: Sandbox, *arguments: str) -> bool:
    """Tell whether a docker command ends with exit code 0."""
    try:
        sandbox.docker(*arguments, within_s=PROBED_WITHIN_S)
    except Failure:
        return False
    return True


def expect_asked(sandbox: Sandbox, web: Composed) -> None:
    """Expect that web's health check, if any, fails in a container without its program."""
    if not (words := probe(web)):
        return
    program, *arguments = words
    alone = ("run", "--rm", "--network=none", f"--entrypoint={program}")
    if not succeeds(sandbox, *alone, web.facts["Image"], *arguments):
        return
    typed = shlex.join(("docker", *alone, web.image, *arguments))
    seen = "it succeeds where no server runs"
    fail("a health check of web that asks it", seen, command=f"{typed} && echo {seen}")


def expect_asked_by_proxy(house: House, sandbox: Sandbox) -> None:
    """Expect that proxy's health check fails while web is down; web is up again afterwards."""
    proxy = house.stack.container("proxy")
    words = probe(proxy)
    house.stack.kill("web")
    is_fooled = succeeds(sandbox, "exec", proxy.id, *words)
    house.stack.start("web")
    if is_fooled:
        seen = "it succeeds while web is down"
        typed = shlex.join(("docker", "compose", "exec", "-T", "proxy", *words))
        command = f"docker compose kill web; {typed} && echo {seen}"
        hint = "ask web through the proxy, and count a 502 as a failure: web is down"
        fail("a health check of proxy that asks web", seen, command=command, hint=hint)
    # The next up --wait would give up at once if proxy still counted as unhealthy.
    eventually(lambda: expect_recovered(house), within_s=PROBED_WITHIN_S)


def expect_recovered(house: House) -> None:
    """Expect that the box office answers, and that proxy's health check has noticed."""
    house.door.get("/api/shows").expect(200)
    if (status := house.stack.container("proxy").status) != "running, healthy":
        fail("proxy healthy after web is up again", status, command=ALL)


@points(
    2,
    hints=(
        (
            "Services that share a network reach each other, whether a port is published or not."
            " Which networks do proxy, web and db have in docker compose config?"
        ),
        (
            "networks: [front] for proxy, [front, back] for web, [back] for db, migrate and"
            " seed; ports: only for proxy, as 127.0.0.1:8080:80."
        ),
    ),
    link="Networks: who reaches whom",
    needs=("comes_up_whole",),
)
def check_walls_off_the_database(house: House) -> None:
    """web reaches the database, proxy can't, and only proxy is published, at 127.0.0.1:8080"""
    for container in house.stack.containers():
        expect_published(container)
    proxy, web, db = (house.stack.container(s) for s in ("proxy", "web", "db"))
    asked = [(web, "db"), *((proxy, host) for host in ("db", *db.addresses))]
    with at_once(lambda pair: pair[0].reaches(pair[1], 5432), asked) as answers:
        pass
    reached = [
        pair for pair, is_reached in zip(asked, answers.results(), strict=True) if is_reached
    ]
    # A busy machine may spoil one attempt.
    if asked[0] not in reached and not web.reaches("db", 5432):
        saw = "web does not reach db:5432"
        fail("a connection from web to db:5432", saw, command=asking("web", "db"))
    for container, host in reached:
        if container is proxy:
            saw = f"proxy reaches {host}:5432"
            fail("no way from proxy to the database", saw, command=asking("proxy", host))


def expect_published(container: Composed) -> None:
    """Compare a container's published ports with the contract."""
    seen = ", ".join(container.published)[:200] or "nothing published"
    if container.service != "proxy":
        if container.published:
            fail(f"no published port at {container.service}", seen, command=ALL)
    elif len(container.published) != 1 or not seen.startswith(f"{DOOR} to "):
        fail(f"proxy published at {DOOR}, and nowhere else", seen, command=ALL)


def asking(service: str, host: str) -> str:
    """Return the command that asks for the database from a service's own network."""
    inside = f"--network container:$(docker compose ps --quiet {service})"
    ask = f"docker run --rm {inside} busybox:1.37 nc -w 3 {host} 5432 -e true"
    place = f"{host}:5432"
    return f"{ask} && echo {service} reaches {place} || echo {service} does not reach {place}"


@points(
    2,
    hints=(
        (
            "docker inspect and docker compose config show every variable, but not what is in a"
            " file. Which variable of the postgres image names a file, and which one of web?"
        ),
        (
            "secrets: {db_password: {file: db_password.txt}} at the top level, secrets:"
            " [db_password] for db and for each service that asks it, and POSTGRES_PASSWORD_FILE"
            " (db) or DB_PASSWORD_FILE (the others): /run/secrets/db_password."
        ),
    ),
    link="Passwords: a file, not a variable",
    needs=("comes_up_whole",),
)
def check_hides_the_password(house: House, sandbox: Sandbox, password: str) -> None:
    """The password of db_password.txt opens the database; neither inspect nor config shows it"""
    stack = house.stack
    for command, said in stack.inspected().items():
        if password in said:
            fail("no password in what docker inspect says", "it's there", command=command)
    config = stack.config()
    if password in json.dumps(config, ensure_ascii=False):
        fail("no password in docker compose config", "it's there", command="docker compose config")
    secret = (config.get("secrets") or {}).get("db_password") or {}
    if PurePosixPath(str(secret.get("file"))).name != PASSWORD_FILE:
        told = json.dumps(secret)[:200] if secret else "no such secret"
        fail(f"a secret db_password from the file {PASSWORD_FILE}", told)
    file = PurePosixPath(str(secret["file"]))
    # A folder that is mounted brings its files along.
    if any(PurePosixPath(f) in (file, *file.parents) for f in stack.container("proxy").files):
        fail("proxy without the password, which it doesn't need", f"{PASSWORD_FILE} is in it")
    command = (
        'docker compose run --rm --no-deps --env PGPASSWORD="$(cat db_password.txt)"'
        " --entrypoint psql migrate -h db -U lantern -c 'SELECT 1'"
    )
    if not opens(house, sandbox, password):
        fail(f"the password of {PASSWORD_FILE} opens the database", "it's refused", command=command)
    if opens(house, sandbox, f"not-{password}"):
        fail("another password is refused", "it opens the database, too", command=command)


def opens(house: House, sandbox: Sandbox, password: str) -> bool:
    """Tell whether a password opens the database, asked from where web is."""
    inside = f"--network=container:{house.stack.container('web').id}"
    variable = f"--env=PGPASSWORD={password}"
    ask = ("--host=db", "--username=lantern", "--dbname=lantern", "--command=SELECT 1")
    try:
        sandbox.docker("run", "--rm", inside, variable, house.postgres, "psql", *ask)
    except Failure as failure:
        if "authentication failed" not in failure.saw:
            raise
        return False
    return True


@points(
    1,
    hints=(
        "Three containers can't share one name, one address or one published port.",
        "Leave container_name out: Compose names them by project, service and number.",
    ),
    link="One service, several containers",
    needs=("comes_up_whole",),
)
def check_scales_out(house: House) -> None:
    """After docker compose up --wait --scale web=3, three containers answer behind the proxy"""
    house.stack.scale("web", 3)
    seen, deadline = set[str](), Deadline(ANSWERS_WITHIN_S)
    while len(seen) < 3:
        reply = house.door.get("/api/instance").expect(200, json={})
        seen.add(str(reply.json().get("instance")))
        if deadline.has_passed():
            fail("answers of three instances", f"answers of {len(seen)}", command=reply.command)


@pytest.fixture(scope="session")
def next_evening(house: House, sandbox: Sandbox) -> House:
    """Take all of it down and bring it up again, with a database that comes 6 s late."""
    usual, within_s = house.stack.container("db").facts["Image"], UP_WITHIN_S + LATE_AT_MOST_S
    house.stack.down()
    sandbox.docker("tag", house.late_postgres, DATABASE)
    try:
        with at_once(lambda _: house.stack.up(within_s=within_s), [None]) as coming_up:
            keep_away(house.stack, coming_up)
            for db in house.stack.containers("db"):
                if db.started_at and db.exit_code is None:
                    sandbox.docker("exec", "--user=0", db.id, "touch", MAY_BEGIN)
        coming_up.results()
    except Failure as failure:
        if "is unhealthy" in failure.saw:
            failure.hint = GAVE_UP
        raise
    finally:
        # What is typed afterwards, as a report says, brings up a database that is not late.
        sandbox.docker("tag", usual, DATABASE)
    return house


def keep_away(stack: Stack, coming_up: "Crowd[None, None]") -> None:
    """Wait while the database is away: 6 s, and until a service that came too early has noticed."""
    seen: dict[tuple[str, datetime | None], float] = {}
    while coming_up.busy:
        started = [c for service in ("db", "migrate", "web") for c in stack.containers(service)]
        started = [c for c in started if c.started_at]
        for container in started:
            seen.setdefault((container.id, container.started_at), time.monotonic())
        now = time.monotonic()
        # A service that keeps restarting does not keep the database away for ever.
        if now - min(seen.values(), default=now) >= LATE_AT_MOST_S:
            return
        # Compose is past the database's start: it has looked at its health, or started another.
        is_decided = any(c.probes or c.service != "db" for c in started)
        if is_decided and now - max(seen.values()) >= LATE_BY_S:
            return
        time.sleep(0.1)


@points(
    2,
    hints=(
        (
            "depends_on: [db] waits until the container is started, but the database in it"
            " takes longer to be ready. In this check it takes 6 s longer than usual."
        ),
        (
            "For db, a healthcheck that asks over TCP, such as pg_isready -h 127.0.0.1; for"
            " migrate, condition: service_healthy; for web, condition:"
            " service_completed_successfully. Three failures in a row make db unhealthy, and"
            " Compose gives up: beside interval: 1s, write retries: 20."
        ),
    ),
    link="Starting by health",
    needs=("comes_up_whole",),
)
def check_waits_for_readiness(next_evening: House) -> None:
    """When the database is 6 s late, migrate runs once, then web starts, and nothing restarts"""
    stack = next_evening.stack
    migrate, web = stack.container("migrate"), stack.container("web")
    for container in (migrate, web):
        if container.restarts:
            seen = f"{container.restarts} restarts"
            fail(f"{container.service} is started once", seen, command=STARTS)
    if migrate.exit_code != 0 or not migrate.ended_at or not web.started_at:
        fail("migrate has ended with exit code 0", migrate.status, command=ALL)
    if (early_s := (migrate.ended_at - web.started_at).total_seconds()) > 0:
        seen = f"it started {early_s:.1f} s before"
        fail("web starts after migrate has ended", seen, command=STARTS)


@points(
    1,
    hints=(
        (
            "docker compose down removes the containers and everything they wrote outside their"
            " volumes, and the next up doesn't find a volume without a name. Which volume does"
            " db have, and at which folder?"
        ),
        (
            "volumes: [db-data:/var/lib/postgresql/data] for db, and db-data: under volumes: at"
            " the top level."
        ),
    ),
    link="Data that survives down",
    needs=("comes_up_whole", "waits_for_readiness"),
)
def check_keeps_data(next_evening: House) -> None:
    """After docker compose down and up, the booking is still there"""
    bookings = next_evening.door.get(BOOKINGS)
    bookings.command = f"docker compose down; {bookings.command}"
    bookings.expect(200, json={"bookings": [next_evening.booked]})
