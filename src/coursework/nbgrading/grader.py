"""autograde's two steps of ours: the trusted grader, and verdicts into the gradebook."""

import atexit
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from nbformat.v4 import new_output
from nbgrader.preprocessors import NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool

from coursework.authoring.audit.answers import warming_answers
from coursework.catalogue import Module, load_catalogue
from coursework.checks.verdict import CheckResult, Report
from coursework.engine import Engine, start_engine
from coursework.grading import Watcher
from coursework.handed_in import grade_handed_in
from coursework.layout import Layout
from coursework.report.lines import MARKS, details, heading, printable, summary
from coursework.report.notebook import result_html
from coursework.sandbox import Fleet, open_fleet
from coursework.submission import check_cell_id

_VERDICT = "coursework"
_MORE_THAN_ANY_CLASS = 100_000


@cache
def _fleet(layout: Layout, module: Module, outer: Engine, tell: Callable[[str], None]) -> Fleet:
    """Give the sandboxes of this process, which end with it."""
    stack = ExitStack()
    atexit.register(stack.close)
    answers = warming_answers(layout, module)
    return stack.enter_context(
        open_fleet(outer, module, answers, tell, ahead=1, wanted=_MORE_THAN_ANY_CLASS)
    )


class TrustedGrader(NbGraderPreprocessor):  # type: ignore[misc]
    """Grade the submitted files in a sandbox, and write each check's report below its cell."""

    trusted = Bool(
        default_value=False,
        help="Grade without sandboxes: only answers that you trust.",
    ).tag(config=True)

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
        report = self._grade(layout, load_catalogue(layout).find(slug), path)
        self.log.info("%s of %s: %s", slug, learner, summary(report))
        for result in (r for r in report.checks if r.verdict == "error"):
            self.log.error(
                "%s of %s: %s could not be judged and is left to you: %s\n  again: nbgrader"
                " autograde %s --student %s --force",
                slug, learner, result.name, result.saw, slug, learner,
            )  # fmt: skip
        _write_reports(nb, report)
        return nb, resources

    def _grade(self, layout: Layout, module: Module, path: Path) -> Report:
        """Grade in a sandbox; a module that needs a cluster is judged in a namespace of one."""
        watcher = Watcher(self.log.debug, self._tell)
        outer = start_engine(watcher.on_step)
        if (self.trusted and not module.sandbox) or module.cluster_images:
            return grade_handed_in(layout, module, path, lambda: outer, watcher)
        fleet = _fleet(layout, module, outer, self.log.info)
        sandbox, engine = fleet.take()
        try:
            report = grade_handed_in(layout, module, path, lambda: engine, watcher)
            sandbox.require_intact()
            return report
        finally:
            fleet.throw_away(sandbox)

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
