"""The runner instrument: the answer's workflows, run by act for events that a check makes."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from types import MappingProxyType
from typing import Any

import pytest
from docker.errors import ImageNotFound

from coursework.checks.failure import CHECK_AGAIN, Failure
from coursework.checks.finished import Finished
from coursework.checks.image import Image
from coursework.checks.run import CheckRun
from coursework.checks.shell import (
    ENGINE_VOLUME,
    LIMIT_LOG_BYTES,
    TOO_LATE,
    Shell,
    no_answer,
    require_engine,
)
from coursework.checks.workflows import Event, Workflow, read_workflows
from coursework.containers.archive import pack

RUNNER_IMAGE = "course/runner:1"
_REPOSITORY = {"full_name": "lantern/shop", "default_branch": "main"}
_MAIN = "refs/heads/main"
_NONE: Mapping[str, str] = MappingProxyType({})
_COMMITTED_WITHIN_S = 60.0
_STOPPED_WITHIN_S = 30.0
_LIMITS = ("--memory=1g", "--pids-limit=256")
# Its input is an archive with a folder for each commit; it prints the archive of all commits.
_COMMIT = """set -eu
mkdir /commits
tar -x -C /commits
git init --quiet .
for folder in /commits/*; do
  git rm -r --quiet --force --ignore-unmatch . > /dev/null
  cp -a "$folder/." .
  find . -name '*.sh' -exec chmod +x {} +
  git add --all --force
  git commit --quiet --allow-empty --message "${folder##*/}"
  git rev-parse HEAD >&2
