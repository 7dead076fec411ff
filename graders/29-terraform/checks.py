import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest

from coursework.checks import (
    Change,
    Client,
    Failure,
    Meanwhile,
    Plan,
    Random,
    Reply,
    Sandbox,
    Story,
    Submission,
    Terraform,
    at_once,
    eventually,
    fail,
    points,
)

STAGES = ("dev", "prod")
TODAY = "today/main.tf"
# Read last, after whatever the answer sets itself.
VARIABLES = "zz_check.auto.tfvars.json"
IMAGE = "lantern/box-office:1"
NEW_IMAGE = "lantern/box-office:next"
PROD_NAMES = ["a", "b"]
DATA = "/var/lib/postgresql/data"
BOOKINGS = "/api/shows/7/bookings"
SERVES_WITHIN_S = 20.0
URL = re.compile(r"http://(?:127\.0\.0\.1|localhost):([0-9]+)/?")
LIST = "docker ps --all --filter name=lantern-"
PLAN, APPLY = "sh terraform.sh plan", "sh terraform.sh apply"
# What the test file sees in place of the answer's own output.
NO_URLS = 'output "urls" {\n  value = { dev = {}, prod = {} }\n}\n'
# Terraform runs in both.
FOLDERS = ("", "today/")
DECLARED = "grep -n -A4 'variable \"db_password\"' *.tf"
PUBLIC = (".gitignore", ".terraform.lock.hcl")
# A test may have many runs, and other checks go on meanwhile.
TESTED_WITHIN_S = 240.0
REFUSED = (
    "Terraform refuses the configuration itself, and its message says where. Each module needs its"
    " own required_providers, and an import block finds nothing where nothing exists yet."
)
REPLACED = (
    "It has moved, but an attribute isn't as in today/main.tf. Look for 'forces replacement' in"
    " the plan."
)
UNORDERED = (
    "Terraform removes a container before its volume only if the container's volumes refer to the"
    " volume's resource: dockerlite_volume.….name, not a name that's typed again."
)


@dataclass(frozen=True)
class Containers:
    """The theatre's containers at one moment, by name.

    Args:
        facts: what `docker inspect` tells of each.
    """

    facts: Mapping[str, dict[str, Any]]

    @property
    def lives(self) -> dict[str, tuple[str, str]]:
        """Number and last start of each: both change when it is replaced or restarted."""
        return {n: (told["Id"], told["State"]["StartedAt"]) for n, told in self.facts.items()}


@dataclass(frozen=True)
class Theatre:
    """Both stages, as the answer's configuration has made them.

    Args:
        terraform: the answer's folder, with its state.
        sandbox: the engine.
        before: production's containers, made from today's file.
        moving: the first plan with today's state.
        started: all containers after the first apply.
        seats: the one that is sold in each stage.
        password: of both databases.
        dev_names: of dev's web containers, drawn for this run.
    """

    terraform: Terraform
    sandbox: Sandbox
    before: Containers
    moving: Plan
    started: Containers
    seats: dict[str, str]
    password: str
    dev_names: list[str]

    def set(self, **variables: object) -> None:
        """Set the configuration's variables, besides the password."""
        told = {"db_password": self.password, **variables}
        self.terraform.write(VARIABLES, json.dumps(told))

    def urls(self) -> dict[str, dict[str, str]]:
        """Return the output `urls`, which has both stages, each with its names."""
        outputs = self.terraform.outputs()
        urls = outputs.get("urls")
        if not isinstance(urls, dict) or not all(isinstance(urls.get(s), dict) for s in STAGES):
            seen = json.dumps(urls)[:200] if "urls" in outputs else "no such output"
            fail("an output urls with dev and prod", seen)
        return {stage: dict(urls[stage]) for stage in STAGES}

    def web(self, stage: str, name: str) -> Client:
        """Return a client of one web container, by its URL as it is now."""
        return client(self.sandbox, str(self.urls()[stage].get(name)))

    def expect_bookings(self, web: Client, stage: str) -> None:
        """Wait until a web container lists what its stage has sold, and nothing else."""
        sold = {"seats": [self.seats[stage]]}
        eventually(lambda: web.get(BOOKINGS).expect(200, exactly=sold), within_s=SERVES_WITHIN_S)


