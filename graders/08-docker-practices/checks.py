import base64
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Builder,
    Image,
    Meanwhile,
    Random,
    SavedImage,
    Server,
    Step,
    Story,
    Submission,
    advising,
    eventually,
    fail,
    points,
)

LOCK = "package-lock.json"
SECRET = "registry_token"  # noqa: S105 - its name
# Packages that only compile, wherever they are; none of them runs in production.
COMPILER = re.compile(
    r"(^|/)(node_modules/(typescript|esbuild|@esbuild)/|(typescript|esbuild)/package\.json$)"
)
# Within one command: `npm run build && sed -i …` installs nothing.
INSTALLS = re.compile(
    r"\b(npm|pnpm|yarn)\b[^&|;\n]*(?<![-\w/.])(ci|install|i|add|clean-install|ic)\b"
)
GLOBAL = re.compile(r"(^|\s)(-g|--global)\b")
FLOATING = {"DL3006": "no version", "DL3007": "the version latest"}
UNREAD = "DL1000"
UNSIGNED = (
    "proof is null, so there was no /run/secrets/registry_token: the step that runs npm run build"
    " has to mount the secret."
)
STARTS_LATE = "Leave --start-period out: since Docker 25, it delays the first probe by 5 s."
SECOND_NS = 1_000_000_000
# As BuildKit writes the image of a stage, with the version that it takes where none is named.
BASE = re.compile(r"FROM (\S+)|COPY .*--from=(\S*[:/]\S*)")
HEALTHY_WITHIN_S = 3.0
UNHEALTHY_WITHIN_S = 10.0
# Our server imports it, so a bundle that takes the laptop's packages has its text.
LAPTOP = "node_modules/express/index.js"
# An engine that is short of disk forgets a step once, and a busy machine misses a probe's second:
# what lies in the answer happens each time.
ATTEMPTS = 3


@dataclass(frozen=True)
class Salt:
    """What is new in each run.

    Args:
        token: the secret of the build.
        revision: the build argument.
        canaries: a word by the file of the folder that holds it.
    """

    token: str
    revision: str
    canaries: dict[str, str]

    def files(self, release: str) -> dict[str, str]:
        """Return the files that the folder holds beside the given ones, and the release."""
        salted = {path: f"# {word}\n" for path, word in self.canaries.items()}
        salted[LAPTOP] = works_with(self.canaries[LAPTOP])
        return {**salted, "src/release.ts": source_of(release)}


def source_of(release: str) -> str:
    """Return src/release.ts of a release."""
    return f"export const release = '{release}';\n"


def works_with(word: str) -> str:
    """Return an express/index.js that does what the package's own does, and holds a word."""
    return f"module.exports = require('./lib/express');\nmodule.exports.laptop = '{word}';\n"


@pytest.fixture(scope="session")
def salt(random: Random) -> Salt:
    """Return words that nobody can know beforehand, and the files that hold them."""
    paths = (".env", ".git/config", "tests/server.test.js", LAPTOP)
    words = {path: f"canary-{random.hex(24)}" for path in paths}
    return Salt(f"token-{random.hex(32)}", random.hex(40), words)


@pytest.fixture(scope="session")
def release(random: Random) -> str:
    """Return the name of the release that is built."""
    return f"release-{random.hex(12)}"


@pytest.fixture(scope="session")
def image(builder: Builder, salt: Salt, release: str) -> Image:
    """Return the image, built as the contract says, with this run's secret in each step."""
    made = builder.build(files=salt.files(release), **options(salt))
    # The cache doesn't look at a secret's value: such a step may have used an earlier run's token.
    if any(step.cached and "type=secret" in step.instruction for step in made.steps):
        made = builder.build(files=salt.files(release), fresh=True, **options(salt))
    return made


class Options(TypedDict):
    """The secrets and the arguments of a build, by name."""

    secrets: dict[str, str]
    args: dict[str, str]


