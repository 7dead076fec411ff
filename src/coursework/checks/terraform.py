"""The terraform instrument: a configuration of the answer, applied to an engine of its own."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import pytest

from coursework.checks.failure import Failure
from coursework.checks.finished import Finished
from coursework.checks.run import CheckRun
from coursework.checks.shell import ENGINE_VOLUME, TOO_LATE, Shell, no_answer
from coursework.containers.runs import LABEL_RUN
from coursework.sandbox.inside import answer_folder
from coursework.words import shortened

IMAGE = "course/terraform:1"
PLAN_FILE = "check.tfplan"
_LOCK = ".terraform.lock.hcl"
_SAW_CHARACTERS = 300
_STARTED_WITHIN_S = 30.0
_NO_CHANGES, _CHANGES = 0, 2
# It writes into the answer's folders and /tmp alone, and reaches nobody but the engine.
_CONFINED = (
    "--network=none", "--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--env=HOME=/tmp",
    "--security-opt=no-new-privileges", "--pids-limit=512", "--memory=1g", "--init",
    "--env=TF_CLI_ARGS=-no-color",
)  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What a plan does to one resource.

    Args:
        address: of the resource, such as `module.dev.dockerlite_network.main`.
        name: its attribute of that name, or its address where it has none.
        actions: such as `("create",)`, `("delete", "create")`; never `("no-op",)`.
    """

    address: str
    name: str
    actions: tuple[str, ...]

    @property
    def removes(self) -> bool:
        """Whether what is there now is gone afterwards, also where another one takes its place."""
        return "delete" in self.actions or "forget" in self.actions