def client(sandbox: Sandbox, url: str) -> Client:
    """Return a client of a URL at 127.0.0.1."""
    found = URL.fullmatch(url)
    if not found:
        fail("a URL such as http://127.0.0.1:32801", url[:200], command="sh terraform.sh output")
    return sandbox.server(int(found[1]))


def sell(web: Client, seat: str) -> Reply:
    """Sell a seat as soon as there is a database."""

    def once() -> Reply:
        # An earlier try may have sold it, although its reply was too late.
        reply = web.post(BOOKINGS, json={"seat": seat, "user": "ada"})
        return reply if reply.status == HTTPStatus.CONFLICT else reply.expect(201)

    return eventually(once, within_s=SERVES_WITHIN_S)


def look(sandbox: Sandbox) -> Containers:
    """Return the theatre's containers as they are now."""
    ids = sandbox.docker("ps", "--all", "--quiet", "--filter", "name=^lantern-").split()
    told = json.loads(sandbox.docker("inspect", *ids)) if ids else []
    return Containers({one["Name"].lstrip("/"): one for one in told})


@pytest.fixture(scope="session")
def theatre(
    terraform: Terraform, sandbox: Sandbox, submission: Submission, random: Random
) -> Theatre:
    """Let the answer take over today's production, and add dev; or begin from nothing."""
    # In the order in which Terraform sorts them.
    dev_names, password = sorted(random.words(3)), random.hex(20)
    seats = {"dev": f"C{random.integer(2, 5)}", "prod": f"E{random.integer(6, 9)}"}
    secret = {"db_password": password}
    files = {"main.tf": submission.files[TODAY].decode(), VARIABLES: json.dumps(secret)}
    today = terraform.beside("today", files)
    terraform.write(VARIABLES, json.dumps(secret))
    try:
        with at_once(lambda folder: folder.obey("init"), [today, terraform]) as running:
            running.results()
        beginning = terraform.plan()
    except Failure as failure:
        failure.hint = REFUSED
        raise
    expect_a_beginning(beginning)
    today.apply()
    before = look(sandbox)
    sell(client(sandbox, str(today.outputs()["urls"]["a"])), seats["prod"])
    terraform.take_state_of(today)
    terraform.write(VARIABLES, json.dumps({**secret, "dev_replicas": dev_names}))
    moving = terraform.plan()
    if any(change.removes for change in moving.changes):
        # So that the other checks see something: production is made by the answer.
        sandbox.empty()
        terraform.forget()
        terraform.apply()
        before = Containers({})
    else:
        terraform.apply_plan()
    made = Theatre(terraform, sandbox, before, moving, look(sandbox), seats, password, dev_names)
    urls = made.urls()
    sell(client(sandbox, str(urls["dev"].get(dev_names[0]))), seats["dev"])
    if not before.facts:
        sell(client(sandbox, str(urls["prod"].get("a"))), seats["prod"])
    return made


def expect_a_beginning(plan: Plan) -> None:
    """Fail unless a plan without state and with default values creates all that there is."""
    others = [c for c in plan.changes if c.actions != ("create",)]
    if others:
        fail("a plan that only creates, where nothing exists yet", named(others), command=PLAN)
    created = {change.name for change in plan.changes}
    webs = {"dev": ["a"], "prod": PROD_NAMES}
    for stage in STAGES:
        for end in ("", "-data", "-db", *(f"-web-{name}" for name in webs[stage])):
            if (wanted := f"lantern-{stage}{end}") not in created:
                told = ", ".join(sorted(created))[:250] or "nothing to do"
                fail(f"a plan that creates {wanted}, where nothing exists yet", told, command=PLAN)
        web = f"lantern-{stage}-web-"
        found = sorted(name.removeprefix(web) for name in created if name.startswith(web))
        if found != webs[stage]:
            hint = "What are the defaults of replicas and dev_replicas?"
            wanted = f"{', '.join(webs[stage])} alone in {stage} by default"
            fail(wanted, ", ".join(found)[:200], command=PLAN, hint=hint)


