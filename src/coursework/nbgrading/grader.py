"""autograde's two steps of ours: the trusted grader, and verdicts into the gradebook."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool

from coursework.checks.verdict import CheckResult, Report
from coursework.cohort.judge import Judge, open_sandboxes
from coursework.cohort.source import HandedIn
from coursework.cohort.worker import Worker
from coursework.engine import Engine, start_engine
from coursework.layout import Layout
from coursework.modules.catalogue import Module, load_catalogue
from coursework.report.lines import MARKS, details, heading, printable, summary
from coursework.report.notebook import result_html
from coursework.submissions.notebook import check_cell_id, read_handed_in
from coursework.trouble import CourseError

_VERDICT = "coursework"
_MORE_THAN_ANY_CLASS = 100_000


@cache
def _bench(
    layout: Layout, module: Module, outer: Engine, tell: Callable[[str], None], *, trusted: bool
) -> tuple[Judge, Worker]:
    """Return the judge of this process; it and the process that grades end with this one."""
    stack = ExitStack()
    # Not atexit: threads remove the sandboxes, and by then they take no more work.
    threading._register_atexit(stack.close)  # type: ignore[attr-defined]  # noqa: SLF001
    sandboxes = open_sandboxes(
        layout, module, outer, tell, ahead=1, wanted=_MORE_THAN_ANY_CLASS, trusted=trusted
    )
    fleet = stack.enter_context(sandboxes)
    worker = Worker()
    stack.callback(worker.stop)
    return Judge(layout, module, outer, fleet), worker


class TrustedGrader(NbGraderPreprocessor):  # type: ignore[misc]
    """Grade the submitted files in a sandbox, and write each check's report below its cell."""

    trusted = Bool(
        default_value=False,
        help="Grade without sandboxes: only answers that you trust.",
    ).tag(config=True)

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Return the notebook with reports in place of outputs.

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
        report = self._grade(layout, load_catalogue(layout).find(slug), learner, path)
        for result in report.checks:
            self._tell(result)
        self.log.info("%s of %s: %s", slug, learner, summary(report))
        for result in (r for r in report.checks if r.verdict == "error"):
            self.log.error(
                "%s of %s: %s could not be judged and is left to you: %s\n  again: nbgrader"
                " autograde %s --student %s --force",
                slug, learner, result.name, result.saw, slug, learner,
            )  # fmt: skip
        _write_reports(nb, report)
        return nb, resources

    def _grade(self, layout: Layout, module: Module, learner: str, path: Path) -> Report:
        outer = start_engine(self.log.debug)
        judge, worker = _bench(layout, module, outer, self.log.info, trusted=self.trusted)
        submission = HandedIn(learner, lambda: read_handed_in(path))
        return judge.judge(submission, worker, self._warn).report

    def _warn(self, learner: str, trouble: CourseError) -> None:
        self.log.warning("%s could not be judged: %s", learner, trouble)

    def _tell(self, result: CheckResult) -> None:
        name, title = heading(result)
        self.log.info("%s %s   %s", MARKS[result.verdict], name, title)


def _write_reports(notebook: Any, report: Report) -> None:
    results = {check_cell_id(check.name): check for check in report.checks}
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id")
        if grade_id in results:
            result = results[grade_id]
            cell.metadata[_VERDICT] = {"verdict": result.verdict, "points": result.points}
            cell.outputs = [_shown(result_html(result), _plain(result))]
        elif grade_id == "check-all":
            text = printable("\n".join([summary(report), *report.warnings]))
            cell.outputs = [_shown(f"<pre>{escape(text)}</pre>", text)]


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
