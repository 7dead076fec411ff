"""The answers that prove a module: which there are, and what each must come to."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from coursework.authoring.audit.subject import Subject
from coursework.authoring.derive import NOTEBOOK, derive_exercise, folder_files
from coursework.authoring.diffs import DiffError
from coursework.authoring.source import reference_files
from coursework.layout import Layout
from coursework.modules.catalogue import Module
from coursework.submissions.notebook import parse_notebook

SOLUTION, BLANK, WRONG, RIGHT, JUNK = "solution", "blank", "wrong", "right", "junk"
JUNK_IMAGE = "python:3.13-slim"
_NOT_LAID = "README.md"
# Junk brings an image of its own: a module's Dockerfile, also a given one, is left away.
_OF_THE_IMAGE = ("Dockerfile", ".dockerignore")
# What decides which packages a build installs.
_OF_A_BUILD = (
    *_OF_THE_IMAGE, "package.json", "package-lock.json", "requirements.txt", "pyproject.toml",
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """One answer to a module's exercise.

    Args:
        name: such as `solution` or `wrong/quick_start/json_as_text`.
        files: as a learner would have written them.
        place: the file or folder that it comes from.
        is_alone: whether the module's starter and given Dockerfile are left away.
    """

    name: str
    files: Mapping[str, bytes]
    place: Path
    is_alone: bool = False

    @property
    def kind(self) -> str:
        """One of solution, blank, wrong, right, junk."""
        return self.name.split("/")[0]

    @property
    def wrong_check(self) -> str:
        """The check that a wrong answer must fail."""
        return self.name.split("/")[1] if self.kind == WRONG else ""


def answers_of(subject: Subject) -> list[Answer]:
    """Return all answers of a module: its own first, then those that nobody wrote for it.

    Raises:
        CourseError: the exercise cannot be derived.
    """
    layout, slug = subject.layout, subject.slug
    source = layout.solution(slug)
    reference = reference_files(subject.exercise)
    blank = parse_notebook(derive_exercise(layout, slug)[NOTEBOOK]).files
    answers = [Answer(SOLUTION, reference, source), Answer(BLANK, blank, source)]
    grader = layout.grader(slug)
    answers += right_answers(layout, slug)
    wrong = [p for p in sorted(grader.glob(f"{WRONG}/*/*")) if p.is_dir()]
    answers += [Answer(_name(p, grader), {**reference, **_laid(p)}, p) for p in wrong]
    return [*answers, *_mutated(subject), *_junk(subject)]


def _mutated(subject: Subject) -> Iterator[Answer]:
    """Return the solution with each mistake in it; one that no longer applies is a finding."""
    for mistake in subject.mistakes:
        with suppress(DiffError):
            yield Answer(f"{WRONG}/{mistake.name}", mistake.answer, mistake.path)


def right_answers(layout: Layout, slug: str) -> list[Answer]:
    """Return the answers that people wrote in other designs."""
    grader = layout.grader(slug)
    folders = [p for p in sorted(grader.glob(f"{RIGHT}/*")) if p.is_dir()]
    return [Answer(_name(folder, grader), _laid(folder), folder) for folder in folders]


def _name(folder: Path, grader: Path) -> str:
    return folder.relative_to(grader).as_posix()


def _laid(folder: Path) -> dict[str, bytes]:
    return {name: data for name, data in folder_files(folder).items() if name != _NOT_LAID}


def _junk(subject: Subject) -> Iterator[Answer]:
    """Return programs that nobody wrote for this module, each with an image of its own."""
    layout, slug = subject.layout, subject.slug
    laid = {**folder_files(layout.starter(slug)), **folder_files(layout.given(slug))}
    kept = {name: data for name, data in laid.items() if name not in _OF_THE_IMAGE}
    for folder in sorted(Path(str(files("coursework.authoring") / "junk")).iterdir()):
        if folder.is_dir():
            own = folder_files(folder)
            checks = subject.checks_file
            yield Answer(f"{JUNK}/{folder.name}", {**kept, **own}, checks, is_alone=True)


@dataclass(frozen=True)
class BareLayout(Layout):
    """A clone whose modules give no files: an answer is built as it is."""

    def given(self, slug: str) -> Path:
        """Return a folder that does not exist."""
        return self.state / "nothing" / slug

    def starter(self, slug: str) -> Path:
        """Return a folder that does not exist."""
        return self.state / "nothing" / slug


def warming_answers(layout: Layout, module: Module) -> list[dict[str, bytes]]:
    """Return folders whose builds leave the steps of a module's right answers in a cache.

    What the answers themselves say is left out: who looks through the cache finds no solution.

    Raises:
        CourseError: the exercise cannot be derived.
    """
    slug = module.slug
    solution = reference_files(Subject(layout, module).exercise)
    starter, given = folder_files(layout.starter(slug)), folder_files(layout.given(slug))
    right = [solution, *(answer.files for answer in right_answers(layout, slug))]
    return [{**starter, **_without_words(files), **given} for files in right]


def _without_words(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: data if Path(name).name in _OF_A_BUILD else b"" for name, data in files.items()}