def options(salt: Salt) -> Options:
    """Return the secret and the argument of the contract."""
    return {"secrets": {SECRET: salt.token}, "args": {"REVISION": salt.revision}}


@pytest.fixture(scope="session")
def saved(image: Image, salt: Salt) -> SavedImage:
    """Return the image taken apart, once."""
    return image.take_apart(*disguises(salt.token), *salt.canaries.values())


def disguises(token: str) -> dict[str, str]:
    """Return the token as it is, in hex in either case, and in base64, wherever it begins.

    The values say how a report names each form.
    """
    encoded = [base64.b64encode(b"-" * n + token.encode()).decode() for n in range(3)]
    # The first and the last four characters depend on what is around the token.
    in_base64 = {text[4:-4]: "in base64 " for text in encoded}
    in_hex = token.encode().hex()
    return {token: "", in_hex: "in hex ", in_hex.upper(): "in hex ", **in_base64}


@pytest.fixture(scope="module")
def server(image: Image) -> Server:
    """Return a server with everything it may need."""
    return image.start()


@pytest.fixture(scope="session")
def port(random: Random) -> int:
    """Return a port that nobody can know beforehand."""
    return random.port()


@pytest.fixture(scope="module")
def hung(image: Image, server: Server, port: int, meanwhile: Meanwhile) -> Story[None]:
    """A server that becomes healthy on its own port, and is called unhealthy once it hangs."""

    def story() -> None:
        # Nobody has set PORT there.
        becomes_healthy(server)
        for _ in range(ATTEMPTS):
            frozen = image.start(env={"PORT": str(port)}, port=port)
            becomes_healthy(frozen)
            frozen.freeze()
            frozen.wait_for_health("unhealthy", within_s=UNHEALTHY_WITHIN_S)
            # Where a server that answers is called unhealthy too, the machine was too busy to tell.
            if server.health() != "unhealthy":
                return

    return meanwhile(story)


def becomes_healthy(server: Server) -> None:
    """Wait for the first probe that succeeds; a busy machine may miss a probe's second."""
    eventually(
        lambda: server.wait_for_health("healthy", within_s=HEALTHY_WITHIN_S), attempts=ATTEMPTS
    )


@pytest.fixture(scope="module")
def confined(image: Image) -> Server:
    """Return a server that can write only to /tmp and has no capabilities."""
    # Its probes would only take time from those that a check looks at.
    return image.start(confined=True, healthcheck=False)


@points(
    2,
    hints=(
        (
            "Which files does each COPY take from the folder? A file deleted in a later step is"
            " still in the earlier layer."
        ),
        (
            "Build in one stage, start a last stage from the base image, and COPY --from=… only"
            " what the server needs into it; list everything private in .dockerignore."
        ),
    ),
    link="What ships and what stays behind",
)
def check_leaks_nothing(server: Server, saved: SavedImage, salt: Salt, release: str) -> None:
    """The server answers, and no layer has .env, .git, tests, a laptop's packages or a compiler"""
    # An image that holds nothing leaks nothing.
    server.get("/api/build").expect(200, json={"release": release})
    for path, word in salt.canaries.items():
        if found := saved.findings[word]:
            # No single command of docker lists what a layer holds, least of all a deleted file.
            fail(
                f"nothing of the build context's {path} in the image", f"its text is in {found[0]}",
                command=CHECK_AGAIN,
            )  # fmt: skip
    for layer in saved.layers:
        for path in layer.paths:
            if match := COMPILER.search(path):
                saw = f"{path[: match.end()]}, of the step {layer.made_by[:80]}"
                fail("no compiler in the image", saw, command=CHECK_AGAIN)


