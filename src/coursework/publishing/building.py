"""Building the site: lessons are run where needed, then MkDocs does its part, strictly."""

import subprocess
import sys
from collections.abc import Callable

from coursework.authoring.audit.lessons import audit_lesson
from coursework.authoring.audit.subject import Subject
from coursework.authoring.outputs import last_run
from coursework.engine import Engine
from coursework.layout import Layout
from coursework.modules.catalogue import Catalogue
from coursework.trouble import CourseError


def run_changed_lessons(
    layout: Layout,
    catalogue: Catalogue,
    start_engine: Callable[[Callable[[str], None]], Engine],
    tell: Callable[[str], None],
) -> None:
    """Run each lesson whose outputs are missing or older than its text.

    Args:
        layout: the clone.
        catalogue: its modules.
        start_engine: gives the engine; called only where a lesson has to run.
        tell: is told each step.

    Raises:
        CourseError: a lesson does not run as it should.
    """
    for module in catalogue.modules:
        if last_run(layout, module.slug) is not None:
            continue
        tell(f"running the lesson of {module.slug}")
        findings = audit_lesson(Subject(layout, module), start_engine(tell), tell)
        if findings:
            raise CourseError(
                f"The lesson of {module.slug} does not run as it should: nothing is published.",
                why="\n        ".join(f.what for f in findings[:5]),
                fix=f"course audit {module.slug} --only lesson",
            )


def build_site(layout: Layout) -> None:
    """Build build/site by mkdocs.yml; a warning of MkDocs fails it.

    Raises:
        CourseError: MkDocs found something; with its words.
    """
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=layout.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        words = [x for x in done.stderr.splitlines() if x.startswith(("WARNING", "ERROR", "  "))]
        raise CourseError(
            "The site cannot be built.",
            why="\n        ".join(words[-12:] or done.stderr.splitlines()[-12:]),
            fix="mend what is named, then type: make site",
        )
