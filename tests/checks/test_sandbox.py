"""The sandbox instrument runs an answer's scripts beside an engine of their own."""

import time

import pytest

from coursework.checks.builder import Builder
from coursework.checks.failure import Failure
from coursework.checks.home import Home
from coursework.checks.load import at_once
from coursework.checks.patience import eventually
from coursework.checks.run import CheckRun, Task
from coursework.checks.sandbox import Sandbox
from coursework.checks.services import Services
from coursework.containers.building import Limits
from coursework.containers.runs import open_run
from coursework.modules.catalogue import Module
from coursework.sandbox import open_fleet
from coursework.submissions.files import Submission
from coursework.trouble import CourseError

pytestmark = pytest.mark.engine

MODULE = Module("96-sandbox", "T", "P", ("o",), (), 5, ("busybox:1.37",), sandbox=True)
FILES = {
    "Dockerfile": b"FROM busybox:1.37\nVOLUME /data\n",
    "ops.sh": b"""\
case "$1" in
  tell) cat; echo "$2 $BANNER" "$(ls)" >&2; exit 3 ;;
  wait) sleep 60 & sleep 60 ;;
  leave) sleep 60 & ;;
  flood) cat /dev/zero ;;
  read) cat lib/words.txt notes.txt ;;
  visit) wc -l < long.sh; echo "$2" >> visits; cat visits ;;
  up) docker run --detach --name web --publish 127.0.0.1:8080:80 --volume web-data:/data "$2" \
        sh -c 'echo hello > index.html && exec httpd -f -p 80' ;;
esac
""",
    "long.sh": b"#" * 90_001,
}


@pytest.fixture(scope="module")
def run(engine, tmp_path_factory):
    """Return a run in a sandbox of its own."""
    nobody = lambda _: None  # noqa: E731 - nobody listens
    with open_fleet(engine, MODULE, (), nobody, ahead=1, wanted=1) as fleet:
        _, inner = fleet.take()
        task = Task(
            MODULE, Submission(FILES, MODULE.slug),
            Home("course check", tmp_path_factory.mktemp("folder")), 7,
            Limits(), nobody, nobody,
        )  # fmt: skip
        with open_run(MODULE.slug) as owner:
            made = CheckRun(task, Services(inner, owner))
            yield made
            made.close()


@pytest.fixture
def sandbox(run):
    """Return the instrument, and an engine without anything of an earlier test."""
    made = Sandbox(run)
    made.empty()
    return made


def test_a_script_has_arguments_variables_and_input(run, sandbox):
    """It gives back bytes as they were, and what it says is the report's log."""
    ran = sandbox.run("ops.sh", "tell", "it's", stdin=b"\0\xff" * 100_000, env={"BANNER": "a  b"})
    assert (ran.exit_code, ran.output) == (3, b"\0\xff" * 100_000)
    assert ran.stderr == "it's a  b ops.sh\n"
    assert run.evidence.log(None) == "it's a  b ops.sh"
    assert (
        run.evidence.command(None)
        == """BANNER='a  b' sh ops.sh tell 'it'"'"'s' < /tmp/answer/input"""
    )


def test_further_files_lie_beside_a_script(sandbox):
    """Each at its path; the script's input is its own, and the next run begins without them."""
    files = {"lib/words.txt": b"to be\n", "notes.txt": "or not\n"}
    assert sandbox.run("ops.sh", "read", files=files, stdin=b"unread").stdout == "to be\nor not\n"
    assert sandbox.run("ops.sh", "tell", "again", files=files, stdin=b"read").stdout == "read"
    assert sandbox.run("ops.sh", "read").exit_code != 0


def test_a_script_in_place_finds_what_earlier_runs_left(sandbox):
    """It lies in the answer's folder, with all its files, until the engine is emptied."""
    assert sandbox.run("ops.sh", "visit", "one", in_place=True).stdout == "0\none\n"
    assert sandbox.run("ops.sh", "visit", "two", in_place=True).stdout == "0\none\ntwo\n"
    sandbox.empty()
    assert sandbox.run("ops.sh", "visit", "three", in_place=True).stdout == "0\nthree\n"


