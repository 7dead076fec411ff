"""The terraform instrument plans and applies an answer's configuration in an engine of its own."""

import json
import time

import pytest

from coursework.checks.failure import Failure
from coursework.checks.finished import Finished
from coursework.checks.home import Home
from coursework.checks.run import CheckRun, Task
from coursework.checks.sandbox import Sandbox
from coursework.checks.services import Services
from coursework.checks.terraform import Bench, Terraform, failed
from coursework.containers.building import Limits
from coursework.containers.runs import open_run
from coursework.modules.catalogue import Module
from coursework.sandbox import open_fleet
from coursework.sandbox.inside import answer_folder
from coursework.submissions.files import Submission

IMAGES = ("busybox:1.37", "course/terraform:1")
MODULE = Module("97-terraform", "T", "P", ("o",), (), 5, IMAGES, sandbox=True)
MAIN = """
terraform {
  required_providers {
    dockerlite = { source = "lantern.local/course/dockerlite" }
  }
}

variable "names" {
  type    = set(string)
  default = []
}

variable "key" {
  sensitive = true
  default   = "none"
}

module "hall" {
  source = "./hall"
}

resource "dockerlite_container" "screen" {
  for_each = var.names
  name     = "screen-${each.key}"
  image    = "busybox:1.37"
  command  = ["sh", "-c", "echo ${each.key} > index.html && exec httpd -f -p 80"]
  port     = 80
  env      = { KEY = var.key }
}

output "urls" {
  value = { for name, screen in dockerlite_container.screen : name => screen.address }
}
"""
HALL = 'variable "free" {\n  default = 60\n}\n'
LOCAL = 'resource "terraform_data" "a" {\n  provisioner "local-exec" {\n    command = "%s"\n  }\n}'
VARIABLES = "names.auto.tfvars.json"
ERROR = """
╷
│ Error: The network hall was not created
│
│   with dockerlite_network.hall,
│   on main.tf line 7, in resource "dockerlite_network" "hall":
│    7: resource "dockerlite_network" "hall" {
│
│ there is one already
╵
"""


@pytest.fixture(scope="module")
def run(engine, tmp_path_factory):
    """Return a run in a sandbox of its own."""
    nobody = lambda _: None  # noqa: E731 - nobody listens
    files = {"main.tf": MAIN.encode(), "hall/main.tf": HALL.encode(), ".gitignore": b"*.tfstate\n"}
    with open_fleet(engine, MODULE, (), nobody, ahead=1, wanted=1) as fleet:
        _, inner = fleet.take()
        task = Task(
            MODULE, Submission(files, MODULE.slug),
            Home("course check", tmp_path_factory.mktemp("folder")), 7,
            Limits(), nobody, nobody,
        )  # fmt: skip
        with open_run(MODULE.slug) as owner:
            yield CheckRun(task, Services(inner, owner))


@pytest.fixture(scope="module")
def sandbox(run):
    """Return the engine by its own word."""
    return Sandbox(run)


@pytest.fixture(scope="module")
def initialized(run):
    """Return the answer's folder with its provider installed."""
    folder = answer_folder(MODULE.slug)
    made = Terraform(Bench(run, has_engine=True), folder, run.task.submission.files)
    made.obey("init")
    return made


@pytest.fixture
def terraform(initialized):
    """Return the answer's folder, ready to plan; what a test makes goes with it."""
    yield initialized
    initialized.obey("destroy", "-auto-approve")


