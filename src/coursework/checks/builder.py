"""The build instrument: the submission built as often as a check likes, and each step looked at."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from types import MappingProxyType

import pytest

from coursework.checks.failure import BuildFailure
from coursework.checks.image import Image
from coursework.checks.retype import build_command
from coursework.checks.run import CheckRun
from coursework.containers.building import BuildFailed, BuildStopped, build_image
from coursework.containers.container import Settings
from coursework.containers.steps import Step, read_steps
from coursework.submissions.files import Submission
from coursework.trouble import CourseError

LINTER_IMAGE = "course/hadolint:1"
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Lint:
    """Something that hadolint finds in the Dockerfile.

    Args:
        line: where, counted from 1.
        code: such as DL3020; hadolint's wiki explains each.
        level: error, warning, info or style.
        message: what it says.
    """

    line: int
    code: str
    level: str
    message: str


class Builder:
    """Builds the submission with other files, secrets and arguments, and sees each step.

    A module whose image needs them defines its own `image` fixture.

    Example:
        >>> @pytest.fixture(scope="session")
        ... def image(builder, token):
        ...     return builder.build(secrets={"registry_token": token})

    """

    def __init__(self, run: CheckRun) -> None:
        self._run = run
        self._lock = threading.Lock()
        self._first: Future[Image] | None = None

    def begin(self) -> None:
        """Begin to build the submission as it is, before anybody asks."""
        self._first = self._first or self._run.services.begin(self.build)

    def first_image(self) -> Image:
        """Return the image of the submission as it is, built once.

        Raises:
            Failure: the submission does not build.
        """
        self.begin()
        assert self._first is not None  # noqa: S101 - just begun
        return self._first.result()

    def build(
        self,
        *,
        folder: str = "",
        files: Mapping[str, str] = _NONE,
        secrets: Mapping[str, str] = _NONE,
        args: Mapping[str, str] = _NONE,
        fresh: bool = False,
    ) -> Image:
        """Build an image; its `steps` tell what was taken from the cache.

        Args:
            folder: of the answer with a Dockerfile, for one of several images, such as `booking`.
            files: further or changed files of the build context, by relative path.
            secrets: texts by the id under which a step may mount them.
            args: the build's arguments by name.
            fresh: True runs each step, and takes none from the cache.

        Raises:
            Failure: it does not build; with the step that failed.

        Example:
            >>> image = builder.build(secrets={"registry_token": token}, args={"REVISION": "4f2a"})
            >>> image.start().get("/api/build").expect(200)

        """
        log = _Log(self._run.task.on_line)
        image_id = self._build(log, files, secrets, args, lambda _: False, folder, fresh=fresh)
        return Image(self._run, image_id, log.steps())

    def steps(
        self,
        until: Callable[[list[Step]], bool],
        *,
        files: Mapping[str, str] = _NONE,
        secrets: Mapping[str, str] = _NONE,
        args: Mapping[str, str] = _NONE,
    ) -> list[Step]:
        """Build until enough is seen, then stop; return the steps that the build came to.

        Args:
            until: is asked again and again whether these steps are enough.
            files: as for `build`.
            secrets: as for `build`.
            args: as for `build`.

        Raises:
            Failure: it does not build; with the step that failed.

        Example:
            >>> steps = builder.steps(lambda seen: any(s.is_decided for s in seen), files=changed)
            >>> steps[0].cached
            True

        """
        log, seen = _Log(self._run.task.on_line), list[Step]()

        def enough(steps: list[Step]) -> bool:
            # What a build that is being stopped says is no word of its steps.
            seen[:] = steps
            return until(steps)

        try:
            self._build(log, files, secrets, args, enough)
        except BuildStopped:
            return seen
        return log.steps()

    def _build(
        self,
        log: "_Log",
        files: Mapping[str, str],
        secrets: Mapping[str, str],
        args: Mapping[str, str],
        until: Callable[[list[Step]], bool],
        part: str = "",
        *,
        fresh: bool = False,
    ) -> str:
        run, start = self._run, time.monotonic()
        task, services = run.task, run.services
        changed = {name: text.encode() for name, text in files.items()}
        context = {**_under(part, task.submission.files), **changed}
        try:
            return build_image(
                services.engine, context, module=services.run.module,
                limits=task.limits, on_line=log.add, secrets=secrets, args=args,
                enough=lambda: until(log.steps()), fresh=fresh,
            )  # fmt: skip
        except BuildFailed as failed:
            folder = task.home.folder
            command = build_command(folder / part, secrets, args) if folder else ""
            raise _told(failed, command, part) from failed
        except CourseError as trouble:
            run.build_trouble = trouble
            raise
        finally:
            with self._lock:
                run.build_s += time.monotonic() - start

    def lint(self) -> list[Lint]:
        """Return what hadolint finds in the Dockerfile, in the order of its lines.

        Raises:
            CourseError: hadolint itself is in trouble.

        Example:
            >>> {found.code for found in builder.lint() if found.level == "error"}
            set()

        """
        dockerfile = self._run.task.submission.files.get("Dockerfile", b"")
        command = ("--no-fail", "--format=json", "/tmp/Dockerfile")  # noqa: S108 - inside
        settings = Settings(LINTER_IMAGE, files={command[-1]: dockerfile}, args=command)
        finished = self._run.services.run_program("hadolint", settings)
        try:
            found = json.loads(finished.stdout)
        except ValueError as error:
            raise CourseError("hadolint does not answer.", why=finished.log()[-300:]) from error
        return [Lint(f["line"], f["code"], f["level"], f["message"]) for f in found]


class _Log:
    """What one build has told so far."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        self._lines.append(line)
        self._on_line(line)

    def steps(self) -> list[Step]:
        return read_steps(list(self._lines))


def _under(folder: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return a folder's files, by their paths in it."""
    start = f"{folder}/" if folder else ""
    return {p.removeprefix(start): data for p, data in files.items() if p.startswith(start)}


def _told(failed: BuildFailed, command: str, folder: str = "") -> BuildFailure:
    failure = BuildFailure(
        f"an image of {folder}/ that builds" if folder else "an image that builds",
        failed.saw,
        command=command,
        hint=failed.hint or "the log shows the step of the Dockerfile that failed",
    )
    failure.add_note(failed.log)
    return failure


@pytest.fixture(scope="session")
def submission(check_run: CheckRun) -> Submission:
    """Return the files that are checked."""
    return check_run.task.submission


@pytest.fixture(scope="session")
def builder(check_run: CheckRun) -> Builder:
    """Return a builder of the submission with other files, secrets and arguments."""
    return Builder(check_run)


@pytest.fixture(scope="session", autouse=True)
def _begun_early(request: pytest.FixtureRequest, check_run: CheckRun, builder: Builder) -> None:
    """Begin to build before anybody asks, unless the checks build the image themselves."""
    fixtures = [item._fixtureinfo.name2fixturedefs for item in request.session.items]  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
    images = [named["image"][-1].func.__module__ for named in fixtures if "image" in named]
    if Image.__module__ in images and "Dockerfile" in check_run.task.submission.files:
        builder.begin()