@dataclass(frozen=True)
class Plan:
    """What `terraform plan` said, as `terraform show -json` tells it.

    Args:
        content: the JSON object.
        changes_something: resources or outputs.
        shown: what was printed for people.
    """

    content: Mapping[str, Any]
    changes_something: bool
    shown: str

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Changes of managed resources, by address."""
        found = []
        for told in self.content.get("resource_changes") or ():
            change = told["change"]
            values = change.get("after") or change.get("before") or {}
            actions = tuple(change["actions"])
            if told["mode"] == "managed" and actions != ("no-op",):
                name = str(values.get("name") or told["address"])
                found.append(Change(told["address"], name, actions))
        return tuple(sorted(found, key=lambda c: c.address))

    @property
    def module_calls(self) -> Mapping[str, Any]:
        """The modules that the root calls, by name, each with its `source`."""
        root = (self.content.get("configuration") or {}).get("root_module") or {}
        return dict(root.get("module_calls") or {})


class Bench:
    """A container with Terraform beside the sandbox's engine, in which the folders of answers lie.

    Args:
        run: whose engine is a sandbox's.
        has_engine: whether what runs in it reaches the engine.

    Raises:
        CourseError: the engine is not a sandbox's, or does not answer.
    """

    def __init__(self, run: CheckRun, *, has_engine: bool) -> None:
        self.shell, self.run = Shell(run.services.engine), run
        home = str(PurePosixPath(answer_folder(run.task.module.slug)).parent)
        label = f"--label={LABEL_RUN}={run.services.run.run_id}"
        socket = (ENGINE_VOLUME,) if has_engine else ()
        words = ("--detach", *_CONFINED, f"--volume={home}:{home}", *socket, label)
        start = ("sh", "-c", 'mkdir -p "$0" && exec docker run "$@"', home)
        sleep = ("--entrypoint=sleep", IMAGE, "infinity")
        started = self.shell.finish([*start, *words, *sleep], _STARTED_WITHIN_S)
        if started.exit_code:
            raise no_answer(started.stderr)
        self._name = started.stdout.strip()

    def finish(self, words: tuple[str, ...], folder: str, within_s: float) -> Finished:
        """Run a program in a folder to its end."""
        limit = ("timeout", "-k", "1", f"{within_s:g}")
        line = ["docker", "exec", f"--workdir={folder}", self._name, *limit, *words]
        return self.shell.finish(line, within_s)


class Terraform:
    """A folder with a configuration, and the state that Terraform keeps in it.

    Terraform runs in a container of the sandbox: what the configuration reads, runs or makes is
    the sandbox's own. It has no network, and providers come from its image.

    Args:
        bench: where Terraform runs.
        folder: of the configuration, in the sandbox.
        files: content by path, laid there; without a lock file, whose provider is another build.

    Raises:
        CourseError: the sandbox does not answer.

    Example:
        >>> terraform.write("check.auto.tfvars.json", json.dumps({"db_password": password}))
        >>> terraform.obey("init")
        >>> plan = terraform.plan()
        >>> assert not any(change.removes for change in plan.changes)
        >>> terraform.apply_plan()
        >>> urls = terraform.outputs()["urls"]

    """

    def __init__(self, bench: Bench, folder: str, files: Mapping[str, str | bytes]) -> None:
        self._bench, self.folder = bench, folder
        self._shell, self._evidence = bench.shell, bench.run.evidence
        # A lock file holds the hash of another machine's provider, and `init` would refuse ours.
        laid = {path: told for path, told in files.items() if PurePosixPath(path).name != _LOCK}
        self._shell.lay(laid, folder)
        self.said = ""

    def beside(
        self, name: str, files: Mapping[str, str | bytes], *, has_engine: bool = True
    ) -> "Terraform":
        """Return another folder next to this one, with files and a state of its own.

        Args:
            name: of the folder.
            files: content by path.
            has_engine: whether providers reach the engine there.

        Raises:
            CourseError: the sandbox does not answer.
        """
        bench = self._bench if has_engine else Bench(self._bench.run, has_engine=False)
        return Terraform(bench, str(PurePosixPath(self.folder).with_name(name)), files)

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file into the folder, over what is there."""
        self._shell.lay({path: content}, self.folder)

    def take_state_of(self, other: "Terraform") -> None:
        """Copy another folder's state file into this one."""
        self._place(["cp", f"{other.folder}/terraform.tfstate", self.folder])

    def forget(self) -> None:
        """Remove the state file, so that Terraform knows of nothing."""
        state = f"{self.folder}/terraform.tfstate"
        self._place(["rm", "-f", state, f"{state}.backup"])

    def _place(self, words: list[str]) -> None:
        placed = self._shell.finish(words, _STARTED_WITHIN_S)
        if placed.exit_code:
            raise no_answer(placed.stderr)

    def run(self, *words: str, within_s: float = 60.0) -> Finished:
        """Run Terraform in the folder, however it ends; it asks nobody, and prints no colours.

        Args:
            words: of the command.
            within_s: seconds until it must have ended.

        Raises:
            Failure: it still runs then, or prints more than 20 MiB.
            CourseError: the sandbox does not answer.
        """
        command = _typed(words)
        self._evidence.note_command(command, is_fleeting=True)
        ran = self._bench.finish(("terraform", *words), self.folder, within_s)
        if ran.exit_code in TOO_LATE:
            raise Failure(f"an end within {within_s:g} s", "it still runs", command=command)
        return ran

    def obey(self, *words: str, within_s: float = 60.0) -> Finished:
        """Run Terraform, which must end with exit code 0; see `run`.

        What it prints is added to `said`.

        Raises:
            Failure: it ends with another exit code; with the first error that it names.
        """
        return self._checked(words, within_s, (0,))

    def _checked(self, words: tuple[str, ...], within_s: float, codes: tuple[int, ...]) -> Finished:
        ran = self.run(*words, within_s=within_s)
        self.said += ran.log()
        if ran.exit_code not in codes:
            raise failed(words, ran)
        return ran

    def plan(self, *words: str, within_s: float = 60.0) -> Plan:
        """Return what Terraform would do; `apply_plan` does exactly that.

        Args:
            words: further options, such as `-destroy`.
            within_s: seconds until it must have ended.

        Raises:
            Failure: there is no plan; see `obey`.
        """
        how = ("-input=false", "-detailed-exitcode", f"-out={PLAN_FILE}")
        ran = self._checked(("plan", *words, *how), within_s, (_NO_CHANGES, _CHANGES))
        self._evidence.note_command(_typed(("plan", *words)), is_fleeting=True)
        # It shows what is secret, too: that is for programs, and is not what was `said`.
        shown = self._bench.finish(("terraform", "show", "-json", PLAN_FILE), self.folder, within_s)
        if shown.exit_code:
            raise failed(("show", "-json", PLAN_FILE), shown)
        return Plan(json.loads(shown.stdout), ran.exit_code == _CHANGES, ran.stdout)

    def apply_plan(self, *, within_s: float = 60.0) -> None:
        """Do what the last `plan` said.

        Raises:
            Failure: it does not end with exit code 0; see `obey`.
        """
        try:
            self.obey("apply", "-input=false", PLAN_FILE, within_s=within_s)
        except Failure as failure:
            failure.command = _typed(("apply",))
            raise

    def apply(self, *, within_s: float = 60.0) -> None:
        """Plan and do it: `terraform apply -auto-approve`.

        Raises:
            Failure: it does not end with exit code 0; see `obey`.
        """
        self.obey("apply", "-auto-approve", "-input=false", within_s=within_s)

    def outputs(self) -> dict[str, Any]:
        """Return the values of all outputs by name, as `terraform output -json` tells them.

        Raises:
            Failure: it does not end with exit code 0.
        """
        ran = self.run("output", "-json")
        if ran.exit_code:
            raise failed(("output", "-json"), ran)
        return {name: told["value"] for name, told in json.loads(ran.stdout).items()}

    def ignored(self, *paths: str) -> set[str]:
        """Return those of these paths that git leaves out by the folder's .gitignore."""
        folder = self.folder
        self._bench.finish(("git", "init", "--quiet", folder), folder, _STARTED_WITHIN_S)
        ask = ("git", "check-ignore", "--no-index", *paths)
        return set(self._bench.finish(ask, folder, _STARTED_WITHIN_S).stdout.split("\n")) & {*paths}