def named(changes: list[Change]) -> str:
    """Return what a plan does to which resources."""
    told = [f"{'/'.join(change.actions)} {change.address}" for change in changes]
    return ", ".join(told)[:250] or "no change"


@points(
    2,
    hints=(
        (
            "Which of your names has no env_name in it? Docker allows each name once. And what in"
            " your configuration has another value each time somebody asks?"
        ),
        (
            'The module names everything "lantern-${var.env_name}…", and DATABASE_URL uses'
            " dockerlite_container.db.name. The network and the containers are resources of the"
            " module. urls is { dev = module.dev.urls, prod = module.prod.urls }, each a"
            " for expression over dockerlite_container.web."
        ),
    ),
    link="A module, used twice",
)
def check_applies_and_serves(theatre: Theatre) -> None:
    """Both stages come from one module, every URL answers, and a second plan is empty"""
    expect_modules(theatre.moving)
    expect_inside(theatre.moving)
    names = {"dev": theatre.dev_names, "prod": PROD_NAMES}
    for stage in STAGES:
        wanted = [f"lantern-{stage}-db", *(f"lantern-{stage}-web-{n}" for n in names[stage])]
        if missing := [name for name in wanted if name not in theatre.started.facts]:
            seen = ", ".join(sorted(theatre.started.facts))[:250] or "none"
            fail(f"a container {missing[0]}", seen, command=LIST)
        for name in wanted:
            expect_place(theatre.started.facts[name], f"lantern-{stage}")
        expect_keys(theatre.started.facts[f"lantern-{stage}-db"], theatre.password)
    urls = theatre.urls()
    for stage in STAGES:
        if sorted(urls[stage]) != names[stage]:
            fail(f"urls of {stage} for {', '.join(names[stage])}", ", ".join(urls[stage]) or "none")
    for stage in STAGES:
        for name in names[stage]:
            web = client(theatre.sandbox, str(urls[stage][name]))
            expect_home(web, banner=f"Lantern {stage}")
        theatre.expect_bookings(web, stage)
    again = theatre.terraform.plan()
    if again.changes_something:
        told = named(list(again.changes)) if again.changes else "another value of an output"
        fail("no changes in a second plan", told, command=f"{APPLY}; {PLAN}")


def expect_modules(plan: Plan) -> None:
    """Fail unless dev and prod are calls of one module."""
    sources = [str((plan.module_calls.get(stage) or {}).get("source")) for stage in STAGES]
    if sources[0] != sources[1] or sources[0] == "None":
        told = ", ".join(f"{s} from {source}" for s, source in zip(STAGES, sources, strict=True))
        fail("module.dev and module.prod with one source", told[:200], command=PLAN)


def expect_inside(plan: Plan) -> None:
    """Fail unless all that a stage has, its volume aside, is in its module."""
    for told in plan.content.get("resource_changes") or ():
        name, address = str((told["change"].get("after") or {}).get("name")), str(told["address"])
        for stage in STAGES:
            own = name in (f"lantern-{stage}", f"lantern-{stage}-db")
            own = own or name.startswith(f"lantern-{stage}-web-")
            # A module with count or for_each has a key after its name.
            inside = re.match(rf"module\.{stage}(\[[^]]*\])?\.", address)
            if told["mode"] == "managed" and own and not inside:
                fail(f"{name} in module.{stage}", f"it's {address}"[:200], command=PLAN)


def expect_place(facts: dict[str, Any], network: str) -> None:
    """Compare a container's network with the contract; a database publishes nothing."""
    name, settings = facts["Name"].lstrip("/"), facts["NetworkSettings"]
    if (seen := sorted(settings["Networks"])) != [network]:
        told = ", ".join(seen)[:200] or "none"
        fail(f"{name} in the network {network} alone", told, command=f"docker inspect {name}")
    if name.endswith("-db") and any(settings["Ports"].values()):
        fail(f"{name} without a published port", "one is published", command=LIST)


