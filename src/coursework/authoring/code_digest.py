"""A digest of Python code that stays the same when only words for readers change."""

import ast
import hashlib
import json
from typing import Any

# Keywords of checks that a learner reads; no verdict depends on them.
_WORDS = {"hint", "hints", "link"}
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_digest(source: str) -> str:
    """Return what changes when code does, but not its comments, docstrings, layout or hints.

    Raises:
        SyntaxError: it is no Python.
    """
    tree = _plain(ast.parse(source))
    return hashlib.sha256(json.dumps(tree).encode()).hexdigest()


def _plain(node: Any) -> Any:
    """Return a tree as lists; fields that are empty are left out, as newer Pythons have more."""
    if isinstance(node, list):
        return [_plain(item) for item in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, _WITH_DOCSTRING) and ast.get_docstring(node) is not None:
        fields["body"] = node.body[1:]
    if isinstance(node, ast.Call):
        fields["keywords"] = [k for k in node.keywords if k.arg not in _WORDS]
    if isinstance(node, ast.JoinedStr):
        # Python 3.12 ends some f-strings with an empty text.
        fields["values"] = [v for v in node.values if getattr(v, "value", None) != ""]
    return [type(node).__name__, *([name, _plain(value)] for name, value in fields.items())]
