import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Client,
    Commit,
    Image,
    PipelineRun,
    Random,
    Runner,
    Sandbox,
    Submission,
    Workflow,
    all_texts,
    eventually,
    fail,
    mapping,
    points,
    read_mapping,
)

NETWORK, PRODUCTION, PORT = "lantern", "lantern-prod", 8080
IMAGE, BASE = "lantern", "node:24-slim"
SHORT = 12
SERVES_WITHIN_S = 5.0
REVISION = "org.opencontainers.image.revision"
MAIN, BRANCH, TAG = "refs/heads/main", "refs/heads/try-something", "refs/tags/"
SECRET = "DEPLOY_TOKEN"  # noqa: S105 - its name
TITLE = "Pull request: "
FAILED = "❌"
CHECKOUT = re.compile(r"actions/checkout@[0-9a-f]{40}")
SCRIPT = "deploy.sh"
MINUTES_AT_MOST = 15
# From a job to tools/deploy.sh: a workflow, an action and a script may be between.
FILES_ON_THE_WAY = 4
# A group with one of these in it is another one for each push, or for each person who pushes.
OF_ONE_RUN = re.compile(
    r"github\.((workflow_)?sha|run_(id|number|attempt)|(triggering_)?actor"
    r"|event\.(after|before|compare|head_commit|commits|pusher|sender))",
    re.IGNORECASE,
)
# What is never true for a push to main.
CANCELS_NO_PUSH = (
    "", "false", "github.event_name=='pull_request'", "github.ref!='refs/heads/main'",
)  # fmt: skip
MINUTES = re.compile(r"[0-9]{1,3}")
NO_RIGHTS = ("read-all", "read", "none", "")
# The tests of every commit print all that they are given, in a spelling that no log masks.
SEES = """
import { test } from "node:test";

test("what the tests see", () => {
  for (const value of Object.values(process.env)) {
    console.log(Buffer.from(value).toString("base64"));
  }
});
"""
FAILING = """
import assert from "node:assert/strict";
import { test } from "node:test";

test("the last row is sold first", () => assert.equal("A", "F"));
"""


# --- the repository and what its pushes bring about ---------------------------------------------


@dataclass(frozen=True)
class Live:
    """What production runs.

    Args:
        container: its id; another one after each deployment.
        image: the id of its image.
        token: the fingerprint of the token that it was deployed with.
        is_running: whether it still does.
    """

    container: str
    image: str
    token: str
    is_running: bool


@dataclass
class Delivery:
    """A repository with the answer's workflows, and the engine where its images and containers are.

    Args:
        runner: runs the workflows.
        sandbox: has the engine.
        commits: by what is in them.
        token: opens production.
    """

    runner: Runner
    sandbox: Sandbox
    commits: Mapping[str, Commit]
    token: str
    logs: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def push(self, name: str, ref: str = MAIN) -> PipelineRun:
        """Push a commit, and return what came of it."""
        return self._over(self.runner.push(self.commits[name], ref, secrets=self._secrets))

    def propose(self, name: str, title: str, *, is_stranger: bool = False) -> PipelineRun:
        """Open a pull request; GitHub keeps all secrets from those of strangers."""
        secrets = {} if is_stranger else self._secrets
        return self._over(
            self.runner.pull_request(self.commits[name], title=title, secrets=secrets)
        )

    @property
    def _secrets(self) -> dict[str, str]:
        return {SECRET: self.token}

    def _over(self, ran: PipelineRun) -> PipelineRun:
        """Remember what a run said and left; what it left is no trouble for the next."""
        self.logs.append(ran.log)
        names = self.sandbox.docker("ps", "--all", "--format={{.Names}}").split()
        self.left = [name for name in names if name != PRODUCTION]
        if self.left:
            self.sandbox.docker("rm", "--force", *self.left)
        return ran

    def named(self, name: str) -> str:
        """Return the name of a commit's image."""
        return f"{IMAGE}:{self.commits[name].sha[:SHORT]}"

    def built(self, name: str) -> Image | None:
        """Return a commit's image."""
        return self.runner.image(self.named(name))

    def images(self) -> set[str]:
        """Return the names of all images of the shop."""
        return set(self.sandbox.docker("images", "--format={{.Tag}}", IMAGE).split())

    def live(self) -> Live:
        """Return what production runs."""
        facts: Any = json.loads(self.sandbox.docker("container", "inspect", PRODUCTION))[0]
        token = (facts["Config"]["Labels"] or {}).get("deployed-with", "")
        return Live(facts["Id"], facts["Image"], token, facts["State"]["Running"])

    def door(self) -> Client:
        """Return a client of production."""
        return self.sandbox.server(PORT)

    def expect_untouched(self, before: Live, after_what: str) -> None:
        """Expect that production is the container that it was."""
        live = self.live()
        if live != before:
            seen = "another container" if live.container != before.container else "it has ended"
            fail(f"production as it was, after {after_what}", seen, command=CHECK_AGAIN)

    def expect_nothing_left(self, after_what: str) -> None:
        """Expect that the last run has removed what it started."""
        if self.left:
            fail(f"no container but {PRODUCTION} after {after_what}", ", ".join(self.left),
                 command=CHECK_AGAIN)  # fmt: skip


