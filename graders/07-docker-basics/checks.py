import json
import time
from collections.abc import Mapping
from typing import Any

import pytest

from coursework.checks import (
    Builder,
    Client,
    Finished,
    Image,
    Meanwhile,
    Random,
    Sandbox,
    Server,
    StartFailure,
    Story,
    Submission,
    advising,
    eventually,
    fail,
    points,
)

LABEL = "org.opencontainers.image.version"
NAME = "lantern:1"
HELPER = "busybox:1.37"
PORT = 8080
NEXT_NAME = "lantern:2"
NEIGHBOURS = ("lantern-stage", "old-lantern")
ENDED_NEIGHBOUR = "lantern-report"
NETWORK = "lantern-net"
# What must not happen to a board that is to keep running.
DISTURBANCES = {"pause", "stop", "kill", "die", "restart", "destroy"}
ENDS_WITHIN_S = 2
# How the engine tells that it did not end in time.
KILLED = 137
# A machine may be busy: one try in time is enough.
TRIES_TO_END = 3
SERVES_WITHIN_S = 20.0
# Helpers that remove themselves are gone a moment after they end.
TIDY_WITHIN_S = 5.0


class Machine:
    """A machine that has the answer's image under a name and runs its script.

    Args:
        sandbox: the engine of that machine.
        submission: the answer, whose other files lie beside its script.
    """

    def __init__(self, sandbox: Sandbox, submission: Submission) -> None:
        self._sandbox, self._files = sandbox, submission.files
        self._neighbours: dict[str, dict[str, str]] = {}
        # By its id: a script may give that name to another image.
        self._helper = sandbox.docker("inspect", "--format={{.Id}}", HELPER).strip()
        self.tag = sandbox.tag
        self.empty = sandbox.empty
        self.docker = sandbox.docker

    def ops(self, *words: str, stdin: bytes = b"", banner: str | None = None) -> Finished:
        """Run the answer's script."""
        env = {} if banner is None else {"BANNER": banner}
        ran = self._sandbox.run("ops.sh", *words, stdin=stdin, env=env, files=self._files)
        if ran.exit_code:
            said = ran.stderr.strip() or "nothing on standard error"
            fail(f"exit code 0 of sh ops.sh {words[0]}", f"{ran.exit_code}: {said[:200]}")
        return ran

    def bring_up(self, banner: str) -> None:
        """Run up for a check that is about another command."""
        with advising("This is up, not the backup: see runs_by_script."):
            self.ops("up", NAME, banner=banner)

    def start(self, port: int, *options: str) -> str:
        """Start a container without the answer's script, and return its id."""
        where = f"--publish=127.0.0.1:{port}:3000"
        return self.docker("run", "--detach", where, *options, NAME).strip()

    def board(self, port: int = PORT) -> Client:
        """Return a notice board on this machine, once it answers."""
        board = self._sandbox.server(port)
        eventually(lambda: board.get("/api/version").expect(200), within_s=SERVES_WITHIN_S)
        return board

    def users_of_the_volume(self) -> list[str]:
        """Return the names of all containers with the notes, also of those that have ended."""
        found = self.docker("ps", "--all", "--filter=volume=lantern-data", "--format={{.Names}}")
        return found.split()

    def expect_only_the_board(self, after: str) -> None:
        """Fail unless the board is the only container with the notes."""

        def look() -> None:
            if (names := self.users_of_the_volume()) != ["lantern"]:
                wanted = f"one container with lantern-data after {after}, lantern"
                fail(wanted, ", ".join(names) or "none")

        eventually(look, within_s=TIDY_WITHIN_S)

    def facts(self, container: str) -> dict[str, Any]:
        """Return what `docker inspect` tells of a container."""
        return dict(json.loads(self.docker("inspect", container))[0])

    def start_neighbours(self) -> None:
        """Start containers of others: names resemble the board's, one has its image, one ends."""
        stage, old = NEIGHBOURS
        self.docker("run", "--detach", f"--name={stage}", NAME)
        self.docker("run", "--detach", f"--name={old}", self._helper, "sleep", "3600")
        self.docker("run", f"--name={ENDED_NEIGHBOUR}", self._helper, "true")
        self._neighbours = self.neighbours()

    def connect_neighbour(self) -> None:
        """Let a container of others join the board's network."""
        self.docker("network", "connect", NETWORK, NEIGHBOURS[0])
        self._neighbours = self.neighbours()

    def neighbours(self) -> dict[str, dict[str, str]]:
        """Return the facts that must not change about each container of others, by its name."""
        there = self.docker("ps", "--all", "--format={{.Names}}").split()
        names = [name for name in (*NEIGHBOURS, ENDED_NEIGHBOUR) if name in there]
        found = json.loads(self.docker("inspect", *names)) if names else []
        return {facts["Name"].lstrip("/"): what_stays(facts) for facts in found}

    def expect_neighbours(self, command: str) -> None:
        """Fail unless the containers of others are as they were."""
        looked_for = f"the containers of others left alone by sh ops.sh {command}"
        seen = self.neighbours()
        for name, before in self._neighbours.items():
            if name not in seen:
                fail(looked_for, f"{name} was {before['state']} and is removed")
            for what, was in before.items():
                if (now := seen[name][what]) != was:
                    fail(looked_for, f"{name}, {what}: it was {was} and is {now or 'none'}")

    def disturbances(self, board: str, since_s: float) -> list[str]:
        """Return what stopped or froze the board since then, as `docker events` calls it.

        Args:
            board: its whole id; to `docker events` a name is the beginning of others, too.
            since_s: a moment, as `time.time` counts.
        """
        period = (f"--since={since_s:.6f}", f"--until={time.time():.6f}")
        which = ("--filter=type=container", f"--filter=container={board}")
        seen = self.docker("events", *period, *which, "--format={{.Action}}")
        return [action for action in seen.splitlines() if action in DISTURBANCES]

    def in_volume(self, command: str) -> str:
        """Run a command in a helper that has the volume lantern-data at /data."""
        mount = "--volume=lantern-data:/data"
        return self.docker("run", "--rm", mount, self._helper, "sh", "-c", command)