@points(
    2,
    hints=(
        ("A secret is safe only while it never becomes part of a layer, an argument or a log."),
        (
            "RUN --mount=type=secret,id=registry_token npm run build: the file exists "
            "during this step only. Don't copy it or print it."
        ),
    ),
    link="A secret that leaves no trace",
)
def check_keeps_the_secret(
    image: Image, server: Server, saved: SavedImage, salt: Salt, release: str
) -> None:
    """The release is signed with the secret, and neither image nor log contains the secret"""
    source = source_of(release).encode()
    proof = hmac.new(salt.token.encode(), source, hashlib.sha256).hexdigest()
    reply = server.get("/api/build").expect(200)
    with advising(UNSIGNED if reply.json() == {"release": release, "proof": None} else ""):
        reply.expect(json={"release": release, "proof": proof})
    for text, how in disguises(salt.token).items():
        if found := saved.findings[text]:
            saw = f"it is {how}in {found[0]}"
            fail("the token nowhere in the image", saw, command=CHECK_AGAIN)
        for step in image.steps:
            if any(text in line for line in step.output):
                saw = f"it is printed {how}by {told(step)}"
                # Built again, the step would come from the cache and print nothing.
                fail("a build that doesn't print the token", saw, command=CHECK_AGAIN)


def looking_at(image: Image, setting: str) -> str:
    """Return the command that shows one of the image's settings."""
    return f"docker image inspect --format '{{{{json .Config.{setting}}}}}' {image.image_id}"


@points(
    2,
    hints=(
        "Which user runs the program, and which folders does the program write to?",
        (
            "USER 1000 (a number), and ENV CACHE_DIR=/tmp/lantern, which makes the program"
            " write below /tmp."
        ),
    ),
    link="Without root, and with little else",
)
def check_drops_privileges(image: Image, confined: Server, saved: SavedImage) -> None:
    """The image names a user who isn't root, and works when only /tmp is writable"""
    user = str(saved.config.get("User", ""))
    number = user.partition(":")[0]
    wanted = "USER with a number that isn't 0"
    if not user:
        command = f"docker run --rm --entrypoint id {image.image_id}"
        fail(wanted, "no USER, so root (uid 0)", command=command)
    if not number.isdecimal() or int(number) == 0:
        fail(wanted, f"USER {user}", command=looking_at(image, "User"))
    confined.get("/api/health").expect(200)
    confined.get("/api/seats").expect(200, body="".join(f"{row} {'.' * 10}\n" for row in "ABCDEF"))


@points(
    2,
    hints=(
        (
            "A step runs again when anything copied before it has changed. What have you copied"
            " before npm ci?"
        ),
        (
            "COPY package.json package-lock.json ./ first, RUN npm ci next, and COPY the "
            "sources after that."
        ),
    ),
    link="Order for the cache",
)
def check_caches_dependencies(
    image: Image, builder: Builder, salt: Salt, submission: Submission, random: Random
) -> None:
    """A changed lock file installs packages again, a changed source file doesn't"""
    count = len(installs(image.steps))
    if not count:
        fail("a step that installs packages with npm ci", "no step does")

    def taken_from_the_cache() -> dict[str, str]:
        another = salt.files(f"release-{random.hex(12)}")
        steps = watch(builder, salt, another, lambda seen: len(decided(seen)) >= count)
        if again := run_again(steps):
            wanted = "the packages from the cache when only src/ changed"
            fail(wanted, f"run again: {told(again[0])}")
        return another

    another = eventually(taken_from_the_cache, attempts=ATTEMPTS)
    changed = {LOCK: with_new_version(submission.files[LOCK].decode())}
    steps = watch(
        builder, salt, {**another, **changed},
        lambda seen: len(decided(seen)) >= count,
    )  # fmt: skip
    if kept := [step for step in decided(steps) if step.cached and not GLOBAL.search(told(step))]:
        fail(
            "a new installation when package-lock.json changed", f"from the cache: {told(kept[0])}"
        )


def watch(
    builder: Builder, salt: Salt, files: dict[str, str], until: Callable[[list[Step]], bool]
) -> list[Step]:
    """Build as far as needed to see what comes from the cache."""
    return builder.steps(until, files=files, **options(salt))


def with_new_version(lock: str) -> str:
    """Return another version to our own package: what npm installs is the same, the file is not."""
    # No value of the run's seed: a lock file that was built before would come from the cache.
    return lock.replace('"version": "1.0.0"', f'"version": "1.0.{time.time_ns()}"', 1)


