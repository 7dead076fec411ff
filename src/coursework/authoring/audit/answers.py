"""The answers that prove a module: which there are, and what each must come to."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from coursework.authoring.audit.subject import Subject
from coursework.authoring.derive import NOTEBOOK, derive_exercise
from coursework.authoring.diffs import DiffError
from coursework.authoring.source import reference_files
from coursework.files import folder_files
from coursework.modules.module_files import answer_files, module_files, right_answers
from coursework.submissions.notebook import parse_notebook

SOLUTION, BLANK, WRONG, RIGHT, JUNK = "solution", "blank", "wrong", "right", "junk"
JUNK_IMAGE = "python:3.13-slim"
# Junk brings its own Dockerfile, so the module's is left out, even a given one.
_OF_THE_IMAGE = ("Dockerfile", ".dockerignore")


@dataclass(frozen=True)
class Answer:
    """One answer to a module's exercise.

    Args:
        name: such as `solution` or `wrong/quick_start/json_as_text`.
        files: as a learner would have written them.
        place: the file or folder that it comes from.
        is_alone: whether it is built without the module's starter and given files.
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
    for name, files_of in right_answers(layout, slug).items():
        answers.append(Answer(f"{RIGHT}/{name}", files_of, grader / RIGHT / name))
    wrong = [p for p in sorted(grader.glob(f"{WRONG}/*/*")) if p.is_dir()]
    for path in wrong:
        name = path.relative_to(grader).as_posix()
        answers.append(Answer(name, {**reference, **answer_files(path)}, path))
    return [*answers, *_mutated(subject), *_junk(subject)]


def _mutated(subject: Subject) -> Iterator[Answer]:
    """Return the solution with each mistake in it; one that no longer applies is a finding."""
    for mistake in subject.mistakes:
        with suppress(DiffError):
            yield Answer(f"{WRONG}/{mistake.name}", mistake.answer, mistake.path)


def _junk(subject: Subject) -> Iterator[Answer]:
    """Return programs that nobody wrote for this module, each with an image of its own."""
    laid = module_files(subject.layout, subject.slug).around({})
    kept = {name: data for name, data in laid.items() if name not in _OF_THE_IMAGE}
    for folder in sorted(Path(str(files("coursework.authoring") / "junk")).iterdir()):
        if folder.is_dir():
            own = folder_files(folder)
            checks = subject.checks_file
            yield Answer(f"{JUNK}/{folder.name}", {**kept, **own}, checks, is_alone=True)