def expect(ran: PipelineRun, what: str, *, green: bool) -> None:
    """Expect that something starts a workflow, and that all of them end so."""
    if not ran.workflows or ran.is_green != green:
        fail(f"a {'green' if green else 'red'} run after {what}", told(ran), command=CHECK_AGAIN)


def told(ran: PipelineRun) -> str:
    """Return how a run went, and the step that failed first."""
    if not ran.workflows:
        return "no workflow starts"
    failed = [line for line in ran.log.splitlines() if FAILED in line]
    colour = "a green one" if ran.is_green else "a red one"
    return f"{colour}; {' '.join(failed[0].split())[:200]}" if failed else colour


@pytest.fixture(scope="session")
def token(random: Random) -> str:
    """Return what opens production; nobody can type it in."""
    return random.hex(30)


@pytest.fixture(scope="module")
def delivery(
    runner: Runner, sandbox: Sandbox, submission: Submission, token: str, random: Random
) -> Delivery:
    """The repository with every commit that the checks push."""
    runner.join(NETWORK)
    sees = {f"test/{random.word()}.test.js": SEES}
    fine: dict[str, dict[str, str]] = {"good": {}, "better": {}, "proposed": {}, "unseen": {}}
    changes = {**fine, **breaking(submission.files, random)}
    commits = runner.commit({name: {**sees, **changed} for name, changed in changes.items()})
    return Delivery(runner, sandbox, commits, token)


def breaking(files: Mapping[str, bytes], random: Random) -> dict[str, dict[str, str]]:
    """Return the changes of commits that must not get to production, or not stay there."""
    server, seats, stages = (files[f"{name}.js"].decode() for name in ("server", "seats", "stages"))
    sample = f"test/{random.word()}.json"
    read = f'JSON.parse(readFileSync("{sample}", "utf8"))'
    kept = [line for line in stages.splitlines() if "production:" not in line]
    return {
        "a failing test": {f"test/{random.word()}.test.js": FAILING},
        "a lint error": {"seats.js": f"{seats}\nexport var rows = 6;\n"},
        # The tests find this file; the image leaves its folder out.
        "an image that fails": {
            "server.js": 'import { readFileSync } from "node:fs";\n'
            + server.replace("shows: listShows()", f"shows: {read}"),
            sample: '[{"id": 7, "title": "Hamlet"}]\n',
        },
        "a version that fails in production": {"stages.js": "\n".join([*kept, ""])},
    }


