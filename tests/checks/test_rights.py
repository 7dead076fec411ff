"""Policies are read as AWS reads them: what is denied is denied, and only what is allowed is."""

import pytest

from coursework.checks.failure import Failure
from coursework.checks.rights import Request, is_allowed

QUEUE = "arn:aws:sqs:eu-central-1:111122223333:bookings"
TOPIC = "arn:aws:sns:eu-central-1:111122223333:sold"
READ = Request("sqs:ReceiveMessage", QUEUE)
SNS = ("Service", "sns.amazonaws.com")


def allow(**more):
    return {"Effect": "Allow", "Action": "sqs:ReceiveMessage", "Resource": QUEUE, **more}


def deny(**more):
    return {**allow(**more), "Effect": "Deny"}


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_nothing_is_allowed_unless_a_statement_allows_it():
    assert not is_allowed(READ, [])
    assert not is_allowed(READ, [document()])
    assert is_allowed(READ, [document(allow())])
    assert not is_allowed(Request("sqs:DeleteMessage", QUEUE), [document(allow())])
    assert not is_allowed(Request("sqs:ReceiveMessage", f"{QUEUE}-2"), [document(allow())])


def test_one_statement_alone_is_a_document_too():
    assert is_allowed(READ, [{"Statement": allow()}])


@pytest.mark.parametrize("order", [1, -1])
def test_what_one_policy_denies_no_other_allows(order):
    policies = [document(allow()), document(deny(Resource="*"))]
    assert not is_allowed(READ, policies[::order])
    assert not is_allowed(READ, [document(*[allow(), deny()][::order])])


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True), ("sqs:*", True), ("SQS:receivemessage", True), ("sqs:Receive*", True),
        ("sqs:?eceiveMessage", True), ("sqs:receive", False), ("sns:*", False),
        ("sqs:[R]eceiveMessage", False), (["sns:Publish", "sqs:*"], True), ([], False),
    ],
)  # fmt: skip
def test_actions_are_patterns_in_any_case(pattern, fits):
    assert is_allowed(READ, [document(allow(Action=pattern))]) == fits


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("*", True), ("arn:aws:sqs:*:*:book*", True), ("arn:aws:sqs:*:*:Book*", False),
        ("arn:aws:sqs:*", True), ("arn:aws:sqs", True), ("arn:aws:sqs:eu-central-1:*", True),
        ("arn:aws:sqs:*bookings", False), ("arn:*:sqs:eu-central-?:1111222?3333:bookings", True),
        ("arn:aws:sqs:us-east-1:*:bookings", False), (["x", QUEUE], True),
    ],
)  # fmt: skip
def test_resources_are_patterns_field_by_field(pattern, fits):
    assert is_allowed(READ, [document(allow(Resource=pattern))]) == fits


def test_a_star_reaches_over_slashes_and_later_colons():
    group = "arn:aws:logs:eu-central-1:111122223333:log-group:/lantern/dev:log-stream:a"
    statement = allow(Action="logs:*", Resource="arn:aws:logs:*:*:log-group:/lantern/*")
    assert is_allowed(Request("logs:PutLogEvents", group), [document(statement)])


def test_not_action_is_all_but_these():
    but_purge = document({"Effect": "Allow", "NotAction": "sqs:Purge*", "Resource": "*"})
    assert is_allowed(READ, [but_purge])
    assert is_allowed(Request("iam:PassRole", "arn:aws:iam::111122223333:role/x"), [but_purge])
    assert not is_allowed(Request("sqs:PurgeQueue", QUEUE), [but_purge])


def test_not_resource_is_everything_else():
    elsewhere = document({"Effect": "Deny", "Action": "*", "NotResource": [QUEUE]})
    assert is_allowed(READ, [document(allow(Resource="*")), elsewhere])
    other = Request("sqs:ReceiveMessage", f"{QUEUE}-2")
    assert not is_allowed(other, [document(allow(Resource="*")), elsewhere])


@pytest.mark.parametrize(
    ("named", "fits"),
    [
        ("*", True), ({"AWS": "*"}, True), ({"Service": "sns.amazonaws.com"}, True),
        ({"Service": ["s3.amazonaws.com", "sns.amazonaws.com"]}, True),
        ({"Service": "s3.amazonaws.com"}, False), ({"AWS": "111122223333"}, False), ({}, False),
    ],
)  # fmt: skip
def test_a_policy_of_a_resource_names_who_may(named, fits):
    asks = Request("sqs:ReceiveMessage", QUEUE, SNS)
    assert is_allowed(asks, [document(allow(Principal=named))]) == fits


