"""The stack instrument brings an answer's compose file up in an engine of its own."""

import dataclasses
import itertools
import json
import time

import pytest

from coursework.checks.failure import Failure, StartFailure
from coursework.checks.home import Home
from coursework.checks.run import CheckRun, Task
from coursework.checks.services import Services
from coursework.checks.stack import Stack
from coursework.checks.stream import at_rate
from coursework.containers.building import Limits
from coursework.containers.container import Settings
from coursework.containers.runs import open_run
from coursework.modules.catalogue import Module
from coursework.sandbox import open_fleet
from coursework.submissions.files import Submission
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine

MODULE = Module("94-stack", "T", "P", ("o",), (), 5, ("busybox:1.37", "postgres:17"), sandbox=True)
SERVICES = """
name: services
services:
  web:
    build: web
    init: true
    secrets: [key]
    networks: [front, back]
    depends_on:
      first: {condition: service_completed_successfully}
    healthcheck: {test: [CMD, wget, -q, -O, "-", "http://localhost/"], interval: 1s, retries: 30}
  door:
    image: busybox:1.37
    init: true
    command: httpd -f -p 80 -h /page
    ports: ["127.0.0.1:8080:80"]
    volumes: ["./page:/page:ro"]
    networks: [front]
  first:
    image: busybox:1.37
    command: sh -c 'echo brought up to date'
    networks: [back]
  hidden:
    image: busybox:1.37
    init: true
    command: nc -ll -p 5432 -e true
    networks: [back]
  tool:
    image: busybox:1.37
    profiles: [tools]
    entrypoint: [sh, -c, 'test "$$0" = seven || { echo "not $$0" >&2; false; }']
networks: {front: {}, back: {}}
secrets: {key: {file: key.txt}}
"""
WEB = """
FROM busybox:1.37
CMD ["sh", "-c", "hostname > index.html && exec httpd -f -p 80"]
"""


@pytest.fixture(scope="module")
def run_of(engine, tmp_path_factory):
    """Return a function that opens a run on an answer, each a project of its own."""
    nobody = lambda _: None  # noqa: E731 - nobody listens
    folder, numbers = tmp_path_factory.mktemp("folder"), itertools.count(1)
    with open_fleet(engine, MODULE, (), nobody, ahead=1, wanted=1) as fleet:
        _, inner = fleet.take()
        with open_run(MODULE.slug) as owner:

            def open_on(files):
                module = dataclasses.replace(MODULE, slug=f"94-stack-{next(numbers)}")
                told = {name: text.encode() for name, text in files.items()}
                submission = Submission(told, module.slug)
                task = Task(
                    module, submission, Home("course check", folder), 7, Limits(), nobody, nobody
                )
                return CheckRun(task, Services(inner, owner))

            yield open_on


@pytest.fixture
def stack_of(run_of):
    """Return a function that lays a stack out; what it brings up is removed afterwards."""
    made: list[Stack] = []

    def lay(compose, files=None):
        made.append(Stack(run_of({"compose.yaml": compose, **(files or {})})))
        return made[-1]

    yield lay
    for stack in made:
        stack.compose("down", "--volumes", "--timeout", "0", "--remove-orphans")


@pytest.fixture(scope="module")
def brought_up(run_of):
    """Return a stack that is up, one file written over by a check, and its containers then."""
    run = run_of(
        {"compose.yaml": SERVICES, "web/Dockerfile": WEB, "page/index.html": "welcome\n",
         "key.txt": "handed in\n"}
    )  # fmt: skip
    stack = Stack(run)
    stack.write("key.txt", "another\n")
    stack.build()
    stack.up()
    assert run.evidence.command(None) == "docker compose up --wait"
    yield stack, {c.service: c for c in stack.containers()}
    stack.down("--timeout", "0")
    assert stack.containers() == []


@pytest.fixture
def services(brought_up):
    """Return the stack alone."""
    return brought_up[0]