def failed(words: tuple[str, ...], ran: Finished) -> Failure:
    """Return the failure of a command that ended as it must not, with all it said as a note."""
    told = shortened(_first_error(ran.log()), _SAW_CHARACTERS)
    failure = Failure(
        f"exit code 0 of terraform {words[0]}", f"exit code {ran.exit_code}: {told}",
        command=_typed(words),
    )  # fmt: skip
    failure.add_note(ran.log())
    return failure


def _first_error(said: str) -> str:
    """Return the first error's title and what explains it, without frame and source lines."""
    lines = [line.strip("│╷╵ \t") for line in said.splitlines()]
    starts = [i for i, line in enumerate(lines) if line.startswith("Error: ")]
    if not starts:
        return next((line for line in reversed(lines) if line), "nothing printed")
    first = starts[0]
    following = starts[1] if len(starts) > 1 else len(lines)
    parts = [
        line
        for line in lines[first + 1 : following]
        if line and not line[0].isdigit() and not line.startswith(("on ", "with ", "├", "while "))
    ]
    return " ".join([lines[first].removeprefix("Error: ") + ".", *parts[:4]])


def _typed(words: tuple[str, ...]) -> str:
    kept = [w for w in words if w not in ("-input=false", "-detailed-exitcode")]
    return shlex.join(["sh", "terraform.sh", *(w for w in kept if w != f"-out={PLAN_FILE}")])


@pytest.fixture(scope="session")
def terraform(check_run: CheckRun) -> Terraform:
    """Return the answer's configuration beside its own engine, where `sandbox = true`."""
    folder = answer_folder(check_run.task.module.slug)
    bench = Bench(check_run, has_engine=True)
    return Terraform(bench, folder, check_run.task.submission.files)