def expect_keys(database: dict[str, Any], password: str) -> None:
    """Fail unless a database was given the user and the password of the contract."""
    name, env = database["Name"].lstrip("/"), database["Config"]["Env"]
    if "POSTGRES_USER=lantern" not in env or f"POSTGRES_PASSWORD={password}" not in env:
        wanted = f"POSTGRES_USER lantern and POSTGRES_PASSWORD from db_password in {name}"
        fail(wanted, "another value", command=f"docker inspect {name}")


def expect_home(web: Client, **wanted: str) -> None:
    """Wait until a web container answers with these fields."""
    eventually(lambda: web.get("/").expect(200, json=wanted), within_s=SERVES_WITHIN_S)


@points(
    1,
    hints=(
        (
            "The plan reads each container before it says what to do. What in your configuration"
            " tells it not to look at a difference?"
        ),
        "Take ignore_changes out of dockerlite_container: running is what differs after a kill.",
    ),
    link="Drift: when somebody does it by hand",
    needs=("applies_and_serves",),
)
def check_repairs_drift(theatre: Theatre) -> None:
    """After a web container was killed, the plan changes it alone, and apply brings it back"""
    terraform, killed = theatre.terraform, "lantern-prod-web-b"
    theatre.sandbox.docker("kill", killed)
    before = look(theatre.sandbox)
    plan = terraform.plan()
    shown = f"docker kill {killed}; {PLAN}"
    if [change.name for change in plan.changes] != [killed]:
        fail(f"a plan that changes {killed} alone", named(list(plan.changes)), command=shown)
    terraform.apply_plan()
    after = look(theatre.sandbox)
    expect_untouched(before, after, killed, f"docker kill {killed}; {APPLY}; {LIST}")
    theatre.expect_bookings(theatre.web("prod", "b"), "prod")


def expect_untouched(before: Containers, after: Containers, but: str, command: str) -> None:
    """Fail unless all containers but one are the same and were not restarted."""
    lives = after.lives
    for name, life in before.lives.items():
        if name == but or lives.get(name) == life:
            continue
        seen = "it's gone"
        if name in lives:
            is_same = lives[name][0] == life[0]
            seen = "it was restarted" if is_same else "another container of that name"
        fail(f"{name} left alone", seen, command=command)


@points(
    2,
    hints=(
        (
            "Which address does each container have in terraform state list? A number says where"
            " it is in a list, and the list gets shorter."
        ),
        "for_each = var.replicas on the web container, and each.key in its name; no count.",
    ),
    link="One for each name",
    needs=("applies_and_serves",),
)
def check_removes_only_one(theatre: Theatre) -> None:
    """When a name is taken out of a set of replicas, that container alone is removed"""
    terraform, before = theatre.terraform, look(theatre.sandbox)
    left = [theatre.dev_names[0], theatre.dev_names[2]]
    theatre.set(dev_replicas=left, replicas=PROD_NAMES[1:])
    terraform.apply()
    after = look(theatre.sandbox)
    gone = {f"lantern-dev-web-{theatre.dev_names[1]}", f"lantern-prod-web-{PROD_NAMES[0]}"}
    if stays := sorted(gone & {*after.facts}):
        hint = "Do both calls take their names from var.replicas and var.dev_replicas?"
        fail(f"{stays[0]} removed", "it's still there", command=LIST, hint=hint)
    kept = Containers({n: told for n, told in before.facts.items() if n not in gone})
    expect_untouched(kept, after, "", f"{APPLY}; {LIST}")
    urls = theatre.urls()
    if sorted(urls["dev"]) != left or sorted(urls["prod"]) != PROD_NAMES[1:]:
        fail(
            "urls of those that are left", json.dumps(urls)[:200], command="sh terraform.sh output"
        )


