"""The cloud instrument: moto, which behaves like AWS, beside the answer, and cfn-lint."""

import json as json_codec
import re
import secrets
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest
import requests

from coursework.checks.deadline import Deadline
from coursework.checks.failure import Failure
from coursework.checks.readiness import wait_until_ready
from coursework.checks.run import CheckRun
from coursework.containers.container import Container, Settings
from coursework.trouble import CourseError
from coursework.words import shortened

IMAGE = "course/moto:1"
REGION = "eu-central-1"
# Where its container has the answer's files.
ANSWER = "/answer"
_PORT = 5000
_READY_WITHIN_S = 120.0
_ANSWERS_WITHIN_S = 60
_LINTS_WITHIN_S = 60.0
_POLL_S = 0.02
# More than that the cloud takes only from a bucket.
_TEMPLATE_BYTES = 51_200
_CAPABILITIES = ("CAPABILITY_IAM", "CAPABILITY_NAMED_IAM")
_SERVER_ERROR = 500
_BREAKS = "Error on request:"
_UNFINISHED = (_BREAKS, "Traceback", " ")
_LOGS_WITHIN_S = 3.0
_BROKEN_HINT = "the emulator breaks over this template: see what cfn-lint says of it"
# template.yaml:12:5:12:9:E3012:message
_FINDING = re.compile(r"[^:]*:(\d+):\d+:\d+:\d+:([EWI]\d+):(.*)")
# Stories beside the checks ask for other accounts, through the same clients.
_ASKING: ContextVar[str] = ContextVar("whose account is asked")
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Finding:
    """Something that cfn-lint finds in a template.

    Args:
        line: where, counted from 1.
        rule: such as E3012; E is an error, W a warning.
        message: what it says.
    """

    line: int
    rule: str
    message: str


class Refusal(Failure):
    """The cloud refused what it was asked; `code` is its word for why, such as `NoSuchEntity`."""

    code = ""


class Linting:
    """cfn-lint with a template of the answer, in a container of its own, from now on.

    Args:
        run: of the checks.
        name: of the file.
        mandatory: rules that a template cannot switch off, such as `E` or `W3011`.
    """

    def __init__(self, run: CheckRun, name: str, mandatory: Sequence[str]) -> None:
        self._name = name
        text = run.task.submission.files.get(name, b"")
        options = [word for rule in mandatory for word in ("--mandatory-checks", rule)]
        self.command = ["cfn-lint", *options, "--format", "parseable", "--", name]
        settings = Settings(
            IMAGE, files={f"{ANSWER}/{name}": text}, memory="1g", entrypoint=self.command
        )
        self._starting = run.services.start_service("cfn-lint", settings)

    def result(self) -> list[Finding]:
        """Wait for its end, and return what it found, in its order.

        Raises:
            Failure: it takes longer than a minute.
            CourseError: cfn-lint itself is in trouble.
        """
        container, deadline = self._starting.result(), Deadline(_LINTS_WITHIN_S)
        while not container.has_ended():
            if deadline.has_passed():
                wanted = f"a {self._name} that cfn-lint reads within {_LINTS_WITHIN_S:g} s"
                raise Failure(wanted, "it takes longer")
            time.sleep(_POLL_S)
        said = container.log(stderr=False)
        # A message may go on in further lines.
        found = [m for line in said.splitlines() if (m := _FINDING.fullmatch(line))]
        if not found and container.exit_code():
            raise CourseError("cfn-lint does not answer.", why=container.log()[-300:])
        return [Finding(int(m[1]), m[2], m[3].strip()) for m in found]


