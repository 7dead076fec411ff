"""Builds with secrets and arguments, and what each of their steps did."""

import secrets
import time

import pytest

from coursework.checks.builder import Builder
from coursework.checks.failure import StartFailure
from coursework.images import ensure_images

pytestmark = pytest.mark.engine

DOCKERFILE = """FROM busybox:1.37
COPY lock .
RUN cat lock > installed
COPY source .
ARG REVISION
RUN --mount=type=secret,id=token,target=/token \\
    if test -e /token; then sha256sum < /token > proof; fi; echo built $REVISION
LABEL revision=$REVISION
CMD cat proof
"""


def answer(dockerfile=DOCKERFILE):
    unique = secrets.token_hex(8)
    return {"Dockerfile": dockerfile, "lock": f"lock {unique}\n", "source": f"source {unique}\n"}


def test_a_secret_is_there_during_the_build_and_not_in_the_image(run_of):
    """A step reads the secret; the image carries only what the step made of it."""
    builder = Builder(run_of(answer()))
    token = secrets.token_hex(16)
    image = builder.build(secrets={"token": token}, args={"REVISION": "4f2a"})
    assert "-" in image.run().stdout
    saved = image.take_apart(token, "4f2a")
    assert saved.findings[token] == ()
    assert saved.config["Labels"]["revision"] == "4f2a"
    assert saved.findings["4f2a"] != ()


def test_steps_tell_what_came_from_the_cache(run_of):
    """A changed file runs its step and those behind it again, and no step before it."""
    builder = Builder(run_of(answer()))
    first = builder.build(args={"REVISION": secrets.token_hex(4)})
    again = builder.build(files={"source": "changed\n"}, args={"REVISION": "b"})
    assert [s.instruction.split()[0] for s in again.steps] == ["FROM", "COPY", "RUN", "COPY", "RUN"]
    run_first, run_again = first.steps[2], again.steps[2]
    assert (run_first.cached, run_again.cached) == (False, True)
    assert not again.steps[-1].cached
    assert "built b" in again.steps[-1].output


def test_a_fresh_build_has_the_secret_that_it_was_given(run_of):
    """The cache does not look at a secret's value: only a fresh build runs its step again."""
    builder = Builder(run_of(answer()))
    first = builder.build(secrets={"token": "one"})
    cached = builder.build(secrets={"token": "two"})
    fresh = builder.build(secrets={"token": "two"}, fresh=True)
    assert [image.steps[-1].cached for image in (first, cached, fresh)] == [False, True, False]
    assert cached.run().stdout == first.run().stdout != fresh.run().stdout


def test_a_build_is_stopped_when_enough_was_seen(run_of):
    """Whoever wants to know one step does not wait for the others."""
    slow = "FROM busybox:1.37\nCOPY lock .\nRUN cat lock\nRUN sleep 300\n"
    builder = Builder(run_of(answer(slow)))
    start = time.monotonic()
    steps = builder.steps(lambda seen: any(s.output for s in seen))
    assert time.monotonic() - start < 60
    assert [s.instruction for s in steps if s.output] == ["RUN cat lock"]
    assert not any(s.ended for s in steps if "sleep" in s.instruction)


def test_a_failed_build_is_told_with_the_command_to_retype(run_of, tmp_path):
    """It names the step's error, its log, and a build command with secrets and arguments."""
    builder = Builder(run_of(answer("FROM busybox:1.37\nRUN echo about to fail && exit 3\n")))
    with pytest.raises(StartFailure, match="exit code: 3") as failure:
        builder.build(secrets={"token": "it's"}, args={"REVISION": "4f2a"})
    assert failure.value.command == (
        "token='it'\"'\"'s' docker build --secret=id=token,env=token"
        f" --build-arg=REVISION=4f2a {tmp_path}"
    )
    assert "about to fail" in failure.value.__notes__[0]


def test_a_folder_is_an_image_of_its_own(run_of, tmp_path):
    """It sees its own files alone; what does not build is told with the folder's name."""
    says = "FROM busybox:1.37\nCOPY . /here\nCMD cat /here/said; ls /here\n"
    files = {"a/Dockerfile": says, "a/said": "ada\n", "ab/Dockerfile": says, "b/said": "ben\n"}
    builder = Builder(run_of(files))
    assert builder.build(folder="a").run().stdout == "ada\nDockerfile\nsaid\n"
    with pytest.raises(StartFailure, match="an image of b/ that builds") as failure:
        builder.build(folder="b")
    assert failure.value.command == f"docker build {tmp_path}/b"


def test_hadolint_reads_the_dockerfile(engine, run_of):
    """Each finding has its line, its code and its level."""
    ensure_images(engine, ["course/hadolint:1"])
    builder = Builder(run_of({"Dockerfile": "FROM node\nADD source /\nRUN cd /tmp\n"}))
    found = {lint.code: lint for lint in builder.lint()}
    assert (found["DL3006"].line, found["DL3006"].level) == (1, "warning")
    assert (found["DL3020"].line, found["DL3020"].level) == (2, "error")
    assert "COPY" in found["DL3020"].message


def test_a_dockerfile_that_is_none_is_an_error_of_hadolint(engine, run_of):
    """Text that cannot be parsed is a finding at its line, not our trouble."""
    ensure_images(engine, ["course/hadolint:1"])
    builder = Builder(run_of({"Dockerfile": "FROM busybox:1.37\nCOPPY\n"}))
    assert [(lint.line, lint.level) for lint in builder.lint()] == [(2, "error")]
