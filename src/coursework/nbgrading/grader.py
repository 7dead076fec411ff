"""autograde's two steps of ours: the trusted grader, and verdicts into the gradebook."""

from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades

from coursework.catalogue import load_catalogue
from coursework.checks.verdict import CheckResult, Report
from coursework.engine import start_engine
from coursework.grading import Watcher, grade, list_checks
from coursework.layout import Layout
from coursework.report.lines import MARKS, details, heading, printable, summary
from coursework.report.notebook import result_html
from coursework.submission import Submission, SubmissionError, read_notebook

_VERDICT = "coursework"


class TrustedGrader(NbGraderPreprocessor):  # type: ignore[misc]
    """Grade the submitted files in containers, and write each check's report below its cell."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Give the notebook with reports in the place of outputs.

        Raises:
            CourseError: the grader itself is in trouble; nothing is written into the gradebook.
        """
        place = resources["nbgrader"]
        learner, slug = place["student"], place["assignment"]
        coursedir = self.parent.parent.coursedir
        folder = Path(coursedir.format_path(coursedir.submitted_directory, learner, slug))
        self.log.info("Grading %s of %s in containers", slug, learner)
        layout = Layout(Path(coursedir.root).resolve())
        path = folder / f"{place['notebook']}.ipynb"
        report = grade_notebook(layout, slug, path, Watcher(self.log.debug, self._tell))
        self.log.info("%s of %s: %s", slug, learner, summary(report))
        for result in (r for r in report.checks if r.verdict == "error"):
            self.log.error(
                "%s of %s: %s could not be judged and is left to you: %s\n  again: nbgrader"
                " autograde %s --student %s --force",
                slug, learner, result.name, result.saw, slug, learner,
            )  # fmt: skip
        _write_reports(nb, report)
        return nb, resources

    def _tell(self, result: CheckResult) -> None:
        name, title = heading(result)
        self.log.info("%s %s   %s", MARKS[result.verdict], name, title)


def grade_notebook(layout: Layout, slug: str, path: Path, watcher: Watcher = Watcher()) -> Report:  # noqa: B008 - frozen
    """Grade what a learner handed in; a notebook that cannot be read is a result too.

    Args:
        layout: the clone.
        slug: the module.
        path: the notebook.
        watcher: is told how it goes on.

    Raises:
        CourseError: the grader itself is in trouble.
    """
    checks = list_checks(layout, slug)
    try:
        submission = _read(path, slug, [c.name for c in checks])
    except SubmissionError as error:
        return Report(slug, "", 0, tuple(_refused(check, error) for check in checks))
    report = grade(
        load_catalogue(layout).find(slug), submission.files, layout=layout,
        engine=start_engine(watcher.on_step), keep=False, watcher=watcher,
    )  # fmt: skip
    # A learner's clone stands elsewhere: below its root the paths are the same.
    here = f"{layout.root}/"
    told = tuple(replace(c, command=c.command.replace(here, "")) for c in report.checks)
    return replace(report, checks=told)


def _read(path: Path, slug: str, checks: list[str]) -> Submission:
    module = read_notebook(path).module
    if module not in (None, slug):
        raise SubmissionError(
            f"{path.name} is the notebook of {str(module)[:40]}, not of {slug}.",
            fix=f"hand in work/{slug}/exercise.ipynb",
        )
    return read_notebook(path, checks=checks)


def _refused(check: CheckResult, error: SubmissionError) -> CheckResult:
    saw = "\n".join(text for text in (error.what, error.why) if text)
    return replace(
        check, verdict="failed", looked_for="a notebook whose files can be read", saw=saw,
        hint=error.fix, link="",
    )  # fmt: skip


def _write_reports(notebook: Any, report: Report) -> None:
    results = {f"check-{check.name.replace('_', '-')}": check for check in report.checks}
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in results:
            result = results[grade_id]
            cell.metadata[_VERDICT] = {"verdict": result.verdict, "points": result.points}
            cell.outputs = [_shown(result_html(result), _plain(result))]
        elif grade_id == "check-all":
            text = summary(report)
            cell.outputs = [_shown(f"<b>{escape(text)}</b>", text)]


def _shown(html: str, text: str) -> Any:
    data = {"text/html": html, "text/plain": text}
    return new_output("display_data", data=data)  # type: ignore[no-untyped-call]


def _plain(result: CheckResult) -> str:
    first = f"{MARKS[result.verdict]} {'   '.join(heading(result))}"
    rows = [f"  {label:<12}{text}" for label, text in details(result)]
    return printable("\n".join([first, *rows]))


class SaveVerdicts(SaveAutoGrades):  # type: ignore[misc]
    """Write points into the gradebook; what could not be judged waits for a person."""

    def _add_score(self, cell: Any, resources: Any) -> None:
        del resources
        grade = self.gradebook.find_grade(
            cell.metadata.nbgrader.grade_id, self.notebook_id, self.assignment_id, self.student_id
        )
        # A graded cell without a verdict is our mistake: it must not become points, nor none.
        verdict = cell.metadata.get(_VERDICT, {"verdict": "error", "points": 0})
        judged = verdict["verdict"] != "error"
        grade.auto_score = float(verdict["points"]) if judged else None
        grade.needs_manual_grade = not judged or grade.manual_score is not None
        self.gradebook.db.commit()
