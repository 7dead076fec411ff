"""Building a submission's image with BuildKit, within limits of time and disk."""

import math
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType

from coursework.containers.missing_file import missing_file
from coursework.containers.runs import LABEL_CLONE, LABEL_MODULE, this_clone
from coursework.engine import Engine
from coursework.files import lay_files
from coursework.trouble import CourseError

NO_DOCKERFILE = "there is no Dockerfile"
WRITE_DOCKERFILE = "write it; in the notebook, run the cell that begins with %%writefile Dockerfile"
LIMIT_BUILD_S = 300.0
LIMIT_BUILD_BYTES = 4 * 1024**3
_LEAST_FREE_BYTES = 1024**3
_POLL_S = 0.1
_NONE: Mapping[str, str] = MappingProxyType({})

# BuildKit's plain progress: "#7 0.412 text" is what step 7 printed after 0.412 s.
_STEP = re.compile(r"^#\d+ (\d+\.\d+ )?")
_NOISE = re.compile(
    r"sha256:|transferring|DONE|CACHED|load |exporting|writing|naming|-----| > |\.\.\."
)
_REASON = re.compile(
    r"(dockerfile parse error.*|executor failed.*|process \".*"
    r"|failed to compute cache key.*|failed to solve: .*)"
)

# What a build wants from elsewhere: a base image, or what a line `# syntax=` names.
_WANTED = re.compile(
    r"#(\d+) (?:(\[internal\] load metadata)|resolve image config)"
    r" for (?:docker\.io/)?(?:library/)?(\S+)"
)

# What the docker command says when the trouble is not the learner's, and what helps.
_OUR_TROUBLE = {
    "Cannot connect to the Docker daemon": "course engine start",
    "error during connect": "course engine start",
    "buildx component is missing": "course doctor",
}


class BuildFailed(Exception):  # noqa: N818 - a result, not trouble of ours
    """The submission's image cannot be built.

    Args:
        saw: what happened, in one line.
        log: the last lines of the build.
        hint: the way out, where the cause is known.
    """

    def __init__(self, saw: str, log: str, hint: str = "") -> None:
        super().__init__(saw)
        self.saw = saw
        self.log = log
        self.hint = hint


class BuildStopped(Exception):  # noqa: N818 - as it was asked
    """The build was stopped, as the caller has seen enough of it."""


@dataclass(frozen=True)
class Limits:
    """What one build may take.

    Args:
        seconds: until it is stopped.
        disk_bytes: that the engine's disk may lose while it runs.
    """

    seconds: float = LIMIT_BUILD_S
    disk_bytes: int = LIMIT_BUILD_BYTES


def build_image(
    engine: Engine,
    files: Mapping[str, bytes],
    *,
    module: str,
    limits: Limits = Limits(),
    on_line: Callable[[str], None] = lambda _: None,
    secrets: Mapping[str, str] = _NONE,
    args: Mapping[str, str] = _NONE,
    enough: Callable[[], bool] = lambda: False,
    fresh: bool = False,
) -> str:
    """Build the files into an image.

    Args:
        engine: where to build.
        files: the build context by relative path; a Dockerfile is among them.
        module: labels the image.
        limits: of time and disk.
        on_line: is called with each line of the build's log.
        secrets: texts by the id under which a step may mount them; never part of the image.
        args: the build's arguments by name.
        enough: is asked again and again; the build is stopped when it says so.
        fresh: whether each step is run, and none is taken from the cache.

    Returns:
        The image's id.

    Raises:
        BuildFailed: the files do not build, or not within the limits.
        BuildStopped: enough was seen.
        CourseError: the engine or its disk is in trouble.
    """
    if "Dockerfile" not in files:
        raise BuildFailed(NO_DOCKERFILE, "", WRITE_DOCKERFILE)
    with tempfile.TemporaryDirectory(prefix="course-build-") as temporary:
        context = Path(temporary) / "context"
        context.mkdir()
        try:
            lay_files(context, files)
        except OSError as error:
            raise CourseError(
                "The files cannot be laid out for the build.", why=str(error), fix="df -h /tmp"
            ) from error
        iid = Path(temporary) / "iid"
        options = [f"--iidfile={iid}", f"--label={LABEL_MODULE}={module}"]
        options.append(f"--label={LABEL_CLONE}={this_clone()}")
        options += ["--no-cache"] if fresh else []
        told = {**dict(engine.build_args), **args}
        options += [f"--build-arg={name}={text}" for name, text in told.items()]
        for number, (name, text) in enumerate(secrets.items()):
            source = Path(temporary) / f"secret-{number}"
            source.write_text(text, "utf-8")
            options.append(f"--secret=id={name},src={source}")
        Build(engine, context, options, limits, on_line, enough).run()
        made = iid.read_text().strip() if iid.is_file() else ""
        if not made:
            raise CourseError(
                "An image was built, and the engine does not say which.",
                why="docker build's --iidfile is empty, as podman's API leaves it",
                fix="use Docker's own engine: unset DOCKER_HOST, then course engine start",
            )
        return made


