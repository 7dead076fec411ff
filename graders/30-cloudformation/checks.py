import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from coursework.checks import (
    CHECK_AGAIN,
    Account,
    Cloud,
    CloudStack,
    Failure,
    Linting,
    Random,
    Refusal,
    Request,
    Submission,
    eventually,
    fail,
    is_allowed,
    points,
)

TEMPLATE, CONSUMER = "template.yaml", "consumer.yaml"
REGION = "eu-central-1"
STAGES = ("dev", "prod")
RECEIVES = {"dev": "2", "prod": "4"}
DEFAULT_RECEIVES = 5
# Neither the default nor what the files of parameters say.
OTHER_RECEIVES = (3, 6, 7)
KEYS = {"show": ("HASH", "N"), "seat": ("RANGE", "S")}
ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
LOG_DAYS = 30
DEAD_LETTERS_S = 14 * 24 * 60 * 60
MAY_ASSUME = "ecs-tasks.amazonaws.com"
# Many name it, but who may delete messages may delete a batch of them.
NO_RIGHT = "sqs:deletemessagebatch"
ARRIVES_WITHIN_S = 5.0
HALF_PROTECTED = "W3011"
POSTER = "hamlet.png"


@dataclass(frozen=True)
class Theatre:
    """Where stacks are made from the answer's template.

    Args:
        cloud: that makes them.
        random: values of the run.
    """

    cloud: Cloud
    random: Random
    accounts: list[Account] = field(default_factory=list)

    def stage(self, env: str, receives: int = DEFAULT_RECEIVES) -> CloudStack:
        """Return a new stack, alone in a new account."""
        # Buckets of other checks are not in the way of this one's.
        while self.accounts:
            self.accounts.pop().delete_buckets()
        parameters = {"Env": env, "MaxReceives": str(receives)}
        return self.account().deploy(TEMPLATE, self.name(), parameters)

    def account(self) -> Account:
        """Return a new account."""
        self.accounts.append(self.cloud.create_account())
        return self.accounts[-1]

    def name(self) -> str:
        """Return a name that no stack has."""
        return f"{self.random.word()}-{self.random.word()}"


@pytest.fixture(scope="session")
def theatre(cloud: Cloud, random: Random) -> Theatre:
    """A place for stacks; the cloud starts now."""
    return Theatre(cloud, random)


@pytest.fixture(scope="session")
def linting(cloud: Cloud) -> Linting:
    """cfn-lint, which reads the template while the cloud starts."""
    return cloud.lint(TEMPLATE, mandatory=("E", HALF_PROTECTED))


# --- passes_the_linter --------------------------------------------------------------------------


@points(
    1,
    hints=(
        (
            "cfn-lint names a line and a rule. Does the table, or the bucket, have only one of its"
            " two policies?"
        ),
        (
            "DeletionPolicy applies when the stack is deleted, UpdateReplacePolicy when an update"
            " has to make a new one: write both, next to Type, not below Properties."
        ),
    ),
    link="What the linter knows and the emulator doesn't",
)
def check_passes_the_linter(theatre: Theatre, linting: Linting) -> None:
    """cfn-lint finds no error and no half-protected resource in template.yaml"""
    found = linting.result()
    theatre.cloud.note_lint(linting)
    for finding in found:
        if finding.rule.startswith("E") or finding.rule == HALF_PROTECTED:
            fail(
                f"no error and no {HALF_PROTECTED} of cfn-lint in {TEMPLATE}",
                f"line {finding.line}: {finding.rule} {finding.message}",
            )
    # An empty template would please it, too.
    stack = theatre.stage("dev")
    for output in ("TableName", "BucketName"):
        stack.output(output)


# --- runs_two_stages ----------------------------------------------------------------------------


