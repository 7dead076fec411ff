"""A role's policies: as resources of their own, attached with the role, and gone with it."""

import json
from contextlib import suppress

from additions.resource import Resource
from moto.core.common_models import CloudFormationModel
from moto.iam.exceptions import NotFoundException
from moto.iam.models import ManagedPolicy, Role, iam_backends


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

        def remove():
            # Where the role went first, it took its policies along.
            with suppress(NotFoundException):
                iam.delete_role_policy(role, policy)

        return f"{role}|{policy}", remove


_put_policy = Role.put_policy


def _put_policy_as_json(role, name, document):
    """Keep a policy that came with its role as JSON: moto would return it as Python writes it."""
    _put_policy(role, name, document if isinstance(document, str) else json.dumps(document))


Role.put_policy = _put_policy_as_json

_make_role, _delete_role = (
    Role.create_from_cloudformation_json,
    Role.delete_from_cloudformation_json,
)


def _make_role_with_policies(name, template, account, region, **more):
    """Attach what ManagedPolicyArns names; moto leaves it out."""
    role = _make_role(name, template, account, region, **more)
    for arn in template["Properties"].get("ManagedPolicyArns", []):
        iam_backends[account]["aws"].attach_role_policy(arn, role.name)
    return role


def _delete_role_with_policies(name, template, account, region):
    role = iam_backends[account]["aws"].get_role(name)
    for policy in list(role.managed_policies.values()):
        policy.detach_from(role)
    _delete_role(name, template, account, region)


def _delete_managed_policy(policy, account, region):
    """Delete a stack's managed policy; moto keeps it for ever."""
    iam = iam_backends[account]["aws"]
    for role in iam.roles.values():
        if policy.arn in role.managed_policies:
            policy.detach_from(role)
    iam.delete_policy(policy.arn)


Role.create_from_cloudformation_json = _make_role_with_policies
Role.delete_from_cloudformation_json = _delete_role_with_policies
ManagedPolicy.delete = _delete_managed_policy