def test_a_stack_is_up_when_each_service_is_ready(brought_up):
    """It serves at its published port, what runs once has ended, and a profile has not begun."""
    services, at_first = brought_up
    reply = services.server(8080).get("/").expect(200, body="welcome\n")
    assert reply.command == "docker compose up --wait && curl -i http://localhost:8080/"
    # Another test's `up` runs once more what runs once.
    first, web = at_first["first"], at_first["web"]
    assert (first.exit_code, first.restarts, first.is_well) == (0, 0, True)
    assert first.ended_at < web.started_at
    assert (web.exit_code, web.status, web.is_well) == (None, "running, healthy", True)
    assert 0 in web.probes
    assert services.containers("tool") == []
    assert {c.service for c in services.containers()} == {"web", "door", "first", "hidden"}


def test_a_container_tells_what_it_was_given(services):
    """Ports, files and addresses are those of the engine."""
    web, door = services.container("web"), services.container("door")
    assert (door.published, web.published) == (["127.0.0.1:8080 to 80/tcp"], [])
    assert [f.rsplit("/", 1)[1] for f in door.files] == ["page"]
    assert [f.rsplit("/", 1)[1] for f in web.files] == ["key.txt"]
    assert len(web.addresses) == 2


def test_who_reaches_whom_is_seen_from_inside(services):
    """By name and by address; one that has ended reaches nobody, and says so."""
    web, door, hidden = (services.container(s) for s in ("web", "door", "hidden"))
    assert web.reaches("hidden", 5432)
    assert web.reaches(hidden.addresses[0], 5432)
    assert not web.reaches("hidden", 5433)
    assert not door.reaches("hidden", 5432)
    assert not door.reaches(hidden.addresses[0], 5432)
    with pytest.raises(Failure, match=r"a container of first that runs, saw exited \(0\)"):
        services.container("first").reaches("web", 80)


def test_a_container_is_asked_from_inside(services):
    """At a port that is not published; another status is told, and a closed port says so."""
    web = services.container("web")
    reply = web.get(80, "/index.html").expect(200)
    assert reply.text.strip() == web.id[:12]
    web.get(80, "/absent").expect(404)
    with pytest.raises(Failure, match="a reply to GET / at port 81 of web"):
        web.get(81, "/")


def test_a_service_runs_once(services):
    """Its arguments are passed on, and its exit code counts."""
    services.run("tool", "seven")
    with pytest.raises(Failure, match="saw exit code 1") as failed:
        services.run("tool", "eight")
    assert failed.value.command == "docker compose run --rm -T tool eight"
    assert "not eight" in failed.value.__notes__[0]
    assert services.containers("tool") == []


def test_all_that_docker_says_is_at_hand(services):
    """Containers, images, networks, and the file with all that it takes in."""
    said = services.inspected()
    assert "docker inspect services-web-1" in said
    assert "docker inspect services-web" in said
    assert "docker network inspect services_front" in said
    assert json.loads(said["docker inspect services-door-1"])["Config"]["Image"] == "busybox:1.37"
    assert "index.html" in said["docker history --no-trunc services-web"]
    assert services.config()["secrets"]["key"]["file"].endswith("/key.txt")


def test_a_service_is_scaled(services):
    """The only container of a service is none of three."""
    services.scale("web", 3)
    assert len(services.containers("web")) == 3
    with pytest.raises(Failure, match="one container of web, saw services-web-1, services-web-2"):
        services.container("web")
    services.scale("web", 1)
    with pytest.raises(Failure, match="one container of nobody, saw none"):
        services.container("nobody")


def test_one_service_is_killed_and_replaced_while_others_are_asked(services):
    """It starts again as the same container; a replaced one is another, at another address."""
    before = services.container("web")
    services.kill("web")
    killed = services.container("web")
    assert (killed.id, killed.exit_code) == (before.id, 137)
    # Also what was looked at before says how it is now.
    with pytest.raises(Failure, match=r"a container of web that runs, saw exited \(137\)"):
        before.reaches("hidden", 5432)
    with pytest.raises(Failure, match="a container of web that runs, saw there is none"):
        services.kill("web")
    services.start("web")
    assert (services.container("web").id, services.container("web").exit_code) == (before.id, None)
    door = services.server(8080)
    with at_rate(lambda: door.get("/", timeout_s=20), per_s=50) as stream:
        services.replace("web")
    assert stream.count(lambda reply: reply.status).keys() == {200}
    replaced = services.container("web")
    assert replaced.id != before.id
    assert set(replaced.addresses).isdisjoint(before.addresses)
    assert {c.service for c in services.containers()} == {"web", "door", "first", "hidden"}


