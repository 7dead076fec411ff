"""Workflow files as GitHub reads them: which of them an event starts, and what their jobs are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import yaml

from coursework.checks.failure import Failure

FOLDER = ".github/workflows"
_BRANCHES, _TAGS = "refs/heads/", "refs/tags/"
_LIMIT_PATTERN_CHARACTERS = 200
_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Event:
    """Something that happened to a repository.

    Args:
        name: `push` or `pull_request`.
        ref: that was pushed, such as `refs/heads/main`; of a pull request, what it wants to change.
        payload: what GitHub tells of it, as JSON.
    """

    name: str
    ref: str
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Workflow:
    """One workflow file.

    Args:
        path: in the answer.
        content: of the file; every scalar is text, and keys are as written.
    """

    path: str
    content: Mapping[str, Any]

    @cached_property
    def triggers(self) -> Mapping[str, Any]:
        """The events under `on`, each with its filters."""
        on = self.content.get("on")
        if isinstance(on, str):
            return {on: {}}
        if isinstance(on, list):
            return {name: {} for name in on if isinstance(name, str)}
        return mapping(on)

    @property
    def jobs(self) -> Mapping[str, Mapping[str, Any]]:
        """The jobs by their ids."""
        return {name: mapping(job) for name, job in mapping(self.content.get("jobs")).items()}

    def starts_on(self, event: Event) -> bool:
        """Tell whether an event starts it: by name, branch, tag and type, not by changed paths.

        Example:
            >>> workflow.starts_on(Event("push", "refs/heads/main"))
            True

        """
        if event.name not in self.triggers:
            return False
        filters = mapping(self.triggers[event.name])
        if event.name == "pull_request":
            types = _texts(filters.get("types"))
            if types and event.payload.get("action") not in types:
                return False
            return _lets_through(filters, "branches", event.ref.removeprefix(_BRANCHES))
        kind, other = ("tags", "branches") if event.ref.startswith(_TAGS) else ("branches", "tags")
        if {other, f"{other}-ignore"} & filters.keys() and not _has(filters, kind):
            return False
        return _lets_through(filters, kind, event.ref.removeprefix(_BRANCHES).removeprefix(_TAGS))


def read_workflows(files: Mapping[str, bytes]) -> list[Workflow]:
    """Read all workflow files of an answer, in the order of their names.

    Raises:
        Failure: one of them is no YAML, or no mapping.
    """
    paths = sorted(p for p in files if str(PurePosixPath(p).parent) == FOLDER)
    return [
        Workflow(path, read_mapping(path, files[path]))
        for path in paths
        if path.endswith((".yml", ".yaml"))
    ]


def read_mapping(path: str, data: bytes) -> Mapping[str, Any]:
    """Read a YAML file as texts, lists and mappings; `on` stays a word.

    Args:
        path: of the file, for the failure.
        data: its bytes.

    Raises:
        Failure: it is no YAML, or no mapping, or has more than 64 KiB.
    """
    if len(data) > _LIMIT_BYTES:
        raise Failure(f"{path} of at most {_LIMIT_BYTES:,} bytes", f"{len(data):,} bytes")
    try:
        # Texts, lists and mappings: this loader makes nothing else.
        content = yaml.load(data.decode(), Loader=yaml.BaseLoader)  # noqa: S506
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Failure(f"{path} in YAML", f"{error.problem}{line}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise Failure(f"{path} in YAML", str(error)[:200]) from error
    if not isinstance(content, dict):
        raise Failure(f"a mapping in {path}", "none")
    return content


def mapping(value: object) -> Mapping[str, Any]:
    """Return a mapping with the keys that are text; empty for whatever is none."""
    if not isinstance(value, dict):
        return {}
    return {key: item for key, item in value.items() if isinstance(key, str)}


def all_texts(value: object) -> Iterator[str]:
    """Yield every text in nested lists and mappings, keys too, each node once."""
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, str):
            yield node
        elif isinstance(node, dict | list) and id(node) not in seen:
            seen.add(id(node))
            waiting += [*node.keys(), *node.values()] if isinstance(node, dict) else node


def _has(filters: Mapping[str, Any], kind: str) -> bool:
    return bool({kind, f"{kind}-ignore"} & filters.keys())


def _lets_through(filters: Mapping[str, Any], kind: str, name: str) -> bool:
    if kind in filters:
        # Of a name that several patterns fit, the last one decides.
        through = False
        for pattern in _texts(filters[kind]):
            if fits(pattern.removeprefix("!"), name):
                through = not pattern.startswith("!")
        return through
    return not any(fits(pattern, name) for pattern in _texts(filters.get(f"{kind}-ignore")))


def _texts(value: object) -> Sequence[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def fits(pattern: str, name: str) -> bool:
    """Tell whether a filter pattern of GitHub's fits a branch or tag.

    `*` matches anything without a slash, `**` anything at all; `?` makes the character before it
    optional, `+` lets it repeat, and `[a-z]` is one of several.

    Example:
        >>> fits("v[12].*", "v2.7")
        True

    """
    places = {0}
    for accepted, at_least, at_most in _pieces(pattern[:_LIMIT_PATTERN_CHARACTERS]):
        reached = set(places) if at_least == 0 else set()
        edge = places
        for _ in range(min(at_most, len(name))):
            edge = {n + 1 for n in edge if n < len(name) and accepted(name[n])} - reached
            reached |= edge
            if not edge:
                break
        places = reached
    return len(name) in places


def _pieces(pattern: str) -> Iterator[tuple[Any, int, int]]:
    """Yield what each piece of a pattern accepts, and how often at least and at most."""
    many = 10_000
    at = 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            yield (lambda _: True), 0, many
            at += 2
            continue
        if pattern[at] == "*":
            yield (lambda c: c != "/"), 0, many
            at += 1
            continue
        accepted, at = _single(pattern, at)
        follows = pattern[at : at + 1]
        at += follows in ("?", "+") and bool(follows)
        yield accepted, 0 if follows == "?" else 1, many if follows == "+" else 1


def _single(pattern: str, at: int) -> tuple[Any, int]:
    """Return what one character of a name may be, and where the pattern continues."""
    end = pattern.find("]", at + 1)
    if pattern[at] == "[" and end > 0:
        listed = pattern[at + 1 : end]
        return (lambda c: _is_listed(c, listed)), end + 1
    if pattern[at] == "\\" and at + 1 < len(pattern):
        at += 1
    wanted = pattern[at]
    return (lambda c: c == wanted), at + 1


def _is_listed(character: str, listed: str) -> bool:
    ranges = [listed[n : n + 3] for n in range(len(listed) - 2) if listed[n + 1] == "-"]
    return character in listed or any(r[0] <= character <= r[2] for r in ranges)
