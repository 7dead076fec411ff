"""What tests of cohorts share: a clone with the tiny module, and a class graded in sandboxes."""

import json
from typing import Any

from coursework.authoring.derive import derive_exercise
from coursework.cohort.grading import Progress, grade_cohort, graded_by, left_to_grade
from coursework.cohort.judge import Judge
from coursework.cohort.results import Results
from coursework.cohort.source import find_submissions
from coursework.containers.building import Limits
from coursework.containers.runs import LABEL_MODULE, LABEL_RUN, is_alive
from coursework.grading.warming import warming_answers
from coursework.modules.catalogue import load_catalogue
from coursework.sandbox import SandboxLimits, open_fleet
from tests.clone import ROOT

# Its own name: what tests of classes leave is not what others leave of the tiny module.
SLUG = "90-class"
RIGHT = (ROOT / "tests" / "grading" / "cases" / "right" / "server.py").read_text("utf-8")
POINTS = {"greets": 3, "takes_port": 2, "echoes": 2, "serves_many": 2, "fails_loudly": 1}
SMALL = SandboxLimits(memory="1g", disk="400m", cpus=1, processes=300)


class Class:
    """A clone, and what its learners hand in to a module: the tiny one, where none is named."""

    def __init__(self, layout, engine, slug=SLUG):
        self.layout = layout
        self.engine = engine
        self.module = load_catalogue(layout).find(slug)
        self._released = derive_exercise(layout, slug)["exercise.ipynb"]

    def notebook(self, **files):
        """Return a notebook that writes these files: `server_py`, `ops_sh`, `Dockerfile`."""
        notebook = json.loads(self._released)
        for name, text in files.items():
            place = name.replace("_", ".")
            notebook["cells"].append(code_cell(f"%%writefile {place}\n{text}"))
        return notebook

    def hand_in(self, folder, learner, notebook):
        """Write a notebook, or any text, as a learner's."""
        text = notebook if isinstance(notebook, str) else json.dumps(notebook)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{learner}.ipynb").write_text(text, "utf-8")

    def grade(self, source, out, *, force=False, jobs=2, within_s=90.0, progress=None):
        """Grade what has no result yet; give all results by learner, and who was graded."""
        judge = Judge(
            self.layout, self.module, self.engine, within_s=within_s, limits=Limits(seconds=20)
        )
        results = Results(out)
        submissions = find_submissions(source, self.module.slug).submissions
        by = graded_by(judge.layout, judge.module)
        left = left_to_grade(by, results, submissions, force=force)
        if left:
            answers = warming_answers(self.layout, self.module)
            fleet = open_fleet(
                self.engine, self.module, answers, lambda _: None,
                ahead=min(jobs, len(left)), wanted=len(left), limits=SMALL,
            )  # fmt: skip
            told = progress or Progress()
            grade_cohort(judge, results, left, fleet, jobs=jobs, progress=told)
        return {r.learner: r for r in results.all()}, [s.learner for s in left]


def code_cell(source) -> dict[str, Any]:
    """Return a cell of a notebook."""
    return {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None,
            "source": source}  # fmt: skip


def points(result):
    """Return a result's points by check; None where it was not judged."""
    return {c.name: None if c.verdict == "error" else c.points for c in result.report.checks}


def left_behind(engine, slug=SLUG):
    """Return the names of containers and networks that ended gradings of a module left."""
    of_class = {"label": f"{LABEL_MODULE}={slug}"}
    containers = engine.client.containers.list(all=True, ignore_removed=True, filters=of_class)
    found = [(c.name, c.labels) for c in containers]
    found += [(n.name, n.attrs["Labels"]) for n in engine.client.networks.list(filters=of_class)]
    return [name for name, labels in found if not is_alive(labels[LABEL_RUN])]
