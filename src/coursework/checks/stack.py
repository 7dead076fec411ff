"""The stack instrument: the answer's compose file, brought up in an engine that is its own."""

import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from docker.errors import APIError, NotFound

from coursework.checks.composed import Composed
from coursework.checks.composed_database import ComposedDatabase
from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure, StartFailure
from coursework.checks.finished import Finished
from coursework.checks.occupied import occupied
from coursework.checks.run import CheckRun
from coursework.checks.sandbox import SandboxClient
from coursework.checks.shell import Shell, no_answer, require_engine
from coursework.containers.container import Container
from coursework.sandbox.inside import answer_folder
from coursework.words import shortened

COMPOSE_FILE = "compose.yaml"
_HELPER_IMAGE = "busybox:1.37"
_BUILT_WITHIN_S = 300.0
_POLL_S = 0.05
_LOG_LINES = "12"
_SERVICE = "com.docker.compose.service"
_SAW_CHARACTERS = 300
_EXITED_WELL = "exited (0)"
_ENDED_WELL = (
    "--wait takes a container that ends for a failure, unless another service waits for its end"
    " with condition: service_completed_successfully; a program that runs only when asked needs"
    " a profile"
)
_UP = ("up", "--wait")
_ALL = "docker compose ps --all"
_DEAD_WITHIN_S = 10