@points(
    2,
    hints=(
        "Which names, resources and settings differ between the stages, and which must not?",
        (
            "Put the stage into each name: !Sub lantern-${Env}-bookings. Leave the bucket's name"
            " out. Give the log group Condition: IsProd, and define IsProd under Conditions:"
            " !Equals [!Ref Env, prod]."
        ),
    ),
    link="Two stages from one template",
)
def check_runs_two_stages(theatre: Theatre, submission: Submission) -> None:
    """dev and prod run side by side, each with its own names, and only prod has the log group"""
    known = allows_two_stages(theatre)
    for env in STAGES:
        if unknown := {each["ParameterKey"] for each in parameters_in(submission, env)} - known:
            fail(
                f"only parameters of the template in params.{env}.json",
                ", ".join(sorted(unknown)),
                command=f"cat params.{env}.json",
            )
    account, name = theatre.account(), theatre.name()
    stacks = {env: comes_up(account, f"{name}-{env}", submission, env) for env in STAGES}
    for env, stack in stacks.items():
        has_its_names(stack, env)
        has_its_table(stack)
        is_encrypted(stack)
    # The emulator gives the second stack the first one's queue or topic where the cloud refuses it.
    for output in ("DeadLetterUrl", "TopicArn", "BucketName"):
        values = [stack.output(output) for stack in stacks.values()]
        if len(set(values)) < len(STAGES):
            looked_for = f"dev and prod each have a {output} that is only theirs"
            fail(looked_for, f"both have {values[0]}", command=CHECK_AGAIN)
    has_one_log_group(account)
    comes_up(theatre.account(), f"{name}-dev", submission, "dev", " in another account")


def allows_two_stages(theatre: Theatre) -> set[str]:
    """Look at what the template says of its parameters, and return their names."""
    told = theatre.account().expected_parameters(TEMPLATE)
    if missing := [name for name in ("Env", "MaxReceives") if name not in told]:
        fail(f"a parameter {missing[0]}", f"the parameters are: {', '.join(told) or 'none'}")
    allowed = told["Env"].get("ParameterConstraints", {}).get("AllowedValues", [])
    if sorted(map(str, allowed)) != sorted(STAGES):
        saw = ", ".join(map(str, allowed)) or "any value is allowed"
        fail("a parameter Env that allows dev and prod", saw)
    kind = told["MaxReceives"].get("ParameterType", "none")
    if kind != "Number":
        fail("a parameter MaxReceives of type Number", f"its type is {kind}")
    default = str(told["MaxReceives"].get("DefaultValue", "none"))
    if default != str(DEFAULT_RECEIVES):
        fail(
            f"a parameter MaxReceives whose default is {DEFAULT_RECEIVES}",
            f"its default is {default}",
        )
    return set(told)


def comes_up(
    account: Account, name: str, submission: Submission, env: str, where: str = ""
) -> CloudStack:
    """Create a stack with a file of parameters, beside those that are there."""
    parameters = parameters_in(submission, env)
    try:
        return account.deploy(TEMPLATE, name, parameters)
    except Failure as failure:
        # Typed alone, it finds no other stack in its way.
        looked_for = f"{failure.looked_for}{where}, beside the stacks before"
        raise Failure(looked_for, failure.saw, command=CHECK_AGAIN) from failure


def parameters_in(submission: Submission, env: str) -> list[dict[str, str]]:
    """Read a file of parameters, and return what it says."""
    file = f"params.{env}.json"
    try:
        listed = json.loads(submission.files.get(file, b""))
    except (ValueError, RecursionError) as error:
        raise Failure(
            f"a list in JSON in {file}", str(error)[:200], command=f"cat {file}"
        ) from error
    if not isinstance(listed, list) or not all(is_parameter(each) for each in listed):
        fail(
            f'{file}: [{{"ParameterKey": …, "ParameterValue": …}}, …] with text as values',
            json.dumps(listed)[:200], command=f"cat {file}",
        )  # fmt: skip
    found = {each["ParameterKey"]: each["ParameterValue"] for each in listed}
    for key, value in {"Env": env, "MaxReceives": RECEIVES[env]}.items():
        if found.get(key) != value:
            fail(
                f"{key} is {value} in {file}",
                str(found.get(key, "it is not there")),
                command=f"cat {file}",
            )
    return listed


def is_parameter(each: object) -> bool:
    """Tell whether this is a key and a value as the cloud's tools read them."""
    return isinstance(each, dict) and all(
        isinstance(each.get(key), str) for key in ("ParameterKey", "ParameterValue")
    )


