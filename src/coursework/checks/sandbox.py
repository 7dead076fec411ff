"""The sandbox instrument: the answer's scripts run beside an engine that is theirs alone."""

import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
from docker.errors import APIError

from coursework.checks.client import Client
from coursework.checks.evidence import Evidence
from coursework.checks.exposed import NotPublished, expose_published, is_listening
from coursework.checks.failure import Failure
from coursework.checks.finished import Finished
from coursework.checks.image import Image
from coursework.checks.load import IN_CROWD
from coursework.checks.reply import Reply
from coursework.checks.retype import curl_command
from coursework.checks.run import CheckRun
from coursework.checks.shell import (
    LIMIT_LOG_BYTES,
    LIMIT_OUTPUT_BYTES,
    TOO_LATE,
    Shell,
    no_answer,
    require_engine,
)
from coursework.checks.tunnel import open_tunnel
from coursework.checks.wire import CLOSED_AT_ONCE, REFUSED, RESET, Address, Connection
from coursework.containers.archive import pack
from coursework.containers.cleaning import remove_containers
from coursework.containers.runs import LABEL_RUN
from coursework.engine import Engine
from coursework.sandbox.inside import answer_folder
from coursework.words import shortened

LIMIT_SCRIPT_BYTES = 90_000
_NONE: Mapping[str, str] = MappingProxyType({})
_NO_FILES: Mapping[str, str | bytes] = MappingProxyType({})
_DOCKER_WITHIN_S = 30.0
# Where a learner finds what the last script read.
_INPUT = "/tmp/answer/input"  # noqa: S108 - inside
# Its input begins with an archive of the files. Outputs go to files: what a script leaves in the
# background cannot hold them open.
_RUN = f"""set -e
folder=$(mktemp -d /tmp/run-XXXXXX)
mkdir "$folder/work"
cd "${{2:-$folder/work}}"
head -c "$1" | tar -x
shift 2
ulimit -f {LIMIT_OUTPUT_BYTES // 512}
code=0
timeout -k 1 "$0" sh "$@" >"$folder/out" 2>"$folder/err" || code=$?
head -c {LIMIT_OUTPUT_BYTES} "$folder/out"
tail -c {LIMIT_LOG_BYTES} "$folder/err" >&2
rm -rf "$folder" || true
exit $code
"""