@points(
    2,
    hints=(
        (
            "Terraform knows a resource by its address, not by its name in Docker. Which addresses"
            " does terraform state list show for today's state, and which does your plan create?"
        ),
        (
            "For each resource of today/main.tf, write a moved block with two lines, such as from ="
            " dockerlite_container.db and to = module.prod.dockerlite_container.db."
        ),
    ),
    link="Another address for the same thing",
    needs=("applies_and_serves",),
)
def check_moves_without_loss(theatre: Theatre) -> None:
    """With today's state nothing is destroyed or replaced: production moves into the new layout"""
    lost = [change for change in theatre.moving.changes if change.removes]
    shown = f"cp ../today/terraform.tfstate . && {PLAN}"
    if lost:
        hint = REPLACED if all("create" in change.actions for change in lost) else ""
        fail("a plan that destroys and replaces nothing", named(lost), command=shown, hint=hint)
    names = [change.name for change in theatre.moving.changes if "create" in change.actions]
    if again := [name for name in names if name.startswith("lantern-prod")]:
        fail("a plan that creates nothing of production", ", ".join(again)[:200], command=shown)
    expect_untouched(theatre.before, theatre.started, "", shown)


@points(
    1,
    hints=(
        (
            "Where are the database's files, and what does the plan of terraform destroy say of"
            " that resource? Which stage should refuse?"
        ),
        (
            "lifecycle { prevent_destroy = true } on production's volume itself, and on nothing of"
            " dev; each database has a volume at /var/lib/postgresql/data; the web containers have"
            " image = var.image."
        ),
    ),
    link="What must not be destroyed",
    needs=("applies_and_serves",),
)
def check_protects_data(theatre: Theatre, random: Random) -> None:
    """terraform destroy refuses; with a new image and lost databases, all bookings are kept"""
    terraform, sandbox = theatre.terraform, theatre.sandbox
    for stage in STAGES:
        expect_volume(theatre.started.facts[f"lantern-{stage}-db"], f"lantern-{stage}-data")
    version = random.word()
    sandbox.docker("create", "--name=next", IMAGE)
    sandbox.docker("commit", f"--change=ENV VERSION={version}", "next", NEW_IMAGE)
    databases = [f"lantern-{stage}-db" for stage in STAGES]
    sandbox.docker("rm", "--force", "--volumes", *databases)
    theatre.set(dev_replicas=theatre.dev_names[:1], replicas=PROD_NAMES[1:], image=NEW_IMAGE)
    terraform.apply()
    now, urls = look(sandbox), theatre.urls()
    for stage, name in zip(STAGES, (theatre.dev_names[0], PROD_NAMES[1]), strict=True):
        expect_new_image(now, f"lantern-{stage}-web-{name}")
        web = client(sandbox, str(urls[stage].get(name)))
        expect_home(web, version=version)
        theatre.expect_bookings(web, stage)
    expect_refusal(terraform, sandbox)
    expect_protected_volume(theatre)
    expect_dev_goes(theatre)


def expect_new_image(now: Containers, name: str) -> None:
    """Fail unless a container was made anew from the image that was set."""
    image = now.facts[name]["Config"]["Image"] if name in now.facts else "no such container"
    if image != NEW_IMAGE:
        wanted, hint = f"{name} from {NEW_IMAGE}", "Does the module say image = var.image?"
        fail(wanted, str(image)[:200], command=f"docker inspect {name}", hint=hint)


def expect_protected_volume(theatre: Theatre) -> None:
    """Fail unless production's volume itself is protected."""
    address = address_of(theatre.moving, "lantern-prod-data")
    target = f"-target={address}"
    if not theatre.terraform.run("plan", "-destroy", "-input=false", target).exit_code:
        command = shlex.join(["sh", "terraform.sh", "plan", "-destroy", target])
        fail(f"terraform destroy refuses for {address} alone", "exit code 0", command=command)