def test_a_policy_of_a_resource_that_names_nobody_is_for_nobody():
    assert not is_allowed(Request("sqs:ReceiveMessage", QUEUE, SNS), [document(allow())])


def test_an_account_is_its_number_or_its_root():
    root = "arn:aws:iam::111122223333:root"
    asks = Request("sqs:ReceiveMessage", QUEUE, ("AWS", root))
    for named in ("111122223333", root):
        assert is_allowed(asks, [document(allow(Principal={"AWS": named}))])
    assert not is_allowed(asks, [document(allow(Principal={"AWS": "444455556666"}))])


def test_not_principal_is_everybody_else():
    asks = Request("sqs:ReceiveMessage", QUEUE, SNS)
    others = document(deny(NotPrincipal={"Service": "sns.amazonaws.com"}))
    everybody = document(allow(Principal="*"))
    assert is_allowed(asks, [everybody, others])
    bucket = Request("sqs:ReceiveMessage", QUEUE, ("Service", "s3.amazonaws.com"))
    assert not is_allowed(bucket, [everybody, others])


def test_a_trust_policy_names_no_resource():
    trust = document(
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": SNS[1]}}
    )
    assert is_allowed(Request("sts:AssumeRole", "arn:aws:iam::1:role/x", SNS), [trust])


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"ArnEquals": {"aws:SourceArn": TOPIC}}, True),
        ({"ArnLike": {"AWS:sourcearn": ["arn:aws:sns:*:*:sold", "x"]}}, True),
        ({"ArnEquals": {"aws:SourceArn": f"{TOPIC}-2"}}, False),
        ({"ArnNotEquals": {"aws:SourceArn": TOPIC}}, False),
        ({"ArnNotLike": {"aws:SourceArn": f"{TOPIC}-2"}}, True),
        ({"StringLike": {"aws:SourceArn": "*:so?d"}}, True),
        ({"StringEquals": {"aws:SourceArn": TOPIC.upper()}}, False),
        ({"StringEqualsIgnoreCase": {"aws:SourceArn": TOPIC.upper()}}, True),
        ({"StringNotEquals": {"aws:SourceArn": TOPIC}}, False),
        ({"Bool": {"aws:SecureTransport": True}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"StringEquals": {"aws:PrincipalTag/x": "y"}}, False),
        ({"StringEqualsIfExists": {"aws:PrincipalTag/x": "y"}}, True),
        ({"StringEqualsIfExists": {"aws:SourceArn": "y"}}, False),
        ({"StringNotEquals": {"aws:PrincipalTag/x": "y"}}, True),
        ({"ArnEquals": {"aws:SourceArn": TOPIC}, "Bool": {"aws:SecureTransport": "false"}}, False),
        ({"StringEquals": {"aws:SourceArn": TOPIC, "aws:PrincipalTag/x": "y"}}, False),
        ({}, True),
    ],
)
def test_all_conditions_must_hold(condition, holds):
    context = {"aws:SourceArn": TOPIC, "aws:SecureTransport": "true"}
    asks = Request("sqs:ReceiveMessage", QUEUE, SNS, context)
    statement = allow(Principal="*", Condition=condition)
    assert is_allowed(asks, [document(statement)]) == holds


@pytest.mark.parametrize(
    "broken",
    [
        None, "{}", [], {}, {"Statement": None}, {"Statement": ["x"]},
        document({"Effect": "allow", "Action": "*", "Resource": "*"}),
        document(allow(Action={"a": 1})), document(allow(Resource=[None])),
        document(allow(Condition=["x"])), document(allow(Condition={"StringEquals": "x"})),
        document(allow(Condition={"NumericLessThan": {"x": "1"}})),
        document(allow(Condition={"ForAllValues:StringEquals": {"x": "1"}})),
    ],
)  # fmt: skip
def test_what_is_no_policy_is_the_answers_failure(broken):
    with pytest.raises(Failure):
        is_allowed(READ, [broken])


def test_a_pattern_of_many_stars_is_compared_at_once():
    """A learner's pattern must not keep the grader busy."""
    assert not is_allowed(READ, [document(allow(Resource="*a" * 2000 + "!"))])
