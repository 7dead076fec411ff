"""What a worker sends back: JSON, and nothing of it is believed before it was looked at."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import jsonschema

import coursework.report
from coursework.checks.points import Check
from coursework.checks.verdict import CheckResult
from coursework.cohort.results import Result, bounded, from_json, to_json
from coursework.report.lines import printable
from coursework.trouble import CourseError

_LIMIT_BYTES = 8 * 1024**2
_LONGEST_TROUBLE = 1000
_MOST_DIGITS = 20
_SENT = jsonschema.Draft202012Validator(
    {
        "type": "object",
        "required": ["learner", "module", "key", "report", "trouble", "attempts", "schema"],
        "additionalProperties": False,
        "properties": {
            "schema": {"const": 1},
            "learner": {"const": ""},
            "module": {"type": "string"},
            "key": {"type": "string"},
            "report": {"type": "object"},
            "trouble": {"type": "string"},
            "attempts": {"type": "integer", "minimum": 1, "maximum": 2},
        },
    }
)


def told_there(text: object) -> str:
    """Return what another machine says, short, and without what could steer a terminal."""
    return printable(str(text)[:_LONGEST_TROUBLE])


class NotAResultError(ValueError):
    """What arrived is no result of the submission that was sent."""


@dataclass(frozen=True)
class Sent:
    """What was sent, and so what may come back.

    Args:
        module: slug.
        key: of the result.
        checks: of the module, in order.
    """

    module: str
    key: str
    checks: Sequence[Check]


def packed(result: Result) -> bytes:
    """Return a result to be sent; it names no learner."""
    return json.dumps(to_json(result)).encode()


def packed_trouble(error: CourseError) -> bytes:
    """Return, in a result's place, why the machine could not grade."""
    return json.dumps({"machine": f"{error.what} {error.why}"[:_LONGEST_TROUBLE]}).encode()


def unpacked(data: object, sent: Sent) -> Result:
    """Return the result that arrived, without a learner's name.

    Raises:
        CourseError: the machine says that it could not grade.
        NotAResultError: it is anything else.
    """
    values = _parsed(data)
    if set(values) == {"machine"}:
        raise CourseError(told_there(values["machine"]))
    try:
        _SENT.validate(values)
        _report_schema().validate(values["report"])
    except jsonschema.ValidationError as error:
        raise NotAResultError(f"{error.json_path}: {error.message}"[:300]) from error
    result = from_json(values)
    if (result.module, result.report.module, result.key) != (sent.module, sent.module, sent.key):
        raise NotAResultError("it is a result of something else")
    if len(result.report.checks) != len(sent.checks) or not all(
        map(_is_of, result.report.checks, sent.checks)
    ):
        raise NotAResultError("its checks or points are not those of the module")
    return Result("", sent.module, sent.key, bounded(result.report), told_there(result.trouble),
                  result.attempts)  # fmt: skip


def _parsed(data: object) -> dict[str, Any]:
    if not isinstance(data, bytes) or len(data) > _LIMIT_BYTES:
        raise NotAResultError(f"it is no text of at most {_LIMIT_BYTES:,} bytes")
    try:
        values = json.loads(data, parse_constant=_refuse, parse_float=_finite, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise NotAResultError(f"it is no JSON: {error}"[:300]) from error
    if not isinstance(values, dict):
        raise NotAResultError("it is no JSON object")
    return values


def _refuse(number: str) -> NoReturn:
    raise ValueError(f"{number[:_MOST_DIGITS]} is no number for us")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _whole(number: str) -> int:
    return int(number) if len(number) <= _MOST_DIGITS else _refuse(number)


@cache
def _report_schema() -> jsonschema.Draft202012Validator:
    file = Path(coursework.report.__file__).with_name("schema.json")
    return jsonschema.Draft202012Validator(json.loads(file.read_bytes()))


def _is_of(result: CheckResult, check: Check) -> bool:
    earned = check.points if result.verdict == "passed" else 0
    wanted = (check.name, check.title, check.points, earned)
    return (result.name, result.title, result.max_points, result.points) == wanted
