"""Whether policies in AWS's language of rights allow something: a reading of the documents alone.

The order is AWS's: what one statement denies is denied; else one that allows is enough; else it
is denied. Service control policies, permission boundaries and session policies are not looked at.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from coursework.checks.failure import Failure

_FIELDS_OF_ARN = 6
_ANYBODY = "*"


@dataclass(frozen=True)
class Request:
    """Something that somebody wants to do.

    Args:
        action: such as `sqs:SendMessage`.
        resource: its ARN.
        principal: kind and name of who asks, for a policy of the resource: `("Service",
            "sns.amazonaws.com")`; None for the policies of a role, which apply
            to anyone who has assumed it.
        context: values of condition keys, such as `aws:SourceArn`.
    """

    action: str
    resource: str
    principal: tuple[str, str] | None = None
    context: Mapping[str, str] = field(default_factory=dict)


def is_allowed(request: Request, documents: Iterable[object]) -> bool:
    """Tell whether policies allow a request.

    Args:
        request: what somebody wants to do.
        documents: policies, as parsed JSON.

    Raises:
        Failure: a document is no policy, or has a condition that cannot be evaluated here.

    Example:
        >>> all_of_sqs = {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}
        >>> read = Request("sqs:ReceiveMessage", "arn:aws:sqs:eu-central-1:123456789012:bookings")
        >>> is_allowed(read, [{"Statement": [all_of_sqs]}])
        True

    """
    effects = {
        statement["Effect"]
        for document in documents
        for statement in _statements(document)
        if _applies(statement, request)
    }
    return effects == {"Allow"}


def _statements(document: object) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        raise Failure("a policy document with statements", str(document)[:200])
    found = document.get("Statement")
    statements: list[Any] = found if isinstance(found, list) else [found]
    for statement in statements:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            raise Failure("statements whose Effect is Allow or Deny", str(statement)[:200])
    return statements


def _applies(statement: Mapping[str, Any], request: Request) -> bool:
    return (
        _is_named(statement, "Action", lambda pattern: _action_fits(pattern, request.action))
        and _is_named(statement, "Resource", lambda pattern: _arn_fits(pattern, request.resource))
        and _is_for(statement, request.principal)
        and _conditions_hold(statement.get("Condition", {}), request.context)
    )


def _is_named(statement: Mapping[str, Any], element: str, fits: Callable[[str], bool]) -> bool:
    """Tell whether an element names something, or its opposite does not name it."""
    if element in statement:
        return any(fits(pattern) for pattern in _texts(statement[element]))
    if f"Not{element}" in statement:
        return not any(fits(pattern) for pattern in _texts(statement[f"Not{element}"]))
    # A role's trust policy names no resource: it is about the role.
    return element == "Resource"


def _is_for(statement: Mapping[str, Any], principal: tuple[str, str] | None) -> bool:
    if principal is None:
        return True
    if "NotPrincipal" in statement:
        return not _names_principal(statement["NotPrincipal"], principal)
    return _names_principal(statement.get("Principal", {}), principal)


def _names_principal(named: object, principal: tuple[str, str]) -> bool:
    if named == _ANYBODY:
        return True
    if not isinstance(named, dict):
        raise Failure("a Principal with its kind, such as Service or AWS", str(named)[:200])
    if _ANYBODY in _texts(named.get("AWS", [])):
        return True
    kind, name = principal
    return any(_same_principal(text, name) for text in _texts(named.get(kind, [])))


def _same_principal(named: str, name: str) -> bool:
    """Tell whether two name the same: an account's number and its root's ARN do."""
    return name in (named, f"arn:aws:iam::{named}:root")


def _action_fits(pattern: str, action: str) -> bool:
    return _glob(pattern.lower(), action.lower())


def _arn_fits(pattern: str, arn: str) -> bool:
    """Compare field by field: a wildcard stays within its colons, and missing fields are any."""
    if pattern == _ANYBODY:
        return True
    fields = pattern.split(":", _FIELDS_OF_ARN - 1)
    fields += ["*"] * (_FIELDS_OF_ARN - len(fields))
    values = arn.split(":", _FIELDS_OF_ARN - 1)
    return len(values) == len(fields) and all(
        _glob(field, value) for field, value in zip(fields, values, strict=True)
    )


def _glob(pattern: str, value: str) -> bool:
    """Compare with a pattern of `*` and `?`; all other characters, brackets too, are literal."""
    return fnmatchcase(value, pattern.replace("[", "[[]"))


def _conditions_hold(conditions: object, context: Mapping[str, str]) -> bool:
    if not isinstance(conditions, dict):
        raise Failure("a Condition of operators and keys", str(conditions)[:200])
    known = {key.lower(): value for key, value in context.items()}
    return all(
        _holds(operator, known.get(str(key).lower()), _texts(values))
        for operator, keys in conditions.items()
        for key, values in _pairs(operator, keys)
    )


def _pairs(operator: object, keys: object) -> Iterable[tuple[object, object]]:
    if not isinstance(keys, dict):
        raise Failure(f"keys and values of the condition {operator}", str(keys)[:200])
    return keys.items()


def _holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    name = operator.removesuffix("IfExists")
    is_negated = "Not" in name
    fits = _OPERATORS.get(name.replace("Not", ""))
    if fits is None:
        known = ", ".join(_OPERATORS)
        raise Failure(f"conditions that can be evaluated here: {known}", operator)
    if value is None:
        return is_negated or operator != name
    return any(fits(text, value) for text in wanted) != is_negated


_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": _glob,
    "ArnEquals": _arn_fits,
    "ArnLike": _arn_fits,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def _texts(value: object) -> list[str]:
    """Return a text or a list of texts as a list; numbers and truth values as JSON writes them."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, (dict, list)) or each is None for each in values):
        raise Failure("a text or a list of texts in a policy", str(value)[:200])
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