def test_a_server_that_was_killed_refuses_connections(stack_of):
    """Also one that was asked before; when it is up again, it answers."""
    # Not a service of `brought_up`: a name means every container in the engine that has it.
    stack = stack_of("""
services:
  page:
    image: busybox:1.37
    init: true
    command: sh -c 'echo welcome > index.html; exec httpd -f -p 80'
    ports: ["127.0.0.1:8081:80"]
""")
    page = stack.server(8081)
    with pytest.raises(Failure) as failed:
        page.get("/")
    assert failed.value.saw == "connection refused"
    stack.up()
    page.get("/").expect(200, body="welcome\n")
    with page.connect() as line:
        line.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        line.reply().expect(200, body="welcome\n")
    stack.kill("page")
    with pytest.raises(Failure) as failed:
        page.get("/")
    assert failed.value.saw == "connection refused"
    stack.start("page")
    page.get("/").expect(200, body="welcome\n")


def test_one_replica_is_killed_and_started_again(stack_of):
    """The other one still runs meanwhile."""
    stack = stack_of("""
services:
  page:
    image: busybox:1.37
    init: true
    command: sleep 600
    deploy: {replicas: 2}
""")
    stack.up()
    stack.kill("page", 1)
    assert [c.exit_code for c in stack.containers("page")].count(None) == 1
    stack.start("page")
    assert [c.exit_code for c in stack.containers("page")] == [None, None]


def test_a_stack_reaches_a_container_of_ours_in_a_network_beside_it(run_of):
    """Compose calls the network external; joining twice changes nothing, nor does a longer name."""
    compose = """
services:
  page:
    image: busybox:1.37
    init: true
    command: sleep 600
    networks: [partners]
networks: {partners: {external: true}}
"""
    run = run_of({"compose.yaml": compose})
    settings = Settings("busybox:1.37", entrypoint=("nc", "-ll", "-p", "4000", "-e", "true"))
    ours = run.services.start_service("ours", settings).result()
    stack = Stack(run)
    other = run.services.engine.client.networks.create("other-partners")
    try:
        address = stack.join(ours, "partners")
        assert stack.join(ours, "partners") == address
        stack.up()
        assert stack.container("page").reaches(address, 4000)
    finally:
        stack.compose("down", "--timeout", "0")
        other.remove()


def test_a_database_of_a_stack_is_looked_at_as_each_of_its_roles(stack_of):
    """Its port need not be published; a role is refused what it may not, and a wrong password."""
    stack = stack_of("""
services:
  db:
    image: postgres:17
    environment: {POSTGRES_USER: lantern, POSTGRES_PASSWORD: secret}
    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1], interval: 1s, retries: 30}
""")
    stack.up()
    told = {"name": "lantern", "user": "lantern", "password": "secret"}
    owner = stack.database("db", **told)
    owner.rows("CREATE TABLE shows AS SELECT 7 AS id")
    owner.rows("CREATE ROLE ada LOGIN PASSWORD 'hers'")
    ada = stack.database("db", **{**told, "user": "ada", "password": "hers"})
    assert ada.rows("SELECT current_user AS name") == [{"name": "ada"}]
    with pytest.raises(Failure, match="permission denied for table shows") as failed:
        ada.rows("SELECT id FROM shows")
    command = "docker compose exec db psql -U ada -d lantern -c 'SELECT id FROM shows'"
    assert failed.value.command == command
    with pytest.raises(Failure, match="a session of ada, saw password authentication failed"):
        stack.database("db", **{**told, "user": "ada"}).rows("SELECT 1")
    with owner.holding("LOCK TABLE shows"):
        locked = owner.rows("SELECT count(*) AS n FROM pg_locks WHERE mode = 'AccessExclusiveLock'")
    assert locked == [{"n": 1}]
    stack.close()