def address_of(plan: Plan, name: str) -> str:
    """Return where a resource of this name is after a plan, whether or not it changes."""
    told = plan.content.get("resource_changes") or ()
    after = {str(one["address"]): one["change"].get("after") or {} for one in told}
    found = [address for address, values in after.items() if values.get("name") == name]
    if not found:
        fail(f"a resource named {name}", "none", command=PLAN)
    return found[0]


def expect_dev_goes(theatre: Theatre) -> None:
    """Fail unless dev can be destroyed as a whole, while production keeps running."""
    terraform, sandbox = theatre.terraform, theatre.sandbox
    volume = address_of(theatre.moving, "lantern-dev-data")
    module, both = ["-target=module.dev"], ["-target=module.dev", f"-target={volume}"]
    containers = ("lantern-dev-db", f"lantern-dev-web-{theatre.dev_names[0]}")
    if lost := expect_removed(terraform.plan("-destroy", *module), containers):
        fail("a plan that destroys dev, and nothing of production", ", ".join(lost)[:250])
    # Where both stages use one local value, a volume outside the module may lead to production.
    if expect_removed(terraform.plan("-destroy", *both), (*containers, "lantern-dev-data")):
        terraform.plan("-destroy", *(both := module))
    command = shlex.join(["sh", "terraform.sh", "destroy", *both])
    before = look(sandbox)
    try:
        terraform.apply_plan()
    except Failure as failure:
        failure.command, failure.hint = command, UNORDERED
        raise
    after = look(sandbox)
    prod = {n: told for n, told in before.facts.items() if n.startswith("lantern-prod")}
    expect_untouched(Containers(prod), after, "", command)
    if left := sorted(name for name in after.facts if name.startswith("lantern-dev")):
        fail("no container of dev is left", ", ".join(left)[:200], command=command)


def expect_removed(plan: Plan, wanted: tuple[str, ...]) -> list[str]:
    """Fail unless a plan destroys all of these; return what it destroys of production."""
    names = [change.name for change in plan.changes if change.removes]
    if spared := [name for name in wanted if name not in names]:
        fail(f"a plan that destroys {', '.join(wanted)}", f"it spares {', '.join(spared)}"[:250])
    return [name for name in names if name.startswith("lantern-prod")]


def expect_volume(database: dict[str, Any], volume: str) -> None:
    """Fail unless a database keeps its files in a volume of this name."""
    name = database["Name"].lstrip("/")
    mounts = [m.get("Name") for m in database["Mounts"] if m["Destination"] == DATA]
    if mounts != [volume]:
        seen = "the container's own" if not mounts or len(str(mounts[0])) == 64 else str(mounts[0])
        fail(f"the volume {volume} at {DATA} of {name}", seen, command=f"docker inspect {name}")


def expect_refusal(terraform: Terraform, sandbox: Sandbox) -> None:
    """Fail unless terraform destroy refuses, and all that runs still does."""
    before = look(sandbox)
    destroyed = terraform.run("destroy", "-auto-approve", "-input=false")
    terraform.said += destroyed.log()
    command = "sh terraform.sh destroy"
    expect_untouched(before, look(sandbox), "", command)
    if not destroyed.exit_code:
        fail("terraform destroy refuses", "exit code 0", command=command)


