"""A shell beside the sandbox's engine: files are laid there, and commands are run to their end."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from coursework.checks.failure import Failure
from coursework.checks.finished import Finished
from coursework.containers.archive import pack
from coursework.containers.execution import STDOUT
from coursework.engine import Engine
from coursework.sandbox.inside import Running
from coursework.trouble import CourseError

LIMIT_OUTPUT_BYTES = 20 * 1024**2
LIMIT_LOG_BYTES = 64 * 1024
# How `timeout` ends: by its first signal, or by its second.
TOO_LATE = (124, 137)
# Lets a container beside the sandbox's engine use that engine.
ENGINE_VOLUME = "--volume=/socket/docker.sock:/var/run/docker.sock"
_NONE: Mapping[str, str] = MappingProxyType({})
_LATE_S = 15.0
_LAID_WITHIN_S = 30.0
_UNREACHABLE = ("Cannot connect to the Docker daemon", "error during connect")


class Shell:
    """Runs commands in a sandbox, as its user.

    Args:
        engine: of the run; it must be thrown away with the answer.

    Raises:
        CourseError: the engine is not a sandbox's.

    Example:
        >>> shell = Shell(engine)
        >>> shell.lay({"compose.yaml": text}, "/tmp/stack")
        >>> shell.finish(["docker", "compose", "config"], 10, folder="/tmp/stack").stdout

    """

    def __init__(self, engine: Engine) -> None:
        if not (engine.is_sandbox and engine.container):
            raise CourseError(
                "These checks need an engine that is thrown away afterwards.",
                why="they run commands of the answer against it",
                fix="write sandbox = true into the module's entry of course/catalogue.toml",
            )
        self._engine = engine

    def lay(self, files: Mapping[str, str | bytes], folder: str) -> None:
        """Lay files into a folder, beside what is there or over it.

        Raises:
            CourseError: the sandbox does not answer.
        """
        unpack = 'mkdir -p "$0" && exec tar -x -C "$0"'
        laid = self.finish(["sh", "-c", unpack, folder], _LAID_WITHIN_S, stdin=pack(files))
        if laid.exit_code:
            raise no_answer(laid.stderr)

    def finish(
        self,
        words: Sequence[str],
        within_s: float,
        *,
        env: Mapping[str, str] = _NONE,
        stdin: bytes = b"",
        folder: str = "",
    ) -> Finished:
        """Run a command to its end; one that says more than it may is cut off.

        Args:
            words: of the command; it ends by itself, such as by `timeout`.
            within_s: seconds until it should have ended.
            env: further environment variables.
            stdin: what it reads.
            folder: where it runs.

        Raises:
            Failure: it prints more than 20 MiB.
            CourseError: the sandbox does not answer.
        """
        stdout, stderr = bytearray(), bytearray()
        with Running(self._engine, words, env=env, folder=folder) as running:
            # Whether all was read is the command's affair.
            with suppress(OSError):
                running.send(stdin, within_s)
                running.end_input()
            try:
                for kind, piece in running.output(within_s + _LATE_S):
                    part = stdout if kind == STDOUT else stderr
                    part += piece
                    del stderr[:-LIMIT_LOG_BYTES]
                    if len(stdout) > LIMIT_OUTPUT_BYTES:
                        raise Failure(f"at most {LIMIT_OUTPUT_BYTES:,} bytes of output", "more")
            except OSError as error:
                raise no_answer(str(error)) from error
            code = running.exit_code()
        return Finished(code, bytes(stdout), stderr.decode(errors="replace"))


def require_engine(ran: Finished) -> None:
    """Tell a docker command that failed from an engine that is gone.

    Raises:
        CourseError: it could not reach the engine.
    """
    if any(sign in ran.stderr for sign in _UNREACHABLE):
        raise no_answer(ran.stderr)


def no_answer(why: str) -> CourseError:
    """Return what is told when the engine does not answer."""
    return CourseError("The sandbox's engine does not answer.", why=why[:300], fix="check again")
