"""A moto beside the answer: its stacks, its services, and what both refuse."""

import subprocess

import pytest

from coursework.checks.cloud import Cloud, Refusal
from coursework.checks.failure import Failure
from coursework.images import ensure_images
from tests.checks.conftest import opened_runs

pytestmark = pytest.mark.engine

TEMPLATE = """
Parameters:
  Env: {Type: String, AllowedValues: [dev, prod]}
  Times: {Type: Number, Default: 3}
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub "${Env}-bookings"}}
  Topic: {Type: AWS::SNS::Topic}
  Subscribed:
    Type: AWS::SNS::Subscription
    Properties:
      {TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Queue.Arn, RawMessageDelivery: true}
  MaySend:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Statement: {Effect: Allow, Principal: "*", Action: "sqs:SendMessage"}
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: worker
      ManagedPolicyArns: [!Ref Managed]
      AssumeRolePolicyDocument: {Statement: []}
      Policies:
        - PolicyName: inline
          PolicyDocument:
            Version: "2012-10-17"
            Statement: {Effect: Allow, Action: "sqs:a", Resource: "*"}
  Beside:
    Type: AWS::IAM::RolePolicy
    Properties:
      RoleName: !Ref Role
      PolicyName: beside
      PolicyDocument:
        Version: "2012-10-17"
        Statement: {Effect: Allow, Action: "sqs:b", Resource: "*"}
  Managed:
    Type: AWS::IAM::ManagedPolicy
    Properties:
      PolicyDocument:
        Version: "2012-10-17"
        Statement: {Effect: Allow, Action: "sqs:c", Resource: "*"}
  Bucket: {Type: AWS::S3::Bucket, DeletionPolicy: Retain, Properties: {BucketName: !Ref Env}}
Outputs:
  Url: {Value: !GetAtt Queue.QueueUrl}
  Topic: {Value: !GetAtt Topic.TopicArn}
"""
FILES = {
    "template.yaml": TEMPLATE,
    "half.yaml": "Resources:\n  A:\n    Type: AWS::DynamoDB::Table\n    DeletionPolicy: Retain\n",
    "broken.yaml": "Resources: {A: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Nope}}}",
    "large.yaml": "#" * 51_201,
    "empty.yaml": "\n",
}


@pytest.fixture(scope="module")
def cloud(engine, tmp_path_factory):
    """Return a cloud for all of them: each has accounts of its own."""
    ensure_images(engine, ["course/moto:1"])
    with opened_runs(engine, tmp_path_factory.mktemp("cloud")) as open_on:
        yield Cloud(open_on(FILES))


@pytest.fixture
def account(cloud):
    """Return a new account, whose buckets' names are free afterwards."""
    made = cloud.create_account()
    yield made
    made.delete_buckets()


def test_a_stack_is_made_with_all_that_its_template_names(account):
    stack = account.deploy("template.yaml", "lantern", {"Env": "dev"})
    assert stack.output("Url").endswith("/dev-bookings")
    account.ask("sns", "publish", TopicArn=stack.output("Topic"), Message="C4")
    [message] = account.ask("sqs", "receive_message", QueueUrl=stack.output("Url"))["Messages"]
    assert message["Body"] == "C4"
    asked = {"QueueUrl": stack.output("Url"), "AttributeNames": ["Policy"]}
    assert (
        "sqs:SendMessage"
        in account.ask("sqs", "get_queue_attributes", **asked)["Attributes"]["Policy"]
    )


def test_a_role_has_its_policies_wherever_they_are_written(account):
    account.deploy("template.yaml", "lantern", {"Env": "dev"})
    actions = [policy["Statement"]["Action"] for policy in account.policies_of_role("worker")]
    assert sorted(actions) == ["sqs:a", "sqs:b", "sqs:c"]


def test_a_deleted_stack_leaves_what_its_template_keeps(account):
    stack = account.deploy("template.yaml", "lantern", {"Env": "dev"})
    stack.delete()
    assert [b["Name"] for b in account.ask("s3", "list_buckets")["Buckets"]] == ["dev"]
    assert account.ask("sqs", "list_queues").get("QueueUrls", []) == []
    assert account.ask("iam", "list_roles")["Roles"] == []
    assert account.ask("iam", "list_policies", Scope="Local")["Policies"] == []


def test_an_account_sees_nothing_of_another_one(cloud, account):
    account.deploy("template.yaml", "lantern", {"Env": "dev"})
    other = cloud.create_account()
    assert other.number != account.number
    assert other.ask("sqs", "list_queues").get("QueueUrls", []) == []
    with pytest.raises(Failure, match="BucketAlreadyExists"):
        other.deploy("template.yaml", "lantern", {"Env": "dev"})


def test_names_of_buckets_are_free_again(cloud, account):
    account.deploy("template.yaml", "lantern", {"Env": "dev"})
    account.ask("s3", "put_object", Bucket="dev", Key="a", Body=b"x")
    account.delete_buckets()
    other = cloud.create_account()
    other.deploy("template.yaml", "lantern", {"Env": "dev"})
    other.delete_buckets()


def test_a_stack_is_updated(account):
    stack = account.deploy("template.yaml", "lantern", {"Env": "dev"})
    updated = stack.update({"Env": "dev", "Times": "5"})
    assert updated.output("Url") == stack.output("Url")


def test_a_template_says_what_its_parameters_may_be(account):
    told = account.expected_parameters("template.yaml")
    assert told["Env"]["ParameterConstraints"]["AllowedValues"] == ["dev", "prod"]
    assert told["Times"]["DefaultValue"] == "3"


def test_a_file_of_parameters_is_taken_as_it_is(account):
    listed = [{"ParameterKey": "Env", "ParameterValue": "prod"}]
    assert account.deploy("template.yaml", "x", listed).output("Url").endswith("/prod-bookings")
    with pytest.raises(Failure, match="Env=7") as failure:
        account.deploy("template.yaml", "y", [{"ParameterKey": "Env", "ParameterValue": 7}])
    assert "ParameterValue" in failure.value.saw


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("broken.yaml", "Nope"),
        ("large.yaml", "51,201"),
        ("empty.yaml", "none"),
        ("no.yaml", "none"),
    ],
)
def test_a_template_that_is_none_is_the_answers_failure(account, name, told):
    with pytest.raises(Failure) as failure:
        account.deploy(name, "lantern")
    assert told in failure.value.saw


def test_a_missing_output_names_those_that_are_there(account):
    stack = account.deploy("template.yaml", "lantern", {"Env": "dev"})
    with pytest.raises(Failure, match="Url, Topic"):
        stack.output("QueueUrl")


def test_what_a_service_refuses_is_told_with_its_word(account):
    with pytest.raises(Refusal, match="NoSuchEntity") as refusal:
        account.policies_of_role("nobody")
    assert refusal.value.code == "NoSuchEntity"


def test_the_report_can_show_it_again(cloud, account, engine):
    """The command that is noted asks the same account."""
    account.deploy("template.yaml", "lantern", {"Env": "dev"})
    account.ask("iam", "get_role", RoleName="worker")
    typed = subprocess.run(
        ["bash", "-c", cloud._run.evidence.command(None)], env=engine.environment(),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert f"arn:aws:iam::{account.number}:role/worker" in typed.stdout


def test_the_linter_names_line_and_rule(cloud):
    found = cloud.lint("half.yaml", mandatory=("W3011",)).result()
    assert (2, "W3011") in {(each.line, each.rule) for each in found}
    assert {"E", "W"} == {each.rule[0] for each in found}