# --- checks ------------------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "What does the last job of your run say? Which image does production run, and what"
            " does docker image inspect say of its label?"
        ),
        (
            'tag="lantern:$(printf %.12s "$GITHUB_SHA")", then docker build --build-arg'
            ' REVISION="$GITHUB_SHA" --tag "$tag" ., sh tools/deploy.sh "$tag", and'
            " sh tools/smoke.sh http://lantern-prod:3000. Under on: push:, branches: [main]."
        ),
    ),
    link="One workflow, three events",
)
def check_ships_green(delivery: Delivery) -> None:
    """A push to main ends with its commit in production; one to another branch ships nothing"""
    for name in ("good", "better"):
        ships(delivery, name)
    before, images = delivery.live(), delivery.images()
    ran = delivery.push("proposed", BRANCH)
    what = "a push to another branch"
    if new := delivery.images() - images:
        fail(f"no new image {IMAGE} after {what}", ", ".join(new), command=CHECK_AGAIN)
    if not ran.is_green:
        fail(f"no red run after {what}", told(ran), command=CHECK_AGAIN)
    delivery.expect_untouched(before, what)


def ships(delivery: Delivery, name: str) -> None:
    """Push a good commit, and expect it in production."""
    what, commit = "a push to main", delivery.commits[name]
    expect(delivery.push(name), what, green=True)
    image = delivery.built(name)
    if image is None:
        seen = ", ".join(f"{IMAGE}:{tag}" for tag in delivery.images())
        fail(f"the image {delivery.named(name)} after {what}", seen or f"no image {IMAGE}",
             command=CHECK_AGAIN)  # fmt: skip
    label = (image.config.get("Labels") or {}).get(REVISION)
    if label != commit.sha:
        fail(f"the label {REVISION}={commit.sha}", str(label), command=CHECK_AGAIN)
    version = {"revision": commit.sha}
    # Whether the run waited for it is the affair of another check.
    eventually(
        lambda: delivery.door().get("/api/version").expect(200, json=version),
        within_s=SERVES_WITHIN_S,
    )
    live = delivery.live()
    if live.image != image.image_id:
        fail(f"production with {delivery.named(name)}", live.image, command=CHECK_AGAIN)
    if live.token != fingerprint(delivery.token):
        fail(f"a deployment with the secret {SECRET}", "another token", command=CHECK_AGAIN)
    delivery.expect_nothing_left("a green run")


def fingerprint(token: str) -> str:
    """Return what tools/deploy.sh notes of a token."""
    return hashlib.sha256(token.encode()).hexdigest()[:SHORT]


@points(
    2,
    hints=(
        (
            "Which job waits for which? A job without needs starts at once, and a step whose"
            " command ends in || true is never red."
        ),
        (
            "needs: check at the job that builds, and needs: build at the one that deploys; run the"
            " image and sh tools/smoke.sh before that; remove its container in a step with"
            " if: always(). Both workflows run sh tools/lint.sh and npm test."
        ),
    ),
    link="Jobs that wait",
    needs=("ships_green",),
)
def check_stops_red(delivery: Delivery) -> None:
    """A commit that fails lint, a test or its smoke test is red, and never gets to production"""
    before = delivery.live()
    for name in ("a failing test", "a lint error"):
        what = f"a push of {name}"
        expect(delivery.push(name), what, green=False)
        if delivery.built(name):
            fail(f"nothing built after {what}", f"an image {delivery.named(name)}",
                 command=CHECK_AGAIN)  # fmt: skip
        delivery.expect_untouched(before, what)
        expect(delivery.propose(name, "Rows"), f"a pull request with {name}", green=False)
    what = "a push of an image that fails its smoke test"
    expect(delivery.push("an image that fails"), what, green=False)
    delivery.expect_untouched(before, what)
    delivery.expect_nothing_left("a red run")