@points(
    1,
    hints=(
        (
            "What prints a value that Terraform doesn't know to be secret? And which files does"
            " Terraform write that hold the password in plain text?"
        ),
        (
            "sensitive = true on db_password, in the root and in the module, no default, no output"
            " with it, and no nonsensitive(). In .gitignore, with no slash in front, so they match"
            " in today/ too: .terraform/, *.tfstate, *.tfstate.*, *.tfvars, *.tfplan."
        ),
    ),
    link="Secrets: hidden, not gone",
    needs=("applies_and_serves",),
)
def check_keeps_secrets(theatre: Theatre, submission: Submission, random: Random) -> None:
    """Nothing that Terraform prints shows the password, and git leaves out the files that do"""
    terraform = theatre.terraform
    password = theatre.password
    terraform.obey("output")
    if password in terraform.said:
        line = next(line for line in terraform.said.splitlines() if password in line)
        seen = f"… {line.strip().replace(password, 'PASSWORD')[:200]}"
        fail("no password in what plan, apply and output print", seen, command=f"{PLAN}; {APPLY}")
    expect_secret_variable(theatre.moving)
    tracked = terraform.beside("tracked", submission.files)
    secret = [folder + path for folder in FOLDERS for path in holders(random)]
    left_out = tracked.ignored(*secret, *PUBLIC, *submission.files)
    if leaks := [path for path in secret if path not in left_out]:
        told = f"git takes {', '.join(leaks[:3])}{', …' if leaks[3:] else ''}"
        fail("a .gitignore that leaves out what holds secrets", told, command=asking(leaks[0]))
    if missed := [path for path in (*PUBLIC, *submission.files) if path in left_out]:
        told = f"git leaves out {', '.join(missed)[:200]}"
        fail("your own files and .terraform.lock.hcl in git", told, command=asking(missed[0]))


def expect_secret_variable(plan: Plan) -> None:
    """Fail unless the password is a sensitive variable that has to be given."""
    root = (plan.content.get("configuration") or {}).get("root_module") or {}
    declared = (root.get("variables") or {}).get("db_password") or {}
    shown = 'variable "db_password"'
    if "default" in declared:
        fail("db_password without a default", f"{shown} has a default", command=DECLARED)
    if not declared.get("sensitive"):
        fail("db_password with sensitive = true", f"{shown} isn't", command=DECLARED)


def holders(random: Random) -> list[str]:
    """Return files that can hold the password, with names that nobody can list beforehand."""
    state, name = "terraform.tfstate", random.word()
    return [
        state, f"{state}.backup", f"{state}.{random.integer(10**9, 2 * 10**9)}.backup",
        f"{name}.tfvars", f"{name}.auto.tfvars", f"{name}.tfplan",
        ".terraform/terraform.tfstate", ".terraform/modules/modules.json",
    ]  # fmt: skip


def asking(path: str) -> str:
    """Return the command that tells which line of .gitignore leaves a path out."""
    return f"git init --quiet; git check-ignore --no-index --verbose {path}"


@pytest.fixture(scope="module")
def tested(terraform: Terraform, submission: Submission, meanwhile: Meanwhile) -> Story[None]:
    """Return the trial of the answer's own test, already begun where no engine is."""

    def try_it() -> None:
        alone = terraform.beside("tested", submission.files, has_engine=False)
        alone.obey("init")
        alone.obey("validate")
        unformatted = alone.run("fmt", "-check", "-recursive")
        if unformatted.exit_code:
            told = unformatted.stdout.split() or ["nothing on standard output"]
            command = "sh terraform.sh fmt -check -recursive"
            hint = "sh terraform.sh fmt -recursive rewrites them."
            seen = f"{told[0][:100]} differs"
            fail("files as terraform fmt writes them", seen, command=command, hint=hint)
        alone.obey("test", within_s=TESTED_WITHIN_S)
        alone.write("checks_override.tf", NO_URLS)
        # Terraform overrides only what is there.
        alone.obey("validate")
        if not alone.run("test", within_s=TESTED_WITHIN_S).exit_code:
            fail(
                "a test that fails where the output urls is { dev = {}, prod = {} }",
                "it passes", command="sh terraform.sh test",
            )  # fmt: skip

    return meanwhile(try_it)


@points(
    1,
    hints=(
        (
            "terraform test runs without an engine, so nothing is made there. Which assertion of"
            " yours fails if urls is empty?"
        ),
        (
            "tests/stage.tftest.hcl: variables { db_password = … }, and a run with command = plan"
            " and an assert whose condition compares keys(output.urls.prod) with the replicas."
        ),
    ),
    link="Testing a configuration",
)
def check_tests_itself(tested: Story[None]) -> None:
    """validate, fmt and your own terraform test succeed, and the test notices if urls is empty"""
    tested.result()