def what_stays(container: Mapping[str, Any]) -> dict[str, str]:
    """Return the facts about a container that only its owner may change, by their names."""
    state = container["State"]
    return {
        "state": state["Status"],
        "id": container["Id"][:12],
        "last start": state["StartedAt"],
        "networks": ", ".join(sorted(container["NetworkSettings"]["Networks"])),
    }


@pytest.fixture(scope="session")
def versions(random: Random) -> list[str]:
    """Return two versions that nobody can know beforehand."""
    return [f"{random.integer(2, 90)}.{random.integer(1, 90)}-{random.word()}" for _ in range(2)]


@pytest.fixture(scope="session")
def image(builder: Builder, versions: list[str]) -> Image:
    """Return the image of the first version."""
    return builder.build(args={"APP_VERSION": versions[0]})


@pytest.fixture(scope="session")
def machine(sandbox: Sandbox, image: Image, submission: Submission) -> Machine:
    """Return the machine on which the script runs the board."""
    sandbox.tag(image, NAME)
    return Machine(sandbox, submission)


@pytest.fixture(scope="module")
def second(builder: Builder, versions: list[str], meanwhile: Meanwhile) -> Story[Image]:
    """Return the build of the second version, already begun."""
    return meanwhile(lambda: builder.build(args={"APP_VERSION": versions[1]}))


@pytest.fixture(scope="module")
def server(image: Image) -> Server:
    """Return a board with nothing set."""
    return image.start(ready_within_s=SERVES_WITHIN_S)


@pytest.fixture(scope="module")
def leaving(image: Image, machine: Machine, meanwhile: Meanwhile) -> Story[int]:
    """Return the exit code of a server that is asked to end as an operator asks."""

    def code_after_stop() -> int:
        server = image.start(ready_within_s=SERVES_WITHIN_S)
        server.get("/api/version").expect(200)
        name = server.container.name
        # The image may name another signal: only docker's own words show what it gets.
        machine.docker("stop", f"--time={ENDS_WITHIN_S}", name)
        return int(machine.docker("inspect", "--format={{.State.ExitCode}}", name))

    def story() -> int:
        codes = (code_after_stop() for _ in range(TRIES_TO_END))
        return next((code for code in codes if code != KILLED), KILLED)

    return meanwhile(story)