def test_a_script_must_end_and_must_not_print_without_end(sandbox):
    """Neither one that waits nor one that floods holds up a grading."""
    with pytest.raises(Failure, match=r"an end within 0\.5 s, saw it still runs"):
        sandbox.run("ops.sh", "wait", within_s=0.5)
    with pytest.raises(Failure, match="less than 20 MiB of output, saw 20 MiB or more"):
        sandbox.run("ops.sh", "flood")
    start = time.monotonic()
    assert sandbox.run("ops.sh", "leave").exit_code == 0
    assert time.monotonic() - start < 10


def test_a_script_must_be_there_and_short(sandbox):
    """A missing script is the learner's failure."""
    with pytest.raises(Failure, match=r"a file up\.sh, saw there is none"):
        sandbox.run("up.sh")
    with pytest.raises(Failure, match="at most 90,000 bytes, saw 90,001 bytes"):
        sandbox.run("long.sh")


def test_a_server_of_a_script_is_asked_from_inside(run, sandbox):
    """A port of 127.0.0.1 in the sandbox answers; nobody there is a refused connection."""
    with pytest.raises(Failure, match="connection refused"):
        sandbox.server(8080).get("/")
    name = sandbox.tag(Builder(run).first_image(), "lantern:1")
    ran = sandbox.run("ops.sh", "up", name)
    assert ran.exit_code == 0, ran.stderr
    for _ in range(50):
        try:
            reply = sandbox.server(8080).get("/index.html")
            break
        except Failure:
            time.sleep(0.1)
    reply.expect(200, body="hello\n")
    assert reply.command == "curl -i http://localhost:8080/index.html"


def test_many_ask_a_published_port_at_once(run, sandbox):
    """Each request of a crowd gets its own reply; where nobody listens any more, it is reset."""
    name = sandbox.tag(Builder(run).first_image(), "lantern:1")
    assert sandbox.run("ops.sh", "up", name).exit_code == 0
    server = sandbox.server(8080)
    eventually(lambda: server.get("/index.html").expect(200), within_s=10)
    paths = ["/index.html", "/nothing"] * 30
    with at_once(server.get, paths) as crowd:
        replies = crowd.results()
    assert [reply.status for reply in replies] == [200, 404] * 30
    sandbox.docker("rm", "--force", "web")
    with at_once(server.get, paths[:2]) as crowd, pytest.raises(Failure, match="reset"):
        crowd.results()


def test_an_emptied_engine_keeps_what_the_run_made(run, sandbox):
    """Containers, volumes and networks of scripts are gone; the run's own stay."""
    own = Builder(run).first_image().start().container
    name = sandbox.tag(Builder(run).first_image(), "lantern:1")
    sandbox.docker("network", "create", "lantern-net")
    sandbox.run("ops.sh", "up", name)
    sandbox.empty()
    assert sandbox.docker("ps", "--all", "--format", "{{.Names}}").split() == [own.name]
    assert "web-data" not in sandbox.docker("volume", "ls")
    assert "lantern-net" not in sandbox.docker("network", "ls")
    assert "lantern" in sandbox.docker("images")


def test_what_docker_refuses_is_told(sandbox):
    """The last line of docker is what was seen."""
    with pytest.raises(Failure, match=r"saw exit code 1: .*[Nn]o such") as failed:
        sandbox.docker("inspect", "nothing")
    assert failed.value.command == "docker inspect nothing"


def test_an_engine_that_stays_is_refused(run_of):
    """A module whose entry does not say so gets no sandbox."""
    with pytest.raises(CourseError, match="thrown away afterwards") as refused:
        Sandbox(run_of({}))
    assert "sandbox = true" in refused.value.fix