def has_its_names(stack: CloudStack, env: str) -> None:
    """Compare the outputs with the resources of these names."""
    account, bookings = stack.account, f"lantern-{env}-bookings"
    queues = {
        url.rsplit("/", 1)[-1] for url in account.ask("sqs", "list_queues").get("QueueUrls", [])
    }
    is_one_of("a queue", bookings, queues)
    equals("QueueUrl", stack.output("QueueUrl").rsplit("/", 1)[-1], bookings)
    is_one_of("a table", bookings, account.ask("dynamodb", "list_tables")["TableNames"])
    equals("TableName", stack.output("TableName"), bookings)
    roles = {role["RoleName"]: role["Arn"] for role in account.ask("iam", "list_roles")["Roles"]}
    is_one_of("a role", f"lantern-{env}-worker", roles)
    equals("RoleArn", stack.output("RoleArn"), roles[f"lantern-{env}-worker"])


def is_one_of(what: str, name: str, found: Iterable[str]) -> None:
    """Look for a name."""
    if name not in found:
        fail(f"{what} {name}", f"there are: {', '.join(sorted(found)) or 'none'}")


def equals(output: str, seen: str, wanted: str) -> None:
    """Compare what an output names."""
    if seen != wanted:
        fail(f"the output {output} leads to {wanted}", seen)


def has_its_table(stack: CloudStack) -> None:
    """Look at the keys of the table."""
    seen = keys_of(stack)
    if seen != KEYS:
        told = ", ".join(f"{name} {kind} {letter}" for name, (kind, letter) in seen.items())
        fail("a table with the keys show HASH N, seat RANGE S", told)


def keys_of(stack: CloudStack) -> dict[str, tuple[str, str]]:
    """Return kind and type of each key of the table."""
    name = stack.output("TableName")
    table = stack.account.ask("dynamodb", "describe_table", TableName=name)["Table"]
    types = {each["AttributeName"]: each["AttributeType"] for each in table["AttributeDefinitions"]}
    return {
        key["AttributeName"]: (key["KeyType"], types.get(key["AttributeName"], "?"))
        for key in table["KeySchema"]
    }


def is_encrypted(stack: CloudStack) -> None:
    """Look at how the bucket encrypts what nobody says anything of."""
    bucket = stack.output("BucketName")
    looked_for = f"a bucket that encrypts with {' or '.join(ENCRYPTIONS[:2])}"
    try:
        told = stack.account.ask("s3", "get_bucket_encryption", Bucket=bucket)
    except Refusal as refusal:
        fail(looked_for, refusal.saw)
    rules = told["ServerSideEncryptionConfiguration"]["Rules"]
    seen = [
        rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in rules
    ]
    if not any(each in ENCRYPTIONS for each in seen):
        fail(looked_for, str(seen))


def has_one_log_group(account: Account) -> None:
    """Look for the log group, and for none in dev."""
    groups = account.ask("logs", "describe_log_groups", logGroupNamePrefix="/lantern/")["logGroups"]
    found = {group["logGroupName"]: group.get("retentionInDays") for group in groups}
    if found != {"/lantern/prod": LOG_DAYS}:
        told = ", ".join(f"{name} kept for {days or 'ever'}" for name, days in found.items())
        fail(f"one log group, /lantern/prod, kept for {LOG_DAYS} days", told or "none")


# --- carries_messages ---------------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Follow a message: is the queue subscribed, may the topic send to it, and where does"
            " the message go in the end?"
        ),
        (
            "The topic: Subscription with Protocol: sqs and the queue's Arn. A QueuePolicy allows"
            " sns.amazonaws.com to sqs:SendMessage if aws:SourceArn is the topic. The queue:"
            " RedrivePolicy with deadLetterTargetArn and maxReceiveCount: !Ref MaxReceives."
        ),
    ),
    link="A topic, a queue, and what nobody could process",
)
def check_carries_messages(theatre: Theatre) -> None:
    """What is published is in the queue, and after MaxReceives tries in the dead-letter queue"""
    for env in STAGES:
        receives = theatre.random.pick(OTHER_RECEIVES)
        stack = theatre.stage(env, receives)
        text = theatre.random.text()
        topic = stack.output("TopicArn")
        stack.account.ask("sns", "publish", TopicArn=topic, Message=text)
        moves_in_the_end(stack, text, receives)
        keeps_dead_letters(stack)
        has_a_key_for_all(stack)
        lets_the_topic_send(theatre, stack)


