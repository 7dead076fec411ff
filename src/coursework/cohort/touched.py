"""What of a module's grading differs from how an earlier commit of the clone did it."""

import ast
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coursework.authoring.proof import changed, code_digest, exercise_inputs, files_digest
from coursework.layout import Layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.programs import last_words, run
from coursework.trouble import CourseError

_PACKAGE = "coursework.checks"
# The word that starts a program of ours by its name, beside all the others.
_STARTS_PROGRAMS = "companion"
# How an answer is read and judged, whichever words its checks use.
_ALWAYS = ("submissions/*.py", "grading/*.py", "checks/plugin.py", "checks/points.py")


@dataclass(frozen=True)
class Touched:
    """What grades a module now and did not at a commit.

    Args:
        names: of what differs, such as checks.py; none where all is as it was.
        mark: changes when anything does that grades the module now.
    """

    names: list[str]
    mark: str


def changed_since(layout: Layout, module: Module, commit: str) -> Touched:
    """Return what grades a module and is not as it was at a commit.

    Args:
        layout: the clone, a git repository.
        module: of its catalogue.
        commit: its name, such as a hash or a tag.

    Raises:
        CourseError: there is no such commit.
    """
    whole = _commit(layout, commit)
    now = _inputs(layout, module)
    with tempfile.TemporaryDirectory(prefix="course-then-") as folder:
        _lay_out(layout, module, whole, Path(folder))
        try:
            earlier = Layout(Path(folder))
            then = _inputs(earlier, load_catalogue(earlier).find(module.slug))
        except (CourseError, SyntaxError):
            # The module was not there, or its files had another form: nothing can be compared.
            then = {}
    mark = files_digest({name: digest.encode() for name, digest in now.items()})
    return Touched(changed(then, now), mark)


def _commit(layout: Layout, name: str) -> str:
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    try:
        done = run(["git", "-C", str(layout.root), *words])
    except OSError as error:
        raise CourseError("git is needed, and is not there.", why=str(error)) from error
    if done.returncode:
        raise CourseError(
            f"There is no commit {name[:80]!r} in this clone.",
            why=last_words(done) or "neither a hash, a tag nor a branch is called so",
            fix="git log --oneline; git fetch, if it is on another machine",
        )
    return done.stdout.strip()


def _lay_out(layout: Layout, module: Module, commit: str, folder: Path) -> None:
    """Lay a commit's files out, but of 3,000 only those that are compared."""
    slug = module.slug
    engine = [f"src/coursework/{room}/" for room in ("checks", "grading", "submissions")]
    content = (f"graders/{slug}/checks.py", f"solutions/{slug}/")
    wanted = ("course/catalogue.toml", "images/", *content, *engine)
    command = ["git", "-C", str(layout.root), "archive", "--format=tar", commit]
    packed = subprocess.run(command, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = [m for m in archive if m.name.startswith(wanted)]
        archive.extractall(folder, members, filter="data")


def _inputs(layout: Layout, module: Module) -> dict[str, str]:
    engine = layout.root / "src" / "coursework"
    code = {f.relative_to(engine).as_posix(): f for f in _engine_files(layout, module, engine)}
    digests = {name: code_digest(file.read_text("utf-8")) for name, file in code.items()}
    return {**exercise_inputs(layout, module), **digests}


def _engine_files(layout: Layout, module: Module, engine: Path) -> Iterator[Path]:
    """Yield what is always used, and the files of the words that the module's checks use."""
    for pattern in _ALWAYS:
        yield from engine.glob(pattern)
    files = {f.stem: f for f in (engine / "checks").glob("*.py") if f.stem != "__init__"}
    trees = {name: ast.parse(file.read_bytes()) for name, file in files.items()}
    checks = layout.grader(module.slug) / "checks.py"
    names = _names(ast.parse(checks.read_bytes())) if checks.is_file() else set()
    waiting = [name for name, tree in trees.items() if names & _defined(tree)]
    used: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in files and name not in used:
            used.add(name)
            yield files[name]
            waiting += _imported(trees[name])
    if _STARTS_PROGRAMS in used:
        yield from engine.glob("checks/programs/*.py")


def _names(tree: ast.AST) -> set[str]:
    """Return what a module's checks call by name: fixtures are arguments."""
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return arguments | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def _defined(tree: ast.Module) -> set[str]:
    kinds = (ast.FunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def _imported(tree: ast.AST) -> list[str]:
    found = [n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.module]
    return [m.removeprefix(f"{_PACKAGE}.") for m in found if m.startswith(f"{_PACKAGE}.")]