@points(
    2,
    hints=(
        ("A build argument exists only while the image is built. Where do you store it?"),
        (
            "ARG APP_VERSION, then LABEL org.opencontainers.image.version=$APP_VERSION "
            "for people and ENV APP_VERSION=$APP_VERSION for the program."
        ),
    ),
    link="Baking in the version",
)
def check_bakes_the_version(
    server: Server, versions: list[str], second: Story[Image], machine: Machine
) -> None:
    """The build argument APP_VERSION is in the image's label and at /api/version"""
    server.get("/api/version").expect(200, json={"version": versions[0]})
    following = second.result().start(ready_within_s=SERVES_WITHIN_S)
    following.get("/api/version").expect(200, json={"version": versions[1]})
    labels = json.loads(machine.docker("inspect", "--format={{json .Config.Labels}}", NAME))
    if (seen := (labels or {}).get(LABEL)) != versions[0]:
        fail(f"the label {LABEL}={versions[0]}", repr(seen) if seen else "no such label")


@points(
    1,
    hints=(
        "Arguments after the image's name replace CMD, and are added to ENTRYPOINT.",
        (
            'ENTRYPOINT ["node", "server.js"] (or ["python", "server.py"]): then --version'
            " becomes its argument."
        ),
    ),
    link="Arguments",
)
def check_takes_arguments(image: Image, server: Server) -> None:
    """docker run IMAGE --version prints what /api/version returns, and exits with code 0"""
    version = server.get("/api/version").expect(200, json={}).json().get("version")
    wanted = f"exit code 0, and the line {version}"
    try:
        finished = image.run(args=["--version"])
    except StartFailure as failure:
        # Its own hint says that the Dockerfile names no program; here the argument is none.
        fail(wanted, failure.saw)
    if finished.exit_code or str(version) not in finished.stdout.splitlines():
        fail(wanted, f"exit code {finished.exit_code}, and {finished.stdout[:200]!r}")


@points(
    2,
    hints=(
        (
            "Docker signals process 1. Which program is that in your container? Look while it's"
            " running: docker exec NAME cat /proc/1/cmdline."
        ),
        (
            'Write the entrypoint in exec form, ENTRYPOINT ["node", "server.js"], with no '
            "shell and no npm in between; in a start script, exec the program."
        ),
    ),
    link="Which program is process 1?",
)
def check_stops_when_asked(leaving: Story[int]) -> None:
    """After docker stop the container exits by itself within 2 s, with exit code 0"""
    code = leaving.result()
    if code == KILLED:
        fail(f"an end by itself within {ENDS_WITHIN_S} s of docker stop", "it had to be killed")
    if code:
        fail("exit code 0 after docker stop", f"exit code {code}")


@points(
    2,
    hints=(
        "What a container writes into its own layer goes away with the container.",
        (
            "VOLUME /data in the Dockerfile, and let the program write there: it does so "
            "unless DATA_DIR says otherwise."
        ),
    ),
    link="Data that survives",
)
def check_keeps_data_outside(server: Server, machine: Machine, random: Random) -> None:
    """Notes are in a volume at /data: the next container has them, a new volume is empty"""
    # This server has its own, new volume.
    server.get("/api/notes").expect(200, json={"notes": []})
    note = random.text()
    old = machine.start(8081)
    machine.board(8081).post("/api/notes", json={"text": note}).expect(201)
    mounts = {mount["Destination"]: mount for mount in machine.facts(old)["Mounts"]}
    if not (volume := mounts.get("/data", {}).get("Name")):
        seen = f"volumes at {', '.join(mounts)}" if mounts else "no volume"
        fail("a volume at /data, also where none is named", seen)
    machine.docker("rm", "--force", old)
    machine.start(8082, f"--volume={volume}:/data")
    machine.board(8082).get("/api/notes").expect(200, json={"notes": [note]})