class Sandbox:
    """An engine of the answer's own: its scripts run there, and call docker as they like.

    The run's images and containers are in this engine, too.

    Args:
        run: of the checks; its engine must be thrown away with the answer.

    Raises:
        CourseError: the engine is not a sandbox's.

    Example:
        >>> sandbox.empty()
        >>> name = sandbox.tag(image, "lantern:1")
        >>> ran = sandbox.run("ops.sh", "up", name, env={"BANNER": banner})
        >>> assert ran.exit_code == 0
        >>> sandbox.server(8080).get("/api/version").expect(200)
        >>> names = sandbox.docker("ps", "--format", "{{.Names}}").split()

    """

    def __init__(self, run: CheckRun) -> None:
        self._shell = Shell(run.services.engine)
        self._engine, self._services = run.services.engine, run.services
        self._evidence = run.evidence
        self._files = run.task.submission.files
        self._keeps_failed = run.keeps_failed
        self._folder = answer_folder(run.task.module.slug)
        self._is_laid = False

    def empty(self) -> None:
        """Remove containers, volumes, networks and the answer's folder.

        Images stay, and what other fixtures made.

        Raises:
            CourseError: the engine does not answer.
        """
        self._services.wait_until_calm()
        if self._is_laid:
            # What belongs to a user of a container may stay: the next files are laid over it.
            self._shell.finish(["rm", "-rf", self._folder], _DOCKER_WITHIN_S)
            self._is_laid = False
        client: Any = self._engine.client
        try:
            remove_containers(self._foreign(client.containers.list(all=True, sparse=True)))
            networks = client.networks.list(filters={"type": "custom"})
            for item in self._foreign([*client.volumes.list(), *networks]):
                # What a container of the run uses stays with it.
                with suppress(APIError):
                    item.remove()
        except OSError as error:
            raise no_answer(str(error)) from error

    def _foreign(self, items: list[Any]) -> list[Any]:
        """Return the items that the run has not made."""
        own = self._services.run.run_id
        return [i for i in items if (i.attrs["Labels"] or {}).get(LABEL_RUN) != own]

    def tag(self, image: Image, reference: str) -> str:
        """Tag an image of the answer, so that its scripts find it.

        Args:
            image: from `image` or `builder`.
            reference: such as `lantern:1`.

        Returns:
            The name.
        """
        self._checked("tag", image.image_id, reference)
        return reference

    def run(
        self,
        script: str,
        *args: str,
        stdin: bytes = b"",
        env: Mapping[str, str] = _NONE,
        files: Mapping[str, str | bytes] = _NO_FILES,
        in_place: bool = False,
        within_s: float = 30.0,
    ) -> Finished:
        """Run a script of the answer by `sh`, in a new folder of a machine with this engine.

        Args:
            script: its path in the answer; no other file of the answer is there.
            args: its arguments.
            stdin: what it reads.
            env: further environment variables.
            files: what lies beside it, by path; such as `submission.files` for all of the answer.
            in_place: it runs in the answer's own folder instead, beside all files of the answer;
                what it leaves there the next run finds, until `empty`.
            within_s: seconds until it must have ended.

        Raises:
            Failure: there is no such script, or it still runs then, or it prints without end.
            CourseError: the sandbox does not answer.

        Example:
            >>> archive = sandbox.run("ops.sh", "backup").output
            >>> sandbox.run("ops.sh", "restore", stdin=archive)

        """
        command = _typed(script, args, env, reads=bool(stdin))
        self._evidence.note_command(command, is_fleeting=True)
        archive = pack({**files, script: self._script(script)})
        folder = self._laid() if in_place else ""
        words = ["sh", "-c", _RUN, f"{within_s:g}", str(len(archive)), folder, script, *args]
        start = time.monotonic()
        ran = self._shell.finish(words, within_s, env=env, stdin=archive + stdin)
        self._evidence.note_use(_ScriptRun(self, ran.stderr, stdin), command, is_fleeting=True)
        if ran.exit_code in TOO_LATE and time.monotonic() - start >= within_s:
            raise Failure(f"an end within {within_s:g} s", "it still runs", command=command)
        if len(ran.output) >= LIMIT_OUTPUT_BYTES:
            limit = f"{LIMIT_OUTPUT_BYTES // 1024**2} MiB"
            raise Failure(f"less than {limit} of output", f"{limit} or more", command=command)
        return ran

    def lay_input(self, stdin: bytes) -> None:
        """Lay what a script read where its command in a report takes it from."""
        if self._keeps_failed:
            self._shell.lay({_INPUT: stdin}, "/")

    def _laid(self) -> str:
        """Return the folder in which all files of the answer lie."""
        if not self._is_laid:
            self._shell.lay(self._files, self._folder)
            self._is_laid = True
        return self._folder

    def _script(self, name: str) -> bytes:
        text = self._files.get(name)
        if text is None:
            raise Failure(f"a file {name}", "there is none")
        if len(text) > LIMIT_SCRIPT_BYTES:
            raise Failure(f"{name} of at most {LIMIT_SCRIPT_BYTES:,} bytes", f"{len(text):,} bytes")
        return text

    def docker(self, *arguments: str, within_s: float = _DOCKER_WITHIN_S) -> str:
        """Call docker as the engine's owner, and return what it prints.

        Args:
            arguments: of the command.
            within_s: seconds until it must have ended.

        Raises:
            Failure: it ends with another exit code than 0, or too late; with its last line.
            CourseError: the engine does not answer.

        Example:
            >>> facts = json.loads(sandbox.docker("inspect", "lantern"))[0]

        """
        command = shlex.join(("docker", *arguments))
        self._evidence.note_command(command, is_fleeting=True)
        try:
            return self._checked(*arguments, within_s=within_s)
        except Failure as failure:
            failure.command = command
            raise

    def _checked(self, *arguments: str, within_s: float = _DOCKER_WITHIN_S) -> str:
        words = ["timeout", "-k", "1", f"{within_s:g}", "docker", *arguments]
        ran = self._shell.finish(words, within_s)
        require_engine(ran)
        if ran.exit_code:
            last = ran.stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
            what = f"docker {arguments[0]} ends with exit code 0"
            raise Failure(what, f"exit code {ran.exit_code}: {shortened(last[0], 300)}")
        return ran.stdout

    def server(self, port: int) -> "SandboxClient":
        """Return a client of a server that the answer has published at 127.0.0.1, inside.

        Args:
            port: the published one.
        """
        return SandboxClient(self._engine, self._evidence, port)