def moves_in_the_end(stack: CloudStack, text: str, receives: int) -> None:
    """Receive a message as often as it may be, then look for it among the dead letters."""
    queue, dead = stack.output("QueueUrl"), stack.output("DeadLetterUrl")
    eventually(
        lambda: holds(stack, queue, text, "the queue, published to the topic"),
        within_s=ARRIVES_WITHIN_S,
    )
    for time in range(2, receives + 1):
        where = f"the queue, received for time {time} of {receives}"
        eventually(lambda: holds(stack, queue, text, where), within_s=ARRIVES_WITHIN_S)  # noqa: B023
    # Asked once: each time it is received counts.
    is_gone(stack, queue, receives)
    where = f"the dead-letter queue, after {receives} times"
    eventually(lambda: holds(stack, dead, text, where), within_s=ARRIVES_WITHIN_S)


def receive(stack: CloudStack, queue: str) -> list[str]:
    """Return the bodies of what a queue hands out, and leave it there."""
    told = stack.account.ask(
        "sqs", "receive_message", QueueUrl=queue, VisibilityTimeout=0, WaitTimeSeconds=0,
        MaxNumberOfMessages=10,
    )  # fmt: skip
    return [message["Body"] for message in told.get("Messages", [])]


def holds(stack: CloudStack, queue: str, text: str, where: str) -> None:
    """Look for a message with a text, as it is or in the envelope that a topic puts around it."""
    bodies = [opened(body) for body in receive(stack, queue)]
    if text not in bodies:
        saw = f"{len(bodies)} messages: {bodies[:2]}" if bodies else "no message"
        fail(f"{text!r} in {where}", saw, command=CHECK_AGAIN)


def opened(body: str) -> str:
    """Return the message in an envelope, or what is none as it is."""
    try:
        envelope = json.loads(body)
    except ValueError:
        return body
    return str(envelope.get("Message", body)) if isinstance(envelope, dict) else body


def is_gone(stack: CloudStack, queue: str, receives: int) -> None:
    """Look that a queue hands nothing out any more."""
    if receive(stack, queue):
        fail(
            f"a message that moves after it was received {receives} times",
            "it is received once more",
            command=CHECK_AGAIN,
        )


def keeps_dead_letters(stack: CloudStack) -> None:
    """Look how long the dead-letter queue keeps its messages."""
    kept = int(attribute(stack, "DeadLetterUrl", "MessageRetentionPeriod"))
    if kept != DEAD_LETTERS_S:
        fail(
            f"a dead-letter queue that keeps messages for {DEAD_LETTERS_S} s, 14 days", f"{kept} s"
        )


def attribute(stack: CloudStack, output: str, name: str) -> str:
    """Return an attribute of a queue; empty where it has none."""
    told = stack.account.ask(
        "sqs", "get_queue_attributes", QueueUrl=stack.output(output), AttributeNames=[name]
    )
    return str(told.get("Attributes", {}).get(name, ""))


def has_a_key_for_all(stack: CloudStack) -> None:
    """Look that SNS can use the key that the queue is encrypted with: the emulator never asks."""
    if attribute(stack, "QueueUrl", "KmsMasterKeyId").endswith("alias/aws/sqs"):
        fail(
            "a queue that SNS can send to in the cloud",
            "it is encrypted with alias/aws/sqs, a key that SNS may not use",
            hint="leave KmsMasterKeyId out: SQS encrypts with a key of its own",
        )


def lets_the_topic_send(theatre: Theatre, stack: CloudStack) -> None:
    """Evaluate the queue's policy for its topic, and for those that may not use the queue."""
    queue, topic = attribute(stack, "QueueUrl", "QueueArn"), stack.output("TopicArn")
    policy = attribute(stack, "QueueUrl", "Policy")
    if not policy:
        fail("a policy of the queue that lets the topic send", "the queue has no policy")
    sns, number, other = ("Service", "sns.amazonaws.com"), stack.account.number, "999999999999"
    stranger = ("AWS", f"arn:aws:iam::{other}:root")
    word = theatre.random.word()
    asking = [
        ("the topic may send", "sqs:SendMessage", sns, topic, number),
        ("no other topic may send", "sqs:SendMessage", sns, f"{topic}-{word}", number),
        ("no account's topic of the same name may send", "sqs:SendMessage", sns,
         topic.replace(number, other), other),
        ("no bucket may send", "sqs:SendMessage", ("Service", "s3.amazonaws.com"),
         f"arn:aws:s3:::{word}", number),
        ("no other account may send", "sqs:SendMessage", stranger, "", other),
        ("no other account may receive", "sqs:ReceiveMessage", stranger, "", other),
        *((f"{named[1]} may not {action}", action, named, f"arn:aws:any:{REGION}:{number}:{word}",
           number if named[0] == "Service" else other)
          for named in strangers_in(json.loads(policy), number)
          for action in ("sqs:SendMessage", "sqs:ReceiveMessage")),
    ]  # fmt: skip
    for claim, action, principal, source, owner in asking:
        context = {"aws:SourceAccount": owner, "aws:PrincipalAccount": owner}
        context |= {"aws:SourceArn": source} if source else {}
        may = is_allowed(Request(action, queue, principal, context), [json.loads(policy)])
        if may != (source == topic):
            saw = "the queue's policy allows it" if may else "the queue's policy does not allow it"
            fail(f"{queue}: {claim}", saw)


