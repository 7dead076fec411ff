"""Building the site from what is committed: no engine, no lesson run; MkDocs does it, strictly."""

import sys

from coursework.layout import Layout
from coursework.programs import run
from coursework.trouble import CourseError


def build_site(layout: Layout) -> None:
    """Build build/site by mkdocs.yml; a warning of MkDocs fails it.

    Raises:
        CourseError: MkDocs found something; with its words.
    """
    done = run([sys.executable, "-m", "mkdocs", "build", "--strict"], cwd=layout.root)
    if done.returncode:
        words = [x for x in done.stderr.splitlines() if x.startswith(("WARNING", "ERROR", "  "))]
        raise CourseError(
            "The site cannot be built.",
            why="\n        ".join(words[-12:] or done.stderr.splitlines()[-12:]),
            fix="mend what is named, then type: make site",
        )
