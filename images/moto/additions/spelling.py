"""Templates as CloudFormation reads them, where moto takes YAML at its word."""

# ruff: noqa: SLF001 - moto has no public way to them.
import copy

import yaml
from moto.cloudformation.parsing import OutputMap


def _condition(loader, node):
    """Read `!Condition IsProd`; there is no Fn::Condition."""
    return {"Condition": loader.construct_scalar(node)}


def _attribute(loader, node):
    """Read both short forms: `!GetAtt Queue.Arn` and `!GetAtt [Queue, Arn]`."""
    if isinstance(node, yaml.SequenceNode):
        return {"Fn::GetAtt": loader.construct_sequence(node, deep=True)}
    return {"Fn::GetAtt": loader.construct_scalar(node).split(".", 1)}


def _text(loader, node):
    """Read a version such as 2012-10-17 as a text, with and without quotes."""
    return loader.construct_scalar(node)


# A constructor of one tag comes before moto's for all tags.
yaml.add_constructor("!Condition", _condition)
yaml.add_constructor("!GetAtt", _attribute)
yaml.add_constructor("tag:yaml.org,2002:timestamp", _text)

_exports = OutputMap.exports.fget


def _exports_of_what_is_there(outputs):
    """Leave out whose condition is false: moto would look for its value all the same."""
    conditions = outputs._resource_map.lazy_condition_map
    there = copy.copy(outputs)
    there._output_json_map = {
        name: output
        for name, output in (outputs._output_json_map or {}).items()
        if "Condition" not in output or conditions.get(output["Condition"])
    }
    return _exports(there)


OutputMap.exports = property(_exports_of_what_is_there)
