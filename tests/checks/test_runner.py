"""The runner instrument runs an answer's workflows by act, for events that a check makes."""

import pytest

from coursework.checks.failure import CHECK_AGAIN, Failure
from coursework.checks.home import Home
from coursework.checks.run import CheckRun, Task
from coursework.checks.runner import RUNNER_IMAGE, Runner
from coursework.checks.sandbox import Sandbox
from coursework.checks.services import Services
from coursework.containers.building import Limits
from coursework.containers.runs import open_run
from coursework.modules.catalogue import Module
from coursework.sandbox import open_fleet
from coursework.submissions.files import Submission

pytestmark = pytest.mark.engine

MODULE = Module(
    "95-runner", "T", "P", ("o",), (), 5, ("busybox:1.37",),
    check_images=(RUNNER_IMAGE,), sandbox=True,
)  # fmt: skip
CHECKOUT = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8"
CI = f"""
on: [pull_request, workflow_call]
jobs:
  test:
    runs-on: ubuntu-latest
    steps:
      - run: ls
      - uses: {CHECKOUT}
      - env:
          TITLE: ${{{{ github.event.pull_request.title }}}}
        run: |
          echo "title=$TITLE branch=$GITHUB_HEAD_REF token=${{{{ secrets.TOKEN }}}}"
          cat colour.txt
          sh tools/test.sh
"""
RELEASE = f"""
on:
  push: {{branches: [main], tags: ["v*"]}}
jobs:
  test:
    uses: ./.github/workflows/ci.yml
  build:
    needs: test
    runs-on: ubuntu-latest
    outputs:
      name: ${{{{ steps.name.outputs.name }}}}
    steps:
      - uses: {CHECKOUT}
      - id: name
        run: |
          docker build --quiet --tag "paint:${{GITHUB_SHA:0:12}}" .
          echo "name=paint:${{GITHUB_SHA:0:12}}" >> "$GITHUB_OUTPUT"
  deploy:
    needs: build
    runs-on: ubuntu-latest
    steps:
      - run: |
          echo "ref=$GITHUB_REF name=$GITHUB_REF_NAME token=$TOKEN"
          docker run --detach --name shown --network paint "${{{{ needs.build.outputs.name }}}}" \\
            sh -c 'mkdir w && cp colour.txt w/ && httpd -f -p 80 -h w'
          sleep 0.5
          curl --silent http://shown/colour.txt
          docker rm --force shown > /dev/null
        env:
          TOKEN: ${{{{ secrets.TOKEN }}}}
"""
FILES = {
    "Dockerfile": b"FROM busybox:1.37\nCOPY colour.txt /\n",
    "colour.txt": b"green\n",
    "tools/test.sh": b"grep -q green colour.txt\n",
    ".github/workflows/ci.yml": CI.encode(),
    ".github/workflows/release.yaml": RELEASE.encode(),
}


@pytest.fixture(scope="module")
def run(engine, tmp_path_factory):
    """Return a run in a sandbox of its own."""
    nobody = lambda _: None  # noqa: E731 - nobody listens
    with open_fleet(engine, MODULE, (), nobody, ahead=1, wanted=1) as fleet:
        _, inner = fleet.take()
        task = Task(
            MODULE, Submission(FILES, MODULE.slug),
            Home("course check", tmp_path_factory.mktemp("folder")), 7,
            Limits(), nobody, nobody,
        )  # fmt: skip
        with open_run(MODULE.slug) as owner:
            made = CheckRun(task, Services(inner, owner))
            yield made
            made.close()


@pytest.fixture(scope="module")
def runner(run):
    """Return the instrument, with its network."""
    made = Runner(run)
    made.join("paint")
    return made


@pytest.fixture(scope="module")
def commits(runner):
    """Return a good commit, and one whose test fails."""
    return runner.commit({"good": {}, "red": {"colour.txt": "red\n"}})


def test_a_push_runs_what_it_starts(run, runner, commits):
    """Jobs wait for one another, build in the sandbox's engine and find containers by name."""
    good = commits["good"]
    ran = runner.push(good, secrets={"TOKEN": "sesame-sesame"})
    assert ran.is_green, ran.log
    assert ran.workflows == (".github/workflows/release.yaml",)
    assert "| ref=refs/heads/main name=main token=***" in ran.log
    assert "| green" in ran.log
    assert runner.image(f"paint:{good.sha[:12]}") is not None
    assert Sandbox(run).docker("ps", "--all", "--quiet") == ""


def test_a_red_job_stops_the_next(run, runner, commits):
    """The run is red, nothing was built, and a report shows its log."""
    ran = runner.push(commits["red"])
    assert not ran.is_green
    assert runner.image(f"paint:{commits['red'].sha[:12]}") is None
    assert run.evidence.command(None) == CHECK_AGAIN
    assert "Job failed" in run.evidence.log(None)


def test_a_tag_is_a_ref_of_its_own(runner, commits):
    """A tag is known by its name; one that no filter lets through starts nothing."""
    ran = runner.push(commits["good"], "refs/tags/v1.2")
    assert "| ref=refs/tags/v1.2 name=v1.2 token=" in ran.log
    nothing = runner.push(commits["good"], "refs/tags/nightly")
    assert (nothing.workflows, nothing.is_green, nothing.log) == ((), True, "")
    assert runner.push(commits["good"], "refs/heads/other").workflows == ()


def test_a_pull_request_has_a_title_and_maybe_no_secret(runner, commits):
    """A stranger's has none; the title is passed on as it is."""
    title, branch = "it's $(id) `id`", "fix/$(id)"
    ran = runner.pull_request(commits["good"], title=title, branch=branch)
    assert ran.workflows == (".github/workflows/ci.yml",)
    assert f"| title={title} branch={branch} token=\n" in ran.log.replace("\r", "")
    assert not runner.pull_request(commits["red"], title=title).is_green


def test_a_workflow_must_end(runner, commits, monkeypatch):
    """One that hangs is ended, with its machine."""
    monkeypatch.setattr(runner, "workflows", [*runner.workflows])
    with pytest.raises(Failure, match=r"within 0\.5 s, saw they still run"):
        runner.push(commits["good"], within_s=0.5)