@pytest.mark.engine
def test_a_plan_is_applied_exactly_and_the_containers_are_real(terraform, sandbox):
    """What a plan creates, changes and removes is told by address, name and actions."""
    terraform.write(VARIABLES, json.dumps({"names": ["attic", "stage"], "key": "open-sesame"}))
    plan = terraform.plan()
    assert [(c.name, c.actions, c.removes) for c in plan.changes] == [
        ("screen-attic", ("create",), False),
        ("screen-stage", ("create",), False),
    ]
    assert plan.module_calls["hall"]["source"] == "./hall"
    assert plan.changes_something
    terraform.write(VARIABLES, json.dumps({"names": []}))
    terraform.apply_plan()
    port = int(terraform.outputs()["urls"]["stage"].rpartition(":")[2])
    sandbox.server(port).get("/").expect(200, body="stage\n")
    assert "2 to add" in terraform.said
    assert "open-sesame" not in terraform.said
    (removed, _) = terraform.plan().changes
    assert (removed.address, removed.removes) == ('dockerlite_container.screen["attic"]', True)


@pytest.mark.engine
def test_another_folder_has_a_state_of_its_own_until_it_takes_one(terraform, sandbox):
    """What a state doesn't know is created, and clashes with what is there."""
    terraform.write(VARIABLES, json.dumps({"names": ["cellar"]}))
    terraform.apply()
    other = terraform.beside("other", {"main.tf": MAIN, "hall/main.tf": HALL})
    other.write(VARIABLES, json.dumps({"names": ["cellar"]}))
    other.obey("init")
    with pytest.raises(Failure, match="container screen-cellar was not created") as caught:
        other.apply()
    assert caught.value.command == "sh terraform.sh apply -auto-approve"
    other.take_state_of(terraform)
    sandbox.docker("kill", "screen-cellar")
    assert [change.actions for change in other.plan().changes] == [("update",)]
    other.forget()
    assert [change.actions for change in other.plan().changes] == [("create",)]


@pytest.mark.engine
def test_without_an_engine_nothing_is_made(terraform):
    """Plans that need no engine work there, and nothing reaches one."""
    alone = terraform.beside("alone", {"main.tf": MAIN, "hall/main.tf": HALL}, has_engine=False)
    alone.write(VARIABLES, json.dumps({"names": ["roof"]}))
    alone.obey("init")
    assert [change.name for change in alone.plan().changes] == ["screen-roof"]
    with pytest.raises(Failure, match="does not answer"):
        alone.apply()


@pytest.mark.engine
def test_a_lock_of_another_machine_is_left_out(terraform):
    """Its hash is that of another build of the provider, which `init` would refuse."""
    lock = f'provider "lantern.local/course/dockerlite" {{\n  hashes = ["h1:{"A" * 43}="]\n}}\n'
    files = {"main.tf": MAIN, "hall/main.tf": HALL, ".terraform.lock.hcl": lock}
    assert terraform.beside("locked", files).obey("init").exit_code == 0


@pytest.mark.engine
def test_what_hangs_is_ended_and_reads_nothing_of_ours(terraform):
    """A configuration runs programs and reads files: only those of its own container."""
    hanging = terraform.beside("hanging", {"main.tf": LOCAL % "sleep 60"})
    start = time.monotonic()
    with pytest.raises(Failure, match="it still runs"):
        hanging.obey("apply", "-auto-approve", within_s=3)
    assert time.monotonic() - start < 30
    looking = "id -u; ls /; touch /usr/x || echo refused; cat /proc/net/dev | tail -n +3 | wc -l"
    curious = terraform.beside("curious", {"main.tf": LOCAL % looking})
    curious.apply()
    assert "(local-exec): refused" in curious.said
    assert "(local-exec): 1" in curious.said
    assert "template" not in curious.said


@pytest.mark.engine
def test_git_tells_what_a_gitignore_leaves_out(terraform):
    """Files need not exist."""
    paths = ("terraform.tfstate", "hall/a.tfstate", "main.tf")
    assert terraform.ignored(*paths) == {"terraform.tfstate", "hall/a.tfstate"}


def test_a_failure_tells_the_first_error_in_a_line():
    """Frame, source and place are left to the log."""
    failure = failed(("apply",), Finished(1, b"", ERROR))
    assert failure.saw == "exit code 1: The network hall was not created. there is one already"
    assert failure.command == "sh terraform.sh apply"
    assert failure.__notes__ == [ERROR]
