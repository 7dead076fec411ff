"""Rules about folders and files: each has its place, and nothing is anywhere else."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from coursework.authoring.audit.subject import Finding, Subject
from coursework.authoring.mistakes import ENDING
from coursework.authoring.outputs import output_files
from coursework.authoring.proof import PROOF
from coursework.files import folder_files, is_ignored
from coursework.layout import Layout
from coursework.modules.catalogue import Catalogue

ROOMS = ("course", "solutions", "graders", "exercises")


def folders_without_entry(layout: Layout, catalogue: Catalogue) -> Iterator[Finding]:
    """Find what is beside the modules' folders and belongs to none."""
    known = {module.slug for module in catalogue.modules}
    for room in ROOMS:
        for path in _inside(layout.root / room):
            is_module = path.name in known and path.is_dir()
            if is_module or path in (layout.catalogue, layout.topics):
                continue
            name = path.relative_to(layout.root).as_posix()
            kind = "folder" if path.is_dir() else "file"
            what = f"course/catalogue.toml lists no {path.name}"
            yield Finding("", name, f"unknown-{kind}", what, f"rm -r {name}")


def unknown_files(subject: Subject) -> Iterator[Finding]:
    """Find files and folders of a module that nothing reads."""
    layout, slug = subject.layout, subject.slug
    expected = {
        layout.lesson(slug).parent: {"lesson.md", "cards.toml", *output_files(layout, slug)},
        layout.solution(slug).parent: {"exercise.md", "given", "starter"},
        layout.grader(slug): {"checks.py", "wrong", "right", PROOF},
    }
    for folder, names in expected.items():
        yield from _surplus(subject, folder, names)
    for folder in (layout.given(slug), layout.starter(slug)):
        if folder.is_dir() and not folder_files(folder):
            yield _unknown(subject, folder, "it holds no file")


def answers_out_of_place(subject: Subject) -> Iterator[Finding]:
    """Find wrong and right answers that the audit would not know how to judge."""
    grader = subject.layout.grader(subject.slug)
    names = {check.name for check in subject.checks}
    for folder in _inside(grader / "wrong"):
        if folder.name not in names:
            known = ", ".join(sorted(names))
            yield _unknown(subject, folder, f"checks.py has no such check; it has {known}")
    wrong = [answer for check in _inside(grader / "wrong") for answer in _inside(check)]
    diffs = {mistake.path for mistake in subject.mistakes}
    for answer in [*_inside(grader / "right"), *wrong]:
        if answer in diffs:
            continue
        if not answer.is_dir():
            kinds = "a diff or a folder" if answer in wrong else "a folder"
            yield _unknown(subject, answer, f"an answer is {kinds} of files")
        elif answer.with_name(f"{answer.name}{ENDING}") in diffs:
            yield _unknown(subject, answer, "a diff beside it has the same name")
        elif not set(folder_files(answer)) - {"README.md"}:
            yield _unknown(subject, answer, "it holds no file")


def _inside(folder: Path) -> list[Path]:
    present = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in present if not is_ignored(path))


def _surplus(subject: Subject, folder: Path, names: Iterable[str]) -> Iterator[Finding]:
    for path in _inside(folder):
        if path.name not in names:
            yield _unknown(subject, path, f"this folder holds {', '.join(sorted(names))}")


def _unknown(subject: Subject, path: Path, what: str) -> Finding:
    rule = "unknown-folder" if path.is_dir() else "unknown-file"
    name = path.relative_to(subject.layout.root).as_posix()
    return subject.finding(path, rule, what, f"rm -r {name}")