@points(
    2,
    hints=(
        (
            "Which image did production run before the deployment, and at which moment does your"
            " workflow look? Which steps still run after one has failed?"
        ),
        (
            "Before deploy.sh: docker inspect --format '{{.Image}}' lantern-prod, into"
            " $GITHUB_OUTPUT or $GITHUB_ENV. After the smoke test: a step with if: failure() that"
            " calls tools/deploy.sh with it, and the same DEPLOY_TOKEN. That step succeeds, and the"
            " run is red all the same."
        ),
    ),
    link="Verify, and go back",
    needs=("ships_green",),
)
def check_goes_back(delivery: Delivery) -> None:
    """If production fails its smoke test, the image before is deployed again, and the run is red"""
    before = delivery.live()
    name = "a version that fails in production"
    ran = delivery.push(name)
    after = delivery.live()
    if after.image != before.image:
        built = delivery.built(name)
        which = "the one that fails" if built and built.image_id == after.image else "another one"
        fail("the image before in production", which, command=CHECK_AGAIN)
    if after.container == before.container:
        fail(f"{delivery.named(name)} deployed, and then the image before again",
             f"it was never deployed; {told(ran)}", command=CHECK_AGAIN)  # fmt: skip
    expect(ran, f"a push of {name}", green=False)
    eventually(lambda: delivery.door().get("/api/shows").expect(200), within_s=SERVES_WITHIN_S)
    delivery.expect_nothing_left("a rollback")


@points(
    1,
    hints=(
        "An image that is built twice is two images. Which one was tested?",
        (
            'docker tag "lantern:$(printf %.12s "$GITHUB_SHA")" "lantern:$GITHUB_REF_NAME", in a'
            " job with if: startsWith(github.ref, 'refs/tags/v'), and no build. docker tag fails"
            " if there is no such image, and then the run is red."
        ),
    ),
    link="Build once, promote",
    needs=("ships_green",),
)
def check_promotes_not_rebuilds(delivery: Delivery, random: Random) -> None:
    """A tag v* names the very image built from its commit; if there is none, the run is red"""
    moves_the_base(delivery.sandbox, random)
    before, images, built = delivery.live(), delivery.images(), delivery.built("good")
    tag, other, wild = f"v{random.integer(2, 90)}.{random.integer(2, 90)}", "v1.0-x", "nightly"
    expect(delivery.push("good", TAG + tag), f"a tag {tag}", green=True)
    promoted = delivery.runner.image(f"{IMAGE}:{tag}")
    if promoted is None or built is None or promoted.image_id != built.image_id:
        fail(f"{IMAGE}:{tag} is {delivery.named('good')}",
             "another image" if promoted else "no such image", command=CHECK_AGAIN)  # fmt: skip
    unseen = delivery.push("unseen", TAG + other)
    expect(unseen, "a tag of a commit without image", green=False)
    delivery.push("good", TAG + wild)
    if new := delivery.images() - images - {tag}:
        fail(f"no further image {IMAGE} after tags {other} of a commit without image and {wild}",
             ", ".join(sorted(new)), command=CHECK_AGAIN)  # fmt: skip
    delivery.expect_untouched(before, "tags")


def moves_the_base(sandbox: Sandbox, random: Random) -> None:
    """Let the base image be a newer one: whatever is built now is another image."""
    sandbox.docker("create", "--name=patch", BASE)
    sandbox.docker("commit", f"--change=LABEL patched={random.word()}", "patch", BASE)
    sandbox.docker("rm", "patch")