def test_what_is_not_well_is_shown(stack_of):
    """The reason is Compose's, the log that of the service which failed."""
    stack = stack_of("""
services:
  works: {image: busybox:1.37, init: true, command: "sh -c 'echo all is well; sleep 99'"}
  fails: {image: busybox:1.37, command: "sh -c 'echo no such table >&2; exit 3'"}
""")
    with pytest.raises(Failure, match=r"saw exit code 1: .*fails-1 exited \(3\)") as failed:
        stack.up()
    assert failed.value.command == "docker compose up --wait"
    (log,) = failed.value.__notes__
    assert "no such table" in log
    assert "all is well" not in log


def test_a_service_that_ends_well_and_is_not_waited_for_is_explained(stack_of):
    """Compose calls it a failure, and its log is that of nothing wrong."""
    stack = stack_of(
        "services: {ends: {image: busybox:1.37, command: echo done},"
        " stays: {image: busybox:1.37, init: true, command: sleep 99}}"
    )
    with pytest.raises(Failure, match=r"saw exit code 1: .*ends-1 exited \(0\)") as failed:
        stack.up()
    assert "service_completed_successfully" in failed.value.hint
    assert "needs a profile" in failed.value.hint
    assert failed.value.__notes__[0].split("|")[1].strip() == "done"


def test_what_does_not_end_is_told_in_time(stack_of):
    """A probe that always fails holds nobody up for longer than was said."""
    stack = stack_of("""
services:
  slow:
    image: busybox:1.37
    init: true
    command: sleep 99
    healthcheck: {test: [CMD, "false"], interval: 30s}
""")
    start = time.monotonic()
    with pytest.raises(Failure, match="end within 2 s, saw it still runs: slow running, starting"):
        stack.up(within_s=2)
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("compose", "saw"),
    [
        ("services: [", "yaml"),
        ("services: {a: {image: no-such-image:1, pull_policy: never}}", "no-such-image"),
        ("# nothing", "empty compose file"),
        ("services: {a: {image: busybox:1.37, depends_on: [b]}}", "depends on undefined service"),
    ],
)
def test_what_is_no_compose_file_is_told_in_compose_s_words(stack_of, compose, saw):
    with pytest.raises(Failure, match=f"exit code 0 of .*{saw}"):
        stack_of(compose).up()


def test_an_image_that_does_not_build_is_told_as_such(stack_of):
    """No service was started: the failure is the build's."""
    stack = stack_of("services: {a: {build: a}}", {"a/Dockerfile": "FROM busybox:1.37\nRUN fail"})
    with pytest.raises(StartFailure, match="images that build") as failed:
        stack.build()
    assert "fail" in failed.value.__notes__[0]


def test_a_hostile_file_sees_the_sandbox_alone_and_cannot_flood_a_report(stack_of):
    """What it mounts is thrown away with it; what it prints is cut."""
    stack = stack_of("""
services:
  a:
    image: busybox:1.37
    volumes: ["/:/all", "/socket:/socket"]
    command: sh -c 'ls /all/tmp/answer; yes "$$(seq 3000 | tr -d "\\\\n")" | head -n 3000; exit 7'
  b:
    image: busybox:1.37
    command: sleep 60
    depends_on: {a: {condition: service_completed_successfully}}
""")
    with pytest.raises(Failure) as failed:
        stack.up()
    assert len(failed.value.saw) < 400
    assert failed.value.saw.endswith("exit 7")
    assert len(failed.value.__notes__[0]) < 1_000_000
    with pytest.raises(Failure, match="exit code 1") as failed:
        stack_of("services: {a: {image: busybox:1.37, privileged: true}}").up()
    assert len(failed.value.saw) < 400


def test_an_answer_without_a_compose_file_is_told_so(run_of):
    with pytest.raises(Failure, match=r"a file compose\.yaml, saw there is none"):
        Stack(run_of({"docker-compose.yml": ""}))


def test_an_engine_that_stays_is_refused(shared_run):
    """A module whose entry does not say so gets no sandbox."""
    with pytest.raises(CourseError, match="thrown away afterwards"):
        Stack(shared_run)
