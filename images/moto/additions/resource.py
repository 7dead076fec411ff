"""What kinds of resources share that moto's CloudFormation leaves out.

moto only warns of a type that it doesn't know, and makes nothing. Its services know the things
themselves, so a template's properties are handed on to them.
"""


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
