"""One file a submission, written whole or not at all."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from coursework import files
from coursework.checks.verdict import CheckResult, Report
from coursework.cohort.forms import Origin
from coursework.cohort.source import HandedIn, identifier
from coursework.report.lines import printable
from coursework.trouble import CourseError

_LONGEST_TEXT = 4000
_MOST_WARNINGS = 50


@dataclass(frozen=True)
class Result:
    """What became of one submission.

    Args:
        learner: as a gradebook knows them.
        module: slug.
        key: of what was graded by what: equal keys need no second grading.
        report: of the checks.
        trouble: why it could not be judged; ours, and no lost points. Empty where it was.
        attempts: how often it was tried.
        origin: what the source's names say of the submission.
    """

    learner: str
    module: str
    key: str
    report: Report
    trouble: str = ""
    attempts: int = 1
    origin: Origin = field(default_factory=Origin)

    @property
    def is_final(self) -> bool:
        """Whether every check was judged."""
        return not self.trouble and all(c.verdict != "error" for c in self.report.checks)


def key_of(notebook: bytes, graded_by: str) -> str:
    """Return the key of a notebook's result: what was handed in, and what grades it."""
    return hashlib.sha256(graded_by.encode() + b"\0" + notebook).hexdigest()


class Results:
    """The folder of a module's results.

    Args:
        folder: is made where there is none.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, learner: str) -> Result | None:
        """Return a learner's result; None where there is none, or none that can be read."""
        path = self._path(learner)
        found = _read(path)
        # Before names were kept whole, the file's stood in their place. Any other name is another
        # learner's: some disks take "Ada" for "ada".
        if found is None or found.learner not in (learner, path.stem):
            return None
        return replace(found, learner=learner)

    def noted(self, submission: HandedIn, key: str) -> Result | None:
        """Return a learner's result, in which is written whose it is and when it came.

        What was handed in once more, unchanged, is not graded again, but its time is another. A
        result of something else, which nobody could judge anew, keeps its own time.

        Args:
            submission: the learner's.
            key: of what was handed in.

        Raises:
            CourseError: the disk is full, or the folder cannot be written.
        """
        found = self.read(submission.learner)
        if found and found.key == key and found.origin != submission.origin:
            found = replace(found, origin=submission.origin)
            self.write(found)
        return found

    def all(self) -> list[Result]:
        """Return every result, by learner; a copy under another name is none."""
        found = ((path, _read(path)) for path in sorted(self.folder.glob("*.json")))
        return [r for path, r in found if r and self._path(r.learner) == path]

    def write(self, result: Result) -> None:
        """Put a result in its place; an earlier one stays until the new one is whole.

        Raises:
            CourseError: the disk is full, or the folder cannot be written.
        """
        text = json.dumps(to_json(result), indent=1, ensure_ascii=False)
        write_whole(self._path(result.learner), text)

    def _path(self, learner: str) -> Path:
        return self.folder / f"{identifier(learner)}.json"


def _read(path: Path) -> Result | None:
    try:
        return from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever sees half of it.

    Raises:
        CourseError: the disk is full, or the folder cannot be written.
    """
    try:
        files.write_whole(path, text.encode(errors="replace"), durable=True)
    except OSError as error:
        raise CourseError(
            f"{path.name} cannot be written.",
            why=f"{error.strerror}; results that are there are whole",
            fix="make room (df -h), then type the command again",
        ) from error


def bounded(report: Report) -> Report:
    """Return a report whose texts are short and steer no terminal: much of them is a learner's."""
    checks = tuple(_bounded(check) for check in report.checks)
    warnings = tuple(printable(w)[:_LONGEST_TEXT] for w in report.warnings[:_MOST_WARNINGS])
    return replace(report, checks=checks, warnings=warnings)


def _bounded(check: CheckResult) -> CheckResult:
    texts = {f.name: getattr(check, f.name) for f in fields(check) if f.name != "verdict"}
    short = {n: printable(t)[:_LONGEST_TEXT] for n, t in texts.items() if isinstance(t, str)}
    return replace(check, **short)  # type: ignore[arg-type]


def to_json(result: Result) -> dict[str, Any]:
    """Return a result as JSON values."""
    values = asdict(result)
    if result.origin == Origin():
        # Who grades does not know it: it is noted where the source is.
        del values["origin"]
    return {**values, "schema": 1, "report": result.report.to_json()}


def from_json(values: dict[str, Any]) -> Result:
    """Return the result that JSON values hold.

    Raises:
        KeyError: something is missing.
        TypeError: something is of another kind.
    """
    report = values["report"]
    checks = tuple(CheckResult(**check) for check in report["checks"])
    return Result(
        values["learner"], values["module"], values["key"],
        Report(report["module"], report["run"], report["seed"], checks, report["timings"],
               tuple(report["warnings"])),
        values["trouble"], values["attempts"], Origin(**values.get("origin", {})),
    )  # fmt: skip