def installs(steps: Sequence[Step]) -> list[Step]:
    """Return the steps that install packages."""
    return [step for step in steps if INSTALLS.search(step.instruction)]


def decided(steps: Sequence[Step]) -> list[Step]:
    """Return the installing steps that are known to be cached or not."""
    return [step for step in installs(steps) if step.is_decided]


def run_again(steps: Sequence[Step]) -> list[Step]:
    """Return the installing steps that don't come from the cache."""
    return [step for step in decided(steps) if not step.cached]


def told(step: Step) -> str:
    """Return a step's instruction, shortened to one line."""
    return step.instruction[:80]


@points(
    1,
    hints=(
        "A server that hangs still accepts connections, and its process still exists.",
        (
            "HEALTHCHECK --interval=1s --timeout=1s with a command that asks GET /api/health on"
            " $PORT (3000 by default) and waits for the answer. The image has no curl, but node"
            " -e has fetch."
        ),
    ),
    link="Alive is not well",
)
def check_reports_health(image: Image, hung: Story[None], saved: SavedImage) -> None:
    """Docker calls a server healthy within 3 s, and unhealthy once it hangs"""
    probe = saved.config.get("Healthcheck") or {}
    command = looking_at(image, "Healthcheck")
    if not probe.get("Test") or probe["Test"] == ["NONE"]:
        fail("a HEALTHCHECK in the image", "there is none", command=command)
    for name in ("Interval", "Timeout"):
        if (value := probe.get(name)) != SECOND_NS:
            option = f"--{name.lower()}"
            saw = f"{option}={value / SECOND_NS:g}s" if value else f"no {option}, so 30 s"
            fail(f"HEALTHCHECK {option}=1s", saw, command=command)
    with advising(STARTS_LATE if probe.get("StartPeriod") else ""):
        hung.result()


@points(
    1,
    hints=(
        (
            "Look at the labels with docker inspect, at the version in each FROM, and at what"
            " hadolint says."
        ),
        (
            "In the last stage, ARG REVISION, then LABEL"
            " org.opencontainers.image.revision=$REVISION, and a second label with the source's"
            " address; a version in each FROM."
        ),
    ),
    link="An image that says what it is",
)
def check_says_what_it_is(
    image: Image, saved: SavedImage, builder: Builder, salt: Salt, submission: Submission
) -> None:
    """Labels name revision and source, base images have a version, hadolint finds no error"""
    labels = saved.config.get("Labels") or {}
    prefix, command = "org.opencontainers.image", looking_at(image, "Labels")
    if (seen := labels.get(f"{prefix}.revision")) != salt.revision:
        fail(f"{prefix}.revision={salt.revision}", named(seen), command=command)
    if not re.fullmatch(r"https?://[^\s/]+\S*", (seen := labels.get(f"{prefix}.source")) or ""):
        fail(f"an http or https address in {prefix}.source", named(seen), command=command)
    dockerfile = submission.files["Dockerfile"].decode(errors="replace")
    for step in image.steps:
        if match := BASE.match(step.instruction):
            name, _, digest = (match[1] or match[2]).partition("@")
            # BuildKit adds digests when it asks a registry; only one in the Dockerfile counts.
            pinned = digest and digest.partition(":")[2] in dockerfile
            if not pinned and name.endswith(":latest"):
                fail("a base image with an explicit version", name)
    for found in builder.lint():
        if found.code in FLOATING:
            fail(
                "a base image with an explicit version",
                f"line {found.line}: {FLOATING[found.code]}",
            )
        # Docker has built it: what hadolint alone can't read is hadolint's trouble.
        if found.level == "error" and found.code != UNREAD:
            fail("no error from hadolint", f"line {found.line}: {found.code} {found.message}")


def named(value: str | None) -> str:
    """Return a label's value as a report shows it."""
    return "no such label" if value is None else f"{value!r}"