done
tar -c .git
"""
# Its input is that archive, whose length is the first word, and one with the event and the secrets.
_RUN = """exec 2>&1
set -eu
head -c "$1" | tar -x
tar -x -C /tmp
git checkout --quiet --force --detach "$2"
case "$4" in
  refs/heads/*) git checkout --quiet -B "${4#refs/heads/}" ;;
  refs/tags/*) git tag --force "${4#refs/tags/}" > /dev/null ;;
esac
event=$3
shift 4
code=0
for workflow; do
  act "$event" --workflows "$workflow" \\
    --eventpath /tmp/event.json --secret-file /tmp/secrets || code=1
done
exit "$code"
"""


@dataclass(frozen=True)
class Commit:
    """One commit of the answer's files, with a check's changes.

    Args:
        sha: its full id.
        history: an archive with the repository in it.
    """

    sha: str
    history: bytes


@dataclass(frozen=True)
class PipelineRun:
    """What came of one event.

    Args:
        workflows: paths of those that it started.
        is_green: whether all of them succeeded; so too where it started none.
        log: what they printed, with the names of their jobs.
    """

    workflows: tuple[str, ...]
    is_green: bool
    log: str


class Runner:
    """Runs the answer's workflows as GitHub would, in the sandbox's engine.

    For each event a new machine is made, a container with git, Node, docker and act, and act runs
    the workflows that the event starts, one after the other, right there. All machines use the
    sandbox's engine, so images and containers outlive them. `actions/checkout` is act's own: it
    copies the commit's files. Nothing is fetched from anywhere.

    Args:
        run: whose engine is a sandbox's.

    Raises:
        CourseError: the engine is not a sandbox's.

    Example:
        >>> runner.join("lantern")
        >>> commits = runner.commit({"good": {}, "red": {"test/red.test.js": text}})
        >>> ran = runner.push(commits["red"], secrets={"DEPLOY_TOKEN": token})
        >>> assert not ran.is_green
        >>> runner.image("lantern:1")
        None

    """

    def __init__(self, run: CheckRun) -> None:
        self._shell = Shell(run.services.engine)
        self._run = run
        self._files = run.task.submission.files
        self._numbers = count(1)
        self._network = "bridge"

    def join(self, network: str) -> None:
        """Make a network that all machines are in, so that they find its containers by name.

        Raises:
            CourseError: the sandbox does not answer.
        """
        made = self._shell.finish(("docker", "network", "create", network), _STOPPED_WITHIN_S)
        if made.exit_code:
            raise no_answer(made.stderr)
        self._network = network

    @cached_property
    def workflows(self) -> list[Workflow]:
        """The answer's workflow files.

        Raises:
            Failure: one of them is no YAML.
        """
        return read_workflows(self._files)

    def commit(self, changes: Mapping[str, Mapping[str, str | bytes]]) -> dict[str, Commit]:
        """Commit the answer's files, once for each name, each commit after the one before.

        Args:
            changes: by the commit's message, the files that differ from the answer's in it.

        Raises:
            CourseError: the sandbox does not answer.
        """
        own = {p: data for p, data in self._files.items() if ".git" not in p.split("/")}
        # Their order is that of the names of their folders.
        folders = {name: f"{n:02}-{name}" for n, name in enumerate(changes)}
        archive = pack({
            f"{folders[name]}/{path}": data
            for name, changed in changes.items()
            for path, data in {**own, **changed}.items()
        })  # fmt: skip
        ran = self._execute(
            _COMMIT, stdin=archive, within_s=_COMMITTED_WITHIN_S, options=("--network=none",)
        )
        shas = ran.stderr.split()
        if ran.exit_code or len(shas) != len(changes):
            raise no_answer(ran.stderr)
        return {name: Commit(sha, ran.output) for name, sha in zip(changes, shas, strict=True)}

    def push(
        self,
        commit: Commit,
        ref: str = _MAIN,
        *,
        secrets: Mapping[str, str] = _NONE,
        within_s: float = 120.0,
    ) -> PipelineRun:
        """Push a commit to a branch, or as a tag, and wait until its workflows have ended.

        Args:
            commit: from `commit`.
            ref: `refs/heads/…` or `refs/tags/…`.
            secrets: of the repository, by name.
            within_s: seconds until they must have ended.

        Raises:
            Failure: they still run then, or a workflow is no YAML.
            CourseError: the sandbox does not answer.
        """
        payload = {
            "ref": ref, "after": commit.sha, "head_commit": {"id": commit.sha},
            "repository": _REPOSITORY, "deleted": False,
        }  # fmt: skip
        return self._play(Event("push", ref, payload), commit, secrets, within_s)

    def pull_request(
        self,
        commit: Commit,
        *,
        title: str,
        branch: str = "change",
        secrets: Mapping[str, str] = _NONE,
        within_s: float = 120.0,
    ) -> PipelineRun:
        """Open a pull request to main; see `push`.

        Args:
            commit: from `commit`.
            title: of the pull request.
            branch: that it comes from.
            secrets: none if a stranger opens it, as GitHub gives strangers none.
            within_s: seconds until its workflows must have ended.
        """
        head = {"ref": branch, "sha": commit.sha, "label": f"ada:{branch}"}
        payload = {
            "action": "opened", "number": 7, "repository": _REPOSITORY,
            "pull_request": {
                "number": 7, "title": title, "body": "", "head": head, "base": {"ref": "main"},
            },
        }  # fmt: skip
        return self._play(Event("pull_request", _MAIN, payload), commit, secrets, within_s)

    def image(self, reference: str) -> Image | None:
        """Return an image of the sandbox's engine by its name; None where there is none."""
        with suppress(ImageNotFound):
            found: Any = self._run.services.engine.client.images.get(reference)
            return Image(self._run, found.id)
        return None

    def _play(
        self, event: Event, commit: Commit, secrets: Mapping[str, str], within_s: float
    ) -> PipelineRun:
        started = tuple(w.path for w in self.workflows if w.starts_on(event))
        if not started:
            return PipelineRun((), is_green=True, log="")
        told = {
            "event.json": json.dumps(event.payload),
            "secrets": "".join(f"{name}={text}\n" for name, text in secrets.items()),
        }
        # A pull request's machine has its commit, and no branch.
        ref = event.ref if event.name == "push" else ""
        ran = self._execute(
            _RUN, str(len(commit.history)), commit.sha, event.name, ref, *started,
            stdin=commit.history + pack(told), within_s=within_s,
            options=(f"--network={self._network}", ENGINE_VOLUME),
        )  # fmt: skip
        self._run.evidence.note_use(replace(ran, output=ran.output[-LIMIT_LOG_BYTES:]), CHECK_AGAIN)
        if ran.exit_code in TOO_LATE:
            looked_for = f"an end of {', '.join(started)} within {within_s:g} s"
            raise Failure(looked_for, "they still run", command=CHECK_AGAIN)
        return PipelineRun(started, is_green=ran.exit_code == 0, log=ran.stdout)

    def _execute(
        self, script: str, *words: str, stdin: bytes, within_s: float, options: Sequence[str]
    ) -> Finished:
        """Run a script on a machine that is made for it."""
        name = f"course-runner-{next(self._numbers)}"
        ran = self._shell.finish(
            ("timeout", "-k", "1", f"{within_s:g}", "docker", "run", "--rm", "--interactive",
             "--init", f"--name={name}", *_LIMITS, *options, RUNNER_IMAGE,
             "sh", "-c", script, "run", *words),
            within_s, stdin=stdin,
        )  # fmt: skip
        if ran.exit_code in TOO_LATE:
            self._shell.finish(("docker", "rm", "--force", name), _STOPPED_WITHIN_S)
        require_engine(ran)
        return ran


@pytest.fixture(scope="session")
def runner(check_run: CheckRun) -> Runner:
    """Return what runs the answer's workflows, where the catalogue says `sandbox = true`."""
    return Runner(check_run)
