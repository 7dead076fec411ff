"""A queue's policy and a topic's subscription as resources, and two attributes of theirs."""

import json

from additions.resource import Resource
from moto.core.common_models import CloudFormationModel
from moto.sns.models import Topic, sns_backends
from moto.sqs.models import Queue, sqs_backends


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


def _answer_as_ref(kind, attribute):
    """Have `!GetAtt` of an attribute mean what it does in the cloud: the same as `!Ref`."""
    has, get = kind.has_cfn_attr, kind.get_cfn_attribute
    kind.has_cfn_attr = lambda attr: attr == attribute or has(attr)
    kind.get_cfn_attribute = lambda resource, name: (
        resource.physical_resource_id if name == attribute else get(resource, name)
    )


_answer_as_ref(Queue, "QueueUrl")
_answer_as_ref(Topic, "TopicArn")