@points(
    2,
    hints=(
        (
            "Run ops.sh up twice and look at docker ps and docker inspect lantern: does "
            "everything match the contract?"
        ),
        (
            "Create the network unless it exists. docker rm --force lantern before docker run,"
            " --network lantern-net, --volume lantern-data:/data, --publish 127.0.0.1:8080:3000,"
            " --restart unless-stopped, and --env BANNER to pass the variable on."
        ),
    ),
    link="Starting and replacing a container with a script",
)
def check_runs_by_script(
    image: Image, server: Server, second: Story[Image], machine: Machine, random: Random
) -> None:
    """ops.sh up starts the board as the contract says, a second up replaces it, down keeps notes"""
    server.get("/api/version").expect(200)
    machine.empty()
    machine.start_neighbours()
    kept = random.word()
    following = second.result()
    machine.tag(following, NEXT_NAME)
    # They end with a newline, which $(…) would cut off.
    words = [
        f"""{random.word()}:  "{random.text()}" isn't $HOME * C:\\new\n!\n""" for _ in range(2)
    ]
    first, replaced = (NAME, image.image_id), (NEXT_NAME, following.image_id)
    # Then another banner for the same image, and at last the same call once more.
    calls = ((*first, words[0]), (*replaced, words[1]), (*replaced, ""), (*replaced, ""))
    previous = ""
    for number, (name, image_id, banner) in enumerate(calls, 1):
        machine.ops("up", name, banner=banner)
        machine.board().get("/api/banner").expect(200, json={"banner": banner})
        machine.expect_only_the_board(f"up {name}")
        facts = machine.facts("lantern")
        expect_as_agreed(facts)
        if facts["Image"] != image_id:
            fail(f"a container of the image {name}", f"one of {facts['Config']['Image']}")
        if facts["Id"] == previous:
            fail("a new container after each up", "after the same call again, the old one stays")
        previous = facts["Id"]
        machine.expect_neighbours(f"up {name}")
        if number == 1:
            machine.in_volume(f"touch /data/{kept}")
            machine.connect_neighbour()
    with advising('The caller has no BANNER here: after set -u, "$BANNER" ends the script.'):
        machine.ops("up", NEXT_NAME)
        machine.board()
    machine.ops("down")
    machine.expect_neighbours("down")
    if names := machine.users_of_the_volume():
        fail("no container after sh ops.sh down", ", ".join(names))
    if kept not in machine.in_volume("ls /data"):
        fail("the volume lantern-data with all that was put into it", "what was in it is gone")


def expect_as_agreed(container: Mapping[str, Any]) -> None:
    """Compare the container's settings with the contract."""
    network = container["NetworkSettings"]
    volumes = [f"{m.get('Name', m['Type'])} at {m['Destination']}" for m in container["Mounts"]]
    addresses = [
        f"{at['HostIp']}:{at['HostPort']} to {inside}"
        for inside, bindings in network["Ports"].items()
        for at in bindings or ()
    ]
    if NETWORK not in network["Networks"]:
        fail(f"a container in the network {NETWORK}", ", ".join(network["Networks"]) or "none")
    if (wanted := "lantern-data at /data") not in volumes:
        fail(f"the volume {wanted}", ", ".join(volumes) or "no volume")
    if addresses != [wanted := f"127.0.0.1:{PORT} to 3000/tcp"]:
        fail(f"published at {wanted} only", ", ".join(addresses) or "nothing published")
    if (policy := container["HostConfig"]["RestartPolicy"]["Name"]) != "unless-stopped":
        fail("the restart policy unless-stopped", policy or "none")


@points(
    1,
    hints=(
        (
            "docker export and docker commit leave volumes out. Which container can read"
            " lantern-data while the board keeps running?"
        ),
        (
            "Mount the volume in a helper: docker run --rm --volume lantern-data:/data"
            " busybox:1.37 tar -C /data -cf - . writes the archive to stdout. For restore add"
            " --interactive, which passes stdin on, and use tar -C /data -xf -."
        ),
    ),
    link="Back up and restore",
    needs=("keeps_data_outside",),
)
def check_backs_up(machine: Machine, random: Random) -> None:
    """In another engine, ops.sh restore brings back what ops.sh backup saved"""
    machine.empty()
    machine.bring_up(random.word())
    machine.start_neighbours()
    notes = [f"{random.text()}\n{word}" for word in random.words(3)]
    for note in notes:
        machine.board().post("/api/notes", json={"text": note}).expect(201)
    before, since_s = machine.facts("lantern"), time.time()
    # One that leaves something behind may work only once.
    for _ in range(2):
        if not (archive := machine.ops("backup").output):
            fail("a backup on standard output", "nothing")
    after = machine.facts("lantern")
    if (before["Id"], before["State"]["StartedAt"]) != (after["Id"], after["State"]["StartedAt"]):
        fail("a backup while the board runs", "it was stopped meanwhile")
    if did := machine.disturbances(before["Id"], since_s):
        fail("a backup while the board runs", f"docker {did[0]} happened to it meanwhile")
    machine.expect_neighbours("backup")
    machine.expect_only_the_board("backup")
    machine.empty()
    machine.start_neighbours()
    machine.ops("restore", stdin=archive)
    machine.expect_neighbours("restore")
    machine.bring_up(random.word())
    machine.expect_only_the_board("restore and up")
    machine.board().get("/api/notes").expect(200, json={"notes": notes})
