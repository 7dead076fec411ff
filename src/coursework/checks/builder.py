"""The build instrument: the submission built as often as a check likes, and each step looked at."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from coursework.checks.failure import StartFailure
from coursework.checks.retype import build_command
from coursework.checks.server import Finished, Image, Starter
from coursework.containers.building import BuildFailed, Limits, build_image
from coursework.containers.container import Settings
from coursework.containers.steps import read_steps
from coursework.engine import Engine
from coursework.submission import Submission
from coursework.trouble import CourseError

LINTER_IMAGE = "course/hadolint:1"
_NONE: Mapping[str, str] = MappingProxyType({})


class Services(Starter, Protocol):
    """Starts containers of the submission and programs of ours."""

    def run_service(self, name: str, settings: Settings) -> Finished:
        """Run a program of ours to its end."""


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


@dataclass(frozen=True)
class Plan:
    """What is built, and how.

    Args:
        engine: where to build.
        submission: the files.
        module: labels the images.
        folder: where the learner works, for the command to retype.
        limits: of each build.
        on_line: is called with each line of a build's log.
    """

    engine: Engine
    submission: Submission
    module: str
    folder: Path
    limits: Limits
    on_line: Callable[[str], None]


class Builder:
    """Builds the submission with other files, secrets and arguments, and sees each step.

    A module whose image needs them defines its own `image` fixture.

    Example:
        >>> @pytest.fixture(scope="session")
        ... def image(builder, token):
        ...     return builder.build(secrets={"registry_token": token})

    """

    def __init__(self, services: Services, plan: Plan) -> None:
        self._services = services
        self._plan = plan
        self._lock = threading.Lock()
        self.seconds = 0.0
        self.trouble: CourseError | None = None

    def build(
        self,
        *,
        files: Mapping[str, str] = _NONE,
        secrets: Mapping[str, str] = _NONE,
        args: Mapping[str, str] = _NONE,
    ) -> Image:
        """Build an image; its `steps` tell what was taken from the cache.

        Args:
            files: further or changed files of the build context, by relative path.
            secrets: texts by the id under which a step may mount them.
            args: the build's arguments by name.

        Raises:
            Failure: it does not build; with the step that failed.

        Example:
            >>> again = builder.build(files={"src/release.ts": "export const release = 'b';"})
            >>> [step.instruction for step in again.steps if not step.cached]
            ['COPY src src', 'RUN npm run build']

        """
        plan, lines, start = self._plan, list[str](), time.monotonic()

        def on_line(line: str) -> None:
            lines.append(line)
            plan.on_line(line)

        changed = {name: text.encode() for name, text in files.items()}
        try:
            image_id = build_image(
                plan.engine, {**plan.submission.files, **changed}, module=plan.module,
                limits=plan.limits, on_line=on_line, secrets=secrets, args=args,
            )  # fmt: skip
        except BuildFailed as failed:
            raise _told(failed, build_command(plan.folder, secrets, args)) from failed
        except CourseError as trouble:
            self.trouble = trouble
            raise
        finally:
            with self._lock:
                self.seconds += time.monotonic() - start
        return Image(self._services, image_id, read_steps(lines))

    def lint(self) -> list[Lint]:
        """Give what hadolint finds in the Dockerfile, in the order of its lines.

        Raises:
            CourseError: hadolint itself is in trouble.

        Example:
            >>> [found.code for found in builder.lint() if found.level == "error"]
            []

        """
        dockerfile = self._plan.submission.files.get("Dockerfile", b"")
        command = ("--no-fail", "--format=json", "/tmp/Dockerfile")  # noqa: S108 - inside
        settings = Settings(LINTER_IMAGE, files={command[-1]: dockerfile}, args=command)
        finished = self._services.run_service("hadolint", settings)
        try:
            found = json.loads(finished.stdout)
        except ValueError as error:
            raise CourseError("hadolint does not answer.", why=finished.log()[-300:]) from error
        return [Lint(f["line"], f["code"], f["level"], f["message"]) for f in found]


def _told(failed: BuildFailed, command: str) -> StartFailure:
    failure = StartFailure(
        "an image that builds",
        failed.saw,
        command=command,
        hint=failed.hint or "the log shows the step of the Dockerfile that failed",
    )
    failure.add_note(failed.log)
    return failure