def strangers_in(policy: object, number: str) -> list[tuple[str, str]]:
    """Return whom a queue's policy names besides SNS, everybody, and this account's own."""
    return [
        (kind, name)
        for kind, name in named_in(policy)
        if name not in ("*", "sns.amazonaws.com") and not (kind == "AWS" and number in name)
    ]


def named_in(policy: object) -> list[tuple[str, str]]:
    """Return kind and name of all principals that a policy names, except in what it denies."""
    return [
        (kind, str(name))
        for statement in parts(policy, "Statement")
        for principal in parts(statement, "Principal")
        for kind in (principal if isinstance(principal, dict) else ())
        for name in parts(principal, kind)
        if statement.get("Effect") == "Allow"
    ]


def parts(value: object, name: str) -> list[Any]:
    """Return an element of a policy as a list; empty where there is none."""
    found = value.get(name, []) if isinstance(value, dict) else []
    return found if isinstance(found, list) else [found]


# --- keeps_data ---------------------------------------------------------------------------------


@points(
    2,
    hints=(
        "What happens to each resource when the stack is deleted, and which would you miss?",
        (
            "DeletionPolicy: Retain and UpdateReplacePolicy: Retain on the table and on the bucket,"
            " and on nothing else."
        ),
    ),
    link="Deleting the stack, keeping the data",
)
def check_keeps_data(theatre: Theatre) -> None:
    """A deleted stack leaves its table and its bucket with everything in them, and nothing else"""
    for env in STAGES:
        stack = theatre.stage(env)
        account, poster = stack.account, theatre.random.bytes(300)
        bucket, table = stack.output("BucketName"), stack.output("TableName")
        # An empty bucket too: one with something in it the emulator deletes for nobody.
        if env == "prod":
            account.ask("s3", "put_object", Bucket=bucket, Key=POSTER, Body=poster)
        item = {
            name: {kind: str(theatre.random.integer(1001, 9999))}
            for name, (_, kind) in keys_of(stack).items()
        }
        account.ask("dynamodb", "put_item", TableName=table, Item=item)
        stack.delete()
        is_kept("table", table, account.ask("dynamodb", "list_tables")["TableNames"])
        buckets = account.ask("s3", "list_buckets")["Buckets"]
        is_kept("bucket", bucket, [each["Name"] for each in buckets])
        told = account.ask("dynamodb", "get_item", TableName=table, Key=item)
        if told.get("Item") != item:
            fail(f"the item {item} in the table that is kept", str(told.get("Item", "none")))
        if env == "prod":
            body = account.ask("s3", "get_object", Bucket=bucket, Key=POSTER)["Body"].read()
            if body != poster:
                fail("the poster in the bucket that is kept", f"{len(body)} other bytes")
        nothing_else_is_left(account)


def is_kept(what: str, name: str, left: list[str]) -> None:
    """Look that just this one is left."""
    if left != [name]:
        fail(
            f"the {what} {name} after the stack is deleted", ", ".join(left) or f"no {what} is left"
        )


def nothing_else_is_left(account: Account) -> None:
    """Look for what should have gone with the stack."""
    none_left("queue", account.ask("sqs", "list_queues").get("QueueUrls", []))
    topics = account.ask("sns", "list_topics")["Topics"]
    none_left("topic", [each["TopicArn"] for each in topics])
    roles = account.ask("iam", "list_roles")["Roles"]
    none_left("role", [each["RoleName"] for each in roles])
    policies = account.ask("iam", "list_policies", Scope="Local")["Policies"]
    none_left("policy", [each["Arn"] for each in policies])
    groups = account.ask("logs", "describe_log_groups")["logGroups"]
    none_left("log group", [each["logGroupName"] for each in groups])