@points(
    2,
    hints=(
        (
            "What does the author of a pull request write, and where does your workflow put it?"
            " Which steps get the token, and does one of them run the pull request's code?"
        ),
        (
            "Under env: of the step, TITLE: ${{ github.event.pull_request.title }}, and then"
            " printf 'Pull request: %s\\n' \"$TITLE\". DEPLOY_TOKEN: ${{ secrets.DEPLOY_TOKEN }} is"
            " under env: of the steps that call tools/deploy.sh, and nowhere else."
        ),
    ),
    link="A title that runs a command",
    needs=("ships_green",),
)
def check_keeps_secrets(delivery: Delivery, token: str, random: Random) -> None:
    """A pull request deploys nothing and its title runs nothing; no log or layer has the token"""
    before, images = delivery.live(), delivery.images()
    volumes = [f"executed-{random.word()}" for _ in range(3)]
    run = [f"docker volume create {name}" for name in volumes]
    title = f"Seats $({run[0]}) '; {run[1]}; ' \"; {run[2]}; \" done"
    # What printf, echo -e and a variable without quotes would print as something else.
    plain = f"Rows  %s \\t{random.word()} *"
    proposals = ((title, True), (plain, False))
    for text, is_stranger in proposals:
        what = f"a pull request of a {'stranger' if is_stranger else 'colleague'}"
        ran = delivery.propose("proposed", text, is_stranger=is_stranger)
        made = delivery.sandbox.docker("volume", "ls", "--format={{.Name}}").split()
        if set(made) & set(volumes):
            fail("a title that is only printed", "a command in it ran", command=CHECK_AGAIN)
        expect(ran, what, green=True)
        if not any(line.rstrip().endswith(f"| {TITLE}{text}") for line in ran.log.splitlines()):
            fail(f"the line {TITLE}{text}", printed(ran), command=CHECK_AGAIN)
        delivery.expect_untouched(before, what)
        delivery.expect_nothing_left(what)
        if new := delivery.images() - images:
            fail(f"no image {IMAGE} after {what}", ", ".join(new), command=CHECK_AGAIN)
    expect_kept(delivery, spellings(token))


def printed(ran: PipelineRun) -> str:
    """Return the line of a log that comes nearest to a title."""
    start = f"| {TITLE.strip()}"
    found = [line for line in ran.log.splitlines() if start in line]
    # Its spaces are the title's.
    return found[0][found[0].index(start) + 2 :][:200] if found else "no such line"


def expect_kept(delivery: Delivery, secret: Mapping[str, str]) -> None:
    """Expect a secret in no log so far, and in no layer of what was shipped."""
    for text, spelled in secret.items():
        for log in delivery.logs:
            lines = [line for line in log.splitlines() if text in line]
            if lines:
                shown = " ".join(lines[0].split()).replace(text, "<here>")
                fail("the token in no log", f"it is there, {spelled}: {shown[:200]}",
                     command=CHECK_AGAIN)  # fmt: skip
    for name in ("good", "better"):
        image = delivery.built(name)
        saved = image.take_apart(*secret) if image else None
        for text, places in (saved.findings if saved else {}).items():
            if places:
                fail("the token in no layer", f"it is there, {secret[text]}: {places[0]}",
                     command=CHECK_AGAIN)  # fmt: skip


def spellings(token: str) -> dict[str, str]:
    """Return how a token may be written, so that no log masks it, and what that is called."""
    found = {token: "as it is", token[::-1]: "reversed", token.encode().hex(): "in hexadecimal"}
    for skipped in range(3):
        # What comes before it shifts all of base64; the edges depend on its neighbours.
        coded = base64.b64encode(b"\0" * skipped + token.encode()).decode()
        found[coded[4 if skipped else 0 : -4]] = "in base64"
    return found


@points(
    1,
    hints=(
        "Read each job by itself: what may it do, for how long, and what may run beside it?",
        (
            "permissions: {contents: read} at the top of each file; timeout-minutes: 10 in each"
            " job; concurrency: {group: production, cancel-in-progress: false} where it deploys;"
            " uses: actions/checkout@ and 40 hexadecimal digits."
        ),
    ),
    link="Small rights, short times, one at a time",
    needs=("ships_green",),
)
def check_limits_itself(runner: Runner, submission: Submission) -> None:
    """Jobs may only read, end in time, and deploy one at a time; actions are pinned or your own"""
    deploying = mentions(submission.files)
    for workflow in runner.workflows:
        if "pull_request_target" in workflow.triggers:
            fail("no pull_request_target", workflow.path)
        for name, job in workflow.jobs.items():
            where = f"job {name} of {workflow.path}"
            expect_small_rights(job.get("permissions", workflow.content.get("permissions")), where)
            expect_job_in_bounds(job, where)
        if "push" in workflow.triggers:
            expect_one_at_a_time(workflow, deploying, runner.workflows)
    for path, data in submission.files.items():
        if path.startswith(".github/") and path.endswith((".yml", ".yaml")):
            expect_pinned(path, read_mapping(path, data))