@dataclass
class Build:
    """One docker build that runs, is watched, and can be stopped.

    Args:
        engine: where to build.
        context: the folder with the Dockerfile.
        options: further options of docker build.
        limits: of time and disk.
        on_line: is called with each line of the build's log.
        enough: is asked again and again; the build is stopped when it says so.
    """

    engine: Engine
    context: Path
    options: list[str]
    limits: Limits
    on_line: Callable[[str], None]
    enough: Callable[[], bool] = lambda: False
    _lines: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Build; a Ctrl-C or a limit stops it and leaves no tag.

        Raises:
            BuildFailed: the Dockerfile does not build, or not within the limits.
            BuildStopped: enough was seen.
            CourseError: the engine or its disk is in trouble.
        """
        process = subprocess.Popen(
            ["docker", "build", "--progress=plain", *self.options, str(self.context)],
            env=self.engine.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        reader.start()
        try:
            self._watch(process)
        finally:
            _stop(process)
            reader.join(timeout=2)
        if process.returncode:
            raise self._failed()

    def _read(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        with process.stdout as output:
            for raw in output:
                line = raw[:2000].decode(errors="replace").rstrip()
                self._lines.append(line)
                del self._lines[:-400]
                self.on_line(line)

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + self.limits.seconds
        least: float | None = None
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_POLL_S)
                return
            if self.enough():
                raise BuildStopped
            free = _free_bytes(self.engine)
            least = free - self.limits.disk_bytes if least is None else least
            if time.monotonic() > deadline:
                saw, does = f"did not end in {self.limits.seconds:g} s", "waits or never ends"
            elif free < least:
                saw = f"wrote more than {self.limits.disk_bytes / 1e9:.1f} GB"
                does = "writes without end"
            elif free < _LEAST_FREE_BYTES:
                raise _disk_full("less than 1 GB was left while the image was built")
            else:
                continue
            hint = f"look for a command in the Dockerfile that {does}"
            raise BuildFailed(f"the build {saw} and was stopped", self._log(), hint)

    def _failed(self) -> Exception:
        log = self._log()
        if "no space left on device" in log.lower():
            if self.engine.is_sandbox:
                return BuildFailed(
                    "the build wrote more than its engine's disk holds", log,
                    "look for a command in the Dockerfile that writes without end",
                )  # fmt: skip
            return _disk_full("no space left on device, says the build")
        # What a step printed is the submission's own word, and begins with the step's number.
        said = "\n".join(line for line in self._lines if not line.startswith("#"))
        for sign, fix in _OUR_TROUBLE.items():
            if sign in said:
                return CourseError("The engine cannot build.", why=said[-300:], fix=fix)
        if missing := self._missing(log):
            return missing
        if told := missing_file(self._lines, self.context):
            return BuildFailed(*told)
        reasons = [m[1] for line in self._lines if (m := _REASON.search(line))]
        return BuildFailed((reasons[-1] if reasons else "docker build failed")[:300], log)

    def _missing(self, log: str) -> BuildFailed | None:
        """Tell of an image that is neither here nor to be had."""
        for step, is_base, name in [m.groups() for m in map(_WANTED.match, self._lines) if m]:
            if any(line.startswith(f"#{step} ERROR") for line in self._lines):
                hint = (
                    "build FROM an image that the exercise names: those are here without a registry"
                )
                if is_base and (here := self._platform_here(name)):
                    return BuildFailed(
                        f"{name} is here for {here}, and not for the platform that FROM asks for",
                        log, "leave --platform out of FROM",
                    )  # fmt: skip
                if not is_base:
                    hint = "a line `# syntax=…` is fetched from a registry: leave it out"
                return BuildFailed(f"{name} is not here, and no registry gives it", log, hint)
        return None

    def _platform_here(self, name: str) -> str:
        """Return the platform for which the engine has an image; empty where it has none."""
        try:
            facts = self.engine.client.images.get(name).attrs
        except OSError:
            return ""
        return f"{facts['Os']}/{facts['Architecture']}"

    def _log(self) -> str:
        lines = [_STEP.sub("", line) for line in self._lines]
        return "\n".join([x for x in lines if x.strip() and not _NOISE.match(x)][-80:])


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the build's client; BuildKit cancels what a lost client asked for."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
        return


@cache
def _data_root(engine: Engine) -> str:
    """Return the folder in which an engine keeps its images; a sandbox's disk has its own size."""
    return "" if engine.is_sandbox else str(engine.client.info().get("DockerRootDir", ""))


def _free_bytes(engine: Engine) -> float:
    """Return what is free on an engine's disk; infinity where this machine has no such folder."""
    try:
        return shutil.disk_usage(_data_root(engine)).free
    except OSError:
        return math.inf


def _disk_full(why: str) -> CourseError:
    return CourseError(
        "The disk is full: the image could not be built.",
        why=why,
        fix="course clean; docker builder prune; then check again",
    )