def none_left(what: str, names: list[str]) -> None:
    """Look that nothing of a kind is left."""
    if names:
        fail(f"no {what} after the stack is deleted", ", ".join(names))


# --- gives_least_privilege ----------------------------------------------------------------------


@points(
    2,
    hints=(
        (
            "Who may assume the role? And do its statements allow more than four actions, or more"
            " than two ARNs?"
        ),
        (
            "Two statements: sqs:ReceiveMessage and sqs:DeleteMessage on the queue's Arn,"
            " dynamodb:PutItem and dynamodb:GetItem on the table's Arn, without a star. Only"
            " ecs-tasks.amazonaws.com may sts:AssumeRole."
        ),
    ),
    link="A role that may do four things",
)
def check_gives_least_privilege(theatre: Theatre) -> None:
    """The role may do four things with the queue and the table, and nothing else with anything"""
    for env in STAGES:
        stack = theatre.stage(env)
        role = stack.output("RoleArn").rsplit("/", 1)[-1]
        trust = stack.account.ask("iam", "get_role", RoleName=role)["Role"][
            "AssumeRolePolicyDocument"
        ]
        is_assumed_by_tasks(theatre, stack, trust)
        context = {"aws:PrincipalAccount": stack.account.number, "aws:SecureTransport": "true"}
        needed, others = allowed(stack), forbidden(theatre, stack, env)
        documents = stack.account.policies_of_role(role)
        for action, resource in needed:
            if not is_allowed(Request(action, resource, context=context), documents):
                fail(
                    f"the role may {action} {resource}",
                    "none of its policies allows it, or one denies it",
                )
        known = {action.lower() for action, _ in needed}
        for action, resource in [*others, *further(documents, known)]:
            if is_allowed(Request(action, resource, context=context), documents):
                fail(f"the role may not {action} {resource}", "its policies allow it")


def allowed(stack: CloudStack) -> list[tuple[str, str]]:
    """Return each action that the role needs, and with what."""
    queue, table = arns_of(stack)
    return [
        ("sqs:ReceiveMessage", queue), ("sqs:DeleteMessage", queue),
        ("dynamodb:PutItem", table), ("dynamodb:GetItem", table),
    ]  # fmt: skip


def further(documents: Iterable[object], known: set[str]) -> list[tuple[str, str]]:
    """Return what policies name besides the actions they have to, and with what."""
    return [
        # A name in a star's place.
        (str(action), str(resource).replace("*", "any"))
        for document in documents
        for statement in parts(document, "Statement")
        for action in parts(statement, "Action")
        # An action with a wildcard isn't the name of a right; other looks try what it allows.
        if not {"*", "?"} & set(str(action)) and str(action).lower() not in {*known, NO_RIGHT}
        for resource in parts(statement, "Resource")
    ]


def arns_of(stack: CloudStack) -> tuple[str, str]:
    """Return the ARNs of the queue and of the table."""
    name = stack.output("TableName")
    table = stack.account.ask("dynamodb", "describe_table", TableName=name)["Table"]["TableArn"]
    return attribute(stack, "QueueUrl", "QueueArn"), str(table)