def expect_small_rights(permissions: object, where: str) -> None:
    """Expect permissions that are given, and let nothing be written."""
    rights = permissions.values() if isinstance(permissions, dict) else [permissions]
    wrong = [right for right in rights if right not in NO_RIGHTS]
    if wrong:
        seen = (
            "no permissions, so those of the repository" if permissions is None else str(wrong[0])
        )
        fail(f"permissions that only read, for {where}", seen)


def expect_job_in_bounds(job: Mapping[str, Any], where: str) -> None:
    """Expect a job to name its machine and its time; one that calls a workflow can't."""
    if "uses" in job:
        return
    if job.get("runs-on") not in ("ubuntu-latest", ["ubuntu-latest"]):
        fail(f"runs-on: ubuntu-latest in {where}", str(job.get("runs-on")))
    minutes = str(job.get("timeout-minutes", "none"))
    if not MINUTES.fullmatch(minutes) or not 0 < int(minutes) <= MINUTES_AT_MOST:
        fail(f"timeout-minutes of 1 to {MINUTES_AT_MOST} in {where}", minutes[:80])


def expect_pinned(path: str, content: Mapping[str, Any]) -> None:
    """Expect that a file uses what is in the repository, and actions/checkout by its commit."""
    for used in uses(content):
        if not used.startswith("./") and not CHECKOUT.fullmatch(used):
            fail("actions/checkout@<40 hexadecimal digits>, and no other action of others",
                 f"uses: {used[:200]} in {path}")  # fmt: skip


def uses(content: object) -> Iterator[str]:
    """Yield what jobs and steps of a file use."""
    jobs = mapping(mapping(content).get("jobs")).values()
    for holder in [mapping(job) for job in jobs] + [mapping(mapping(content).get("runs"))]:
        steps = holder.get("steps")
        for part in [holder, *(steps if isinstance(steps, list) else [])]:
            used = mapping(part).get("uses")
            if isinstance(used, str):
                yield used


def mentions(files: Mapping[str, bytes]) -> set[str]:
    """Return the words by which a job reaches tools/deploy.sh, files of the answer among them."""
    words = {SCRIPT}
    for _ in range(FILES_ON_THE_WAY):
        for path, data in files.items():
            if not path.startswith("tools/") and any(word.encode() in data for word in words):
                is_action = PurePosixPath(path).name in ("action.yml", "action.yaml")
                words.add(str(PurePosixPath(path).parent) if is_action else path)
    return words


def expect_one_at_a_time(workflow: Workflow, words: set[str], others: Sequence[Workflow]) -> None:
    """Expect that every job that deploys has to wait for the one before, and is never cut off."""
    for name, job in workflow.jobs.items():
        if not any(word in text for text in all_texts(job) for word in words):
            continue
        own = job.get("concurrency") or workflow.content.get("concurrency")
        called = [w for w in others if job.get("uses") == f"./{w.path}"]
        if called and not own:
            expect_one_at_a_time(called[0], words, [w for w in others if w is not called[0]])
        else:
            expect_queue(own, f"job {name} of {workflow.path}")


def expect_queue(concurrency: object, where: str) -> None:
    """Expect one queue for all pushes, which cancels nothing that has begun."""
    settings = concurrency if isinstance(concurrency, dict) else {"group": concurrency}
    group = settings.get("group")
    if not isinstance(group, str) or not group or OF_ONE_RUN.search(group):
        fail(f"one concurrency group for all deployments by {where}", str(group or "none")[:200])
    cancels = str(settings.get("cancel-in-progress", "false"))
    if re.sub(r"\s|^\$\{\{|\}\}$", "", cancels).lower() not in CANCELS_NO_PUSH:
        seen = f"cancel-in-progress: {cancels[:150]}"
        fail(f"a deployment by {where} that is never cancelled", seen)
