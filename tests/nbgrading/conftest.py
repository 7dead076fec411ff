"""What tests of nbgrader share: a clone of the tiny course, and stock commands run in it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from coursework.images import ensure_images
from tests.clone import clone_with_tiny
from tests.grading.test_grade import TINY

ROOT = Path(__file__).parents[2]
SLUG = "90-tiny"
RIGHT = TINY.root.parent / "grading" / "cases" / "right" / "server.py"


class Classroom:
    """A clone in which nbgrader's own commands run, as an instructor types them.

    Args:
        root: the clone.
        variables: of the commands' environment.
    """

    def __init__(self, root: Path, variables: dict[str, str]) -> None:
        self.root = root
        self.folder = root / "classroom"
        self.log = ""
        self._variables = {
            **os.environ,
            **variables,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def nbgrader(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        done = subprocess.run(
            ["nbgrader", *arguments], cwd=self.root, env={**self._variables, **variables},
            capture_output=True, text=True, timeout=170, check=False,
        )  # fmt: skip
        self.log += done.stderr
        return done

    def released(self) -> Any:
        """Return the notebook that learners begin with."""
        return json.loads((self.folder / "release" / SLUG / "exercise.ipynb").read_bytes())

    def submit(self, learner: str, text: str) -> Path:
        """Hand in a notebook's text."""
        path = self.folder / "submitted" / learner / SLUG / "exercise.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(text, "utf-8")
        return path

    def answered(self, server: str) -> Any:
        """Return the released notebook with a server written into its cell."""
        notebook = self.released()
        cell(notebook, "write-server-py")["source"] = f"%%writefile server.py\n{server}"
        return notebook

    def grades(self, learner: str) -> Any:
        """Return what the gradebook holds of a learner: check → (points, waits for a person)."""
        from nbgrader.api import Gradebook

        with Gradebook(f"sqlite:///{self.folder / 'gradebook.db'}") as book:
            notebook = book.find_submission_notebook("exercise", SLUG, learner)
            return {
                grade.name.removeprefix("check-").replace("-", "_"): (
                    grade.auto_score,
                    grade.needs_manual_grade,
                )
                for grade in notebook.grades
            }

    def feedback(self, learner: str) -> str:
        """Return the page that a learner reads."""
        return (self.folder / "feedback" / learner / SLUG / "exercise.html").read_text("utf-8")


def cell(notebook: Any, grade_id: str) -> Any:
    """Find a cell by the id that nbgrader knows it by."""
    return next(
        c for c in notebook["cells"]
        if c["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )  # fmt: skip


@pytest.fixture(scope="session")
def released(engine, tmp_path_factory) -> Classroom:
    """Return a clone whose module is released; the others are copies of it."""
    ensure_images(engine, ["python:3.13-slim"])
    root = tmp_path_factory.mktemp("released") / "clone"
    clone_with_tiny(root)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    classroom = Classroom(root, {"DOCKER_HOST": engine.docker_host})
    done = classroom.nbgrader("generate_assignment", SLUG)
    assert done.returncode == 0, done.stderr
    return classroom


@pytest.fixture
def classroom(released, engine, tmp_path) -> Classroom:
    """Return a clone with a released module and no submissions."""
    shutil.copytree(released.root, tmp_path / "clone")
    return Classroom(tmp_path / "clone", {"DOCKER_HOST": engine.docker_host})