class Cloud:
    """A moto beside the answer: CloudFormation and the services that a template asks for.

    It starts in the background; the first use waits for it. The answer's files are in its
    container, in /answer, where `aws` and `cfn-lint` can read them too.

    Example:
        >>> account = cloud.create_account()
        >>> stack = account.deploy("template.yaml", "lantern", {"Env": "dev"})
        >>> account.ask("sqs", "purge_queue", QueueUrl=stack.output("QueueUrl"))

    """

    def __init__(self, run: CheckRun, name: str = "cloud") -> None:
        self._run = run
        self.files = run.task.submission.files
        laid = {f"{ANSWER}/{path}": data for path, data in self.files.items()}
        settings = Settings(IMAGE, files=laid, port=_PORT, memory="1g")
        self._starting = run.services.start_service(name, settings)
        self._clients: dict[str, Any] = {}
        self._broken = 0
        self._is_ready = False

    @property
    def container(self) -> Container:
        """The container in which it runs."""
        return self._starting.result()

    @property
    def container_name(self) -> str:
        """The container's name, as a command line needs it."""
        return self.container.name

    def log(self) -> str:
        """Return nothing: what went wrong in it is in the failure already."""
        return ""

    def end_check(self, *, passed: bool) -> None:
        """The next check may use it as it is: each has accounts of its own."""

    def lint(self, name: str, *, mandatory: Sequence[str] = ("E",)) -> Linting:
        """Start cfn-lint with a file of the answer; its `result()` are the findings.

        Args:
            name: of the file.
            mandatory: rules that a template cannot switch off, by the beginning of their names.

        Example:
            >>> cloud.lint("template.yaml").result()[0].rule
            'W3011'

        """
        return Linting(self._run, name, mandatory)

    def note_lint(self, linting: Linting) -> None:
        """Remember the command that lints again."""
        self._note(*linting.command)

    def create_account(self) -> "Account":
        """Return a new account with nothing in it but the user whose keys are used.

        Raises:
            CourseError: moto does not come up.
        """
        self._wait_until_ready()
        account = Account(self, str(secrets.randbelow(9 * 10**11) + 10**11))
        account.ask("iam", "create_user", UserName="checks")
        made = account.ask("iam", "create_access_key", UserName="checks")
        account.key = made["AccessKey"]["AccessKeyId"]
        return account

    def client(self, service: str) -> Any:
        """Return the SDK's client of a service; all accounts share it."""
        if service not in self._clients:
            import boto3  # noqa: PLC0415 - a module without a cloud need not load it
            from botocore.config import Config  # noqa: PLC0415 - as above

            config = Config(retries={"max_attempts": 0}, read_timeout=_ANSWERS_WITHIN_S)
            made = boto3.client(
                service, endpoint_url=self.address, config=config, region_name=REGION,
                aws_access_key_id="any", aws_secret_access_key="any",  # noqa: S106 - moto asks for none
            )  # fmt: skip
            made.meta.events.register(f"before-send.{service}", _name_account)
            self._clients[service] = made
        return self._clients[service]

    @property
    def address(self) -> str:
        """Where this machine reaches it, such as `http://10.201.0.3:5000`."""
        host, port = self.container.near_address() or ("", 0)
        return f"http://{host}:{port}"

    def trouble(self) -> str:
        """Return the last line of what moto logs when it breaks; it answers first, then logs."""
        deadline = Deadline(_LOGS_WITHIN_S)
        while True:
            log = self.container.log(lines="all").rstrip()
            last = log.rpartition("\n")[2]
            broken = log.count(_BREAKS)
            if (
                broken > self._broken and not last.startswith(_UNFINISHED)
            ) or deadline.has_passed():
                self._broken = broken
                return shortened(last, 300) or "it does not say"
            time.sleep(_POLL_S)

    def _note(self, *command: str, key: str = "") -> None:
        """Remember a command in its container, as the owner of a key."""
        variables = ["-e", f"AWS_ACCESS_KEY_ID={key}"] if key else []
        words = ["docker", "exec", *variables, self.container_name, *command]
        self._run.evidence.note_use(self, shlex.join(words))

    note = _note

    def _wait_until_ready(self) -> None:
        if not self._is_ready:
            wait_until_ready(self.container, "moto", self._answers, within_s=_READY_WITHIN_S)
            self._is_ready = True

    def _answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.address}/moto-api/", timeout=_ANSWERS_WITHIN_S).ok
        return False