def forbidden(theatre: Theatre, stack: CloudStack, env: str) -> list[tuple[str, str]]:
    """Return what the role may not do: other actions here, and its own actions elsewhere."""
    queue, table = arns_of(stack)
    other = "prod" if env == "dev" else "dev"
    word, number = theatre.random.word(), stack.account.number
    dead = attribute(stack, "DeadLetterUrl", "QueueArn")
    queues = [
        dead, queue.replace(f"-{env}-", f"-{other}-"), f"{queue}-{word}", f"{queue[:-8]}{word}",
        queue.replace(REGION, "us-east-1"), queue.replace(number, "999999999999"),
    ]  # fmt: skip
    tables = [
        table.replace(f"-{env}-", f"-{other}-"), f"{table}-{word}", f"{table[:-8]}{word}",
        f"{table}/index/{word}", table.replace(REGION, "us-east-1"),
        table.replace(number, "999999999999"),
    ]  # fmt: skip
    on_queue = (
        "SendMessage", "ChangeMessageVisibility", "PurgeQueue", "DeleteQueue", "GetQueueUrl",
        "GetQueueAttributes", "SetQueueAttributes", "AddPermission",
    )  # fmt: skip
    on_table = (
        "UpdateItem", "DeleteItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem",
        "ConditionCheckItem", "DescribeTable", "UpdateTable", "DeleteTable",
    )  # fmt: skip
    return [
        *((f"sqs:{name}", queue) for name in on_queue),
        *((f"dynamodb:{name}", table) for name in on_table),
        *((f"sqs:{name}", arn) for name in ("ReceiveMessage", "DeleteMessage") for arn in queues),
        *((f"dynamodb:{name}", arn) for name in ("PutItem", "GetItem") for arn in tables),
        ("sns:Publish", stack.output("TopicArn")),
        ("s3:GetObject", f"arn:aws:s3:::{stack.output('BucketName')}/{word}.png"),
        ("s3:ListBucket", f"arn:aws:s3:::{stack.output('BucketName')}"),
        (
            "logs:PutLogEvents",
            f"arn:aws:logs:{REGION}:{number}:log-group:/lantern/{env}:log-stream:{word}",
        ),
        ("iam:PassRole", stack.output("RoleArn")),
        ("sts:AssumeRole", f"arn:aws:iam::{number}:role/{word}"),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{number}:key/{word}"),
    ]


def is_assumed_by_tasks(theatre: Theatre, stack: CloudStack, trust: Any) -> None:
    """Evaluate who may assume the role."""
    number, word = stack.account.number, theatre.random.word()
    # A service says which resource it asks for; an account that asks has no such keys.
    asking = [
        (("Service", MAY_ASSUME), "ecs", f"task/{word}/{theatre.random.hex(32)}", True),
        # ECS itself, which registers tasks with load balancers, is another principal.
        (("Service", "ecs.amazonaws.com"), "ecs", f"service/{word}/{word}", False),
        (("Service", "lambda.amazonaws.com"), "lambda", f"function:{word}", False),
        (("Service", "ec2.amazonaws.com"), "ec2", f"instance/i-{theatre.random.hex(17)}", False),
        (("AWS", f"arn:aws:iam::{number}:root"), "", "", False),
        (("AWS", "arn:aws:iam::999999999999:root"), "", "", False),
        *((named, "any", word, False) for named in named_in(trust) if named[1] != MAY_ASSUME),
    ]
    for principal, service, resource, wanted in asking:
        context = {
            "aws:SourceAccount": number,
            "aws:SourceArn": f"arn:aws:{service}:{REGION}:{number}:{resource}",
        }
        request = Request(
            "sts:AssumeRole", stack.output("RoleArn"), principal, context if service else {}
        )
        if is_allowed(request, [trust]) != wanted:
            may = "may" if wanted else "may not"
            told = f" for {context['aws:SourceArn']}" if service else ""
            saw = f"its trust policy is {json.dumps(trust)[:400]}"
            fail(f"{principal[1]} {may} assume the role{told}", saw)


# --- serves_other_stacks ------------------------------------------------------------------------


@points(
    1,
    hints=(
        "Under which name does consumer.yaml look for the URL, and under which do you export it?",
        'Below the output QueueUrl: Export: {Name: !Sub "${AWS::StackName}-QueueUrl"}.',
    ),
    link="What one stack gives another",
)
def check_serves_other_stacks(theatre: Theatre) -> None:
    """consumer.yaml imports the queue's URL, and an update of the stack keeps the export"""
    stack = theatre.stage(theatre.random.pick(STAGES))
    consumer, account = theatre.name(), stack.account
    account.deploy(CONSUMER, consumer, {"Producer": stack.name})
    told = account.ask("ssm", "get_parameter", Name=f"/{consumer}/queue-url")
    seen, url = told["Parameter"]["Value"], stack.output("QueueUrl")
    if seen != url:
        fail(f"{url} in the consumer's parameter", seen)
    env = "prod" if url.endswith("lantern-prod-bookings") else "dev"
    updated = stack.update({"Env": env, "MaxReceives": str(theatre.random.pick(OTHER_RECEIVES))})
    exports = account.ask("cloudformation", "list_exports")["Exports"]
    found = {each["Name"]: each["Value"] for each in exports}
    name = f"{stack.name}-QueueUrl"
    if found.get(name) != updated.output("QueueUrl"):
        saw = str(found.get(name, f"the exports are: {', '.join(found) or 'none'}"))
        fail(f"the export {name} after an update", saw)
