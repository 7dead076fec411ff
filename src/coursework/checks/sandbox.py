"""The sandbox instrument: the answer's scripts run beside an engine that is theirs alone."""

import base64
import shlex
import time
from collections.abc import Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any

import pytest
from docker.errors import APIError

from coursework.checks.client import Client
from coursework.checks.evidence import Evidence
from coursework.checks.failure import Failure
from coursework.checks.finished import Finished
from coursework.checks.image import Image
from coursework.checks.retype import curl_command
from coursework.checks.run import CheckRun
from coursework.checks.tunnel import open_tunnel
from coursework.checks.wire import Address, Connection
from coursework.containers.cleaning import remove_containers
from coursework.containers.execution import STDOUT
from coursework.containers.runs import LABEL_RUN
from coursework.engine import Engine
from coursework.sandbox.inside import Running
from coursework.trouble import CourseError

LIMIT_SCRIPT_BYTES = 90_000
LIMIT_OUTPUT_BYTES = 20 * 1024**2
_LIMIT_LOG_BYTES = 64 * 1024
_NONE: Mapping[str, str] = MappingProxyType({})
_LATE_S = 15.0
_DOCKER_WITHIN_S = 30.0
# How `timeout` ends: by its first signal, or by its second.
_TOO_LATE = (124, 137)
_UNREACHABLE = ("Cannot connect to the Docker daemon", "error during connect")
_SCRIPT_VARIABLE = "COURSE_SCRIPT"
# Outputs go to files: what a script leaves in the background cannot hold them open.
_RUN = f"""set -e
folder=$(mktemp -d /tmp/run-XXXXXX)
mkdir -p "$folder/work/$(dirname "$1")"
cd "$folder/work"
printf %s "${_SCRIPT_VARIABLE}" | base64 -d >"$1"
unset {_SCRIPT_VARIABLE}
ulimit -f {LIMIT_OUTPUT_BYTES // 512}
code=0
timeout -k 1 "$0" sh "$@" >"$folder/out" 2>"$folder/err" || code=$?
head -c {LIMIT_OUTPUT_BYTES} "$folder/out"
tail -c {_LIMIT_LOG_BYTES} "$folder/err" >&2
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
        engine = run.services.engine
        if not (engine.is_sandbox and engine.container):
            raise CourseError(
                "These checks need an engine that is thrown away afterwards.",
                why="they run commands of the answer against it",
                fix="write sandbox = true into the module's entry of course/catalogue.toml",
            )
        self._engine, self._services, self._evidence = engine, run.services, run.evidence
        self._files = run.task.submission.files

    def empty(self) -> None:
        """Remove containers, volumes and networks; images stay, and what other fixtures made.

        Raises:
            CourseError: the engine does not answer.
        """
        self._services.wait_until_calm()
        client: Any = self._engine.client
        try:
            remove_containers(self._foreign(client.containers.list(all=True, sparse=True)))
            networks = client.networks.list(filters={"type": "custom"})
            for item in self._foreign([*client.volumes.list(), *networks]):
                # What a container of the run uses stays with it.
                with suppress(APIError):
                    item.remove()
        except OSError as error:
            raise _no_answer(str(error)) from error

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
        within_s: float = 30.0,
    ) -> Finished:
        """Run a script of the answer by `sh`, in an empty folder of a machine with this engine.

        Args:
            script: its path in the answer; no other file is there.
            args: its arguments.
            stdin: what it reads.
            env: further environment variables.
            within_s: seconds until it must have ended.

        Raises:
            Failure: there is no such script, or it still runs then, or it prints without end.
            CourseError: the sandbox does not answer.

        Example:
            >>> archive = sandbox.run("ops.sh", "backup").output
            >>> sandbox.run("ops.sh", "restore", stdin=archive)

        """
        command = _typed(script, args, env, reads=bool(stdin))
        self._evidence.note_command(command)
        told = {**env, _SCRIPT_VARIABLE: base64.b64encode(self._script(script)).decode()}
        words = ["sh", "-c", _RUN, f"{within_s:g}", script, *args]
        start = time.monotonic()
        ran = self._finish(words, told, stdin, within_s)
        self._evidence.note_use(Finished(ran.exit_code, b"", ran.stderr), command)
        if ran.exit_code in _TOO_LATE and time.monotonic() - start >= within_s:
            raise Failure(f"an end within {within_s:g} s", "it still runs", command=command)
        if len(ran.output) >= LIMIT_OUTPUT_BYTES:
            limit = f"{LIMIT_OUTPUT_BYTES // 1024**2} MiB"
            raise Failure(f"less than {limit} of output", f"{limit} or more", command=command)
        return ran

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
        self._evidence.note_command(command)
        try:
            return self._checked(*arguments, within_s=within_s)
        except Failure as failure:
            failure.command = command
            raise

    def _checked(self, *arguments: str, within_s: float = _DOCKER_WITHIN_S) -> str:
        words = ["timeout", "-k", "1", f"{within_s:g}", "docker", *arguments]
        ran = self._finish(words, _NONE, b"", within_s)
        if any(sign in ran.stderr for sign in _UNREACHABLE):
            raise _no_answer(ran.stderr)
        if ran.exit_code:
            last = ran.stderr.strip().splitlines()[-1:] or ["nothing on standard error"]
            what = f"docker {arguments[0]} ends with exit code 0"
            raise Failure(what, f"exit code {ran.exit_code}: {last[0][:300]}")
        return ran.stdout

    def _finish(
        self, words: list[str], env: Mapping[str, str], stdin: bytes, within_s: float
    ) -> Finished:
        """Run a command to its end; one that says more than it may is cut off."""
        stdout, stderr = bytearray(), bytearray()
        with Running(self._engine, words, env=env) as running:
            # Whether all was read is the script's affair.
            with suppress(OSError):
                running.send(stdin, within_s)
                running.end_input()
            try:
                for kind, piece in running.output(within_s + _LATE_S):
                    part = stdout if kind == STDOUT else stderr
                    part += piece
                    del stderr[:-_LIMIT_LOG_BYTES]
                    if len(stdout) > LIMIT_OUTPUT_BYTES:
                        raise Failure(f"at most {LIMIT_OUTPUT_BYTES:,} bytes of output", "more")
            except OSError as error:
                raise _no_answer(str(error)) from error
            code = running.exit_code()
        return Finished(code, bytes(stdout), stderr.decode(errors="replace"))

    def server(self, port: int) -> "SandboxClient":
        """Return a client of a server that the answer has published at 127.0.0.1, inside.

        Args:
            port: the published one.
        """
        return SandboxClient(self._engine, self._evidence, port)


class SandboxClient(Client):
    """Asks a server in the sandbox at a port of its machine; nothing listens to others there.

    Example:
        >>> sandbox.server(8080).get("/api/version").expect(200)

    """

    def __init__(self, engine: Engine, evidence: Evidence, port: int) -> None:
        self._engine, self._evidence, self._port = engine, evidence, port

    def _prepare(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        command = curl_command(method, path, headers, body, self._port)
        self._evidence.note_command(command)
        return command

    def _host(self) -> str:
        return f"localhost:{self._port}"

    def _open(self, timeout_s: float) -> Connection:
        near = open_tunnel(self._engine, self._port, timeout_s)
        return Connection(Address("127.0.0.1", near, self._port), timeout_s=timeout_s)

    def _explain(self, failure: Failure) -> None:
        """Nothing more is known: which container should answer is the answer's affair."""


def _typed(script: str, args: tuple[str, ...], env: Mapping[str, str], *, reads: bool) -> str:
    variables = [f"{name}={shlex.quote(text)}" for name, text in env.items()]
    return " ".join([*variables, shlex.join(["sh", script, *args])]) + (" < FILE" if reads else "")


def _no_answer(why: str) -> CourseError:
    return CourseError("The sandbox's engine does not answer.", why=why[:300], fix="check again")


@pytest.fixture(scope="session")
def sandbox(check_run: CheckRun) -> Sandbox:
    """Return the answer's own engine, where the catalogue says `sandbox = true`."""
    return Sandbox(check_run)