class Account:
    """An account of the cloud: nothing in it is seen from another one, but for names of buckets.

    Args:
        cloud: whose it is.
        number: of twelve digits.

    `key` is the id of an access key, as a command line needs it.
    """

    def __init__(self, cloud: Cloud, number: str) -> None:
        self._cloud, self.number, self.key = cloud, number, ""

    def ask(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        """Ask a service for something, and return its reply as the SDK does.

        Args:
            service: such as `sqs`.
            operation: such as `receive_message`.
            arguments: of the operation, as AWS names them.

        Raises:
            Refusal: the service refuses, or breaks.
            Failure: the cloud is gone.

        Example:
            >>> account.ask("sqs", "receive_message", QueueUrl=url).get("Messages", [])
            [{'MessageId': '8f…', 'Body': 'hello', …}]

        """
        from botocore import exceptions, parsers  # noqa: PLC0415 - as above

        self.note(service, operation, **arguments)
        client = self._cloud.client(service)
        _ASKING.set(self.number)
        try:
            reply: dict[str, Any] = getattr(client, operation)(**arguments)
        except exceptions.ClientError as error:
            raise self._refusal(service, operation, error.response) from error
        except exceptions.ParamValidationError as error:
            told = " ".join(str(error).split())
            raise Failure(f"arguments that {service} {operation} takes", told[:300]) from error
        except (exceptions.BotoCoreError, parsers.ResponseParserError) as error:
            raise self._broken(service, operation, error) from error
        return reply

    def deploy(
        self, template: str | bytes, name: str, parameters: Mapping[str, str] | object = _NONE
    ) -> "CloudStack":
        """Create a stack, and return it once it is complete.

        Args:
            template: a file of the answer by its name, or a template's text.
            name: of the stack.
            parameters: values by name, or a list as it is in a file of parameters.

        Raises:
            Failure: there is no such file, it is too long, or CloudFormation refuses it.
        """
        text = self._text(template)
        what = template if isinstance(template, str) else "a template of ours"
        return self._change("create_stack", what, name, text, parameters)

    def expected_parameters(self, template: str) -> dict[str, Mapping[str, Any]]:
        """Return what a template says of its parameters, by name, as get-template-summary has it.

        Raises:
            Failure: CloudFormation refuses it.
        """
        told = self.ask("cloudformation", "get_template_summary", TemplateBody=self._text(template))
        return {p["ParameterKey"]: p for p in told.get("Parameters", [])}

    def policies_of_role(self, name: str) -> list[object]:
        """Return a role's policy documents, inline and managed.

        Raises:
            Refusal: there is no such role.
        """
        attached = self.ask("iam", "list_attached_role_policies", RoleName=name)
        inline = self.ask("iam", "list_role_policies", RoleName=name)
        managed = [self._managed(policy["PolicyArn"]) for policy in attached["AttachedPolicies"]]
        return managed + [
            self.ask("iam", "get_role_policy", RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in inline["PolicyNames"]
        ]

    def delete_buckets(self) -> None:
        """Delete its buckets with all that is in them; their names are free for other accounts."""
        for bucket in self.ask("s3", "list_buckets")["Buckets"]:
            name = bucket["Name"]
            told = self.ask("s3", "list_object_versions", Bucket=name)
            for each in told.get("Versions", []):
                version = {"Key": each["Key"], "VersionId": each["VersionId"]}
                self.ask("s3", "delete_object", Bucket=name, **version)
            self.ask("s3", "delete_bucket", Bucket=name)

    def note(self, service: str, operation: str, **arguments: Any) -> None:
        """Remember the `aws` command that asks the same."""
        name = "s3api" if service == "s3" else service
        told = (
            [] if not arguments else ["--cli-input-json", json_codec.dumps(arguments, default=str)]
        )
        self._cloud.note("aws", name, operation.replace("_", "-"), *told, key=self.key)

    def _managed(self, arn: str) -> object:
        version = self.ask("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
        told = self.ask("iam", "get_policy_version", PolicyArn=arn, VersionId=version)
        return told["PolicyVersion"]["Document"]

    def _text(self, template: str | bytes) -> str:
        if isinstance(template, bytes):
            return template.decode(errors="replace")
        text = self._cloud.files.get(template, b"")
        if not text.strip():
            raise Failure(f"a template in {template}", "there is none")
        if len(text) > _TEMPLATE_BYTES:
            raise Failure(f"a {template} of at most {_TEMPLATE_BYTES:,} bytes", f"{len(text):,}")
        return text.decode(errors="replace")

    def change(self, stack: "CloudStack", parameters: object) -> "CloudStack":
        """Update a stack to other parameters, and return it once that is complete."""
        what = f"an update of {stack.name}"
        return self._change("update_stack", what, stack.name, stack.template, parameters)

    def _change(
        self, operation: str, what: str, name: str, text: str, parameters: object
    ) -> "CloudStack":
        listed = parameters
        if isinstance(parameters, Mapping):
            listed = [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()]
        try:
            self.ask(
                "cloudformation", operation, StackName=name, TemplateBody=text, Parameters=listed,
                Capabilities=list(_CAPABILITIES),
            )  # fmt: skip
        except Failure as failure:
            # A template on the command line would fill the screen: it is in the container too.
            self._note_deploy(what, name, listed)
            looked_for = f"{what} as a stack that comes up with {_told(listed)}"
            raise Failure(looked_for, failure.saw, hint=failure.hint) from failure
        return self._described(name, text)

    def _described(self, name: str, text: str) -> "CloudStack":
        found = self.ask("cloudformation", "describe_stacks", StackName=name)["Stacks"][0]
        if not str(found["StackStatus"]).endswith("_COMPLETE") or "ROLL" in found["StackStatus"]:
            saw = f"{found['StackStatus']} {found.get('StackStatusReason', '')}"
            raise Failure(f"the stack {name} complete", shortened(saw.strip(), 300))
        outputs = {o["OutputKey"]: str(o["OutputValue"]) for o in found.get("Outputs", [])}
        return CloudStack(self, name, text, MappingProxyType(outputs))

    def _note_deploy(self, what: str, name: str, listed: object) -> None:
        if what in self._cloud.files:
            told = {"StackName": name, "Parameters": listed, "Capabilities": list(_CAPABILITIES)}
            words = [
                "--template-body",
                f"file://{what}",
                "--cli-input-json",
                json_codec.dumps(told),
            ]
            self._cloud.note("aws", "cloudformation", "create-stack", *words)

    def _refusal(self, service: str, operation: str, response: Mapping[str, Any]) -> Refusal:
        told = response.get("Error", {})
        saw = f"{told.get('Code', '')}: {told.get('Message', '')}"
        if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _SERVER_ERROR:
            return self._broke(service, operation)
        refusal = Refusal(f"{service} {operation} without an error", shortened(saw, 300))
        refusal.code = str(told.get("Code", ""))
        return refusal

    def _broken(self, service: str, operation: str, error: Exception) -> Failure:
        if self._cloud.container.exit_code() is None:
            if "<!doctype" in str(error):
                return self._broke(service, operation)
            # The error of another service, in that one's format.
            told = shortened(str(error).splitlines()[-1], 300)
            return Refusal(f"{service} {operation} without an error", told)
        logs = f"docker logs {self._cloud.container_name}"
        saw = f"it was there before, and is gone: {error}"
        return Failure("a cloud that answers", shortened(saw, 300), command=logs)

    def _broke(self, service: str, operation: str) -> Refusal:
        looked_for = f"{service} {operation} without an error"
        return Refusal(looked_for, self._cloud.trouble(), hint=_BROKEN_HINT)


@dataclass(frozen=True)
class CloudStack:
    """A stack of an account.

    Args:
        account: whose it is.
        name: of the stack.
        template: its text.
        outputs: values by name.
    """

    account: Account
    name: str
    template: str
    outputs: Mapping[str, str]

    def output(self, name: str) -> str:
        """Return the value of an output.

        Raises:
            Failure: there is none of this name.
        """
        if not self.outputs.get(name):
            self.account.note("cloudformation", "describe_stacks", StackName=self.name)
            there = ", ".join(self.outputs) or "none"
            raise Failure(f"an output {name} of the stack", f"its outputs are: {there}")
        return self.outputs[name]

    def update(self, parameters: Mapping[str, str]) -> "CloudStack":
        """Update it to other parameters, and return it as it is then.

        Raises:
            Failure: CloudFormation refuses, or the update fails.
        """
        return self.account.change(self, parameters)

    def delete(self) -> None:
        """Delete it, with all that no policy of its template keeps.

        Raises:
            Failure: CloudFormation refuses.
        """
        self.account.ask("cloudformation", "delete_stack", StackName=self.name)


def _name_account(request: Any, **_: object) -> None:
    """Tell moto whose account a request is about."""
    request.headers["x-moto-account-id"] = _ASKING.get()


def _told(listed: object) -> str:
    """Return parameters in a few words."""
    if not isinstance(listed, list) or not all(isinstance(p, dict) for p in listed):
        return "its parameters"
    return ", ".join(f"{p.get('ParameterKey')}={p.get('ParameterValue')}" for p in listed) or "none"


@pytest.fixture(scope="session")
def cloud(check_run: CheckRun) -> Cloud:
    """Return a moto beside the submission."""
    return Cloud(check_run)