class SandboxClient(Client):
    """Asks a server in the sandbox at a port of its machine; nothing listens to others there.

    What a container publishes is asked at a port of the sandbox's own address, which costs little,
    also under `at_rate`; a program that is no container, through a tunnel for each request.

    Args:
        engine: of the sandbox.
        evidence: of the run.
        port: of 127.0.0.1, inside.
        before: the command by which a learner brings such a server up.

    Example:
        >>> sandbox.server(8080).get("/api/version").expect(200)

    """

    def __init__(self, engine: Engine, evidence: Evidence, port: int, *, before: str = "") -> None:
        self._engine, self._evidence, self._port = engine, evidence, port
        self._before = f"{before} && " if before else ""

    def connect(self, *, timeout_s: float = 30.0) -> Connection:
        """Open a connection, such as for an `EventStream`; the caller closes it.

        While a server that was asked before is away, a connection is accepted and closed at once.

        Raises:
            Failure: nobody has listened there yet.
        """
        return self._open(timeout_s)

    def _prepare(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        return self._before + curl_command(method, path, headers, body, self._port)

    def _note(self, command: str) -> None:
        self._evidence.note_command(command, is_fleeting=True)

    def _host(self) -> str:
        return f"localhost:{self._port}"

    def _open(self, timeout_s: float) -> Connection:
        try:
            exposed = expose_published(self._engine, self._port)
            near = Address(self._engine.reached_at, exposed, self._port)
        except NotPublished:
            # A program that is no container may listen there.
            tunnel = open_tunnel(self._engine, self._port, timeout_s)
            near = Address("127.0.0.1", tunnel, self._port)
        return Connection(near, timeout_s=timeout_s)

    def _ask(self, method: str, sent: bytes, timeout_s: float) -> Reply:
        try:
            return super()._ask(method, sent, timeout_s)
        except Failure as failure:
            if failure.saw not in CLOSED_AT_ONCE:
                raise
            # Of many calls none looks whether it was refused inside: that costs more than the call.
            if IN_CROWD.get():
                raise Failure(failure.looked_for, RESET) from failure
            if is_listening(self._engine, self._port):
                raise
            raise Failure("a connection", REFUSED) from failure

    def _explain(self, failure: Failure) -> None:
        """Nothing more is known: which container should answer is the answer's affair."""


def _typed(script: str, args: tuple[str, ...], env: Mapping[str, str], *, reads: bool) -> str:
    variables = [f"{name}={shlex.quote(text)}" for name, text in env.items()]
    read = f" < {_INPUT}" if reads else ""
    return " ".join([*variables, shlex.join(["sh", script, *args])]) + read


@dataclass(frozen=True)
class _ScriptRun:
    """What a check looked at: a script that ran, with what it said and what it read."""

    sandbox: Sandbox
    said: str
    stdin: bytes
    container_name: str = ""

    def log(self) -> str:
        return self.said

    def end_check(self, *, passed: bool) -> None:
        if self.stdin and not passed:
            self.sandbox.lay_input(self.stdin)


@pytest.fixture(scope="session")
def sandbox(check_run: CheckRun) -> Sandbox:
    """Return the answer's own engine, where the catalogue says `sandbox = true`."""
    return Sandbox(check_run)