class Stack:
    """The services of the answer's compose.yaml, in the sandbox's engine.

    All files of the answer lie beside it, in a folder named after the module. Compose reads them
    there and nowhere else: what the file mounts, includes or builds is the sandbox's own.

    Args:
        run: whose engine is a sandbox's.

    Raises:
        Failure: there is no compose.yaml.
        CourseError: the engine is not a sandbox's.

    Example:
        >>> stack.write("db_password.txt", password)
        >>> stack.build()
        >>> stack.up()
        >>> stack.server(8080).get("/api/shows").expect(200)
        >>> stack.container("migrate").exit_code
        0
        >>> stack.scale("web", 3)
        >>> stack.kill("web", 1)
        >>> stack.start("web")
        >>> stack.containers("web")[0].get(9100, "/metrics").expect(200)
        >>> stack.replace("web")
        >>> stack.down()

    """

    def __init__(self, run: CheckRun) -> None:
        self._engine, self._evidence = run.services.engine, run.evidence
        self._shell = Shell(self._engine)
        files = run.task.submission.files
        if COMPOSE_FILE not in files:
            raise Failure(f"a file {COMPOSE_FILE}", "there is none")
        self._folder = answer_folder(run.task.module.slug)
        self._helper = self._image_id(_HELPER_IMAGE)
        self._shell.lay(files, self._folder)
        self._databases: list[ComposedDatabase] = []

    # --- what is typed ------------------------------------------------------------------------

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file into the folder, over what the answer has there.

        Raises:
            CourseError: the sandbox does not answer.
        """
        self._shell.lay({path: content}, self._folder)

    def build(self) -> None:
        """Build the images that the compose file asks for; no limit of a check counts this.

        Raises:
            Failure: the file is no compose file, or an image does not build.
        """
        command = "docker compose build"
        built = self.compose("--profile", "*", "build", within_s=_BUILT_WITHIN_S)
        if built.exit_code:
            failure = StartFailure("images that build", _reason(built), command=command)
            failure.add_note(built.stderr)
            raise failure

    def up(self, *words: str, within_s: float = 30.0) -> None:
        """Bring services up and wait until each is ready: `docker compose up --wait`.

        Args:
            words: further options, and services; all that belong to no profile by default.
            within_s: seconds until it must have ended.

        Raises:
            Failure: it ends with another exit code than 0, or too late; with the log of the
                services that are not well.

        Example:
            >>> stack.up("--scale", "web=3")

        """
        self._obey(*_UP, *words, within_s=within_s)

    def scale(self, service: str, count: int, *, within_s: float = 30.0) -> None:
        """Let so many containers of a service run; see `up`."""
        self.up("--scale", f"{service}={count}", within_s=within_s)

    def down(self, *words: str, within_s: float = 30.0) -> None:
        """Remove containers and networks; volumes stay, unless words say `--volumes`.

        Raises:
            Failure: it ends with another exit code than 0, or too late.
        """
        self._obey("down", *words, within_s=within_s)

    def kill(self, service: str, count: int | None = None) -> None:
        """Kill a service's containers, as a crash would; `start` starts the same ones again.

        Args:
            service: of the compose file.
            count: kill so many of them; all by default.

        Raises:
            Failure: none of them runs.
            CourseError: the engine does not answer.
        """
        command = _typed(("kill", service))
        self._evidence.note_command(command, is_fleeting=True)
        running = [c for c in self.containers(service) if c.exit_code is None and c.started_at]
        if not running:
            raise Failure(f"a container of {service} that runs", "there is none", command=_ALL)
        api: Any = self._engine.client.api
        try:
            for container in running[:count]:
                # One that ends by itself meanwhile is as dead.
                with suppress(NotFound, APIError):
                    api.kill(container.id)
                api.wait(container.id, timeout=_DEAD_WITHIN_S)
        except OSError as error:
            raise no_answer(str(error)) from error

    def start(self, service: str, *, within_s: float = 30.0) -> None:
        """Start a service that was killed, alone, and wait until it is ready; see `up`."""
        self.up("--no-deps", service, within_s=within_s)

    def replace(self, service: str, *, within_s: float = 30.0) -> None:
        """Kill and remove a service's containers, and bring new ones up at other addresses.

        Raises:
            Failure: as of `up`.
            CourseError: the engine does not answer.
        """
        left = self.containers(service)
        places = [place for container in left for place in container.places]
        api: Any = self._engine.client.api
        try:
            for container in left:
                api.remove_container(container.id, force=True)
            with occupied(self._engine, self._helper, places):
                self.up("--no-deps", service, within_s=within_s)
        except OSError as error:
            raise no_answer(str(error)) from error

    def join(self, container: Container, network: str) -> str:
        """Put a container of ours into a network of the engine, which is made where it is absent.

        So a compose file that calls the network external reaches a stub there.

        Args:
            container: such as `stub.container`.
            network: its name.

        Returns:
            The container's address in it.

        Raises:
            CourseError: the engine does not answer.

        Example:
            >>> address = stack.join(stub.container, "partners")

        """
        client: Any = self._engine.client
        try:
            # The engine looks for names that contain this one.
            found = [n for n in client.networks.list(names=[network]) if n.name == network]
            joined = found[0] if found else client.networks.create(network)
            facts = client.api.inspect_container(container.name)["NetworkSettings"]["Networks"]
            if network not in facts:
                joined.connect(container.name)
                facts = client.api.inspect_container(container.name)["NetworkSettings"]["Networks"]
        except (APIError, OSError) as error:
            raise no_answer(str(error)) from error
        return str(facts[network]["IPAddress"])

    def run(self, service: str, *arguments: str, within_s: float = 30.0) -> None:
        """Run a service once, to its end: `docker compose run --rm`.

        Raises:
            Failure: it ends with another exit code than 0, or too late.
        """
        self._obey("run", "--rm", "-T", service, *arguments, within_s=within_s, says=True)

    def config(self) -> dict[str, Any]:
        """Return what `docker compose config` says: the file with all that it takes in.

        Raises:
            Failure: it is no compose file.
        """
        ran = self._obey("--profile", "*", "config", "--format", "json", within_s=30.0)
        return dict(json.loads(ran.stdout))

    def compose(self, *words: str, within_s: float = 30.0) -> Finished:
        """Run docker compose in the folder, however it ends.

        Args:
            words: of the command.
            within_s: seconds until it must have ended; more where the machine itself is busy.

        Raises:
            Failure: it still runs then, or prints more than 20 MiB.
            CourseError: the sandbox does not answer.
        """
        command = _typed(words)
        self._evidence.note_command(command, is_fleeting=True)
        deadline = Deadline(within_s)
        # The outer end of all waits; the deadline comes first.
        limit = f"{within_s * 4 + 5:g}"
        line = ["timeout", "-k", "1", limit, "docker", "compose", "--progress", "plain", *words]
        # Not `with`: whoever waits for what hangs is told at once, and the sandbox ends it.
        pool = ThreadPoolExecutor(1)
        running = pool.submit(self._shell.finish, line, float(limit), folder=self._folder)
        pool.shutdown(wait=False)
        while True:
            with suppress(TimeoutError):
                ran = running.result(_POLL_S)
                break
            if deadline.has_passed():
                failure = Failure(f"an end within {within_s:g} s", self._unready(), command=command)
                failure.add_note(self._log())
                raise failure
        require_engine(ran)
        return ran

    def _obey(self, *words: str, within_s: float, says: bool = False) -> Finished:
        """Run docker compose, which must end well; what failed may be what it `says` itself."""
        ran = self.compose(*words, within_s=within_s)
        if ran.exit_code:
            command = _typed(words)
            reason = _reason(ran)
            failure = Failure(
                f"exit code 0 of {command}", f"exit code {ran.exit_code}: {reason}",
                command=command, hint=_ENDED_WELL if _EXITED_WELL in reason else "",
            )  # fmt: skip
            failure.add_note(ran.log() if says else self._log(reason) or ran.stderr)
            raise failure
        return ran

    # --- what is there ------------------------------------------------------------------------

    def containers(self, service: str = "") -> list[Composed]:
        """Return a service's containers, also those that have ended, by name.

        Args:
            service: of the compose file; all of them by default. What `run` made is left out.

        Raises:
            CourseError: the engine does not answer.
        """
        label = f"{_SERVICE}={service}" if service else _SERVICE
        labels = [label, "com.docker.compose.oneoff=False"]
        client: Any = self._engine.client
        try:
            found = client.containers.list(all=True, sparse=True, filters={"label": labels})
            facts = [self._facts(c.id) for c in found]
        except OSError as error:
            raise no_answer(str(error)) from error
        made = [Composed(f, self._shell, self._helper) for f in facts if f]
        return sorted(made, key=lambda c: c.name)

    def container(self, service: str) -> Composed:
        """Return a service's only container.

        Raises:
            Failure: there is none, or there are several.
        """
        found = self.containers(service)
        if len(found) != 1:
            names = ", ".join(c.name for c in found) or "none"
            raise Failure(
                f"one container of {service}", names[:_SAW_CHARACTERS],
                command=_ALL,
            )  # fmt: skip
        return found[0]

    def _facts(self, container_id: str) -> dict[str, Any]:
        with suppress(NotFound):
            api: Any = self._engine.client.api
            return dict(api.inspect_container(container_id))
        return {}

    def inspected(self) -> dict[str, str]:
        """Return all that docker inspect says of the stack, by what was asked.

        That is each container, the image of each with its history, each network and volume.

        Raises:
            CourseError: the engine does not answer.
        """
        api: Any = self._engine.client.api
        said: dict[str, Any] = {}
        try:
            for container in self.containers():
                said[f"docker inspect {container.name}"] = container.facts
                name, image = container.image, container.facts["Image"]
                with suppress(NotFound):
                    said[f"docker inspect {name}"] = api.inspect_image(image)
                    said[f"docker history --no-trunc {name}"] = api.history(image)
            for network in api.networks():
                said[f"docker network inspect {network['Name']}"] = network
            for volume in api.volumes()["Volumes"] or ():
                said[f"docker volume inspect {volume['Name']}"] = volume
        except OSError as error:
            raise no_answer(str(error)) from error
        return {asked: json.dumps(told, ensure_ascii=False) for asked, told in said.items()}

    def server(self, port: int) -> SandboxClient:
        """Return a client of a server that the stack has published at 127.0.0.1, inside.

        Args:
            port: the published one.
        """
        return SandboxClient(self._engine, self._evidence, port, before=_typed(_UP))

    def database(self, service: str, *, name: str, user: str, password: str) -> ComposedDatabase:
        """Return a PostgreSQL that is a service, looked at as one of its roles.

        Args:
            service: of the compose file; its port need not be published.
            name: of the database.
            user: the role.
            password: its own.

        Raises:
            Failure: there is no such service, or several containers of it.
        """
        container = self.container(service)
        database = ComposedDatabase(
            self._engine, self._evidence, container, name=name, user=user, password=password
        )
        self._databases.append(database)
        return database

    def close(self) -> None:
        """Close the sessions that look into its databases."""
        while self._databases:
            self._databases.pop().close()

    # --- what failed --------------------------------------------------------------------------

    def _unready(self) -> str:
        """Say of what still runs how each service is."""
        states = [f"{c.service} {c.status}" for c in self.containers() if not c.is_well]
        return "it still runs" + (
            shortened(f": {', '.join(states)}", _SAW_CHARACTERS) if states else ""
        )

    def _log(self, reason: str = "") -> str:
        """Return the last lines of the containers that a reason names, else of those not well."""
        containers = self.containers()
        meant = [c for c in containers if c.name in reason]
        meant = meant or [c for c in containers if not c.is_well]
        services = dict.fromkeys(c.service for c in meant)
        words = ["logs", "--no-color", "--tail", _LOG_LINES, *services]
        line = ["timeout", "-k", "1", "10", "docker", "compose", *words]
        try:
            return self._shell.finish(line, 10, folder=self._folder).stdout
        except Failure:
            return ""

    def _image_id(self, name: str) -> str:
        api: Any = self._engine.client.api
        try:
            return str(api.inspect_image(name)["Id"])
        except (APIError, OSError) as error:
            raise no_answer(str(error)) from error


def _typed(words: tuple[str, ...]) -> str:
    return shlex.join(("docker", "compose", *words))


def _reason(ran: Finished) -> str:
    """Return the line that says why Compose gave up: the last one that is no step."""
    lines = [line.strip() for line in ran.stderr.splitlines() if line.strip()]
    return shortened(lines[-1] if lines else "nothing on standard error", _SAW_CHARACTERS)


@pytest.fixture(scope="session")
def stack(check_run: CheckRun) -> Iterator[Stack]:
    """Return the answer's compose file in its own engine, where `sandbox = true`."""
    made = Stack(check_run)
    yield made
    made.close()
