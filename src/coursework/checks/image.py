"""The submission's image: servers and programs started from it, its layers looked through."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pytest

from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure, StartFailure
from coursework.checks.finished import Finished
from coursework.checks.in_turn import Start, execute_each
from coursework.checks.retype import ended_command
from coursework.checks.run import CheckRun
from coursework.checks.server import Server
from coursework.checks.startup import looking_command
from coursework.containers.archive import Link
from coursework.containers.container import Settings
from coursework.containers.saved import SavedImage, TooLarge, take_apart
from coursework.containers.steps import Step

if TYPE_CHECKING:
    from coursework.checks.builder import Builder

_POLL_S = 0.01


class Image:
    """An image of the submission, from which containers start.

    Args:
        run: of the checks.
        image_id: of the image.
        steps: of its build, where a check looks at them.
    """

    def __init__(self, run: CheckRun, image_id: str, steps: Sequence[Step] = ()) -> None:
        self._run = run
        self._image_id = image_id
        self.steps = tuple(steps)

    @property
    def image_id(self) -> str:
        """By which the engine knows it."""
        return self._image_id

    def take_apart(self, *texts: str) -> SavedImage:
        """Save the image and look through every layer of it, also for what was deleted later.

        Args:
            texts: to search for; `findings` names the places that hold each.

        Raises:
            Failure: the image is larger than 2 GiB.

        Example:
            >>> saved = image.take_apart(token)
            >>> for place in saved.findings[token]:
            ...     fail("the token nowhere in the image", f"it is in {place}")

        """
        run, image_id = self._run, self._image_id
        try:
            return take_apart(run.services.engine, image_id, texts, run.task.module.images)
        except TooLarge as error:
            raise Failure(
                "an image of at most 2 GiB",
                "a larger one",
                command=f"docker history {image_id}",
                hint="the history tells the size of each layer",
            ) from error

    def start(
        self,
        *,
        env: Mapping[str, str] | None = None,
        files: Mapping[str, str | bytes | Link] | None = None,
        port: int = 3000,
        args: Sequence[str] = (),
        ready_within_s: float = 5.0,
        memory: str = "2g",
        confined: bool = False,
        hosts: Mapping[str, str] | None = None,
    ) -> Server:
        """Start a server; returns at once, the server's first use waits.

        Args:
            env: environment variables.
            files: content or `Link` by absolute path, laid into the container before it starts.
            port: the port it listens on inside its container.
            args: arguments behind the image's entry point.
            ready_within_s: seconds until it must accept connections.
            memory: limit in Docker's notation.
            confined: nothing but /tmp can be written, and root has no capability.
            hosts: addresses by the names under which it finds them, in its /etc/hosts.

        Example:
            >>> server = image.start(env={"PORT": "4000"}, port=4000)

        """
        settings = Settings(
            self._image_id, dict(env or {}), dict(files or {}), tuple(args), port, memory, confined,
            hosts=dict(hosts or {}),
        )  # fmt: skip
        return Server(self._run, settings, ready_within_s)

    def run(
        self,
        *,
        env: Mapping[str, str] | None = None,
        files: Mapping[str, str | bytes | Link] | None = None,
        args: Sequence[str] = (),
        within_s: float = 10.0,
    ) -> Finished:
        """Run a container that is to end by itself, and wait for its end.

        Args:
            env: environment variables.
            files: content or `Link` by absolute path, laid into the container before it starts.
            args: arguments behind the image's entry point.
            within_s: seconds until it must have ended.

        Raises:
            Failure: it still runs then, and what it listens on is said; or it does not start.

        Example:
            >>> assert image.run(args=["--version"]).exit_code == 0

        """
        settings = Settings(self._image_id, dict(env or {}), dict(files or {}), tuple(args))
        try:
            container = self._run.services.start_container(settings).result()
        except StartFailure as failure:
            # Whoever words it in another way has the command all the same.
            self._run.evidence.note_command(failure.command)
            raise
        deadline = Deadline(within_s, container.processor_seconds)
        while not container.has_ended() and not deadline.has_passed():
            time.sleep(_POLL_S)
        code = container.exit_code()
        name = container.name
        command = (
            looking_command(self._run.services.engine, name)
            if code is None
            else ended_command(name)
        )
        finished = Finished(
            -1 if code is None else code,
            container.log(stderr=False).encode(),
            container.log(stdout=False),
            container.name,
        )
        self._run.evidence.note_use(finished, command)
        if code is None:
            listening = ", ".join(container.listening_addresses())
            saw = "it still runs" + (f" and listens on {listening}" if listening else "")
            raise Failure(f"the program ends within {within_s:g} s", saw, command=command)
        return finished

    def run_each(self, starts: Sequence[Start], *, within_s: float = 10.0) -> list[Finished | None]:
        """Run a program that is to end by itself many times, in one container.

        That takes a third of the time of `run`, and leaves nothing to look at: what did not end
        as it should is run again by itself.

        Args:
            starts: variables and files of each; the files are there from the beginning.
            within_s: seconds until each must have ended.

        Returns:
            How each ended; None where it did not, or where the image has no `sleep` to wait with.

        Example:
            >>> starts = [Start({"FILE": f"/data/{n}"}, {f"/data/{n}": text}) for n, text in ...]
            >>> for start, finished in zip(starts, image.run_each(starts), strict=True):
            ...     if finished is None or finished.exit_code == 0:
            ...         expect_refusal(image.run(env=start.env, files=start.files))

        """
        return execute_each(self._run.services, self._image_id, starts, within_s)


@pytest.fixture(scope="session")
def image(builder: "Builder") -> Image:
    """Return the submission's image, built once."""
    return builder.first_image()
