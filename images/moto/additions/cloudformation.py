"""Three kinds of resources that moto's CloudFormation leaves out, and one mistake mended.

moto only warns of a type that it doesn't know, and makes nothing. Its SQS, SNS and IAM know the
things themselves, so a template's properties are handed on to them.
"""

import json

from moto.core.common_models import CloudFormationModel
from moto.iam.models import Role, iam_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends


class Resource:
    """What the types below share: an update is a new one in the old one's place."""

    def __init__(self, identity, remove):
        self.physical_resource_id = identity
        self._remove = remove

    @staticmethod
    def cloudformation_name_type():
        return ""

    @classmethod
    def has_cfn_attr(cls, attr):
        return attr == "Id"

    def get_cfn_attribute(self, attribute_name):
        return self.physical_resource_id

    @classmethod
    def create_from_cloudformation_json(cls, name, template, account, region, **_):
        return cls(*cls.make(name, template["Properties"], account, region))

    @classmethod
    def update_from_cloudformation_json(cls, original, name, template, account, region):
        original.delete(account, region)
        return cls.create_from_cloudformation_json(name, template, account, region)

    def delete(self, account, region):
        self._remove()


class QueuePolicy(Resource, CloudFormationModel):
    """The policy of one queue or several: it can be read back; moto's SNS does not ask for it."""

    @staticmethod
    def cloudformation_type():
        return "AWS::SQS::QueuePolicy"

    @staticmethod
    def make(name, properties, account, region):
        sqs = sqs_backends[account][region]
        queues = [sqs.get_queue(url.rsplit("/", 1)[-1]) for url in properties["Queues"]]
        for queue in queues:
            queue.policy = json.dumps(properties["PolicyDocument"])

        def remove():
            for queue in queues:
                queue.policy = None

        return name, remove


class Subscription(Resource, CloudFormationModel):
    """The subscription of a queue to a topic, as a resource of its own."""

    @staticmethod
    def cloudformation_type():
        return "AWS::SNS::Subscription"

    @staticmethod
    def make(name, properties, account, region):
        sns = sns_backends[account][region]
        made = sns.subscribe(properties["TopicArn"], properties["Endpoint"], properties["Protocol"])
        raw = str(properties.get("RawMessageDelivery", False)).lower() == "true"
        made.attributes["RawMessageDelivery"] = raw
        if "FilterPolicy" in properties:
            filters = json.dumps(properties["FilterPolicy"])
            sns.set_subscription_attributes(made.arn, "FilterPolicy", filters)
        return made.arn, lambda: sns.unsubscribe(made.arn)


class RolePolicy(Resource, CloudFormationModel):
    """An inline policy of a role, as a resource of its own."""

    @staticmethod
    def cloudformation_type():
        return "AWS::IAM::RolePolicy"

    @staticmethod
    def make(_, properties, account, __):
        iam = iam_backends[account]["aws"]
        role, policy = properties["RoleName"], properties["PolicyName"]
        iam.put_role_policy(role, policy, json.dumps(properties["PolicyDocument"]))
        return f"{role}|{policy}", lambda: iam.delete_role_policy(role, policy)


_put_policy = Role.put_policy


def _put_policy_as_json(role, name, document):
    """Keep a policy that came with its role as JSON: moto would return it as Python writes it."""
    _put_policy(role, name, document if isinstance(document, str) else json.dumps(document))


Role.put_policy = _put_policy_as_json
