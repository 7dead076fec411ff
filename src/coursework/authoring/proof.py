"""A module's proof: digests of all that was proved, and what came of it.

`course audit NN --record` writes graders/NN-slug/proof.json. Its two parts, the lesson and the
answers to the exercise, are each as old as what they were proved with.
"""

import ast
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from coursework.authoring.outputs import cells_digest, output_files
from coursework.authoring.source import Cell
from coursework.files import files_digest as digest_of_files
from coursework.files import folder_files, write_whole
from coursework.images.recipe import load_recipes
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.trouble import CourseError

PROOF = "proof.json"
_SEAL = "sha256"
_SHOWN_DIGITS = 16
# Keywords of checks that a learner reads; no verdict depends on them.
_WORDS = {"hint", "hints", "link"}
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class LessonProof:
    """A lesson that ran as it should.

    Args:
        of: digest of each thing that the run depends on, by name.
        outputs: digest of what its cells showed, as committed.
        seconds: that it took.
    """

    of: Mapping[str, str]
    outputs: str
    seconds: float


@dataclass(frozen=True)
class AnswerProof:
    """An answer that came to what it must.

    Args:
        files: digest of its files as they were graded.
        verdicts: by check.
        seconds: that its grading took.
    """

    files: str
    verdicts: Mapping[str, str]
    seconds: float


@dataclass(frozen=True)
class ExerciseProof:
    """Answers that were graded with the same checks.

    Args:
        of: digest of each thing that all gradings depend on, by name.
        answers: by name.
    """

    of: Mapping[str, str]
    answers: Mapping[str, AnswerProof] = field(default_factory=dict)


@dataclass(frozen=True)
class Proof:
    """What of a module is proved.

    Args:
        lesson: None where it is not.
        exercise: None where no answer is.
    """

    lesson: LessonProof | None = None
    exercise: ExerciseProof | None = None


class ProofError(CourseError):
    """A proof is not as it was recorded."""


def read_proof(layout: Layout, slug: str) -> Proof | None:
    """Return a module's proof; None where none was recorded.

    Raises:
        ProofError: it is not what was recorded.
    """
    path = layout.grader(slug) / PROOF
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_bytes())
        is_whole = content.pop(_SEAL, "") == _seal(content)
        lesson, exercise = content["lesson"], content["exercise"]
        answers = {n: AnswerProof(**a) for n, a in (exercise or {}).get("answers", {}).items()}
        proof = Proof(
            LessonProof(**lesson) if lesson else None,
            replace(ExerciseProof(**exercise), answers=answers) if exercise else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProofError(f"{PROOF} cannot be read.", why=str(error)) from error
    if not is_whole:
        raise ProofError(f"{PROOF} was changed by hand.")
    return proof


def write_proof(layout: Layout, slug: str, proof: Proof) -> None:
    """Write a module's proof in place of the one before."""
    content = {"lesson": None, "exercise": None, **asdict(proof)}
    text = json.dumps({**content, _SEAL: _seal(content)}, indent=1, sort_keys=True)
    path = layout.grader(slug) / PROOF
    write_whole(path, f"{text}\n".encode())


def _seal(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def lesson_inputs(layout: Layout, module: Module, cells: Sequence[Cell]) -> dict[str, str]:
    """Return digests of all that a lesson's run depends on, by what an author calls it."""
    names = (*module.images, *module.lesson_images, *module.cluster_images)
    return {
        "its code": _short(cells_digest(cells)),
        **_laid_inputs(layout, module.slug),
        **_image_inputs(layout, names),
    }


def exercise_inputs(layout: Layout, module: Module) -> dict[str, str]:
    """Return digests of all that every answer's grading depends on, by what an author calls it.

    Raises:
        CourseError: the checks are no Python, or a folder holds a link.
    """
    names = (*module.images, *module.check_images, *module.cluster_images)
    file = layout.grader(module.slug) / "checks.py"
    try:
        checks = code_digest(file.read_text("utf-8"))
    except (OSError, ValueError, SyntaxError) as error:
        raise CourseError(f"{file} is no Python.", why=str(error)) from error
    return {
        "checks.py": _short(checks),
        "sandbox": str(module.sandbox).lower(),
        **_laid_inputs(layout, module.slug),
        **_image_inputs(layout, names),
    }


def _laid_inputs(layout: Layout, slug: str) -> dict[str, str]:
    return {
        "given/": files_digest(folder_files(layout.given(slug))),
        "starter/": files_digest(folder_files(layout.starter(slug))),
    }


def _image_inputs(layout: Layout, names: Sequence[str]) -> dict[str, str]:
    recipes = load_recipes(layout)
    return {n: recipes[n].stem if n in recipes else "unknown" for n in dict.fromkeys(names)}


def files_digest(files: Mapping[str, bytes]) -> str:
    """Return what changes when a file's name or content does."""
    return _short(digest_of_files(files))


def outputs_digest(layout: Layout, slug: str) -> str:
    """Return what changes when a lesson's committed outputs do."""
    folder = layout.lesson(slug).parent
    present = [folder / n for n in output_files(layout, slug) if (folder / n).is_file()]
    return files_digest({path.name: path.read_bytes() for path in present})


def _short(digest: str) -> str:
    return digest[:_SHOWN_DIGITS]


def changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return the names of what differs between two sets of digests."""
    return [name for name in {**now, **then} if then.get(name) != now.get(name)]


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
